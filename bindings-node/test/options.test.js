'use strict';

// From Node's habits to core's words.

const assert = require('node:assert/strict');
const { it } = require('node:test');
const { toText, record, bytes, seconds } = require('../lib/options.js');

const core = (options) => JSON.parse(toText(options));

it('names and times', () => {
  assert.deepEqual(
    core({ memLimit: '256m', readOnly: true, timeout: 1500, stopTimeout: 0, healthcheck: { test: ['NONE'], startPeriod: 2000 } }),
    { mem_limit: '256m', read_only: true, timeout: 1.5, stop_timeout: 0, healthcheck: { test: ['NONE'], start_period: 2 } },
  );
});

it('what is undefined or null is left out', () => {
  assert.deepEqual(core({ name: undefined, user: null, timeout: undefined, entrypoint: [] }), { entrypoint: [] });
  assert.deepEqual(core({ timeout: Infinity }), {});
});

it('what JSON can not say is refused', () => {
  for (const value of [NaN, Infinity, () => {}, Symbol('x'), 2n ** 70n, Buffer.from('x'), [undefined]]) {
    assert.throws(() => toText({ environment: { A: value } }), { name: 'TypeError', message: /`environment\.A/ });
  }
  assert.throws(() => toText({ memLimit: NaN }), { name: 'TypeError', message: /`memLimit`/ });
  assert.throws(() => toText({ __proto__x: 1 }), TypeError);
});

it('shapes', () => {
  assert.deepEqual(core({ environment: new Map([['A', '1']]) }), { environment: { A: '1' } });
  assert.deepEqual(core({ environment: { A: 1, B: undefined } }), { environment: { A: 1 } });
  const proto = core({ labels: JSON.parse('{"__proto__": "x"}') }).labels;
  assert.equal(Object.getOwnPropertyDescriptor(proto, '__proto__').value, 'x');
  assert.deepEqual(core({ mounts: [{ target: '/t', readOnly: true }] }), { mounts: [{ target: '/t', read_only: true }] });
  assert.deepEqual(core({ platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }), { platform: 'linux/arm64/v8' });
  assert.deepEqual(core({ memLimit: 4096n }), { mem_limit: 4096 });
});

it('moments', () => {
  assert.deepEqual(core({ since: new Date(1500), until: 2500 }), { since: 1.5, until: 2.5 });
});

it('records', () => {
  assert.deepEqual(record({ image_id: 'x', created: 1.5e15, started_at: 0, labels: { a_b: 'c' } }, ['created', 'started_at']), {
    imageId: 'x',
    created: 1.5e9,
    startedAt: null,
    labels: { a_b: 'c' },
  });
});

it('bytes', () => {
  assert.equal(bytes('input', 'é').length, 2);
  assert.deepEqual(bytes('input', new Uint16Array([0x4142])), Buffer.from('BA'));
  assert.deepEqual(bytes('input', new Uint8Array([1, 2, 3]).subarray(1)), Buffer.from([2, 3]));
  assert.equal(bytes('input', undefined), undefined);
  assert.equal(seconds('timeout', 250), 0.25);
});
