'use strict';

const assert = require('node:assert/strict');
const { it } = require('node:test');
const { containers, session, eventually, processesWith, marker } = require('./helpers.js');

const t = session();
const sh = (script, options) => t.rt.containers.run('host', ['sh', '-c', script], options);

it('gives the exit code and both streams', async () => {
  const out = await sh('echo out; echo err >&2; exit 3');
  assert.equal(out.exitCode, 3);
  assert.ok(Buffer.isBuffer(out.stdout));
  assert.equal(out.stdout.toString(), 'out\n');
  assert.equal(out.stderr.toString(), 'err\n');
  assert.equal(out.signal, null);
  assert.equal(out.oomKilled, false);
  assert.deepEqual(out.args, ['sh', '-c', 'echo out; echo err >&2; exit 3']);
});

it('without a runtime of the caller', async () => {
  const out = await containers.run('host', ['id', '-u'], { timeout: 60_000 });
  assert.equal(out.stdout.toString(), '0\n');
});

it('takes an Image', async () => {
  const out = await t.rt.containers.run(containers.Image.host(), ['echo', 'hi']);
  assert.equal(out.stdout.toString(), 'hi\n');
});

it('takes input as text or bytes', async () => {
  assert.equal((await sh('cat', { input: 'text é' })).stdout.toString(), 'text é');
  const data = Buffer.alloc(300_000, 7);
  assert.ok((await sh('cat', { input: data })).stdout.equals(data));
  assert.ok((await sh('cat', { input: new Uint8Array(data) })).stdout.equals(data));
  assert.equal((await sh('cat')).stdout.length, 0);
});

it('death for want of memory is a result', async (test) => {
  if (!(await t.rt.info()).cgroupControllers.includes('memory')) return test.skip('this machine lacks cgroup-memory');
  const out = await t.rt.containers.run('host', ['tail', '/dev/zero'], { memLimit: 32 << 20 });
  assert.equal(out.exitCode, 137);
  assert.equal(out.signal, 9);
  assert.equal(out.oomKilled, true);
});

it('check turns an exit code into ExitError with the output', async () => {
  await assert.rejects(sh('echo partial; exit 4', { check: true }), (error) => {
    assert.ok(error instanceof containers.ExitError && error instanceof containers.Exec);
    assert.equal(error.output.exitCode, 4);
    assert.equal(error.output.stdout.toString(), 'partial\n');
    return true;
  });
});

it('a timeout kills the whole container and keeps the output', async () => {
  const mark = marker();
  const began = Date.now();
  await assert.rejects(sh(`echo begun; (sleep ${mark}) & sleep ${mark}`, { timeout: 400 }), (error) => {
    assert.ok(error instanceof containers.ExecTimeout);
    assert.equal(error.output.stdout.toString(), 'begun\n');
    return true;
  });
  assert.ok(Date.now() - began >= 390);
  await eventually('nothing of it is left', () => processesWith(mark).length === 0);
});

it('an abort kills the container', async () => {
  const mark = marker();
  const controller = new AbortController();
  const running = sh(`sleep ${mark}`, { signal: controller.signal });
  await eventually('it runs', () => processesWith(mark).length > 0);
  const reason = new Error('no longer needed');
  controller.abort(reason);
  await assert.rejects(running, { name: 'AbortError', code: 'cancelled', cause: reason });
  await eventually('nothing of it is left', () => processesWith(mark).length === 0);
  const after = await sh('echo fine');
  assert.equal(after.stdout.toString(), 'fine\n');
});

it('AbortSignal.timeout works as a time limit too', async () => {
  await assert.rejects(sh(`sleep ${marker()}`, { signal: AbortSignal.timeout(200) }), (error) => {
    assert.equal(error.code, 'cancelled');
    assert.equal(error.cause.name, 'TimeoutError');
    return true;
  });
});

it('an abort after the end changes nothing', async () => {
  const controller = new AbortController();
  const out = await sh('echo done', { signal: controller.signal });
  controller.abort();
  assert.equal(out.stdout.toString(), 'done\n');
});

it('many at once', async () => {
  const outs = await Promise.all(Array.from({ length: 20 }, (_, i) => sh(`echo ${i}`)));
  outs.forEach((out, i) => assert.equal(out.stdout.toString(), `${i}\n`));
});

it('maxOutput is a limit', async () => {
  await assert.rejects(sh('head -c 100000 /dev/zero', { maxOutput: 1000 }), { code: 'limit_exceeded' });
});

it('errors name what was wrong', async () => {
  await assert.rejects(t.rt.containers.run('host', ['no-such-command']), (error) => {
    assert.ok(error instanceof containers.CommandNotFound);
    assert.match(error.message, /no-such-command/);
    return true;
  });
  await assert.rejects(t.rt.containers.run('no-such-image:1', ['true']), (error) => {
    assert.ok(error instanceof containers.ImageNotFound && error instanceof containers.NotFound);
    assert.match(error.context.ref, /no-such-image/);
    return true;
  });
  await assert.rejects(sh('true', { memLimit: 'lots' }), { code: 'invalid_argument', context: { field: 'mem_limit' } });
  await assert.rejects(sh('true', { user: 'no-such-user' }), { code: 'invalid_argument' });
  await assert.rejects(sh('true', { timeout: -1 }), { code: 'invalid_argument' });
});

it('detach starts a container and returns it', async () => {
  const c = await t.rt.containers.run('host', ['sleep', marker()], { detach: true });
  try {
    assert.ok(c instanceof containers.Container);
    assert.equal(c.status, 'running');
  } finally {
    await c.remove({ force: true });
  }
  await assert.rejects(sh('true', { detach: true, input: 'x' }), { code: 'invalid_argument', context: { field: 'input' } });
  await assert.rejects(sh('true', { detach: true, check: true }), TypeError);
  await assert.rejects(containers.run('host', ['true'], { detach: true }), { code: 'invalid_argument', context: { field: 'detach' } });
});
