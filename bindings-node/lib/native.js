'use strict';

// Promises over the native half: each piece of work has a number, its end comes through one port.

const { classes, fromNative, cancelled } = require('./errors.js');

function load() {
  try {
    return require('../containers.node');
  } catch (cause) {
    if (cause.code !== 'MODULE_NOT_FOUND') throw cause;
    throw new Error('containers.node is missing: build it with scripts/build-node.sh', { cause });
  }
}

const addon = load();
const port = new addon.Port(fetchAll);
const pending = new Map();
let lastId = 0;

function fetchAll() {
  for (let message = port.next(); message !== null; message = port.next()) {
    const [id, progress, outcome] = message;
    const work = pending.get(id);
    if (work === undefined) continue;
    if (progress === undefined) {
      forget(id, work);
      work.settle(outcome);
    } else {
      report(id, work, progress);
    }
  }
}

function report(id, work, progress) {
  if (work.thrown !== undefined) return;
  try {
    work.onEvent(JSON.parse(progress));
  } catch (error) {
    // The caller's function has failed: the work is given up, and its promise rejects with that error.
    work.thrown = { error };
    port.abort(id);
  }
}

function forget(id, work) {
  pending.delete(id);
  if (work.onAbort !== undefined) work.signal.removeEventListener('abort', work.onAbort);
  // An open handle does not keep the event loop alive; work in progress does.
  if (pending.size === 0) port.release();
}

function begin(work, target, method, args) {
  do lastId = (lastId + 1) >>> 0;
  while (pending.has(lastId));
  const id = lastId;
  pending.set(id, work);
  if (pending.size === 1) port.hold();
  if (work.signal) {
    work.onAbort = () => port.abort(id);
    work.signal.addEventListener('abort', work.onAbort, { once: true });
  }
  try {
    direct(target, method, port, id, ...args);
  } catch (error) {
    forget(id, work);
    throw error;
  }
}

/** An error that napi itself made: a panic in the native half. */
function foreign(error) {
  if (error?.code !== 'GenericFailure') return error;
  return new classes.Internal(`a defect of this library: ${error.message}`, { cause: error });
}

function checkSignal(signal) {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal !== 'object' || typeof signal.aborted !== 'boolean' || typeof signal.addEventListener !== 'function') {
    throw new TypeError('option `signal`: expected an AbortSignal');
  }
  return signal;
}

/**
 * Starts a method of the native half that waits, and returns what it gives. The error is made here and not
 * where the outcome arrives, so that its stack names the callers that await it.
 */
async function call(target, method, args, { signal, onEvent } = {}) {
  signal = checkSignal(signal);
  if (signal?.aborted) throw cancelled(signal);
  const work = { settle: undefined, signal, onAbort: undefined, onEvent, thrown: undefined };
  const settled = new Promise((resolve) => {
    work.settle = resolve;
  });
  begin(work, target, method, args);
  const [failure, value] = await settled;
  if (failure === undefined) return value;
  if (work.thrown !== undefined) throw work.thrown.error;
  const error = fromNative(failure);
  throw error.code === 'cancelled' && signal?.aborted ? cancelled(signal) : error;
}

/** Calls a method of the native half that can't fail, short of a defect. */
function direct(target, method, ...args) {
  try {
    return target[method](...args);
  } catch (error) {
    throw foreign(error);
  }
}

/** Calls a method of the native half that answers at once. */
function ask(target, method, ...args) {
  const [failure, value] = direct(target, method, ...args);
  if (failure !== undefined) throw fromNative(failure);
  return value;
}

module.exports = { addon, call, ask, direct };
