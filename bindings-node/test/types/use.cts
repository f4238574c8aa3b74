// Compiled, never run: the declarations fit what users write.

import containers = require('embedded-containers');

async function demo(): Promise<void> {
  const out: containers.Output = await containers.run('host', ['id', '-u'], { timeout: 10_000, input: 'x', check: true });
  const code: number = out.exitCode;
  const text: string = out.stdout.toString();

  await using rt = await containers.Runtime.open({ rootless: false });
  const image = await rt.images.pull('localhost:5000/app:1', {
    policy: 'always',
    auth: { username: 'u', password: 'p' },
    onProgress(event) {
      if (event.event === 'downloading') console.log(event.layer, event.current / event.total);
    },
  });
  await using c = await rt.containers.create({
    image,
    command: ['sleep', 'inf'],
    environment: ['A=b'],
    memLimit: '256m',
    ulimits: { nofile: [10, 20] },
    volumes: { '/h': { bind: '/c', mode: 'ro' } },
    mounts: [{ target: '/t', type: 'tmpfs', tmpfsSize: 1n }],
    ports: { 80: null, '81/tcp': ['127.0.0.1', 8081] },
    healthcheck: { test: ['CMD', 'true'], interval: 1000 },
  });
  await c.start();
  const p = await c.exec(['cat'], { stdin: true });
  p.stdin?.end('text');
  for await (const [stream, data] of p) {
    const name: 'stdout' | 'stderr' = stream;
    process[name].write(data);
  }
  const ended: number = await p.wait({ timeout: 1, signal: AbortSignal.timeout(1) });
  for await (const line of c.logsStream({ follow: true })) process.stdout.write(line.data);

  const detached: containers.Container = await rt.containers.run('host', ['sleep', '9'], { detach: true });
  const collected: containers.Output = await rt.containers.run('host', ['true'], { memLimit: 1 << 20 });
  const rows: containers.ContainerSummary[] = await rt.containers.list({ all: true, filters: { label: 'a=b' } });
  void [code, text, ended, detached, collected, rows];

  // @ts-expect-error: an option in the wrong case
  await rt.containers.run('host', ['true'], { mem_limit: 5 });
  // @ts-expect-error: a command is an array
  await rt.containers.run('host', 'true');
  // @ts-expect-error: made only by open
  new containers.Runtime();
}

try {
  void demo();
} catch (error) {
  if (error instanceof containers.ExecTimeout) console.log(error.output?.stdout, error.code);
  if (error instanceof containers.NotFound) console.log(error.context.ref);
}
