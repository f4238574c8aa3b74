'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { it } = require('node:test');

const tsc = path.join(__dirname, '../node_modules/typescript/bin/tsc');

it('the declarations fit what users write, with tsc --strict', { skip: !fs.existsSync(tsc) && 'typescript is not installed' }, () => {
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', path.join(__dirname, 'types')]);
  assert.equal(status, 0, stdout.toString());
});
