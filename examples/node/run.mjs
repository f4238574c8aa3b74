// Runs a command in a throw-away container of this machine's own system. No image, no daemon.
//
//     node run.mjs [COMMAND [ARGUMENT…]]

import { run, ContainersError } from 'containers';

const command = process.argv.length > 2 ? process.argv.slice(2) : ['sh', '-c', 'echo "I am $(id -un), process $$"'];

try {
  const { exitCode, stdout, stderr } = await run('host', command, { timeout: 10_000 });
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
} catch (error) {
  if (!(error instanceof ContainersError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 125;
}
