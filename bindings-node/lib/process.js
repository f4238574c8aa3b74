'use strict';

const os = require('node:os');
const { Readable, Writable } = require('node:stream');
const { ask, call } = require('./native.js');
const { asyncDispose, Handle, key } = require('./handles.js');
const { conflict, invalid } = require('./errors.js');
const { bytes, nothingElse, seconds, take } = require('./options.js');

const CHUNK = 64 * 1024;

/** One output stream, read only as fast as it is consumed. */
class Output extends Readable {
  #native;
  #stderr;
  #begin;
  #stop = new AbortController();

  constructor(native, stderr, begin) {
    super({ highWaterMark: CHUNK });
    this.#native = native;
    this.#stderr = stderr;
    this.#begin = begin;
  }

  _read(size) {
    this.#next(Math.max(size, CHUNK)).then(
      (data) => this.push(data.length === 0 ? null : data),
      (error) => this.destroy(this.#stop.signal.aborted ? null : error),
    );
  }

  async #next(size) {
    this.#begin();
    return call(this.#native, 'read', [this.#stderr, size], { signal: this.#stop.signal });
  }

  _destroy(error, callback) {
    this.#stop.abort();
    callback(error);
  }
}

/** Standard input. */
class Input extends Writable {
  #native;
  #stop = new AbortController();

  constructor(native) {
    super({ highWaterMark: CHUNK });
    this.#native = native;
  }

  _write(chunk, _encoding, callback) {
    call(this.#native, 'write', [chunk], { signal: this.#stop.signal }).then(() => callback(), callback);
  }

  _writev(chunks, callback) {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', callback);
  }

  _final(callback) {
    this.#native.closeStdin();
    callback();
  }

  _destroy(error, callback) {
    this.#stop.abort();
    this.#native.closeStdin();
    callback(error);
  }
}

/** What `exec` and `attach` return. */
class Process extends Handle {
  #native;
  #stdin;
  #stdout;
  #stderr;
  /** Each stream has one reader: the two Readables, the iteration, or communicate. */
  #reader;

  constructor(token, native, { stdin }) {
    super(token);
    this.#native = native;
    this.#stdin = stdin ? new Input(native) : null;
  }

  get stdin() {
    return this.#stdin;
  }

  get stdout() {
    this.#stdout ??= new Output(this.#native, false, () => this.#readBy('stdout and stderr'));
    return this.#stdout;
  }

  get stderr() {
    this.#stderr ??= new Output(this.#native, true, () => this.#readBy('stdout and stderr'));
    return this.#stderr;
  }

  #readBy(reader) {
    this.#reader ??= reader;
    if (this.#reader !== reader) throw conflict(`the output is already read by ${this.#reader}`);
  }

  async *[Symbol.asyncIterator]() {
    this.#readBy('iteration');
    for (;;) {
      const piece = await call(this.#native, 'next', []);
      if (piece === null) return;
      yield piece;
    }
  }

  async wait(options) {
    const [{ timeout, signal }, rest] = take(options, 'timeout', 'signal');
    nothingElse(rest);
    return await call(this.#native, 'wait', [seconds('timeout', timeout)], { signal });
  }

  poll() {
    return ask(this.#native, 'poll');
  }

  async kill(signal = 'SIGKILL') {
    await call(this.#native, 'kill', [signalNumber(signal)]);
  }

  async resize(rows, cols) {
    await call(this.#native, 'resize', [cells('rows', rows), cells('cols', cols)]);
  }

  async communicate(input, options) {
    const [{ signal }, rest] = take(options, 'signal');
    nothingElse(rest);
    const data = bytes('input', input);
    this.#readBy('communicate');
    return await call(this.#native, 'communicate', [data], { signal });
  }

  close() {
    this.#stdin?.destroy();
    this.#stdout?.destroy();
    this.#stderr?.destroy();
    this.#native.close();
  }

  async [asyncDispose]() {
    this.close();
  }
}

function signalNumber(signal) {
  if (Number.isInteger(signal) && signal >= 0 && signal <= 64) return signal;
  if (typeof signal === 'number') throw invalid('signal', `no such signal: ${signal}`);
  if (typeof signal !== 'string') throw new TypeError('`signal`: expected a name such as "SIGTERM", or a number');
  const upper = signal.toUpperCase();
  if (/^\d+$/.test(upper)) return signalNumber(Number(upper));
  const number = os.constants.signals[upper.startsWith('SIG') ? upper : `SIG${upper}`];
  if (number === undefined) throw invalid('signal', `no such signal: ${signal}`);
  return number;
}

function cells(name, value) {
  if (typeof value !== 'number') throw new TypeError(`\`${name}\`: expected a number`);
  if (!Number.isInteger(value) || value < 0 || value > 65535) throw invalid(name, `not a size of a terminal: ${value}`);
  return value;
}

module.exports = { Process, cells };
