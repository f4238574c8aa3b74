'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');
const { pathToFileURL } = require('node:url');
const { containers, session, temporary } = require('./helpers.js');
const { missing, startRegistry } = require('./registry.js');

const t = session();
const work = temporary();
const busybox = fs.existsSync('/bin/busybox');
const tar = path.join(work, 'root.tar');

before(() => {
  if (!busybox) return;
  const root = path.join(work, 'root');
  fs.mkdirSync(path.join(root, 'bin'), { recursive: true });
  fs.copyFileSync('/bin/busybox', path.join(root, 'bin/busybox'));
  fs.symlinkSync('busybox', path.join(root, 'bin/sh'));
  execFileSync('tar', ['-C', root, '-cf', tar, '.']);
});

describe('local images', { skip: !busybox && 'this machine lacks busybox' }, () => {
  it('import, list, get, inspect, tag, history, run, remove', async () => {
    const image = await t.rt.images.import_(pathToFileURL(tar), { tag: 'node-import:1', changes: ['CMD ["/bin/sh", "-c", "echo default"]', 'ENV A=b'], message: 'made here' });
    assert.ok(image instanceof containers.Image);
    assert.match(image.id, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(image.tags, ['node-import:1']);
    assert.deepEqual(image.config.cmd, ['/bin/sh', '-c', 'echo default']);
    assert.equal(image.config.workingDir, image.config.workingDir.toString());
    assert.equal(image.platform.os, 'linux');
    assert.ok(image.size > 100_000);
    const [row] = await t.rt.images.list();
    assert.equal(row.id, image.id);
    assert.ok(Math.abs(row.created - Date.now()) < 600_000);
    const found = await t.rt.images.get('node-import:1');
    assert.equal(found.id, image.id);
    assert.equal((await found.inspect()).Id, image.id);
    assert.equal((await t.rt.images.inspect('node-import:1')).Os, 'linux');
    const history = await image.history();
    assert.ok(history.length >= 1);
    assert.equal((await t.rt.containers.run(image)).stdout.toString(), 'default\n');
    assert.equal((await t.rt.containers.run('node-import:1', ['/bin/sh', '-c', 'echo $A'])).stdout.toString(), 'b\n');
    await image.tag('node-import:2');
    await t.rt.images.tag('node-import:2', 'node-import:3');
    assert.equal((await t.rt.images.get(image.id)).tags.length, 3);
    await t.rt.images.remove('node-import:3');
    await image.remove({ force: true });
    await assert.rejects(t.rt.images.get('node-import:1'), { code: 'image_not_found' });
  });

  it('an image in use stays', async () => {
    const image = await t.rt.images.import_(tar, { tag: 'node-used:1' });
    const c = await t.rt.containers.create(image, ['/bin/sh']);
    assert.equal((await c.image()).id, image.id);
    await assert.rejects(image.remove(), { code: 'in_use' });
    await c.remove();
    await image.remove();
  });
});

it('host', async () => {
  const image = containers.Image.host();
  const found = await t.rt.images.get('host');
  assert.equal(found.id, image.id);
  assert.throws(() => containers.Image.host({ path: ['/x'] }), TypeError);
});

it('bad input', async () => {
  await assert.rejects(t.rt.images.get(5), TypeError);
  await assert.rejects(t.rt.images.pull('UPPER//bad::'), { code: 'invalid_argument' });
  await assert.rejects(t.rt.images.pull('localhost:1/x:1'), { code: 'registry' });
  await assert.rejects(t.rt.images.pull('localhost:1/x:1', { policy: 'never' }), { code: 'image_not_found' });
  await assert.rejects(t.rt.images.pull('localhost:1/x:1', { policy: 'sometimes' }), { code: 'invalid_argument' });
  await assert.rejects(t.rt.images.pull('localhost:1/x:1', { auth: { user: 'x' } }), TypeError);
  await assert.rejects(t.rt.images.pull('localhost:1/x:1', { platform: 'linux' }), { code: 'invalid_argument' });
  await assert.rejects(t.rt.images.pull('localhost:1/x:1', { onProgress: 5 }), TypeError);
  await assert.rejects(t.rt.images.load('/no/such/file'), { code: 'path_not_found' });
  await assert.rejects(t.rt.images.import_('/no/such/file'), { code: 'path_not_found' });
});

describe('a real registry', { skip: missing && `this machine lacks ${missing}` }, () => {
  let registry;
  let values;
  before(async () => {
    registry = await startRegistry('--images', 'oci,schema2');
    values = registry.values;
  });
  after(() => registry?.stop());

  it('pull tells its progress in order, before it ends', async () => {
    const events = [];
    const image = await t.rt.images.pull(values.oci, { onProgress: (event) => events.push(event) });
    assert.equal(events[0].event, 'resolved');
    assert.match(events[0].digest, /^sha256:/);
    assert.ok(events.some(({ event }) => event === 'done'));
    assert.deepEqual(events.at(-1), { event: 'complete', id: image.id, fetched: true });
    const out = await t.rt.containers.run(image, ['echo', 'pulled']);
    assert.equal(out.stdout.toString(), 'pulled\n');
    assert.equal((await t.rt.images.pull(values.oci)).id, image.id);
  });

  it('a listener that throws ends the pull with its error', async () => {
    await t.rt.images.remove(values.oci, { force: true });
    const thrown = new Error('from the listener');
    const onProgress = () => { throw thrown; };
    await assert.rejects(t.rt.images.pull(values.oci, { onProgress }), thrown);
    await t.rt.images.pull(values.oci);
  });

  it('an abort cancels', async () => {
    const controller = new AbortController();
    const pulling = t.rt.images.pull(values.schema2, { signal: controller.signal, onProgress: () => controller.abort() });
    await assert.rejects(pulling, { name: 'AbortError', code: 'cancelled' });
    await t.rt.images.pull(values.schema2);
  });

  it('what is not there', async () => {
    await assert.rejects(t.rt.images.pull(`${values.registry}/busybox:no-such-tag`), { code: 'image_not_found' });
    await assert.rejects(t.rt.images.pull(`${values.registry}/nobody:1`), (error) => ['image_not_found', 'auth'].includes(error.code));
  });
});

describe('a registry that wants credentials', { skip: missing && `this machine lacks ${missing}` }, () => {
  it('gets them, or the pull fails with Auth', { timeout: 120_000 }, async () => {
    const { values, stop } = await startRegistry('--auth', 'bob:s3cret', '--images', 'oci');
    try {
      for (const auth of [undefined, { username: 'bob', password: 'wrong' }]) {
        await assert.rejects(t.rt.images.pull(values.oci, { auth }), (error) => {
          assert.ok(error instanceof containers.Auth);
          assert.equal(error.context.ref, values.oci);
          assert.doesNotMatch(error.message, /wrong/);
          return true;
        });
      }
      const image = await t.rt.images.pull(values.oci, { auth: { username: 'bob', password: 's3cret' } });
      await image.remove({ force: true });
    } finally {
      await stop();
    }
  });
});
