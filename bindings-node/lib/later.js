'use strict';

// What the interface names and this version does not have yet: using it says so, as `Unsupported`.

const { classes } = require('./errors.js');

const UNKNOWN = 'is not built yet';

/** What is a method rejects. What is a group of methods throws when it is looked at. */
const LATER = {
  Runtime: {
    groups: {
      networks: "networks beyond none and host are not built yet; use network: 'host'",
      volumes: "named volumes are not built yet; bind a host folder with volumes: { '/host': { bind: '/inside' } }",
    },
    methods: {
      events: 'events are not built yet; wait for containers with wait()',
      probe: 'probe is not built yet; (await info()).warnings says what this machine lacks',
      prune: 'prune is not built yet; remove images and containers one by one',
    },
  },
  Images: {
    methods: {
      build: 'building images is not built yet; build with another tool and load() its archive',
      push: 'push is not built yet; push with another tool',
      save: `save ${UNKNOWN}`,
      prune: 'prune is not built yet; remove images one by one',
    },
  },
  Image: { methods: { push: 'push is not built yet; push with another tool', save: `save ${UNKNOWN}` } },
  Containers: { methods: { prune: 'prune is not built yet; remove containers one by one' } },
  Container: {
    groups: { fs: 'fs is not built yet; bind a host folder with volumes, or execRun a command' },
    methods: {
      copyTo: 'copyTo is not built yet; bind a host folder with volumes',
      copyFrom: 'copyFrom is not built yet; bind a host folder with volumes',
      commit: `commit ${UNKNOWN}`,
      diff: `diff ${UNKNOWN}`,
      export: `export ${UNKNOWN}`,
      stats: "stats are not built yet; read the files of the container's cgroup",
      statsStream: "stats are not built yet; read the files of the container's cgroup",
      top: "top is not built yet; execRun(['ps']) in the container",
      events: 'events are not built yet; wait for the container with wait()',
      update: 'update is not built yet; create a new container with other limits',
    },
  },
};

/** Gives a class what it does not have yet. */
function later(Class) {
  const { groups = {}, methods = {} } = LATER[Class.name];
  const fail = (name, why) => new classes.Unsupported(why, { operation: `${Class.name.toLowerCase()}.${name}` });
  const define = (name, how) => Object.defineProperty(Class.prototype, name, { configurable: true, ...how });
  for (const [name, why] of Object.entries(groups)) {
    define(name, {
      get() {
        throw fail(name, why);
      },
    });
  }
  for (const [name, why] of Object.entries(methods)) {
    define(name, {
      writable: true,
      value: async () => {
        throw fail(name, why);
      },
    });
  }
}

module.exports = { later };
