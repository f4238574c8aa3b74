'use strict';

// What README tells a newcomer works when it is pasted.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { it } = require('node:test');
const { temporary } = require('./helpers.js');
const { missing, startRegistry } = require('./registry.js');

const repository = path.join(__dirname, '../..');

it("README's first program", { skip: missing, timeout: 120_000 }, async () => {
  const [, block] = /^```js\n(.*?)^```/ms.exec(fs.readFileSync(path.join(repository, 'README.md'), 'utf8'));
  const { values, stop } = await startRegistry();
  try {
    const file = path.join(temporary(), 'first.mjs');
    const code = block.replaceAll('localhost:5000/app:1', values.oci);
    fs.writeFileSync(file, code.replaceAll('./bindings-node', path.join(repository, 'bindings-node')));
    const out = execFileSync(process.execPath, [file], { env: { ...process.env, CONTAINERS_ROOT: temporary() } });
    assert.match(out.toString(), /^0 0\n/);
    assert.match(out.toString(), /event: 'complete'/);
    assert.match(out.toString(), /stdout hi\n/);
  } finally {
    await stop();
  }
});
