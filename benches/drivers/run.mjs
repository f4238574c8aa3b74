// Measures `run` through the Node interface: one JSON line with a sample, in microseconds, for each run.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Runtime } = createRequire(import.meta.url)(process.env.CONTAINERS_NODE ?? '../../bindings-node');
const WARM = 20;

// Resident memory in KiB, and how many descriptors are open.
function ownState() {
  const status = readFileSync('/proc/self/status', 'utf8');
  return [Number(/VmRSS:\s*(\d+)/.exec(status)[1]), readdirSync('/proc/self/fd').length];
}

const [root, image, command, runs, resident] = process.argv.slice(2);
if (resident === undefined) {
  console.error('usage: run.mjs ROOT IMAGE COMMAND RUNS RESIDENT_MB');
  process.exit(2);
}
const ballast = Buffer.alloc(Number(resident) * 2 ** 20, 1);
const rt = await Runtime.open({ root });
const samples = [];
let before = ownState();
for (let i = -WARM; i < Number(runs); i++) {
  if (i === 0) before = ownState();
  const start = process.hrtime.bigint();
  await rt.containers.run(image, [command], { memLimit: '256m', check: true });
  if (i >= 0) samples.push(Number(process.hrtime.bigint() - start) / 1e3);
}
const after = ownState();
await rt.close();
const [rss, fds] = [0, 1].map((k) => [before[k], after[k]]);
console.log(JSON.stringify({ name: 'node', unit: 'us', rss_kb: rss, fds, samples, ballast: ballast.length }));
