/**
 * Containers as a library: images, isolation and lifecycle inside your program. No daemon, no root.
 *
 * All times are milliseconds. All sizes are bytes, or a text such as `'256m'` (`b`, `k`, `m`, `g`, `t`; powers
 * of 1024). Everything that waits returns a promise, blocks neither the event loop nor a thread of libuv's
 * pool, and takes an `AbortSignal`.
 *
 * An argument of a wrong type, or an unknown option, is a `TypeError` that names it. Everything else that fails
 * is a {@link ContainersError}; see its subclasses, and `code`.
 */

/// <reference types="node" />

import { Readable, Writable } from 'node:stream';

/** Version of this package. */
export const version: string;

/** Bytes to write: a text is UTF-8. */
export type Bytes = string | Uint8Array | ArrayBuffer;

/** Bytes, or a text such as `'256m'`. */
export type Size = number | bigint | string;

/** Texts by name. */
export type Settings = { [name: string]: string | number } | Map<string, string | number>;

/** Texts by name: an object, a `Map`, or an array of `'NAME=value'`. */
export type Variables = Settings | readonly string[];

/** A name such as `'SIGTERM'` or `'TERM'`, or a number. */
export type Signal = string | number;

/** What most waiting calls take. */
export interface Abortable {
  /** Aborting gives the work up and rejects with {@link Cancelled}. */
  signal?: AbortSignal | null | undefined;
}

/** How long to wait. */
export interface WaitOptions extends Abortable {
  /** Milliseconds; default: without a limit. */
  timeout?: number | null | undefined;
}

/** How to stop. What is left out is the container's. */
export interface StopOptions extends Abortable {
  /** Milliseconds until it is killed. */
  timeout?: number | null | undefined;
  /** The signal to send first. */
  stopSignal?: Signal | null | undefined;
}

/** docker's word for how a container stands. */
export type Status = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';

/** One of the two output streams; a terminal's output is all `'stdout'`. */
export type StreamName = 'stdout' | 'stderr';

/** What a command that ran to its end leaves. */
export interface Output {
  /** Exit code; 128 + n after death by signal n. */
  exitCode: number;
  stdout: Buffer;
  stderr: Buffer;
  /** The signal that ended it. */
  signal: number | null;
  /** The kernel killed it, or a process of it, for want of memory. */
  oomKilled: boolean;
  /** The command that ran. */
  args: string[];
}

/** What an image was built for. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string | null;
}

// ------------------------------------------------------------------------------------------------- options

/** A mount, in the words of docker's `--mount`. */
export interface Mount {
  /** Default: `'bind'` when the source is a path, else `'volume'`. */
  type?: 'bind' | 'tmpfs' | 'volume' | undefined;
  /** Host path or volume name. */
  source?: string | undefined;
  /** Absolute path in the container. */
  target: string;
  /** Read-only, with everything below. */
  readOnly?: boolean | undefined;
  /** Default: `'rprivate'`. */
  propagation?: 'private' | 'rprivate' | 'slave' | 'rslave' | 'shared' | 'rshared' | undefined;
  /** Size of a tmpfs. */
  tmpfsSize?: Size | undefined;
  /** Mode bits of a tmpfs: `0o1777`. */
  tmpfsMode?: number | undefined;
  /** Create the source folder when it is missing. */
  createSource?: boolean | undefined;
}

/** Where a container port is published: a port, an address and a port, or several; `null`: a free one. */
export type PortBinding = number | readonly [address: string, port: number] | readonly PortBinding[];

/** A health check. Times in milliseconds. */
export interface HealthCheck {
  /** `['CMD', …]`, `['CMD-SHELL', '…']` or `['NONE']`; a text is what `CMD-SHELL` runs. */
  test?: string | readonly string[] | undefined;
  /** Between checks; default 30000. */
  interval?: number | undefined;
  /** For one check; default 30000. */
  timeout?: number | undefined;
  /** Failures in a row until unhealthy; default 3. */
  retries?: number | undefined;
  /** Time after the start in which failures do not count; default 0. */
  startPeriod?: number | undefined;
}

/** How to create a container. What is left out is the image's, or docker's default. */
export interface CreateOptions extends Abortable {
  /** Unique name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`. */
  name?: string | null | undefined;
  /** Left out: the image's; `[]` clears it. */
  entrypoint?: readonly string[] | null | undefined;
  /** Variables on top of the image's. */
  environment?: Variables | null | undefined;
  /** Absolute path; created when missing. */
  workingDir?: string | null | undefined;
  /** `user`, `uid`, `user:group`, `uid:gid`. */
  user?: string | number | null | undefined;
  /** Supplementary groups. */
  groupAdd?: readonly (string | number)[] | null | undefined;
  /** Default: the first 12 digits of the id. */
  hostname?: string | null | undefined;
  domainname?: string | null | undefined;
  labels?: Variables | null | undefined;
  /** OCI annotations; kept and shown, never acted on. */
  annotations?: Variables | null | undefined;
  /** Keep standard input open, for `attach`; a run has `input` instead. */
  stdin?: boolean | null | undefined;
  /** Give it a terminal. */
  tty?: boolean | null | undefined;
  /** Rows and columns of the terminal; default 24 x 80. */
  ttySize?: readonly [rows: number, cols: number] | null | undefined;
  /** Read-only root file system. */
  readOnly?: boolean | null | undefined;
  /** Keep the writable layer in memory; it counts as the container's memory. */
  inMemory?: boolean | null | undefined;
  /** A small init as process 1. */
  init?: boolean | null | undefined;
  memLimit?: Size | null | undefined;
  /** Processors, e.g. 1.5. */
  cpus?: number | null | undefined;
  /** Relative weight, 2 to 262144; default 1024. */
  cpuShares?: number | null | undefined;
  /** Processors it may use: `'0-2,4'`. */
  cpusetCpus?: string | null | undefined;
  /** Most processes; -1: no limit; default 2048 where it can be set. */
  pidsLimit?: number | null | undefined;
  /** Limits by docker's names (`nofile`, `nproc`…). */
  ulimits?: { [name: string]: number | readonly [soft: number, hard: number] } | null | undefined;
  /** Size of `/dev/shm`; default `'64m'`. */
  shmSize?: Size | null | undefined;
  /** Capabilities: `'NET_ADMIN'`, `'CAP_NET_ADMIN'`, `'ALL'`. */
  capAdd?: readonly string[] | null | undefined;
  capDrop?: readonly string[] | null | undefined;
  /** All capabilities and devices, no seccomp, nothing masked. */
  privileged?: boolean | null | undefined;
  /** Default true. */
  noNewPrivs?: boolean | null | undefined;
  /** docker's seccomp JSON itself, a path of such a file, or `'unconfined'`. */
  seccompProfile?: string | null | undefined;
  /** `'host'`, or `'auto'` for a user namespace of its own. */
  userns?: string | null | undefined;
  /** Sysctls of the container's own namespaces. */
  sysctls?: Settings | null | undefined;
  /** `'source[:target[:rwm]]'`. */
  devices?: readonly string[] | null | undefined;
  /** Default `'none'`. */
  network?: 'none' | 'host' | (string & {}) | null | undefined;
  /** `{ '80/tcp': 8080 }`; `80` is `'80/tcp'`. */
  ports?: { [port: string]: PortBinding | null } | null | undefined;
  /** Name servers. */
  dns?: readonly string[] | null | undefined;
  /** Host name to address. */
  extraHosts?: { [name: string]: string } | null | undefined;
  mounts?: readonly Mount[] | null | undefined;
  /** `{ '/host': { bind: '/container', mode: 'ro' } }`, or an array of `'source:target[:options]'`. */
  volumes?: { [source: string]: string | { bind: string; mode?: string } } | readonly string[] | null | undefined;
  /** Path to options: `{ '/run': 'size=64m,mode=1777' }`. */
  tmpfs?: { [path: string]: string } | null | undefined;
  /** `'no'`, `'on-failure[:n]'`, `'always'`, `'unless-stopped'`; only for detached containers. */
  restartPolicy?: string | { Name: string; MaximumRetryCount?: number } | null | undefined;
  /** Only for detached containers. What it leaves out is the image's; test `['NONE']`: not even that. */
  healthcheck?: HealthCheck | null | undefined;
  stopSignal?: Signal | null | undefined;
  /** Milliseconds that `stop` waits; default 10000. */
  stopTimeout?: number | null | undefined;
  /** Remove it when it has ended. */
  autoRemove?: boolean | null | undefined;
  /** It lives on without this process, and any process that opens the same root finds it. */
  detach?: boolean | null | undefined;
  /** Whether to pull the image first; default `'never'`. */
  pull?: 'missing' | 'always' | 'never' | null | undefined;
  /** `'os/arch[/variant]'` of the image. */
  platform?: string | Platform | null | undefined;
}

/** {@link Containers.create} with everything in one object. */
export interface CreateRequest extends CreateOptions {
  image: string | Image;
  command?: readonly string[] | null | undefined;
}

/** How to run one command to its end. */
export interface RunOptions extends CreateOptions {
  /** Standard input; default: none. */
  input?: Bytes | null | undefined;
  /** Milliseconds until the whole container is killed: {@link ExecTimeout}, with the output so far. */
  timeout?: number | null | undefined;
  /** An exit code other than 0 is {@link ExitError}, with the output. */
  check?: boolean | null | undefined;
  /** Most bytes of output to collect, both streams together; default 64 MiB. Beyond: {@link LimitExceeded}. */
  maxOutput?: number | null | undefined;
}

/** How to run a further process in a running container. */
export interface ExecOptions extends Abortable {
  /** Open `stdin` for writing. */
  stdin?: boolean | null | undefined;
  /** Give it a terminal. */
  tty?: boolean | null | undefined;
  ttySize?: readonly [rows: number, cols: number] | null | undefined;
  /** Variables on top of the container's. */
  environment?: Variables | null | undefined;
  workingDir?: string | null | undefined;
  user?: string | number | null | undefined;
  /** All capabilities. */
  privileged?: boolean | null | undefined;
  /** Milliseconds until its process group is killed; then `wait` and reads fail with {@link ExecTimeout}. */
  timeout?: number | null | undefined;
}

/** Which part of a log. */
export interface LogOptions {
  /** The last so many lines. */
  tail?: number | null | undefined;
  /** A `Date`, or milliseconds since the epoch. */
  since?: Date | number | null | undefined;
  until?: Date | number | null | undefined;
  /** Leave standard output out. */
  noStdout?: boolean | null | undefined;
  /** Leave standard error out. */
  noStderr?: boolean | null | undefined;
}

/** A log to be read line by line. */
export interface LogStreamOptions extends LogOptions, Abortable {
  /** Wait for more until the container has ended. */
  follow?: boolean | null | undefined;
}

/** One piece of a log: a line with its end, or a part of one where the stream paused. */
export interface LogLine {
  stream: StreamName;
  data: Buffer;
  /** Milliseconds since the epoch. */
  time: number;
}

/** Which containers to list. */
export interface ListOptions {
  /** Those that do not run, too. */
  all?: boolean | null | undefined;
  /** docker's filters: `name`, `id`, `label`, `status`, `ancestor`, `exited`. */
  filters?: { [filter: string]: string | number | readonly (string | number)[] } | null | undefined;
}

/** How to remove a container. */
export interface RemoveOptions extends Abortable {
  /** Kill it first when it runs. */
  force?: boolean | null | undefined;
  /** Remove its anonymous volumes. What its image declares as volumes goes in any case. */
  volumes?: boolean | null | undefined;
}

/** Explicit credentials of a registry. */
export interface Credentials {
  username?: string | undefined;
  password?: string | undefined;
  /** An OAuth2 refresh token instead. */
  identityToken?: string | undefined;
}

/** Progress of a pull or load. */
export type PullEvent =
  /** The reference was resolved: digest of the manifest, number of layers, compressed bytes of all. */
  | { event: 'resolved'; digest: string; layers: number; total: number }
  /** A layer is here already. */
  | { event: 'exists'; layer: string }
  /** Bytes of a layer arrived. */
  | { event: 'downloading'; layer: string; current: number; total: number }
  /** A layer has arrived and is being unpacked to its end. */
  | { event: 'extracting'; layer: string }
  /** A layer is complete. */
  | { event: 'done'; layer: string }
  /** The image is complete. */
  | { event: 'complete'; id: string; fetched: boolean };

/** How to load an archive or a layout. */
export interface LoadOptions extends Abortable {
  /** Default: this machine's. */
  platform?: string | Platform | null | undefined;
  /** Called in order, before the promise settles. What it throws ends the work and rejects the promise. */
  onProgress?: ((event: PullEvent) => void) | null | undefined;
}

/** How to pull. */
export interface PullOptions extends LoadOptions {
  /** When to ask the registry; default `'missing'`. */
  policy?: 'missing' | 'always' | 'never' | null | undefined;
  /** Default: from the credential files of docker and podman. */
  auth?: Credentials | null | undefined;
  /** Allow plain HTTP and unverified certificates. */
  insecure?: boolean | null | undefined;
}

/** How to import a root file system. */
export interface ImportOptions extends Abortable {
  /** Reference to give it. */
  tag?: string | null | undefined;
  /** Dockerfile instructions applied to its configuration: `'CMD ["sh"]'`, `'ENV A=b'`. */
  changes?: readonly string[] | null | undefined;
  /** Comment in its history. */
  message?: string | null | undefined;
  platform?: string | Platform | null | undefined;
}

/** How to open a {@link Runtime}. */
export interface OpenOptions extends Abortable {
  /**
   * The folder that holds images, containers and records. Default: `CONTAINERS_ROOT`, else
   * `/var/lib/embedded-containers` for root and `$XDG_DATA_HOME/embedded-containers` for others.
   */
  root?: string | URL | null | undefined;
  /** Use a user namespace. Default: unless the caller is root. */
  rootless?: boolean | null | undefined;
}

// ------------------------------------------------------------------------------------------------- records

/** The part of an image's configuration that containers take over. */
export interface ImageConfig {
  /** `'KEY=value'`. */
  env: string[];
  entrypoint: string[];
  cmd: string[];
  workingDir: string;
  user: string;
  labels: { [name: string]: string };
  /** `'80/tcp'`. */
  exposedPorts: string[];
  /** Paths of anonymous volumes. */
  volumes: string[];
  /** Empty: SIGTERM. */
  stopSignal: string;
  /** How the health of detached containers is checked. */
  healthcheck: (HealthCheck & { test?: readonly string[] }) | null;
}

/** One entry of an image's history, newest first. */
export interface HistoryEntry {
  /** Milliseconds since the epoch; `null`: unknown. */
  created: number | null;
  createdBy: string;
  /** Unpacked bytes of its layer; 0 without one. */
  size: number;
  comment: string;
  emptyLayer: boolean;
}

/** One row of {@link Images.list}. */
export interface ImageSummary {
  /** `sha256:…` of the configuration. */
  id: string;
  tags: string[];
  /** `name@sha256:…`. */
  digests: string[];
  /** Milliseconds since the epoch; `null`: unknown. */
  created: number | null;
  /** Unpacked bytes. */
  size: number;
  labels: { [name: string]: string };
}

/** One row of {@link Containers.list}. */
export interface ContainerSummary {
  /** 64 hexadecimal digits. */
  id: string;
  /** May be empty for attached containers. */
  name: string;
  /** The image as it was named. */
  image: string;
  imageId: string;
  /** Entrypoint and command. */
  command: string[];
  /** Milliseconds since the epoch. */
  created: number | null;
  status: Status;
  /** Of the last end. */
  exitCode: number | null;
  /** Milliseconds since the epoch; `null`: never. */
  startedAt: number | null;
  finishedAt: number | null;
  labels: { [name: string]: string };
  /** Whether it lives without the process that made it. */
  detached: boolean;
  /** Empty: it has no health check. */
  health: '' | 'starting' | 'healthy' | 'unhealthy';
  /** Names of its networks. */
  networks: string[];
  /** What is mounted in it, by target. */
  mounts: MountPoint[];
}

/** Something that is mounted in a container. */
export interface MountPoint {
  /** A `volume` is a folder that the image declares, kept in the container's writable layer. */
  type: 'bind' | 'tmpfs' | 'volume';
  /** Path on the host; empty unless it is a bind. */
  source: string;
  /** Path in the container. */
  target: string;
  readOnly: boolean;
}

/** What a machine and a root have. */
export interface Info {
  version: string;
  root: string;
  runRoot: string;
  rootless: boolean;
  cgroupVersion: 'v1' | 'v2' | 'none';
  /** Who makes cgroups: systemd (scopes of its own), this library, nobody. */
  cgroupDriver: 'systemd' | 'cgroupfs' | 'none';
  cgroupControllers: string[];
  driver: string;
  kernel: string;
  architecture: string;
  os: string;
  ncpu: number;
  memTotal: number;
  images: number;
  containers: number;
  containersRunning: number;
  /** What can't be had here, and the fix. */
  warnings: string[];
}

// ------------------------------------------------------------------------------------------------- classes

/**
 * Runs one command in a throw-away container of `image` (a reference, an id, `'host'` or an {@link Image}) with a
 * runtime opened for this call alone. A program that runs more than one opens a {@link Runtime}: much faster.
 *
 * Rejects only for what kept the command from running to its end: {@link ImageNotFound}, {@link CommandNotFound},
 * {@link ExecTimeout}, {@link Cancelled} (the container is killed), {@link LimitExceeded}…, and with `check` for an
 * exit code other than 0.
 */
export function run(image: string | Image, command?: readonly string[] | null, options?: RunOptions): Promise<Output>;
export function run(image: string | Image, options: RunOptions): Promise<Output>;

/** An open root with its images and containers. While it is idle it does not keep the process alive. */
export class Runtime {
  private constructor();
  /** Opens the root: creates it when missing, repairs what a crash left. */
  static open(options?: OpenOptions): Promise<Runtime>;
  readonly images: Images;
  readonly containers: Containers;
  /** The folder. */
  readonly root: string;
  info(): Promise<Info>;
  /** Kills attached containers and cleans up. Later calls fail with {@link HandleClosed}; closing twice is fine. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The images of a {@link Runtime}. */
export class Images {
  private constructor();
  /** Fetches an image. Errors: {@link Auth}, {@link Registry}, {@link ImageNotFound}, {@link InvalidArgument}. */
  pull(reference: string, options?: PullOptions): Promise<Image>;
  /** Loads an OCI layout (folder or tar) or a docker-archive; all images in it. */
  load(path: string | URL, options?: LoadOptions): Promise<Image[]>;
  /** Makes an image of one layer from a root file system tar (also gzip or zstd). */
  import_(path: string | URL, options?: ImportOptions): Promise<Image>;
  /** Finds an image by reference, id, unique beginning of an id, or `'host'`; else {@link ImageNotFound}. */
  get(reference: string): Promise<Image>;
  /** Newest first. */
  list(): Promise<ImageSummary[]>;
  /** Gives an image a further reference. */
  tag(image: string | Image, reference: string): Promise<void>;
  /** docker's document about it. */
  inspect(image: string | Image): Promise<any>;
  history(image: string | Image): Promise<HistoryEntry[]>;
  /**
   * Removes a reference, and the image when it was the last; by id all of them. {@link InUse} while a container
   * needs it, unless `force`.
   */
  remove(image: string | Image, options?: { force?: boolean | null | undefined }): Promise<void>;
}

/** One image. */
export class Image {
  private constructor();
  /** The machine's own system, read-only below a throw-away writable layer. `paths`: further host folders to show. */
  static host(options?: { paths?: readonly string[] } | readonly string[]): Image;
  /** `sha256:…` of the configuration; `host` for this machine's own system. */
  readonly id: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Unpacked bytes. */
  readonly size: number;
  readonly platform: Platform;
  readonly config: Readonly<ImageConfig>;
  /** References with tags, when the handle was made. */
  readonly tags: string[];
  history(): Promise<HistoryEntry[]>;
  tag(reference: string): Promise<void>;
  /** docker's document about it. */
  inspect(): Promise<any>;
  remove(options?: { force?: boolean | null | undefined }): Promise<void>;
}

/** The containers of a {@link Runtime}. */
export class Containers {
  private constructor();
  /** As the function {@link run}, in this runtime. With `detach` it starts the container and returns it. */
  run(image: string | Image, command: readonly string[] | null | undefined, options: CreateOptions & { detach: true }): Promise<Container>;
  run(image: string | Image, command?: readonly string[] | null, options?: RunOptions & { detach?: false | null | undefined }): Promise<Output>;
  run(image: string | Image, options: RunOptions & { detach?: false | null | undefined }): Promise<Output>;
  /** Creates a container; nothing runs yet. Attached unless `detach`: see {@link Container}. */
  create(request: CreateRequest): Promise<Container>;
  create(image: string | Image, command?: readonly string[] | null, options?: CreateOptions): Promise<Container>;
  /** Finds a container by id, unique beginning of an id, or name; else {@link ContainerNotFound}. */
  get(idOrName: string): Promise<Container>;
  /** Newest first. */
  list(options?: ListOptions): Promise<ContainerSummary[]>;
}

/**
 * One container. One made without `detach` is attached to this process: it is killed and cleaned up by `remove`,
 * at the end of an `await using` block, when its runtime is closed, and when the process ends, however that
 * happens. While it runs it needs no reference; when it has ended (or was never started) and its handle is
 * garbage, it is removed. Handles from `get` never end anything.
 */
export class Container {
  private constructor();
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** May be empty for attached containers. */
  readonly name: string;
  /** How it stands now. */
  readonly status: Status;
  /** Process id of its first process on the host; `null` when it does not run. */
  readonly pid: number | null;
  /** The first 12 digits of its id. */
  readonly shortId: string;
  /** Published ports, as in docker's inspect document. */
  readonly ports: { [port: string]: any };
  /** Its labels, and those of its image. */
  readonly labels: { [key: string]: string };
  /** docker's document about it. */
  inspect(): Promise<any>;
  /** The image it was made from. */
  image(): Promise<Image>;
  /** Starts it; resolves when its command has been executed. */
  start(options?: Abortable): Promise<void>;
  /** Sends the stop signal, waits, then kills. */
  stop(options?: StopOptions): Promise<void>;
  /** Stop, then start. */
  restart(options?: StopOptions): Promise<void>;
  /** Sends a signal to its first process; default SIGKILL. */
  kill(signal?: Signal): Promise<void>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Waits for its end; the exit code. A timeout is {@link ExecTimeout}; neither it nor an abort kills anything. */
  wait(options?: WaitOptions): Promise<number>;
  /** Starts a further process. */
  exec(command: readonly string[], options?: ExecOptions): Promise<Process>;
  /** Runs a further process to its end. With `check` an exit code other than 0 is {@link ExitError}. */
  execRun(command: readonly string[], options?: ExecOptions & { check?: boolean | null | undefined }): Promise<Output>;
  /** Its streams from now on; before `start` too. Input only when it was created with `stdin`. */
  attach(options?: Abortable): Promise<Process>;
  /** Its output so far, both streams in order of arrival. */
  logs(options?: LogOptions): Promise<Buffer>;
  /** Its output, line by line. */
  logsStream(options?: LogStreamOptions): AsyncGenerator<LogLine, void, void>;
  /** Sets the size of its terminal. */
  resize(rows: number, cols: number): Promise<void>;
  rename(name: string): Promise<void>;
  /** Removes it and all that is its own. */
  remove(options?: RemoveOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A process with open streams. Its output has one reader: either `stdout` and `stderr`, or the iteration, or
 * `communicate`. Nothing is lost and nothing runs ahead: a process whose output nobody reads waits.
 */
export class Process {
  private constructor();
  /** `null` when it was not asked for. */
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  /** With a terminal it is empty: all output is in `stdout`. */
  readonly stderr: Readable;
  /** The output of both streams in order of arrival. */
  [Symbol.asyncIterator](): AsyncGenerator<[stream: StreamName, data: Buffer], void, void>;
  /** Waits for its end; the exit code. A timeout is {@link ExecTimeout}; neither it nor an abort kills anything. */
  wait(options?: WaitOptions): Promise<number>;
  /** The exit code if it has ended, else `null`. */
  poll(): number | null;
  /** Sends a signal; default SIGKILL. 0 only checks. */
  kill(signal?: Signal): Promise<void>;
  /** Sets the size of its terminal. */
  resize(rows: number, cols: number): Promise<void>;
  /** Writes `input`, closes `stdin`, collects all output, waits. */
  communicate(input?: Bytes | null, options?: Abortable): Promise<Output>;
  /** Closes the streams; a process of `exec` that still runs is killed. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------- errors

/** The base of every error of this library. */
export class ContainersError extends Error {
  constructor(
    message: string,
    details?: {
      code?: string;
      operation?: string;
      reason?: string;
      context?: { [key: string]: string };
      output?: Output;
      cause?: unknown;
    },
  );
  /** The stable word, the same in every language: the class's name in snake case (`'image_not_found'`). */
  readonly code: string;
  /** What failed: `'image.pull'`. */
  readonly operation: string;
  /** The sentence alone; `message` has the operation, the context and the cause around it. */
  readonly reason: string;
  /** What it was about: `path`, `ref`, `step`, `field`… */
  readonly context: { readonly [key: string]: string };
  /** The output so far, of {@link ExecTimeout} and {@link ExitError}. */
  readonly output?: Output;
  /** That of `output`; `undefined` when there is none. */
  readonly stdout: Buffer | undefined;
  /** That of `output`; `undefined` when there is none. */
  readonly stderr: Buffer | undefined;
}
/** Something named does not exist. */
export class NotFound extends ContainersError {}
export class ImageNotFound extends NotFound {}
export class ContainerNotFound extends NotFound {}
export class NetworkNotFound extends NotFound {}
export class VolumeNotFound extends NotFound {}
export class PathNotFound extends NotFound {}
/** The state of something forbids it. */
export class Conflict extends ContainersError {}
/** The name is taken. */
export class AlreadyExists extends Conflict {}
/** Something else still uses it. */
export class InUse extends Conflict {}
/** The container does not run. */
export class NotRunning extends Conflict {}
/** A value that can never work; `context.field` names it. */
export class InvalidArgument extends ContainersError {}
/** The registry refused the credentials, or wants some. */
export class Auth extends ContainersError {}
/** The registry failed, can't be reached, or sent something wrong. */
export class Registry extends ContainersError {}
/** A build step failed. */
export class Build extends ContainersError {}
/** A command failed. */
export class Exec extends ContainersError {}
/** A command did not end in time; `output` is what it had written. */
export class ExecTimeout extends Exec {}
/** A command ended with a code other than 0, and `check` was on. */
export class ExitError extends Exec {}
/** The command is not there or can't be executed. */
export class CommandNotFound extends Exec {}
/** This machine, or this version, can't do it; the message names the cause and the fix. */
export class Unsupported extends ContainersError {}
/** The kernel or the file system forbids it. */
export class Permission extends ContainersError {}
/** A bound was reached: output, size, entries, time. */
export class LimitExceeded extends ContainersError {}
/**
 * The caller's signal aborted it. `name` is `'AbortError'`, as with Node's own interfaces, `code` is `'cancelled'`, and
 * `cause` is the signal's reason.
 */
export class Cancelled extends ContainersError {}
/** The handle is closed. */
export class HandleClosed extends ContainersError {}
/** Stored data is damaged. */
export class Corrupt extends ContainersError {}
/** Input or output failed. */
export class Io extends ContainersError {}
/** A defect of this library. */
export class Internal extends ContainersError {}
