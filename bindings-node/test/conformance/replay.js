'use strict';

// Replays one case: each verb of the table as calls of this package. See tests/conformance/README.md.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Runtime } = require('../..');
const { data, check, shown } = require('./matchers.js');

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const TIMES = new Set(['timeout', 'stop_timeout', 'interval', 'start_period', 'since', 'until']);
const milliseconds = (s) => (s === undefined || s === null ? undefined : s * 1000);

/** Options of the table (snake case, seconds) as this package wants them. */
function options(given = {}) {
  const result = {};
  for (const [name, value] of Object.entries(given)) {
    if (name === 'input') result.input = data(value);
    else if (name === 'healthcheck') result.healthcheck = options(value);
    else if (name === 'mounts') result.mounts = value.map(options);
    else result[camel(name)] = TIMES.has(name) && typeof value === 'number' ? milliseconds(value) : value;
  }
  return result;
}

/** A case with its variables replaced. */
function withVariables(value, tmp) {
  if (typeof value === 'string') {
    return value
      .replaceAll('$TMP', tmp)
      .replaceAll('$REGISTRY', process.env.REGISTRY ?? '$REGISTRY')
      .replace(/\$NS_([A-Z]+)/g, (_, name) => fs.readlinkSync(`/proc/self/ns/${name.toLowerCase()}`));
  }
  if (Array.isArray(value)) return value.map((item) => withVariables(item, tmp));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.replaceAll('$TMP', tmp), withVariables(item, tmp)]));
}

class Replay {
  constructor(rt, root, tmp) {
    Object.assign(this, { rt, root, tmp, containers: {}, processes: {}, seen: {} });
  }

  container(step) {
    const c = this.containers[step.on ?? 'c'];
    if (c === undefined) throw new Error(`no container ${step.on ?? 'c'} is kept`);
    return c;
  }

  process(step) {
    const p = this.processes[step.on ?? 'p'];
    if (p === undefined) throw new Error(`no process ${step.on ?? 'p'} is kept`);
    return p;
  }

  async step(step) {
    const verb = VERBS[step.do];
    if (verb === undefined) throw new Error(`the verb ${step.do} is unknown`);
    return verb.call(this, step);
  }

  async drop(kept) {
    for (const handle of Object.values(kept)) await handle[Symbol.asyncDispose]();
    for (const name of Object.keys(kept)) delete kept[name];
  }

  async cleanUp(ownRuntime) {
    await this.drop(this.processes);
    await this.drop(this.containers).catch(() => {});
    const left = await this.rt.containers.list({ all: true }).catch(() => []);
    for (const { id, detached } of left) {
      if (detached) await (await this.rt.containers.get(id)).remove({ force: true }).catch(() => {});
    }
    if (ownRuntime) await this.rt.close();
  }
}

const run = (s) => [s.image ?? 'host', s.options?.command, without(options(s.options), 'command')];

function without(object, name) {
  const { [name]: _, ...rest } = object;
  return rest;
}

const VERBS = {
  async run(s) {
    return { output: await this.rt.containers.run(...run(s)) };
  },
  async create(s) {
    this.containers[s.as ?? 'c'] = await this.rt.containers.create(...run(s));
    return {};
  },
  async get(s) {
    this.containers[s.as ?? 'c'] = await this.rt.containers.get(this.reference(s));
    return {};
  },
  async list(s) {
    return { names: (await this.rt.containers.list(options(s.options))).map((row) => row.name) };
  },
  async drop(s) {
    const name = s.on ?? 'c';
    await this.drop({ [name]: this.container(s) });
    delete this.containers[name];
    return {};
  },
  async close_runtime() {
    await this.rt.close();
    return {};
  },
  async reopen() {
    await this.drop(this.processes);
    await this.drop(this.containers);
    await this.rt.close();
    this.rt = await Runtime.open({ root: this.root });
    return {};
  },
  async shell(s) {
    const { status, stdout, stderr } = spawnSync('sh', ['-e', '-c', s.script], {
      cwd: this.tmp,
      env: { ...process.env, TMP: this.tmp },
    });
    return { output: { exitCode: status, stdout, stderr, signal: null, oomKilled: false } };
  },
  start: on((c) => c.start()),
  stop: on((c, s) => c.stop({ timeout: milliseconds(s.timeout), stopSignal: s.stop_signal })),
  restart: on((c, s) => c.restart({ timeout: milliseconds(s.timeout), stopSignal: s.stop_signal })),
  pause: on((c) => c.pause()),
  unpause: on((c) => c.unpause()),
  kill: on((c, s) => c.kill(s.signal)),
  remove: on((c, s) => c.remove(options(s.options))),
  rename: on((c, s) => c.rename(s.name)),
  wait: on(async (c, s) => ({ value: await c.wait({ timeout: milliseconds(s.timeout) }) })),
  status: on((c) => ({ value: c.status })),
  pid: on((c) => ({ value: c.pid })),
  name: on((c) => ({ value: c.name })),
  inspect: on(async (c) => ({ json: await c.inspect() })),
  logs: on(async (c, s) => ({ bytes: await c.logs(options(s.options)) })),
  logs_stream: on(async (c, s) => {
    const lines = [];
    for await (const line of c.logsStream(options(s.options))) lines.push([line.stream, line.data.toString()]);
    return { lines };
  }),
  await_log: on(async (c, s) => {
    const end = Date.now() + 20_000;
    let log;
    do {
      log = await c.logs();
      if (log.includes(s.contains)) return {};
      await new Promise((resolve) => setTimeout(resolve, 20));
    } while (Date.now() < end);
    throw new Error(`the log stays ${shown(log)}`);
  }),
  exec_run: on(async (c, s) => {
    const { command, ...rest } = options(s.options);
    return { output: await c.execRun(command, { ...rest, check: s.check }) };
  }),
  async exec(s) {
    const { command, ...rest } = options(s.options);
    this.processes[s.as ?? 'p'] = await this.container(s).exec(command, rest);
    return {};
  },
  async attach(s) {
    this.processes[s.as ?? 'p'] = await this.container(s).attach();
    return {};
  },
  write: onProcess((p, s) => new Promise((resolve, reject) => {
    p.stdin.write(data(s.data), (error) => (error ? reject(error) : resolve({})));
  })),
  close_stdin: onProcess((p) => new Promise((resolve) => p.stdin.end(() => resolve({})))),
  communicate: onProcess(async (p, s) => ({ output: await p.communicate(data(s.input)) })),
  process_wait: onProcess(async (p, s) => ({ value: await p.wait({ timeout: milliseconds(s.timeout) }) })),
  process_poll: onProcess((p) => ({ value: p.poll() })),
  process_kill: onProcess((p, s) => p.kill(s.signal)),
  process_resize: onProcess((p, s) => p.resize(s.rows, s.cols)),
  async read_until(s) {
    const key = `${s.on ?? 'p'}.${s.stream}`;
    const stream = this.process(s)[s.stream];
    const end = Date.now() + 20_000;
    this.seen[key] ??= Buffer.alloc(0);
    while (!this.seen[key].includes(s.contains)) {
      const chunk = stream.read();
      if (chunk !== null) this.seen[key] = Buffer.concat([this.seen[key], chunk]);
      else if (stream.readableEnded || Date.now() > end) throw new Error(`${s.stream} is at last ${shown(this.seen[key])}`);
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return {};
  },
  image_pull: onImages((images, s) => images.pull(s.ref, options(s.options))),
  image_import: onImages((images, s) => images.import_(s.path, options(s.options))),
  image_load: onImages((images, s) => images.load(s.path)),
  image_get: onImages((images, s) => images.get(s.ref)),
  image_tag: onImages((images, s) => images.tag(s.ref, s.tag)),
  image_remove: onImages((images, s) => images.remove(s.ref, { force: s.force })),
  image_inspect: onImages(async (images, s) => ({ json: await images.inspect(s.ref) })),
  image_list: onImages(async (images) => ({ names: (await images.list()).flatMap((row) => row.tags) })),
};

Replay.prototype.reference = function (s) {
  if (s.of === undefined) return s.ref;
  const other = this.containers[s.of];
  return { name: other.name, id: other.id, prefix: other.id.slice(0, 12) }[s.by];
};

function on(act) {
  return async function (s) {
    return (await act(this.container(s), s)) ?? {};
  };
}

function onProcess(act) {
  return async function (s) {
    return (await act(this.process(s), s)) ?? {};
  };
}

function onImages(act) {
  return async function (s) {
    return (await act(this.rt.images, s)) ?? {};
  };
}

function compareError(error, expect) {
  if (expect.type_error) {
    if (!(error instanceof TypeError)) throw new Error('not a TypeError', { cause: error });
    return;
  }
  const wanted = expect.error;
  if (wanted === undefined || error.code === undefined) throw error;
  if (error.code !== wanted.code) throw new Error(`failed with ${error.code}, not ${wanted.code}`, { cause: error });
  for (const [key, matcher] of Object.entries(wanted.context ?? {})) check(`context ${key}`, matcher, error.context[key] ?? '(none)');
  if (wanted.message !== undefined) check('the message', wanted.message, error.message);
  for (const stream of ['stdout', 'stderr']) {
    if (wanted[stream] !== undefined) check(stream, wanted[stream], error.output[stream]);
  }
}

function compareOutput(output, expect) {
  const all = `stdout ${shown(output.stdout)}, stderr ${shown(output.stderr)}`;
  const same = (what, got, wanted) => {
    if (got !== wanted) throw new Error(`${what} is ${got}, not ${wanted}; ${all}`);
  };
  same('the exit code', output.exitCode, expect.exit_code ?? 0);
  same('the signal', output.signal, expect.signal ?? null);
  if (expect.oom_killed !== undefined) same('oom_killed', output.oomKilled, expect.oom_killed);
  for (const stream of ['stdout', 'stderr']) if (expect[stream] !== undefined) check(stream, expect[stream], output[stream]);
}

function at(document, pointer) {
  const parts = pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return parts.reduce((value, part) => value?.[part], document);
}

function equal(what, got, wanted) {
  if (typeof got === 'string') return check(what, wanted, got);
  if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(`${what} is ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

function compareResult(got, expect) {
  if (got.output !== undefined) compareOutput(got.output, expect);
  if (got.value !== undefined && 'value' in expect) equal('the value', got.value, expect.value);
  if (got.bytes !== undefined && 'value' in expect) check('the value', expect.value, got.bytes);
  for (const [pointer, wanted] of Object.entries(expect.json ?? {})) equal(pointer, at(got.json, pointer), wanted);
  for (const name of expect.names?.includes ?? []) {
    if (!got.names.includes(name)) throw new Error(`${name} is not in ${got.names}`);
  }
  for (const name of expect.names?.excludes ?? []) {
    if (got.names.includes(name)) throw new Error(`${name} is in ${got.names}`);
  }
  if (expect.lines !== undefined) equal('lines', got.lines, expect.lines);
}

async function stepAndCompare(replay, step) {
  const expect = step.expect ?? {};
  let got;
  try {
    got = await replay.step(step);
  } catch (error) {
    return compareError(error, expect);
  }
  if (expect.type_error) throw new Error('a wrong type was accepted');
  if (expect.error) throw new Error(`succeeded instead of failing with ${expect.error.code}`);
  compareResult(got, expect);
}

/** Replays a case; throws at the first step that differs. */
async function replay(rt, root, given) {
  const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-node-'));
  fs.chmodSync(tmp, 0o755);
  const ownRoot = given.own_runtime ? fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-node-')) : undefined;
  if (ownRoot !== undefined) {
    root = ownRoot;
    rt = await Runtime.open({ root });
  }
  const c = withVariables(given, tmp);
  const steps = c.steps ?? [{ do: 'run', image: c.image, options: c.run, expect: c.expect }];
  const state = new Replay(rt, root, tmp);
  try {
    for (const [index, step] of steps.entries()) {
      await stepAndCompare(state, step).catch((cause) => {
        throw new Error(`step ${index} (${step.do}): ${cause.message}`, { cause });
      });
    }
  } finally {
    await state.cleanUp(given.own_runtime);
    for (const folder of [tmp, ownRoot]) if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { replay };
