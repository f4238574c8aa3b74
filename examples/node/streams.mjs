// Talks to a process in a container: input as it goes, output as it comes, and a log that is followed.

import { once } from 'node:events';
import { Runtime } from 'containers';

const rt = await Runtime.open();
try {
  const c = await rt.containers.create('host', ['sh', '-c', 'for i in 1 2 3; do echo tick $i; sleep 0.1; done; exec sleep 60']);
  await c.start();

  // Node streams, with back-pressure.
  const upper = await c.exec(['sh', '-c', 'while read line; do echo "$line" | tr a-z A-Z; done'], { stdin: true });
  upper.stdout.setEncoding('utf8');
  for (const word of ['one', 'two']) {
    upper.stdin.write(`${word}\n`);
    const [answer] = await once(upper.stdout, 'data');
    console.log(`${word} -> ${answer.trim()}`);
  }
  upper.stdin.end();
  console.log('code', await upper.wait());

  // Both streams in order of arrival.
  const mixed = await c.exec(['sh', '-c', 'echo out; sleep 0.1; echo err >&2']);
  for await (const [stream, data] of mixed) console.log(stream, data.toString().trim());

  let ticks = 0;
  for await (const line of c.logsStream({ follow: true })) {
    console.log(line.stream, line.data.toString().trim());
    if (++ticks === 3) break;
  }
  await c.remove({ force: true });
} finally {
  await rt.close();
}
