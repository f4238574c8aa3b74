// One container from its creation to its removal: start, look, run something in it, stop.

import { Runtime } from 'containers';

const rt = await Runtime.open();
try {
  const c = await rt.containers.create({
    image: 'host',
    command: ['sh', '-c', 'trap "echo bye; exit 0" TERM; echo hello; while :; do sleep 0.1; done'],
    environment: { GREETING: 'hi' },
    labels: { example: 'lifecycle' },
  });
  console.log('created ', c.id.slice(0, 12), c.status);

  await c.start();
  console.log('started ', c.status);

  const inside = await c.execRun(['sh', '-c', 'echo $GREETING from $(hostname)']);
  console.log('exec    ', inside.stdout.toString().trim());

  for (const row of await rt.containers.list({ filters: { label: 'example=lifecycle' } })) {
    console.log('listed  ', row.id.slice(0, 12), row.status);
  }

  await c.stop({ timeout: 5000 });
  console.log('stopped ', c.status, 'with code', await c.wait());
  console.log('logs    ', JSON.stringify((await c.logs()).toString()));
  await c.remove();
} finally {
  // Also ends what is still running; on Node 24 `await using rt = …` does this by itself.
  await rt.close();
}
