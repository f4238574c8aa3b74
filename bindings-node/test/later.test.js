'use strict';

// What the interface names and this version does not have: Unsupported, never undefined.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { containers, session } = require('./helpers.js');

const t = session();
const unsupported = (name) => ({ name: 'Unsupported', code: 'unsupported', operation: new RegExp(`${name}$`) });

describe('what is not built yet says so', () => {
  it('groups', async () => {
    assert.throws(() => t.rt.networks, unsupported('networks'));
    assert.throws(() => t.rt.volumes, unsupported('volumes'));
    const c = await t.rt.containers.create('host', ['true']);
    assert.throws(() => c.fs, unsupported('fs'));
    await c.remove();
  });

  it('methods', async () => {
    const c = await t.rt.containers.create('host', ['true']);
    const all = [
      [t.rt, ['events', 'probe', 'prune']],
      [t.rt.images, ['build', 'push', 'save', 'prune']],
      [t.rt.containers, ['prune']],
      [containers.Image.host(), ['push', 'save']],
      [c, ['copyTo', 'copyFrom', 'commit', 'diff', 'export', 'stats', 'statsStream', 'top', 'events', 'update']],
    ];
    for (const [object, names] of all) {
      for (const name of names) await assert.rejects(object[name](), unsupported(name), name);
    }
    await c.remove();
  });
});
