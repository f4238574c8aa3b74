'use strict';

const { addon, call } = require('./native.js');
const { asyncDispose, Handle, key } = require('./handles.js');
const { Images, file } = require('./image.js');
const { Container, Containers, runArguments, shift } = require('./container.js');
const { later } = require('./later.js');
const { nothingElse, record, take } = require('./options.js');

/** An open root. */
class Runtime extends Handle {
  #native;
  #closing;

  constructor(token, native) {
    super(token);
    this.#native = native;
    Object.defineProperties(this, {
      images: { value: new Images(key, native, this), enumerable: true },
      containers: { value: new Containers(key, native, this), enumerable: true },
    });
  }

  static async open(options) {
    const [{ root, rootless, signal }, rest] = take(options, 'root', 'rootless', 'signal');
    nothingElse(rest);
    if (rootless !== undefined && rootless !== null && typeof rootless !== 'boolean') {
      throw new TypeError('option `rootless`: expected a boolean');
    }
    const folder = root === undefined || root === null ? undefined : file(root, 'root');
    return new Runtime(key, await call(addon, 'open', [folder, rootless ?? undefined], { signal }));
  }

  get root() {
    return this.#native.root;
  }

  async info() {
    return record(JSON.parse(await call(this.#native, 'info', [])));
  }

  async close() {
    Container.forget(this);
    this.#closing ??= call(this.#native, 'close', []);
    await this.#closing;
  }

  async [asyncDispose]() {
    await this.close();
  }
}

later(Runtime);

/** Runs one command in a throw-away container, with a runtime opened for this call alone. */
async function run(image, argv, options) {
  [argv, options] = shift(argv, options);
  const { args, signal } = runArguments(image, argv, options);
  return await call(addon, 'runOnce', args, { signal });
}

module.exports = { Runtime, run };
