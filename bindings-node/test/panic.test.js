'use strict';

// A panic in the native half, in a build of its own: the same sources with a function that panics.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { temporary } = require('./helpers.js');

const target = process.env.CARGO_TARGET_DIR ?? path.join(__dirname, '../../target');
const library = path.join(target, 'release/libcontainers_node_panic.so');
const missing = !fs.existsSync(library) && `${library} is not built`;

/** The package with the other addon. */
function panicking() {
  const folder = path.join(temporary(), 'package');
  const own = path.join(__dirname, '..');
  fs.cpSync(path.join(own, 'lib'), path.join(folder, 'lib'), { recursive: true });
  fs.copyFileSync(path.join(own, 'package.json'), path.join(folder, 'package.json'));
  fs.copyFileSync(library, path.join(folder, 'containers.node'));
  return { containers: require(folder), native: require(path.join(folder, 'lib/native.js')) };
}

describe('a panic', { skip: missing }, () => {
  for (const place of ['call', 'future', 'beside']) {
    it(`becomes an Internal error, and the rest works on (${place})`, async () => {
      const { containers, native } = panicking();
      async function caller() {
        await native.call(native.addon, 'panicForTest', [place]);
      }
      await assert.rejects(caller(), (error) => {
        assert.ok(error instanceof containers.Internal);
        assert.equal(error.code, 'internal');
        assert.match(error.message, /as asked/);
        assert.match(error.stack, /caller/);
        return true;
      });
      const rt = await containers.Runtime.open({ root: temporary() });
      assert.equal((await rt.info()).containers, 0);
      await rt.close();
    });
  }
});
