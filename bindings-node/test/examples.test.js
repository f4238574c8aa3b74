'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { it } = require('node:test');
const { temporary } = require('./helpers.js');

const root = temporary();

function example(name, ...args) {
  const file = path.join(__dirname, '../../examples/node', name);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    env: { ...process.env, CONTAINERS_ROOT: root },
    timeout: 60_000,
  });
  return { status, out: stdout.toString(), err: stderr.toString() };
}

it('run', () => {
  assert.deepEqual(example('run.mjs'), { status: 0, out: 'I am root, process 1\n', err: '' });
  assert.deepEqual(example('run.mjs', 'sh', '-c', 'echo e >&2; exit 4'), { status: 4, out: '', err: 'e\n' });
  const failed = example('run.mjs', 'no-such-command');
  assert.equal(failed.status, 125);
  assert.match(failed.err, /^command_not_found: .*no-such-command/);
});

it('lifecycle', () => {
  const { status, out, err } = example('lifecycle.mjs');
  assert.equal(status, 0, err);
  assert.match(out, /exec +hi from [0-9a-f]{12}\n/);
  assert.match(out, /stopped +exited with code 0\nlogs +"hello\\nbye\\n"\n$/);
});

it('streams', () => {
  const { status, out, err } = example('streams.mjs');
  assert.equal(status, 0, err);
  assert.equal(out, 'one -> ONE\ntwo -> TWO\ncode 0\nstdout out\nstderr err\nstdout tick 1\nstdout tick 2\nstdout tick 3\n');
});

it('pull says what it wants, and what failed', () => {
  assert.equal(example('pull.mjs').status, 2);
  const failed = example('pull.mjs', 'localhost:1/nothing:1');
  assert.equal(failed.status, 1);
  assert.match(failed.err, /Registry/);
});
