'use strict';

// What the classes share: how they wrap the native half, and the symbol of `await using`.

/** Node 20 has the symbol from 20.5 on; before, and without a polyfill, the name that Node itself fell back to. */
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

const key = Symbol('embedded-containers');

/** Classes whose objects only this library makes. */
class Handle {
  constructor(token) {
    if (token !== key) throw new TypeError(`${new.target.name} objects are not made with new`);
  }
}

module.exports = { asyncDispose, key, Handle };
