'use strict';

// The classes of errors and what wrong arguments give. Nothing here needs an open runtime.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const containers = require('..');
const { addon } = require('../lib/native.js');
const { fromNative } = require('../lib/errors.js');

const className = (code) => code.replace(/(^|_)(.)/g, (_, __, letter) => letter.toUpperCase());

describe('classes', () => {
  it('there is one for each code of core, below its parent', () => {
    const codes = addon.errorCodes();
    assert.ok(codes.length >= 26);
    for (const [code, parent] of codes) {
      const Class = containers[className(code)];
      assert.equal(typeof Class, 'function', code);
      const above = code === parent ? containers.ContainersError : containers[className(parent)];
      assert.equal(Object.getPrototypeOf(Class), above, code);
      assert.equal(Class.name, className(code));
      assert.equal(new Class('x').code, code);
      const made = fromNative({ text: JSON.stringify({ code, message: 'm', context: [['k', 'v']], causes: ['a', 'b'] }) });
      assert.equal(made.constructor, Class);
      assert.equal(made.code, code);
      assert.deepEqual(made.context, { k: 'v' });
      assert.equal(made.cause.cause.message, 'b');
    }
  });

  it('nothing in the addon panics on demand', () => {
    assert.equal(addon.panicForTest, undefined);
  });

  it('there are no others', () => {
    const known = new Set(addon.errorCodes().map(([code]) => className(code)));
    for (const [name, value] of Object.entries(containers)) {
      if (value?.prototype instanceof containers.ContainersError) assert.ok(known.has(name), name);
    }
  });

  it('print as errors do', () => {
    const error = new containers.ImageNotFound('no such image');
    assert.equal(String(error), 'ImageNotFound: no such image');
    assert.ok(!Object.keys(error).includes('name'));
    assert.equal(new containers.Cancelled('x').name, 'AbortError');
    assert.deepEqual([error.stdout, error.stderr], [undefined, undefined]);
    const output = { stdout: Buffer.from('o'), stderr: Buffer.from('e') };
    const late = new containers.ExecTimeout('too late', { output });
    assert.deepEqual([late.stdout, late.stderr], [output.stdout, output.stderr]);
  });

  it('the ES module exports the same', async () => {
    const module = await import('../lib/index.mjs');
    for (const name of Object.keys(containers)) assert.equal(module[name], containers[name], name);
    assert.deepEqual(Object.keys(module).filter((name) => !(name in containers)), ['default']);
  });

  it('the declarations name all exports', () => {
    const text = require('node:fs').readFileSync(require.resolve('../index.d.ts'), 'utf8');
    for (const name of Object.keys(containers)) {
      assert.match(text, new RegExp(`^export (class|function|const) ${name}\\b`, 'm'), name);
    }
  });
});

describe('wrong arguments', () => {
  const rejects = (pattern, ...args) => assert.rejects(containers.run(...args), { name: 'TypeError', message: pattern });

  it('name the option', async () => {
    await rejects(/`image`/, 5, ['true']);
    await rejects(/`command`.*array/, 'host', 'true');
    await rejects(/`command`.*array/, 'host', ['sleep', 5]);
    await rejects(/options: expected an object/, 'host', ['true'], 'fast');
    await rejects(/unknown option `colour`/, 'host', ['true'], { colour: 'red' });
    await rejects(/`mem_limit`: do you mean `memLimit`/, 'host', ['true'], { mem_limit: 1 });
    await rejects(/`memLimit`.*bytes/, 'host', ['true'], { memLimit: [] });
    await rejects(/`memLimit`/, 'host', ['true'], { memLimit: NaN });
    await rejects(/`readOnly`/, 'host', ['true'], { readOnly: 'certainly' });
    await rejects(/`timeout`.*milliseconds/, 'host', ['true'], { timeout: '5s' });
    await rejects(/`stopTimeout`/, 'host', ['true'], { stopTimeout: {} });
    await rejects(/`environment`/, 'host', ['true'], { environment: 5 });
    await rejects(/`environment`/, 'host', ['true'], { environment: { A: {} } });
    await rejects(/`environment.A`/, 'host', ['true'], { environment: { A: () => {} } });
    await rejects(/`volumes`/, 'host', ['true'], { volumes: { '/h': 5 } });
    await rejects(/`volumes`.*`modes`/, 'host', ['true'], { volumes: { '/h': { bind: '/c', modes: 'ro' } } });
    await rejects(/`mounts`/, 'host', ['true'], { mounts: {} });
    await rejects(/`mounts`.*`readWrite`/, 'host', ['true'], { mounts: [{ target: '/x', readWrite: true }] });
    await rejects(/`ulimits`/, 'host', ['true'], { ulimits: { nofile: 'many' } });
    await rejects(/`ports`/, 'host', ['true'], { ports: { 80: 'x' } });
    await rejects(/`input`/, 'host', ['true'], { input: 5 });
    await rejects(/`signal`/, 'host', ['true'], { signal: {} });
    await rejects(/`check`/, 'host', ['true'], { check: 'yes' });
    await rejects(/`check`/, 'host', ['true'], { check: () => {} });
  });

  it('of open', async () => {
    const rejects = (pattern, options) => assert.rejects(containers.Runtime.open(options), { name: 'TypeError', message: pattern });
    await rejects(/`root`/, { root: 5 });
    await rejects(/`rootless`/, { rootless: 'yes' });
    await rejects(/unknown option `rooot`/, { rooot: '/' });
    await rejects(/expected an object/, '/var');
  });

  it('classes are not made with new', () => {
    for (const name of ['Runtime', 'Image', 'Images', 'Container', 'Containers', 'Process']) {
      assert.throws(() => new containers[name](), TypeError, name);
    }
  });

  it('a value that can never work is InvalidArgument', async () => {
    const invalid = { code: 'invalid_argument' };
    await assert.rejects(containers.run('host', ['true'], { environment: ['A'] }), { ...invalid, context: { field: 'environment' } });
    await assert.rejects(containers.run('host', ['true'], { volumes: { '/a:b': { bind: '/c' } } }), { ...invalid, context: { field: 'volumes' } });
  });
});

describe('a signal that was aborted before', () => {
  it('rejects at once with its reason as cause', async () => {
    const reason = new Error('enough');
    await assert.rejects(containers.run('host', ['true'], { signal: AbortSignal.abort(reason) }), (error) => {
      assert.ok(error instanceof containers.Cancelled);
      assert.equal(error.name, 'AbortError');
      assert.equal(error.code, 'cancelled');
      assert.equal(error.cause, reason);
      return true;
    });
  });
});
