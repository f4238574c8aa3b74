'use strict';

// The one place where options change from Node's habits to core's: camelCase to snake case, milliseconds to
// seconds. Types, unknown names and docker's further shapes are core's business: its answer comes back as a
// TypeError, or InvalidArgument, that names the option.

const MILLISECONDS = new Set(['timeout', 'stopTimeout', 'interval', 'startPeriod']);
const EPOCH = new Set(['since', 'until']);

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function wrong(name, wanted) {
  return new TypeError(`option \`${name}\`: expected ${wanted}`);
}

function isPlain(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Seconds of a time to wait in milliseconds; `undefined`: without a limit. */
function seconds(name, value) {
  if (value === undefined || value === null || value === Infinity) return undefined;
  if (typeof value !== 'number' || Number.isNaN(value)) throw wrong(name, 'a number of milliseconds');
  return value / 1000;
}

function epochSeconds(name, value) {
  if (value instanceof Date) value = value.getTime();
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(name, 'a Date, or milliseconds since the epoch');
  return value / 1000;
}

/** A value as JSON can say it; what it can't is refused instead of being left out. */
function plain(name, value) {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value);
  if (Array.isArray(value)) return value.map((item, at) => plain(`${name}[${at}]`, item));
  if (value instanceof Map) value = Object.fromEntries(value);
  if (!isPlain(value)) throw wrong(name, `something else than ${typeof value === 'number' ? value : typeof value}`);
  const given = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(given.map(([key, item]) => [key, plain(`${name}.${key}`, item)]));
}

function nested(name, value) {
  if (!isPlain(value)) throw wrong(name, 'an object');
  return toCore(value, `${name}.`);
}

function mounts(name, value) {
  if (!Array.isArray(value)) throw wrong(name, 'an array of mounts');
  return value.map((mount, at) => nested(`${name}[${at}]`, mount));
}

function platform(name, value) {
  if (!isPlain(value)) return value;
  const { os, architecture, variant } = value;
  return [os, architecture, variant].filter((part) => part !== undefined && part !== null).join('/');
}

const SHAPES = { auth: nested, healthcheck: nested, mounts, platform };

function convert(full, name, value) {
  if (MILLISECONDS.has(name)) return seconds(full, value);
  if (EPOCH.has(name)) return epochSeconds(full, value);
  if (Object.hasOwn(SHAPES, name)) return SHAPES[name](full, value);
  return plain(full, value);
}

/** Options as core's deserialisers want them. What is `undefined` or `null` is left out. */
function toCore(options, prefix = '') {
  const result = {};
  for (const [name, value] of Object.entries(options)) {
    if (name.includes('_')) throw new TypeError(`unknown option \`${prefix}${name}\`: do you mean \`${prefix}${camel(name)}\`?`);
    if (value === undefined || value === null) continue;
    result[snake(name)] = convert(prefix + name, name, value);
  }
  return result;
}

/** Checks that options are an object and takes those apart that never reach core. */
function take(options, ...own) {
  if (options === undefined || options === null) options = {};
  if (!isPlain(options)) throw new TypeError('options: expected an object');
  const taken = {};
  const rest = { ...options };
  for (const name of own) {
    taken[name] = rest[name];
    delete rest[name];
  }
  return [taken, rest];
}

/** Refuses what is left over where nothing more is known. */
function nothingElse(rest) {
  for (const name of Object.keys(rest)) throw new TypeError(`unknown option \`${name}\``);
}

const toText = (options, more) => JSON.stringify({ ...toCore(options), ...more });

/** A command as core wants it. */
function command(value, name = 'command') {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((part) => typeof part !== 'string')) throw wrong(name, 'an array of texts');
  return value;
}

function text(name, value) {
  if (typeof value !== 'string') throw new TypeError(`\`${name}\`: expected a text`);
  return value;
}

/** Bytes to write: a text (UTF-8), a Buffer or another view. */
function bytes(name, value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return Buffer.from(value);
  if (Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  throw wrong(name, 'a text, a Buffer or a Uint8Array');
}

/** Milliseconds since the epoch of core's nanoseconds; 0 is `null`: never, or unknown. */
const time = (nanoseconds) => (nanoseconds ? nanoseconds / 1e6 : null);

/** A record of core's with camelCase names; its values are left alone. */
function record(fields, times = []) {
  const result = {};
  for (const [name, value] of Object.entries(fields)) {
    result[camel(name)] = times.includes(name) ? time(value) : value;
  }
  return result;
}

/** An image's configuration. Its health check has the form of an option: milliseconds, and what it does not say left out. */
function config(fields) {
  const result = record(fields);
  if (result.healthcheck) {
    const said = Object.entries(record(result.healthcheck)).filter(([, value]) => value !== null);
    const value = ([name, given]) => [name, MILLISECONDS.has(name) ? given * 1000 : given];
    result.healthcheck = Object.fromEntries(said.map(value));
  }
  return result;
}

module.exports = { take, nothingElse, toText, command, text, bytes, seconds, record, config };
