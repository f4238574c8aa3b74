'use strict';

// What the tests share. Each test file has a root of its own, and what it leaves behind is an error.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before } = require('node:test');
const containers = require('..');

function folder(prefix) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), prefix));
  // Images and containers are looked into by other users inside the container.
  fs.chmodSync(made, 0o755);
  return made;
}

/** A folder that is removed when the test file ends. */
function temporary(prefix = 'containers-node-') {
  const made = folder(prefix);
  after(() => removed(made));
  return made;
}

const removed = (made) => eventually('the folder can be removed', () => remove(made));

/** Removes a folder; false while a monitor still cleans up what only it may look into. */
function remove(made) {
  try {
    fs.rmSync(made, { recursive: true, force: true });
    return true;
  } catch (error) {
    if (error.code === 'EACCES' || error.code === 'ENOTEMPTY') return false;
    throw error;
  }
}

/**
 * An open runtime on a fresh root, closed after the tests of the file; `t.rt` from the first test on. `prepare`
 * runs before the tests, with it.
 */
function session(prepare) {
  const t = { root: folder('containers-node-'), rt: undefined };
  before(async () => {
    process.env.CONTAINERS_ROOT = t.root;
    t.rt = await containers.Runtime.open();
    await prepare?.(t);
  });
  after(async () => {
    await t.rt?.close();
    // Hooks run in the order in which they were made: not before the closing.
    await removed(t.root);
  });
  return t;
}

/** Polls until `check` gives something, at most `limit` milliseconds. */
async function eventually(what, check, limit = 20_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Host pids of processes whose command line contains `text`. */
function processesWith(text) {
  return fs.readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
    } catch {
      return false;
    }
  });
}

/** Names of the threads of a process. */
function threads(pid = 'self') {
  return fs.readdirSync(`/proc/${pid}/task`).map((tid) => fs.readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim());
}

/** Number of open descriptors of this process. */
const descriptors = () => fs.readdirSync('/proc/self/fd').length;

/** Resident bytes of this process. */
function resident() {
  global.gc?.();
  return process.memoryUsage.rss();
}

/** A number that no other process has as an argument: `sleep` with it is found by `processesWith`. */
let serial = 0;
const marker = () => `${100000 + serial++}.${process.pid}`;

module.exports = { containers, temporary, session, eventually, processesWith, threads, descriptors, resident, marker };
