// Fetches an image from a registry, with progress, and runs its command.
//
//     node pull.mjs IMAGE [COMMAND [ARGUMENT…]]

import { Runtime } from 'containers';

const [reference, ...command] = process.argv.slice(2);
if (reference === undefined) {
  console.error('usage: node pull.mjs IMAGE [COMMAND [ARGUMENT…]]');
  process.exit(2);
}

const rt = await Runtime.open();
try {
  const image = await rt.images.pull(reference, {
    signal: AbortSignal.timeout(600_000),
    onProgress(event) {
      if (event.event === 'resolved') console.log(`${event.layers} layers, ${event.total} bytes`);
      if (event.event === 'exists' || event.event === 'done') console.log(event.event, event.layer.slice(7, 19));
    },
  });
  console.log(image.tags.join(' '), image.id);
  const { exitCode, stdout, stderr } = await rt.containers.run(image, command.length > 0 ? command : null);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
} finally {
  await rt.close();
}
