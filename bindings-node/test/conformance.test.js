'use strict';

// The table that every language replays: tests/conformance. `CONFORMANCE=text` picks cases by name.

const fs = require('node:fs');
const path = require('node:path');
const { after, describe, it } = require('node:test');
const { session } = require('./helpers.js');
const { missing, startRegistry } = require('./registry.js');
const { replay } = require('./conformance/replay.js');

const folder = path.join(__dirname, '../../tests/conformance');
const wanted = process.env.CONFORMANCE ?? '';

function has(need, info) {
  if (need.startsWith('cgroup-')) {
    const controller = need.slice('cgroup-'.length);
    return info.cgroupControllers.includes(controller) || (controller === 'freezer' && info.cgroupVersion === 'v2');
  }
  switch (need) {
    case 'root':
      return !info.rootless;
    case 'overlay-images':
      return info.driver === 'overlay';
    case 'registry':
      return process.env.REGISTRY !== undefined;
    case 'busybox':
      return fs.existsSync('/bin/busybox');
    case 'perl':
      return fs.existsSync('/usr/bin/perl');
    case 'ids':
      return !info.rootless || fs.existsSync('/usr/bin/newuidmap');
    default:
      throw new Error(`the table requires the unknown ${need}`);
  }
}

let registry;
const t = session(async () => {
  if (process.env.REGISTRY !== undefined || missing !== undefined) return;
  registry = await startRegistry();
  process.env.REGISTRY = registry.values.registry;
});
after(() => registry?.stop());

for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
  const { cases } = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'));
  describe(file, () => {
    for (const c of cases.filter(({ name }) => name.includes(wanted))) {
      it(c.name, { timeout: 120_000 }, async (test) => {
        if (c.not?.node !== undefined) return test.skip(c.not.node);
        const info = await t.rt.info();
        const missing = (c.requires ?? []).find((need) => !has(need, info));
        if (missing !== undefined) return test.skip(`this machine lacks ${missing}`);
        await replay(t.rt, t.root, c);
      });
    }
  });
}
