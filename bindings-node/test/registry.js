'use strict';

// A real registry on loopback: tests/registry/start.py. It ends with this process at the latest.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { eventually } = require('./helpers.js');

const TOOLS = ['docker-registry', 'skopeo', 'umoci', 'python3'];
const installed = (tool) => process.env.PATH.split(':').some((folder) => fs.existsSync(path.join(folder, tool)));

/** The first tool that this machine lacks, if any. */
const missing = TOOLS.find((tool) => !installed(tool));

/** Starts one; `values` has `registry` (host:port) and a reference for each image. */
async function startRegistry(...options) {
  const script = path.join(__dirname, '../../tests/registry/start.py');
  const child = spawn('python3', [script, ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  await eventually('the registry is up', () => out.includes('ready\n') || child.exitCode !== null, 120_000);
  if (child.exitCode !== null) throw new Error(`the registry ended with code ${child.exitCode}`);
  const values = Object.fromEntries(out.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  async function stop() {
    child.stdin.end();
    if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  }
  return { values, stop };
}

module.exports = { missing, startRegistry };
