'use strict';

const assert = require('node:assert/strict');
const { it } = require('node:test');
const { containers, session, eventually, processesWith, marker } = require('./helpers.js');

const t = session();

it('create, start, wait, logs, remove', async () => {
  const c = await t.rt.containers.create({ image: 'host', command: ['sh', '-c', 'echo hi; exit 5'], name: 'node-life', labels: { a: 'b' }, volumes: ['/usr:/data:ro'] });
  assert.match(c.id, /^[0-9a-f]{64}$/);
  assert.equal(c.name, 'node-life');
  assert.equal(c.status, 'created');
  assert.equal(c.pid, null);
  assert.deepEqual([c.shortId, c.ports, c.labels], [c.id.slice(0, 12), {}, { a: 'b' }]);
  await c.start();
  assert.equal(await c.wait({ timeout: 60_000 }), 5);
  assert.equal(c.status, 'exited');
  assert.equal((await c.logs()).toString(), 'hi\n');
  assert.equal((await c.inspect()).State.ExitCode, 5);
  const [row] = await t.rt.containers.list({ all: true, filters: { label: 'a=b' } });
  assert.equal(row.name, 'node-life');
  assert.equal(row.exitCode, 5);
  assert.ok(Math.abs(row.created - Date.now()) < 600_000);
  assert.ok(row.startedAt >= row.created && row.finishedAt >= row.startedAt);
  assert.deepEqual([row.networks, row.health], [['none'], '']);
  assert.deepEqual(row.mounts, [{ type: 'bind', source: '/usr', target: '/data', readOnly: true }]);
  await c.remove();
  await assert.rejects(t.rt.containers.get('node-life'), { code: 'container_not_found' });
});

it('wait: a timeout and an abort kill nothing', async () => {
  await using(await t.rt.containers.create('host', ['sleep', marker()]), async (c) => {
    await c.start();
    await assert.rejects(c.wait({ timeout: 100 }), { code: 'exec_timeout' });
    await assert.rejects(c.wait({ signal: AbortSignal.timeout(100) }), { name: 'AbortError' });
    assert.equal(c.status, 'running');
    const ended = c.wait();
    await c.kill('SIGKILL');
    assert.equal(await ended, 137);
  });
});

it('stop, restart, kill by name and number', async () => {
  await using(await t.rt.containers.create('host', ['sh', '-c', "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"]), async (c) => {
    await c.start();
    await eventually('it is up', async () => (await c.logs()).includes('up'));
    await c.stop({ timeout: 20_000 });
    assert.equal(await c.wait(), 7);
    await c.restart({ timeout: 0 });
    assert.equal(c.status, 'running');
    await c.kill(9);
    assert.equal(await c.wait(), 137);
    await assert.rejects(c.kill('SIGWHAT'), { code: 'invalid_argument' });
    await assert.rejects(c.kill({}), TypeError);
  });
});

it('asyncDispose of an owner removes, of a found handle does nothing', async () => {
  const mark = marker();
  const c = await t.rt.containers.create('host', ['sleep', mark]);
  await c.start();
  const found = await t.rt.containers.get(c.id.slice(0, 12));
  await found[Symbol.asyncDispose]();
  assert.equal(c.status, 'running');
  await c[Symbol.asyncDispose]();
  await eventually('it has gone', () => processesWith(mark).length === 0);
  await assert.rejects(t.rt.containers.get(c.id), { code: 'container_not_found' });
  await c[Symbol.asyncDispose]();
});

it('logsStream follows', async () => {
  await using(await t.rt.containers.create('host', ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done; echo e >&2']), async (c) => {
    await c.start();
    const lines = [];
    for await (const line of c.logsStream({ follow: true })) {
      assert.ok(Math.abs(line.time - Date.now()) < 600_000);
      lines.push([line.stream, line.data.toString()]);
    }
    assert.deepEqual(lines, [['stdout', '1\n'], ['stdout', '2\n'], ['stdout', '3\n'], ['stderr', 'e\n']]);
    assert.equal((await c.logs({ tail: 1 })).toString(), 'e\n');
  });
});

it('logsStream can be left and aborted', async () => {
  await using(await t.rt.containers.create('host', ['sh', '-c', `echo one; exec sleep ${marker()}`]), async (c) => {
    await c.start();
    for await (const line of c.logsStream({ follow: true })) {
      assert.equal(line.data.toString(), 'one\n');
      break;
    }
    await assert.rejects(async () => {
      for await (const _ of c.logsStream({ follow: true, signal: AbortSignal.timeout(200) }));
    }, { name: 'AbortError' });
    assert.throws(() => c.logsStream({ tale: 1, tail: () => {} }), TypeError);
  });
});

it('execRun', async () => {
  await using(await t.rt.containers.create('host', ['sleep', marker()]), async (c) => {
    await assert.rejects(c.execRun(['true']), { code: 'not_running' });
    await c.start();
    const out = await c.execRun(['sh', '-c', 'echo $A; exit 2'], { environment: { A: 'x' } });
    assert.equal(out.exitCode, 2);
    assert.equal(out.stdout.toString(), 'x\n');
    await assert.rejects(c.execRun(['sh', '-c', 'echo o; exit 2'], { check: true }), (e) => e.code === 'exit_error' && e.output.stdout.toString() === 'o\n');
    await assert.rejects(c.execRun(['sleep', '60'], { timeout: 200 }), { code: 'exec_timeout' });
    await assert.rejects(c.execRun(['sleep', '60'], { signal: AbortSignal.timeout(200) }), { code: 'cancelled' });
    assert.equal(c.status, 'running');
  });
});

it('a closed runtime says so', async () => {
  const rt = await containers.Runtime.open({ root: t.root });
  const c = await rt.containers.create('host', ['sleep', marker()]);
  await rt.close();
  await rt.close();
  await assert.rejects(rt.containers.run('host', ['true']), { code: 'handle_closed', operation: 'container.run' });
  await assert.rejects(rt.images.list(), { code: 'handle_closed', operation: 'image.list' });
  await assert.rejects(rt.info(), { code: 'handle_closed', operation: 'runtime.info' });
  await assert.rejects(c.start(), { code: 'handle_closed' });
});

it('info', async () => {
  const info = await t.rt.info();
  assert.equal(info.root, t.root);
  assert.equal(t.rt.root, t.root);
  assert.equal(info.os, 'linux');
  assert.ok(['v1', 'v2', 'none'].includes(info.cgroupVersion));
  assert.ok(Array.isArray(info.warnings));
});

/** `await using` for a Node whose parser does not know it. */
async function using(c, act) {
  try {
    await act(c);
  } finally {
    await c[Symbol.asyncDispose]();
  }
}
