'use strict';

const { addon, ask, call, direct } = require('./native.js');
const { classes } = require('./errors.js');
const { Handle, key } = require('./handles.js');
const { later } = require('./later.js');
const { command, config, nothingElse, record, take, text, toText } = require('./options.js');

/** One image. */
class Image extends Handle {
  #native;
  #runtime;
  #facts;

  constructor(token, native, runtime) {
    super(token);
    this.#native = native;
    this.#runtime = runtime;
  }

  static host(options) {
    const [{ paths }, rest] = take(Array.isArray(options) ? { paths: options } : options, 'paths');
    nothingElse(rest);
    return new Image(key, direct(addon, 'host', command(paths, 'paths')), undefined);
  }

  /** How an argument names an image: a text, or an Image. */
  static nameOf(image) {
    if (typeof image === 'string') return image;
    if (image instanceof Image) return image.#native.name;
    throw new TypeError('`image`: expected a reference, an id, "host" or an Image');
  }

  /** What never changes is asked for once. */
  #fact(name) {
    if (this.#facts === undefined) {
      this.#facts = JSON.parse(ask(this.#native, 'facts'));
      this.#facts.config = Object.freeze(config(this.#facts.config));
    }
    return this.#facts[name];
  }

  get id() {
    return this.#fact('id');
  }

  get digest() {
    return this.#fact('digest');
  }

  get size() {
    return this.#fact('size');
  }

  get platform() {
    return { ...this.#fact('platform') };
  }

  get config() {
    return this.#fact('config');
  }

  get tags() {
    return direct(this.#native, 'tags');
  }

  async history() {
    return JSON.parse(await call(this.#native, 'history', [])).map((entry) => record(entry, ['created']));
  }

  async tag(reference) {
    await call(this.#native, 'tag', [text('reference', reference)]);
  }

  async inspect() {
    return JSON.parse(await call(this.#native, 'inspect', []));
  }

  async remove(options) {
    if (this.#runtime === undefined) throw new classes.Unsupported("the host image is this machine; it can't be removed");
    await this.#runtime.images.remove(this.id, options);
  }

  toString() {
    return Image.nameOf(this);
  }
}

/** The images of a runtime. */
class Images extends Handle {
  #native;
  #runtime;

  constructor(token, native, runtime) {
    super(token);
    this.#native = native;
    this.#runtime = runtime;
  }

  #image(native) {
    return new Image(key, native, this.#runtime);
  }

  async pull(reference, options) {
    const [{ onProgress, signal }, rest] = take(options, 'onProgress', 'signal');
    const onEvent = listener(onProgress);
    const args = [text('reference', reference), toText(rest), onEvent !== undefined];
    return this.#image(await call(this.#native, 'pull', args, { signal, onEvent }));
  }

  async load(path, options) {
    const [{ onProgress, signal }, rest] = take(options, 'onProgress', 'signal');
    const onEvent = listener(onProgress);
    const args = [file(path), toText(rest), onEvent !== undefined];
    const images = await call(this.#native, 'load', args, { signal, onEvent });
    return images.map((native) => this.#image(native));
  }

  async import_(path, options) {
    const [{ signal }, rest] = take(options, 'signal');
    return this.#image(await call(this.#native, 'import', [file(path), toText(rest)], { signal }));
  }

  async get(reference) {
    return this.#image(await call(this.#native, 'image', [text('reference', reference)]));
  }

  async list() {
    return JSON.parse(await call(this.#native, 'imageList', [])).map((row) => record(row, ['created']));
  }

  async tag(image, reference) {
    await (await this.#find(image)).tag(reference);
  }

  async inspect(image) {
    return (await this.#find(image)).inspect();
  }

  async history(image) {
    return (await this.#find(image)).history();
  }

  async remove(image, options) {
    const [{ force = false }, rest] = take(options, 'force');
    nothingElse(rest);
    if (typeof force !== 'boolean') throw new TypeError('option `force`: expected a boolean');
    await call(this.#native, 'imageRemove', [Image.nameOf(image), force]);
  }

  async #find(image) {
    return image instanceof Image ? image : this.get(image);
  }
}

function listener(onProgress) {
  if (onProgress === undefined || onProgress === null) return undefined;
  if (typeof onProgress !== 'function') throw new TypeError('option `onProgress`: expected a function');
  return onProgress;
}

function file(path, name = 'path') {
  if (path instanceof URL) return require('node:url').fileURLToPath(path);
  return text(name, path);
}

later(Image);
later(Images);

module.exports = { Image, Images, file };
