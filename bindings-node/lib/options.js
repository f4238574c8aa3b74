'use strict';

// The one place where options change from Node's habits to core's: camelCase to snake case, milliseconds to
// seconds, docker's looser shapes to core's. Types and unknown names are core's business: its answer comes
// back as a TypeError that names the option.

const { invalid } = require('./errors.js');

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

function word(name, value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  throw wrong(name, 'a text or a number');
}

/** `{ KEY: value }`, a Map, or an array of `KEY=value`. */
function map(separator, emptyAllowed) {
  return (name, value) => {
    const entries = value instanceof Map ? [...value] : Array.isArray(value) ? value.map(split) : isPlain(value) ? Object.entries(value) : undefined;
    if (entries === undefined) throw wrong(name, `an object, or an array of "key${separator}value"`);
    return Object.fromEntries(entries.map(([key, item]) => [word(name, key), word(`${name}.${key}`, item)]));

    function split(item) {
      if (typeof item !== 'string') throw wrong(name, `"key${separator}value" in the array`);
      const at = item.indexOf(separator);
      if (at < 0 && !emptyAllowed) throw invalid(name, `no ${separator} in ${JSON.stringify(item)}`);
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)];
    }
  };
}

/** docker-py's `{ source: { bind, mode } }`, `{ source: target }`, or an array of `source:target[:options]`. */
function volumes(name, value) {
  if (Array.isArray(value)) return value;
  if (!isPlain(value)) throw wrong(name, 'an object { source: { bind, mode } }, or an array of "source:target[:options]"');
  return Object.entries(value).map(([source, to]) => {
    const { bind, mode = '', ...unknown } = typeof to === 'string' ? { bind: to } : (to ?? {});
    if (typeof bind !== 'string' || typeof mode !== 'string') throw wrong(`${name}.${source}`, '{ bind, mode } with texts');
    for (const key of Object.keys(unknown)) throw new TypeError(`unknown option \`${name}.${source}.${key}\``);
    for (const path of [source, bind]) {
      if (path.includes(':')) throw invalid(name, `a path with a colon, ${JSON.stringify(path)}: give it in \`mounts\``);
    }
    return [source, bind, mode].filter((part) => part !== '').join(':');
  });
}

/** `{ '80/tcp': null | port | [address, port] | [several] }`; `80` is `80/tcp`. */
function ports(name, value) {
  if (Array.isArray(value)) {
    return Object.fromEntries(value.map((port) => [containerPort(word(name, port)), null]));
  }
  if (!isPlain(value)) throw wrong(name, "an object such as { '80/tcp': 8080 }, or an array of container ports");
  return Object.fromEntries(Object.entries(value).map(([port, to]) => [containerPort(port), to ?? null]));
}

const containerPort = (port) => (/^\d+$/.test(port) ? `${port}/tcp` : port);

/** `{ path: options }`, or an array of `path[:options]`. */
function tmpfs(name, value) {
  if (typeof value === 'string') value = [value];
  return map(':', true)(name, value);
}

function ulimits(name, value) {
  if (!isPlain(value)) throw wrong(name, 'an object such as { nofile: [soft, hard] }');
  return Object.fromEntries(
    Object.entries(value).map(([limit, v]) => [limit, isPlain(v) ? [v.soft ?? v.hard, v.hard ?? v.soft] : v]),
  );
}

/** `{ name: [values] }`; a single value stands for itself. */
function filters(name, value) {
  if (!isPlain(value)) throw wrong(name, 'an object such as { label: ["a=b"] }');
  return Object.fromEntries(
    Object.entries(value).map(([filter, v]) => [filter, (Array.isArray(v) ? v : [v]).map((item) => word(`${name}.${filter}`, item))]),
  );
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

const SHAPES = {
  auth: nested,
  annotations: map('=', true),
  environment: map('='),
  extraHosts: map(':'),
  filters,
  healthcheck: nested,
  labels: map('=', true),
  mounts,
  platform,
  ports,
  sysctls: map('='),
  tmpfs,
  ulimits,
  volumes,
};

function convert(full, name, value) {
  if (MILLISECONDS.has(name)) return seconds(full, value);
  if (EPOCH.has(name)) return epochSeconds(full, value);
  if (Object.hasOwn(SHAPES, name)) return SHAPES[name](full, value);
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value);
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') throw wrong(full, 'something else');
  // JSON has no word for these, and would say null.
  if (typeof value === 'number' && !Number.isFinite(value)) throw wrong(full, 'a finite number');
  return value;
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

module.exports = { take, nothingElse, toText, command, text, bytes, seconds, record };
