'use strict';

/** The base of every error of this library. `code` is the class's name in snake case. */
class ContainersError extends Error {
  constructor(message, details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code ?? new.target.code;
    this.operation = details.operation ?? '';
    this.reason = details.reason ?? message;
    this.context = details.context ?? {};
    if (details.output !== undefined) this.output = details.output;
  }

  /** What the command had written, as on errors of `child_process`. */
  get stdout() {
    return this.output?.stdout;
  }

  get stderr() {
    return this.output?.stderr;
  }
}
named(ContainersError, 'ContainersError');

/** Class names under their parents. The only list of them: the code is the name in snake case. */
const TREE = {
  NotFound: ['ImageNotFound', 'ContainerNotFound', 'NetworkNotFound', 'VolumeNotFound', 'PathNotFound'],
  Conflict: ['AlreadyExists', 'InUse', 'NotRunning'],
  InvalidArgument: [],
  Auth: [],
  Registry: [],
  Build: [],
  Exec: ['ExecTimeout', 'ExitError', 'CommandNotFound'],
  Unsupported: [],
  Permission: [],
  LimitExceeded: [],
  Cancelled: [],
  HandleClosed: [],
  Corrupt: [],
  Io: [],
  Internal: [],
};

const classes = { ContainersError };
const byCode = new Map();

function named(cls, name) {
  Object.defineProperty(cls, 'name', { value: name });
  Object.defineProperty(cls, 'code', { value: name.replace(/(?!^)[A-Z]/g, '_$&').toLowerCase() });
  // On the prototype and not enumerable, as for JavaScript's own errors.
  Object.defineProperty(cls.prototype, 'name', { value: name, writable: true, configurable: true });
}

function define(name, Parent) {
  const cls = class extends Parent {};
  named(cls, name);
  classes[name] = cls;
  byCode.set(cls.code, cls);
  return cls;
}

for (const [name, children] of Object.entries(TREE)) {
  const parent = define(name, ContainersError);
  for (const child of children) define(child, parent);
}

// What Node's own interfaces reject with after an abort, so that `err.name === 'AbortError'` works here too.
Object.defineProperty(classes.Cancelled.prototype, 'name', { value: 'AbortError', writable: true, configurable: true });

function chain(causes) {
  return causes.reduceRight((cause, text) => new Error(text, cause && { cause }), undefined);
}

/** camelCase names of options in a message of the native half, which knows their snake-case ones. */
function inCamelCase(text) {
  return text.replace(/`[a-z0-9_]+`/g, (word) => word.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));
}

/** The error object for a failure that the native half describes. */
function fromNative({ text, output }) {
  const described = JSON.parse(text);
  if (described.type !== undefined) return new TypeError(inCamelCase(described.type));
  const Class = byCode.get(described.code) ?? ContainersError;
  const context = {};
  for (const [key, value] of described.context) context[key] = value;
  return new Class(described.message, { ...described, context, output, cause: chain(described.causes) });
}

/** The error for work that the caller's signal ended. */
function cancelled(signal) {
  return new classes.Cancelled('The operation was aborted', { cause: signal.reason });
}

/** The error for a value that can never work. */
function invalid(field, message) {
  return new classes.InvalidArgument(`${message} (field=${field})`, { reason: message, context: { field } });
}

/** The error for a call that this handle does not allow now. */
function conflict(message) {
  return new classes.Conflict(message);
}

module.exports = { classes, byCode, fromNative, cancelled, invalid, conflict };
