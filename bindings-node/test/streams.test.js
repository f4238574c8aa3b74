'use strict';

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { it } = require('node:test');
const { text } = require('node:stream/consumers');
const { session, eventually, processesWith, marker } = require('./helpers.js');

let c;
const t = session(async ({ rt }) => {
  c = await rt.containers.create('host', ['sleep', marker()]);
  await c.start();
});

it('stdin, stdout and stderr are streams', async () => {
  const p = await c.exec(['sh', '-c', 'cat; echo err >&2'], { stdin: true });
  assert.equal(p.poll(), null);
  p.stdin.write('hello ');
  p.stdin.end('world');
  const [out, err, code] = await Promise.all([text(p.stdout), text(p.stderr), p.wait()]);
  assert.equal(out, 'hello world');
  assert.equal(err, 'err\n');
  assert.equal(code, 0);
  assert.equal(p.poll(), 0);
});

it('without stdin there is none', async () => {
  const p = await c.exec(['cat']);
  assert.equal(p.stdin, null);
  assert.equal(await text(p.stdout), '');
  assert.equal(await p.wait(), 0);
});

it('iteration gives both streams in order of arrival', async () => {
  const p = await c.exec(['sh', '-c', 'for i in 1 2 3; do echo o$i; sleep 0.1; echo e$i >&2; sleep 0.1; done']);
  const pieces = [];
  for await (const [stream, data] of p) pieces.push([stream, data.toString()]);
  const wanted = [1, 2, 3].flatMap((i) => [['stdout', `o${i}\n`], ['stderr', `e${i}\n`]]);
  assert.deepEqual(pieces, wanted);
  assert.equal(await p.wait(), 0);
});

it('a stream has one reader', async () => {
  const p = await c.exec(['echo', 'x']);
  for await (const _ of p);
  await assert.rejects(p.communicate(), { code: 'conflict' });
  await assert.rejects(text(p.stdout), { code: 'conflict' });
});

it('communicate', async () => {
  const p = await c.exec(['sh', '-c', 'wc -c; echo e >&2; exit 3'], { stdin: true });
  const out = await p.communicate('x'.repeat(200_000));
  assert.equal(out.stdout.toString().trim(), '200000');
  assert.equal(out.stderr.toString(), 'e\n');
  assert.equal(out.exitCode, 3);
});

it('10 MB are lossless, and the process waits for a slow reader', async () => {
  const size = 10 * 1024 * 1024;
  const p = await c.exec(['sh', '-c', `head -c ${size} /dev/zero | tr '\\0' x; echo done >&2`]);
  let finished = false;
  p.stderr.on('data', () => {
    finished = true;
  });
  p.stdout.once('readable', () => {});
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(finished, false, 'it ran ahead of its reader');
  assert.ok(p.stdout.readableLength <= 512 * 1024, `${p.stdout.readableLength} bytes were read ahead`);
  const hash = createHash('sha256');
  let total = 0;
  for await (const chunk of p.stdout) {
    total += chunk.length;
    hash.update(chunk);
  }
  assert.equal(total, size);
  assert.equal(hash.digest('hex'), createHash('sha256').update(Buffer.alloc(size, 'x')).digest('hex'));
  assert.equal(await p.wait(), 0);
});

it('writes wait for a slow process', async () => {
  const p = await c.exec(['sh', '-c', 'sleep 0.5; wc -c'], { stdin: true });
  const chunk = Buffer.alloc(256 * 1024, 'y');
  let written = 0;
  for (let i = 0; i < 16; i++) p.stdin.write(chunk, () => { written += chunk.length; });
  assert.equal(p.stdin.write('z'), false);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(written < 16 * chunk.length, 'it took everything at once');
  p.stdin.end();
  assert.equal((await text(p.stdout)).trim(), String(16 * chunk.length + 1));
});

it('writing to a process that has gone is an error of the stream', async () => {
  const p = await c.exec(['true'], { stdin: true });
  await p.wait();
  const failed = new Promise((resolve) => p.stdin.once('error', resolve));
  p.stdin.write('x'.repeat(200_000));
  const error = await failed;
  assert.equal(error.code, 'io');
});

it('kill by name and number, and a timeout of its own', async () => {
  const p = await c.exec(['sleep', marker()]);
  await assert.rejects(p.wait({ timeout: 100 }), { code: 'exec_timeout' });
  await assert.rejects(p.wait({ signal: AbortSignal.timeout(50) }), { code: 'cancelled' });
  await p.kill('TERM');
  assert.equal(await p.wait(), 143);
  await assert.rejects(p.kill('SIGWHAT'), { code: 'invalid_argument', context: { field: 'signal' } });
  await assert.rejects(p.kill({}), TypeError);
  const limited = await c.exec(['sleep', marker()], { timeout: 200 });
  await assert.rejects(limited.wait(), { code: 'exec_timeout' });
});

it('close kills a process that still runs', async () => {
  const mark = marker();
  const p = await c.exec(['sleep', mark]);
  const reading = text(p.stdout).catch((error) => error);
  await eventually('it runs', () => processesWith(mark).length > 0);
  p.close();
  await reading;
  await eventually('it has gone', () => processesWith(mark).length === 0);
  await assert.rejects(p.wait(), { code: 'handle_closed' });
});

it('a terminal', async () => {
  const p = await c.exec(['sh', '-c', 'stty size; read x; stty size; echo got $x'], { tty: true, stdin: true, ttySize: [30, 100] });
  let seen = '';
  p.stdout.on('data', (data) => { seen += data; });
  await eventually('the size', () => seen.includes('30 100'));
  await p.resize(40, 120);
  p.stdin.write('line\n');
  assert.equal(await p.wait(), 0);
  await eventually('the answer', () => seen.includes('40 120') && seen.includes('got line'));
  await assert.rejects(p.resize(70_000, 1), { code: 'invalid_argument' });
});

it('attach sees the first byte and writes', async () => {
  const d = await t.rt.containers.create('host', ['sh', '-c', 'echo first; cat'], { stdin: true });
  try {
    const p = await d.attach();
    await d.start();
    p.stdin.end('second\n');
    assert.equal(await text(p.stdout), 'first\nsecond\n');
    assert.equal(await d.wait(), 0);
  } finally {
    await d.remove({ force: true });
  }
});
