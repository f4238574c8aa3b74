'use strict';

const { ask, call } = require('./native.js');
const { invalid } = require('./errors.js');
const { asyncDispose, Handle, key } = require('./handles.js');
const { Image } = require('./image.js');
const { later } = require('./later.js');
const { Process, cells } = require('./process.js');
const { command, nothingElse, record, seconds, take, text, bytes, toText } = require('./options.js');

/**
 * Attached containers that run are reachable from here, so that collecting the garbage never ends one whose
 * handle nobody needs (only its port, say). As with a listening socket of Node's, this holds no event loop.
 */
const running = new Set();

/** One container. */
class Container extends Handle {
  #native;
  #runtime;
  #owner;

  constructor(token, native, runtime, owner) {
    super(token);
    this.#native = native;
    this.#runtime = runtime;
    this.#owner = owner;
  }

  /** Lets go of the containers of a runtime that closes. */
  static forget(runtime) {
    for (const c of running) if (c.#runtime === runtime) running.delete(c);
  }

  get id() {
    return this.#native.id;
  }

  get name() {
    return this.#native.name;
  }

  get status() {
    return JSON.parse(ask(this.#native, 'status'));
  }

  get pid() {
    return ask(this.#native, 'pid');
  }

  get shortId() {
    return this.id.slice(0, 12);
  }

  get ports() {
    return this.#document().NetworkSettings?.Ports ?? {};
  }

  get labels() {
    return this.#document().Config?.Labels ?? {};
  }

  #document() {
    return JSON.parse(ask(this.#native, 'document'));
  }

  async inspect() {
    return JSON.parse(await call(this.#native, 'inspect', []));
  }

  async image() {
    return new Image(key, await call(this.#native, 'image', []), this.#runtime);
  }

  async start(options) {
    const [{ signal }, rest] = take(options, 'signal');
    nothingElse(rest);
    await call(this.#native, 'start', [], { signal });
    if (this.#owner) running.add(this);
  }

  async stop(options) {
    await this.#stopped('stop', options);
    running.delete(this);
  }

  async restart(options) {
    await this.#stopped('restart', options);
    if (this.#owner) running.add(this);
  }

  async wait(options) {
    const code = await this.#timed('wait', options);
    running.delete(this);
    return code;
  }

  async #stopped(method, options) {
    const [{ signal }, rest] = take(options, 'signal');
    await call(this.#native, method, [toText(rest)], { signal });
  }

  async #timed(method, options) {
    const [{ timeout, signal }, rest] = take(options, 'timeout', 'signal');
    nothingElse(rest);
    return await call(this.#native, method, [seconds('timeout', timeout)], { signal });
  }

  async kill(signal = 'SIGKILL') {
    if (typeof signal !== 'string' && !Number.isInteger(signal)) {
      throw new TypeError('`signal`: expected a name such as "SIGTERM", or a number');
    }
    await call(this.#native, 'kill', [String(signal)]);
  }

  async pause() {
    await call(this.#native, 'pause', []);
  }

  async unpause() {
    await call(this.#native, 'unpause', []);
  }

  async exec(argv, options) {
    const [{ signal }, rest] = take(options, 'signal');
    const args = [toText(rest, { command: command(argv) })];
    const native = await call(this.#native, 'exec', args, { signal });
    return new Process(key, native, { stdin: rest.stdin === true });
  }

  async execRun(argv, options) {
    const [{ signal, check = false }, rest] = take(options, 'signal', 'check');
    if (typeof check !== 'boolean') throw new TypeError('option `check`: expected a boolean');
    const args = [toText(rest, { command: command(argv) }), check];
    return await call(this.#native, 'execRun', args, { signal });
  }

  async attach(options) {
    const [{ signal }, rest] = take(options, 'signal');
    nothingElse(rest);
    return new Process(key, await call(this.#native, 'attach', [], { signal }), { stdin: true });
  }

  async logs(options) {
    return await call(this.#native, 'logs', [toText(take(options)[1])]);
  }

  logsStream(options) {
    // Checked now, not at the first step of the iteration.
    const [{ signal }, rest] = take(options, 'signal');
    return this.#lines(toText(rest), signal);
  }

  async *#lines(options, signal) {
    const logs = await call(this.#native, 'logsStream', [options], { signal });
    for (;;) {
      const line = await call(logs, 'next', [], { signal });
      if (line === null) return;
      yield line;
    }
  }

  async resize(rows, cols) {
    await call(this.#native, 'resize', [cells('rows', rows), cells('cols', cols)]);
  }

  async rename(name) {
    await call(this.#native, 'rename', [text('name', name)]);
  }

  async remove(options) {
    const [{ signal }, rest] = take(options, 'signal');
    await call(this.#native, 'remove', [toText(rest)], { signal });
    running.delete(this);
  }

  /** An attached container ends with the handle that made it; a detached one, or one that was found, lives on. */
  async [asyncDispose]() {
    if (!this.#owner) return;
    try {
      await this.remove({ force: true });
    } catch (error) {
      if (error.code !== 'container_not_found' && error.code !== 'handle_closed') throw error;
    }
  }
}

/** The containers of a runtime. */
class Containers extends Handle {
  #native;
  #runtime;

  constructor(token, native, runtime) {
    super(token);
    this.#native = native;
    this.#runtime = runtime;
  }

  async run(image, argv, options) {
    [argv, options] = shift(argv, options);
    const { args, signal } = runArguments(image, argv, options);
    if (options?.detach !== true) return await call(this.#native, 'run', args, { signal });
    // As docker-py: it is started, and returned.
    const [name, text, input] = args;
    if (input !== undefined) throw invalid('input', 'a detached container takes no input from here');
    const native = await call(this.#native, 'runDetached', [name, text], { signal });
    return new Container(key, native, this.#runtime, false);
  }

  async create(image, argv, options) {
    if (typeof image === 'object' && image !== null && !(image instanceof Image)) {
      ({ image, command: argv, ...options } = image);
    } else {
      [argv, options] = shift(argv, options);
    }
    const [{ signal }, rest] = take(options, 'signal');
    const args = [Image.nameOf(image), toText(rest, commandOf(argv))];
    const native = await call(this.#native, 'create', args, { signal });
    return new Container(key, native, this.#runtime, rest.detach !== true);
  }

  async get(idOrName) {
    const native = await call(this.#native, 'container', [text('idOrName', idOrName)]);
    return new Container(key, native, this.#runtime, false);
  }

  async list(options) {
    const rows = JSON.parse(await call(this.#native, 'list', [toText(take(options)[1])]));
    const one = (row) => ({ ...record(row, ['created', 'started_at', 'finished_at']), mounts: row.mounts.map((m) => record(m)) });
    return rows.map(one);
  }
}

/** `(image, options)` is fine where the image has a command. */
function shift(argv, options) {
  const isOptions = typeof argv === 'object' && argv !== null && !Array.isArray(argv);
  return options === undefined && isOptions ? [undefined, argv] : [argv, options];
}

const commandOf = (argv) => (argv === undefined || argv === null ? {} : { command: command(argv) });

/** The native arguments of the two ways to run. */
function runArguments(image, argv, options) {
  const [{ signal, input }, rest] = take(options, 'signal', 'input');
  return { args: [Image.nameOf(image), toText(rest, commandOf(argv)), bytes('input', input)], signal };
}

later(Container);
later(Containers);

module.exports = { Container, Containers, runArguments, shift };
