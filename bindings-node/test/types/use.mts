// Compiled, never run: the same through `import`.

import { ContainersError, ImageNotFound, Runtime, run, type RunOptions } from 'embedded-containers';

const options: RunOptions = { timeout: 1000 };
const { exitCode } = await run('host', ['true'], options);
const rt = await Runtime.open();
await rt.close();
const parent: typeof ContainersError = ImageNotFound;
console.log(exitCode, parent);
