'use strict';

// What the library does to its host, and what is left when the host goes.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { containers, session, temporary, eventually, processesWith, marker } = require('./helpers.js');

const t = session();

/** Starts the host process of fixtures/host.js on a root of its own. */
function host(how, mark = marker(), root = temporary()) {
  const child = spawn(process.execPath, ['--expose-gc', path.join(__dirname, 'fixtures/host.js'), how, mark], {
    env: { ...process.env, CONTAINERS_ROOT: root, RUST_BACKTRACE: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const h = { child, mark, root, out: '', err: '' };
  child.stdout.on('data', (data) => { h.out += data; });
  child.stderr.on('data', (data) => { h.err += data; });
  h.ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  h.ready = eventually(`${how} is ready`, () => h.out.includes('ready\n') || child.exitCode !== null, 60_000);
  return h;
}

/** Processes inside containers of a host: those with its mark, but not the host itself. */
const inside = (h) => processesWith(h.mark).filter((pid) => pid !== String(h.child.pid));

const nothingLeft = (h, limit) => eventually('nothing of it is left', () => inside(h).length === 0, limit);

async function report(h) {
  const { code } = await h.ended;
  assert.equal(code, 0, h.err);
  return JSON.parse(h.out);
}

describe('while it waits', () => {
  it('the event loop runs on', async () => {
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 5);
    await Promise.all(Array.from({ length: 8 }, () => t.rt.containers.run('host', ['sleep', '0.5'])));
    clearInterval(timer);
    assert.ok(longest < 300, `it stood still for ${longest} ms`);
  });

  it("libuv's pool is free", async () => {
    const running = Array.from({ length: 8 }, () => t.rt.containers.run('host', ['sleep', '2']));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const began = performance.now();
    await fs.promises.readFile(__filename);
    assert.ok(performance.now() - began < 1000);
    await Promise.all(running);
  });

  it('there are at most two threads more, and none after the end', async () => {
    const { before, during, after } = await report(host('threads'));
    const ours = during.filter((name) => name.startsWith('containers'));
    assert.ok(ours.length <= 2, String(ours));
    assert.ok(during.length <= before[0].length + 2, `${before[0]} -> ${during}`);
    assert.deepEqual(after[0].filter((name) => name.startsWith('containers')), []);
    assert.ok(after[1] <= before[1] + 1, `descriptors: ${before[1]} -> ${after[1]}`);
  });

  it('descriptors and memory stay flat over many runs', { timeout: 300_000 }, async () => {
    const { first, last } = await report(host('flat'));
    assert.ok(last[0] <= first[0] + 2, `descriptors: ${first[0]} -> ${last[0]}`);
    assert.ok(last[1] < first[1] * 1.15 + 8e6, `resident: ${first[1]} -> ${last[1]}`);
  });
});

describe('when the host goes', () => {
  it('an idle runtime does not keep it alive, and its containers go with it', async () => {
    const h = host('idle');
    assert.deepEqual(await h.ended, { code: 0, signal: null }, h.err);
    assert.match(h.out, /ready/);
    await nothingLeft(h);
  });

  it('process.exit with work in progress', async () => {
    const h = host('exit');
    assert.deepEqual(await h.ended, { code: 7, signal: null }, h.err);
    assert.doesNotMatch(h.out, /the wait ended/);
    await nothingLeft(h);
  });

  it('an uncaught exception', async () => {
    const h = host('crash');
    assert.equal((await h.ended).code, 1, h.err);
    assert.match(h.err, /as asked/);
    await nothingLeft(h);
  });

  it('kill -9 leaves nothing within a second', async () => {
    const h = host('wait');
    await h.ready;
    await eventually('all of it runs', () => inside(h).length >= 4);
    h.child.kill('SIGKILL');
    assert.equal((await h.ended).signal, 'SIGKILL');
    // A second, and some for a busy machine.
    await nothingLeft(h, 3000);
    const rt = await containers.Runtime.open({ root: h.root });
    await eventually('no record is left', async () => (await rt.containers.list({ all: true })).length === 0, 3000);
    await rt.close();
  });

  it('a detached container lives on, and is found with its log', async () => {
    const h = host('detach');
    assert.equal((await h.ended).code, 0, h.err);
    const rt = await containers.Runtime.open({ root: h.root });
    try {
      const c = await rt.containers.get(h.out.trim());
      assert.equal(c.status, 'running');
      await eventually('its log', async () => (await c.logs()).includes('from afar\n'));
      const waiting = c.wait();
      await c.kill('KILL');
      assert.equal(await waiting, 137);
      await c.remove();
    } finally {
      await rt.close();
    }
    await nothingLeft(h);
  });

  it('garbage collection never ends a running container', async () => {
    const h = host('garbage');
    await h.ready;
    assert.equal(inside(h).length, 1, h.err);
    h.child.kill('SIGKILL');
    await h.ended;
    await nothingLeft(h);
  });
});

describe('worker threads', () => {
  it('each has its own, and one that ends with work in progress leaves nothing', { timeout: 120_000 }, async () => {
    const h = host('workers');
    const { codes, stdout } = await report(h);
    assert.deepEqual(codes, [3, 3, 3]);
    assert.equal(stdout, 'still works\n');
    await nothingLeft(h);
  });
});
