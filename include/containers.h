/*
 * containers.h: the container stack as a library (libcontainers.so, libcontainers.a).
 *
 * Generated from bindings-c/src by the build; do not edit.
 *
 * Rules that hold for every function:
 *
 * - It returns 0, or a negative CTR_E_* number. The exceptions can't fail: *_free, and what reads an error.
 * - Results come through pointers. A pointer to a handle or a string is set to NULL first, so that it may be
 *   freed after a failure as well.
 * - The last argument `error` may be NULL. Otherwise it is set to NULL, or after a failure to an error that the
 *   caller frees with ctr_error_free.
 * - What a call gives is owned by the caller and freed with the matching ctr_*_free; all of them accept NULL.
 *   `const char *` results live as long as the handle or struct they come from.
 * - Arguments are borrowed for the call. Text is UTF-8 and ends with NUL; lists of text end with NULL. A NULL or
 *   malformed argument is CTR_E_INVALID_ARGUMENT, and the error's context `field` names it.
 * - Handles may be used from any thread, by several at once; a handle must not be freed while a call uses it.
 * - Options are structs led by `size`: set it to sizeof the struct, and zero the rest (`= { .size = sizeof x }`
 *   does both). NULL instead of the options means the same as a zeroed struct. Programs built with an older, shorter
 *   struct go on working; a longer one is accepted while the part that this library doesn't know is zero.
 * - Times are milliseconds in int64_t. -1: none (no limit, or the default); in a struct 0 means the same as -1.
 * - Descriptors that a call gives are close-on-exec.
 * - "May block" says that a call can wait for a long time: it waits in poll(2) on the calling thread, signal
 *   handlers run meanwhile, and where it takes a `ctr_cancel` that ends it with CTR_E_CANCELLED.
 * - After fork(), all calls on handles of the parent fail with CTR_E_HANDLE_CLOSED in the child, freeing them there
 *   does nothing to the parent, and ctr_runtime_open works.
 */

#ifndef CONTAINERS_H
#define CONTAINERS_H

#include <stddef.h>
#include <stdint.h>
/** Version of this header. */
#define CTR_VERSION "0.1.0"

/**
 * Success.
 */
#define CTR_OK 0

/**
 * Something named does not exist.
 */
#define CTR_E_NOT_FOUND 1

/**
 * No such image; a case of CTR_E_NOT_FOUND.
 */
#define CTR_E_IMAGE_NOT_FOUND 2

/**
 * No such container; a case of CTR_E_NOT_FOUND.
 */
#define CTR_E_CONTAINER_NOT_FOUND 3

/**
 * No such network; a case of CTR_E_NOT_FOUND.
 */
#define CTR_E_NETWORK_NOT_FOUND 4

/**
 * No such volume; a case of CTR_E_NOT_FOUND.
 */
#define CTR_E_VOLUME_NOT_FOUND 5

/**
 * No such path; a case of CTR_E_NOT_FOUND.
 */
#define CTR_E_PATH_NOT_FOUND 6

/**
 * The state of something forbids it.
 */
#define CTR_E_CONFLICT 10

/**
 * The name is taken; a case of CTR_E_CONFLICT.
 */
#define CTR_E_ALREADY_EXISTS 11

/**
 * Something else still uses it, or it runs; a case of CTR_E_CONFLICT.
 */
#define CTR_E_IN_USE 12

/**
 * The container does not run; a case of CTR_E_CONFLICT.
 */
#define CTR_E_NOT_RUNNING 13

/**
 * A value that can never work; context `field` names it.
 */
#define CTR_E_INVALID_ARGUMENT 20

/**
 * The registry refused the credentials, or wants some.
 */
#define CTR_E_AUTH 30

/**
 * The registry failed, can't be reached, or sent something wrong.
 */
#define CTR_E_REGISTRY 31

/**
 * A build step failed.
 */
#define CTR_E_BUILD 40

/**
 * A command failed.
 */
#define CTR_E_EXEC 50

/**
 * It did not end in time; a case of CTR_E_EXEC. See ctr_error_output for what it printed so far.
 */
#define CTR_E_EXEC_TIMEOUT 51

/**
 * It ended with a code other than 0, and `check` was on; a case of CTR_E_EXEC. See ctr_error_output.
 */
#define CTR_E_EXIT_ERROR 52

/**
 * The command is not there or can't be executed; a case of CTR_E_EXEC.
 */
#define CTR_E_COMMAND_NOT_FOUND 53

/**
 * This machine, or this version, can't do it; the message names the cause and the fix.
 */
#define CTR_E_UNSUPPORTED 60

/**
 * The kernel or the file system forbids it.
 */
#define CTR_E_PERMISSION 61

/**
 * A bound was reached: output, size, entries, time.
 */
#define CTR_E_LIMIT_EXCEEDED 62

/**
 * ctr_cancel_trigger ended it.
 */
#define CTR_E_CANCELLED 63

/**
 * The runtime is closed, or the handle belongs to the process before a fork.
 */
#define CTR_E_HANDLE_CLOSED 64

/**
 * Stored data is damaged.
 */
#define CTR_E_CORRUPT 70

/**
 * Input or output failed.
 */
#define CTR_E_IO 71

/**
 * A defect of this library.
 */
#define CTR_E_INTERNAL 72

/**
 * Standard output; a terminal's output too.
 */
#define CTR_STDOUT 1

/**
 * Standard error.
 */
#define CTR_STDERR 2

/**
 * The reference was resolved: `digest`, `layers`, `total`.
 */
#define CTR_PULL_RESOLVED 1

/**
 * A layer is here already: `layer`.
 */
#define CTR_PULL_EXISTS 2

/**
 * Bytes of a layer arrived: `layer`, `current`, `total`.
 */
#define CTR_PULL_DOWNLOADING 3

/**
 * A layer has arrived and is being unpacked: `layer`.
 */
#define CTR_PULL_EXTRACTING 4

/**
 * A layer is complete: `layer`.
 */
#define CTR_PULL_DONE 5

/**
 * The image is complete: `id`, `fetched`.
 */
#define CTR_PULL_COMPLETE 6

/**
 * Ends calls that wait: give it to them, and trigger it from another thread or from a signal handler. Once
 * triggered it stays so, and calls that get it fail at once.
 */
typedef struct ctr_cancel ctr_cancel;

/**
 * One container. The handle that ctr_container_create gave owns an attached container: freeing it kills and
 * removes the container. A container created with `detach` lives on, and handles from ctr_container_get never
 * kill.
 */
typedef struct ctr_container ctr_container;

/**
 * Why a call failed.
 */
typedef struct ctr_error ctr_error;

/**
 * One image. It holds its runtime open.
 */
typedef struct ctr_image ctr_image;

/**
 * A log being read.
 */
typedef struct ctr_log_stream ctr_log_stream;

/**
 * A process started by ctr_container_exec, or a container's first process seen through ctr_container_attach. Its
 * streams may be used from any thread, each by one reader at a time.
 */
typedef struct ctr_process ctr_process;

/**
 * An open root: its images and containers, and a helper process that starts containers.
 */
typedef struct ctr_runtime ctr_runtime;

/**
 * Text from the caller: NULL, or bytes that end with NUL and stay during the call.
 */

/**
 * What a command that ran to its end left. Newer libraries may append fields.
 */
typedef struct ctr_output {
  /**
   * Private.
   */
  void *owner;
  /**
   * Exit code; 128 + n after death by signal n.
   */
  int32_t exit_code;
  /**
   * The signal that ended it; 0: none.
   */
  int32_t signal;
  /**
   * 1: the kernel killed it, or a process of it, for want of memory.
   */
  int32_t oom_killed;
  /**
   * What it wrote to standard output; a NUL that is not counted follows.
   */
  const char *out;
  /**
   * Bytes of `out`.
   */
  size_t out_size;
  /**
   * What it wrote to standard error; a NUL that is not counted follows.
   */
  const char *err;
  /**
   * Bytes of `err`.
   */
  size_t err_size;
  /**
   * The command that ran; ends with NULL.
   */
  const char *const *args;
} ctr_output;

/**
 * How to open a runtime.
 */
typedef struct ctr_runtime_options {
  /**
   * sizeof(ctr_runtime_options).
   */
  size_t size;
  /**
   * The folder that holds images, containers and records; NULL: $CONTAINERS_ROOT, else
   * /var/lib/embedded-containers for root and $XDG_DATA_HOME/embedded-containers for others.
   */
  const char *root;
  /**
   * Whether to use a user namespace: 1 yes, -1 no, 0 unless the caller is root.
   */
  int32_t rootless;
} ctr_runtime_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * Bytes. Newer libraries may append fields.
 */
typedef struct ctr_bytes {
  /**
   * Private.
   */
  void *owner;
  /**
   * The bytes; a NUL that is not counted follows.
   */
  const char *data;
  /**
   * How many.
   */
  size_t data_size;
} ctr_bytes;

/**
 * A list of texts from the caller: NULL, or pointers that end with NULL.
 */

/**
 * Progress of a pull or load. What an event does not have is NULL or 0. Newer libraries may append fields and add
 * kinds.
 */
typedef struct ctr_pull_event {
  /**
   * CTR_PULL_*.
   */
  int32_t kind;
  /**
   * 1: something was fetched.
   */
  int32_t fetched;
  /**
   * Digest of the layer.
   */
  const char *layer;
  /**
   * Digest of the manifest.
   */
  const char *digest;
  /**
   * Id of the image.
   */
  const char *id;
  /**
   * Bytes so far.
   */
  uint64_t current;
  /**
   * Bytes in all.
   */
  uint64_t total;
  /**
   * Layers to have.
   */
  uint64_t layers;
} ctr_pull_event;

/**
 * Called with progress while the call that got it lasts, maybe on another thread, by one thread at a time. The
 * event and its texts are gone when it returns. It must not call back into the library for long, throw, or
 * longjmp.
 */
typedef void (*ctr_progress)(const struct ctr_pull_event *event, void *user_data);

/**
 * How to pull.
 */
typedef struct ctr_pull_options {
  /**
   * sizeof(ctr_pull_options).
   */
  size_t size;
  /**
   * `os/arch[/variant]`; NULL: this machine's.
   */
  const char *platform;
  /**
   * `missing`, `always` or `never`; NULL: `missing`.
   */
  const char *policy;
  /**
   * User name; NULL: from the credential files.
   */
  const char *username;
  /**
   * Password, with `username`.
   */
  const char *password;
  /**
   * An OAuth2 refresh token instead.
   */
  const char *identity_token;
  /**
   * 1: allow plain HTTP and unverified certificates.
   */
  int32_t insecure;
  /**
   * Called with progress; NULL: nobody is.
   */
  ctr_progress progress;
  /**
   * Handed to `progress`.
   */
  void *user_data;
  /**
   * Ends the pull; NULL: nothing does.
   */
  const struct ctr_cancel *cancel;
} ctr_pull_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to load an archive.
 */
typedef struct ctr_load_options {
  /**
   * sizeof(ctr_load_options).
   */
  size_t size;
  /**
   * `os/arch[/variant]`; NULL: this machine's.
   */
  const char *platform;
  /**
   * Called with progress; NULL: nobody is.
   */
  ctr_progress progress;
  /**
   * Handed to `progress`.
   */
  void *user_data;
  /**
   * Ends the load; NULL: nothing does.
   */
  const struct ctr_cancel *cancel;
} ctr_load_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * One row of a list of images. Newer libraries may append fields.
 */
typedef struct ctr_image_summary {
  /**
   * `sha256:…` of the configuration.
   */
  const char *id;
  /**
   * References with tags; ends with NULL.
   */
  const char *const *tags;
  /**
   * References with digests; ends with NULL.
   */
  const char *const *digests;
  /**
   * Unix time in nanoseconds.
   */
  int64_t created_ns;
  /**
   * Unpacked bytes.
   */
  uint64_t bytes;
} ctr_image_summary;

/**
 * A list of images.
 */
typedef struct ctr_image_rows {
  /**
   * Private.
   */
  void *owner;
  /**
   * The rows; ends with NULL.
   */
  const struct ctr_image_summary *const *items;
  /**
   * How many.
   */
  size_t count;
} ctr_image_rows;

/**
 * How to import a root file system.
 */
typedef struct ctr_import_options {
  /**
   * sizeof(ctr_import_options).
   */
  size_t size;
  /**
   * Reference to give it; NULL: none.
   */
  const char *tag;
  /**
   * Dockerfile instructions applied to its configuration: `CMD ["sh"]`, `ENV A=b`.
   */
  const char *const *changes;
  /**
   * Comment in its history.
   */
  const char *message;
  /**
   * `os/arch[/variant]`; NULL: this machine's.
   */
  const char *platform;
  /**
   * Ends the import; NULL: nothing does.
   */
  const struct ctr_cancel *cancel;
} ctr_import_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * A mount.
 */
typedef struct ctr_mount {
  /**
   * sizeof(ctr_mount).
   */
  size_t size;
  /**
   * `bind`, `tmpfs` or `volume`; NULL: `bind` when the source is a path, else `volume`.
   */
  const char *type;
  /**
   * Host path or volume name.
   */
  const char *source;
  /**
   * Absolute path in the container.
   */
  const char *target;
  /**
   * 1: read-only, with everything below.
   */
  int32_t read_only;
  /**
   * 1: create the source folder when it is missing.
   */
  int32_t create_source;
  /**
   * `private`, `rprivate`, `slave`, `rslave`, `shared`, `rshared`; NULL: `rprivate`.
   */
  const char *propagation;
  /**
   * Bytes of a tmpfs; 0: the kernel's default.
   */
  int64_t tmpfs_size;
  /**
   * The same as text: `64m`.
   */
  const char *tmpfs_size_text;
  /**
   * Mode bits of a tmpfs; 0: 1777.
   */
  uint32_t tmpfs_mode;
} ctr_mount;

/**
 * A list of sized structs from the caller: NULL, or pointers that end with NULL.
 */

/**
 * A health check.
 */
typedef struct ctr_healthcheck {
  /**
   * sizeof(ctr_healthcheck).
   */
  size_t size;
  /**
   * `CMD` and arguments, `CMD-SHELL` and a line, or `NONE`.
   */
  const char *const *test;
  /**
   * Between checks; default 30 s.
   */
  int64_t interval_ms;
  /**
   * For one check; default 30 s.
   */
  int64_t timeout_ms;
  /**
   * Time after the start in which failures do not count; default none.
   */
  int64_t start_period_ms;
  /**
   * Failures in a row until unhealthy; 0: 3.
   */
  uint32_t retries;
} ctr_healthcheck;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to create a container. What is zero is the image's, or docker's default. Flags are 0 or 1.
 */
typedef struct ctr_create_options {
  /**
   * sizeof(ctr_create_options).
   */
  size_t size;
  /**
   * Unique name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`; NULL: none for attached containers, else made up.
   */
  const char *name;
  /**
   * NULL: the image's; an empty list: cleared.
   */
  const char *const *entrypoint;
  /**
   * Variables on top of the image's: `KEY=value`.
   */
  const char *const *environment;
  /**
   * Absolute path; created when missing.
   */
  const char *working_dir;
  /**
   * `user`, `uid`, `user:group`, `uid:gid`.
   */
  const char *user;
  /**
   * Supplementary groups.
   */
  const char *const *group_add;
  /**
   * NULL: the first 12 digits of the id.
   */
  const char *hostname;
  /**
   * NIS domain name.
   */
  const char *domainname;
  /**
   * Labels on top of the image's: `key=value`.
   */
  const char *const *labels;
  /**
   * OCI annotations: `key=value`; kept and shown, never acted on.
   */
  const char *const *annotations;
  /**
   * Keep standard input open (for ctr_container_attach).
   */
  int32_t stdin_open;
  /**
   * Give it a terminal.
   */
  int32_t tty;
  /**
   * Rows of the terminal; 0: 24.
   */
  uint16_t tty_rows;
  /**
   * Columns of the terminal; 0: 80.
   */
  uint16_t tty_cols;
  /**
   * Read-only root file system.
   */
  int32_t read_only;
  /**
   * Keep the writable layer in memory instead of on disk; it counts as the container's memory.
   */
  int32_t in_memory;
  /**
   * A small init as process 1.
   */
  int32_t init;
  /**
   * Memory limit in bytes; 0: none.
   */
  int64_t mem_limit;
  /**
   * The same as text: `256m`.
   */
  const char *mem_limit_text;
  /**
   * Processors, e.g. 1.5; 0: no limit.
   */
  double cpus;
  /**
   * Relative weight, 2 to 262144; 0: 1024.
   */
  uint64_t cpu_shares;
  /**
   * Processors it may use: `0-2,4`.
   */
  const char *cpuset_cpus;
  /**
   * Most processes; -1: no limit; 0: 2048 where it can be set.
   */
  int64_t pids_limit;
  /**
   * `name=soft[:hard]` by docker's names (`nofile=1024:4096`); -1 is unlimited.
   */
  const char *const *ulimits;
  /**
   * Bytes of `/dev/shm`; 0: 64 MiB.
   */
  int64_t shm_size;
  /**
   * The same as text: `64m`.
   */
  const char *shm_size_text;
  /**
   * Capabilities added: `NET_ADMIN`, `CAP_NET_ADMIN`, `ALL`.
   */
  const char *const *cap_add;
  /**
   * Capabilities dropped.
   */
  const char *const *cap_drop;
  /**
   * All capabilities and devices, no seccomp, nothing masked.
   */
  int32_t privileged;
  /**
   * Let programs gain privileges by execve (set-user-id), which is off otherwise.
   */
  int32_t allow_new_privs;
  /**
   * Docker seccomp JSON itself, a path of such a file, or `unconfined`; NULL: the default profile.
   */
  const char *seccomp_profile;
  /**
   * `host`, or `auto` for a user namespace of its own.
   */
  const char *userns;
  /**
   * Sysctls of the container's own namespaces: `key=value`.
   */
  const char *const *sysctls;
  /**
   * `source[:target[:rwm]]`.
   */
  const char *const *devices;
  /**
   * `none` or `host`; NULL: `none`.
   */
  const char *network;
  /**
   * Published ports: `[[address:]port:]port[/protocol]` as docker's -p.
   */
  const char *const *ports;
  /**
   * Name servers.
   */
  const char *const *dns;
  /**
   * `name:address`.
   */
  const char *const *extra_hosts;
  /**
   * Mounts; the list ends with NULL.
   */
  const ctr_mount *const *mounts;
  /**
   * docker's short form of mounts: `source:target[:options]`.
   */
  const char *const *volumes;
  /**
   * `path[:options]`, options such as `size=64m,mode=1777`.
   */
  const char *const *tmpfs;
  /**
   * `no`, `on-failure[:n]`, `always`, `unless-stopped`; only for detached containers.
   */
  const char *restart_policy;
  /**
   * Health check or NULL; only for detached containers.
   */
  const ctr_healthcheck *healthcheck;
  /**
   * Signal of ctr_container_stop: `SIGTERM`, `TERM`, `15`; NULL: the image's.
   */
  const char *stop_signal;
  /**
   * How long ctr_container_stop waits; default 10 s.
   */
  int64_t stop_timeout_ms;
  /**
   * Remove it when it has ended.
   */
  int32_t auto_remove;
  /**
   * It lives on without this process.
   */
  int32_t detach;
  /**
   * Whether to pull the image first: `missing`, `always`, `never`; NULL: `never`.
   */
  const char *pull;
  /**
   * `os/arch[/variant]` of the image; NULL: this machine's.
   */
  const char *platform;
} ctr_create_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to run one command to its end.
 */
typedef struct ctr_run_options {
  /**
   * sizeof(ctr_run_options).
   */
  size_t size;
  /**
   * The container; NULL: defaults.
   */
  const ctr_create_options *create;
  /**
   * Standard input, `input_size` bytes; NULL: /dev/null.
   */
  const void *input;
  /**
   * Bytes of `input`.
   */
  size_t input_size;
  /**
   * Time until the whole container is killed and CTR_E_EXEC_TIMEOUT is returned.
   */
  int64_t timeout_ms;
  /**
   * 1: an exit code other than 0 is CTR_E_EXIT_ERROR.
   */
  int32_t check;
  /**
   * Most bytes of output to collect, both streams together; 0: 64 MiB. Beyond it the container is killed, and
   * CTR_E_LIMIT_EXCEEDED returned.
   */
  uint64_t max_output;
  /**
   * Ends the run, and the container with it; NULL: nothing does.
   */
  const struct ctr_cancel *cancel;
} ctr_run_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to stop a container.
 */
typedef struct ctr_stop_options {
  /**
   * sizeof(ctr_stop_options).
   */
  size_t size;
  /**
   * The signal to send first: `SIGTERM`, `TERM`, `15`; NULL: the container's.
   */
  const char *stop_signal;
  /**
   * 1: kill it after `timeout_ms`; 0: after the container's stop_timeout.
   */
  int32_t use_timeout;
  /**
   * Time until it is killed, with `use_timeout`; 0: at once.
   */
  int64_t timeout_ms;
} ctr_stop_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to remove a container.
 */
typedef struct ctr_remove_options {
  /**
   * sizeof(ctr_remove_options).
   */
  size_t size;
  /**
   * 1: kill it first when it runs.
   */
  int32_t force;
  /**
   * 1: remove its anonymous volumes.
   */
  int32_t volumes;
} ctr_remove_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * How to run a further process in a running container.
 */
typedef struct ctr_exec_options {
  /**
   * sizeof(ctr_exec_options).
   */
  size_t size;
  /**
   * 1: open standard input for writing; else it is /dev/null.
   */
  int32_t stdin_open;
  /**
   * 1: give it a terminal.
   */
  int32_t tty;
  /**
   * Rows of the terminal; 0: 24.
   */
  uint16_t tty_rows;
  /**
   * Columns of the terminal; 0: 80.
   */
  uint16_t tty_cols;
  /**
   * Variables on top of the container's: `KEY=value`.
   */
  const char *const *environment;
  /**
   * NULL: the container's.
   */
  const char *working_dir;
  /**
   * NULL: the container's.
   */
  const char *user;
  /**
   * 1: all capabilities.
   */
  int32_t privileged;
  /**
   * Time until its process group is killed; then waits and reads fail with CTR_E_EXEC_TIMEOUT.
   */
  int64_t timeout_ms;
} ctr_exec_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * Which part of a log.
 */
typedef struct ctr_log_options {
  /**
   * sizeof(ctr_log_options).
   */
  size_t size;
  /**
   * 1: only the last `tail` lines.
   */
  int32_t use_tail;
  /**
   * How many lines, with `use_tail`.
   */
  uint64_t tail;
  /**
   * Not before this time in Unix milliseconds; 0: from the start.
   */
  int64_t since_ms;
  /**
   * Not after this time in Unix milliseconds; 0: to the end.
   */
  int64_t until_ms;
  /**
   * 1: wait for more until the container has ended (ctr_container_logs_stream).
   */
  int32_t follow;
  /**
   * 1: leave standard output out.
   */
  int32_t no_stdout;
  /**
   * 1: leave standard error out.
   */
  int32_t no_stderr;
} ctr_log_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * What ctr_container_list shows.
 */
typedef struct ctr_list_options {
  /**
   * sizeof(ctr_list_options).
   */
  size_t size;
  /**
   * 1: those that do not run, too.
   */
  int32_t all;
  /**
   * docker's filters: `name=…`, `id=…`, `label=…`, `status=…`, `ancestor=…`, `exited=…`; several of one name are
   * alternatives.
   */
  const char *const *filters;
} ctr_list_options;

/**
 * Options from the caller: NULL, or a struct led by its size.
 */

/**
 * Something that is mounted in a container. Newer libraries may append fields.
 */
typedef struct ctr_mount_point {
  /**
   * `bind`, `tmpfs` or `volume` (a folder that the image declares, kept in the container's writable layer).
   */
  const char *kind;
  /**
   * Path on the host; empty unless it is a bind.
   */
  const char *source;
  /**
   * Path in the container.
   */
  const char *target;
  /**
   * 1: it can't be written to.
   */
  int32_t read_only;
} ctr_mount_point;

/**
 * One row of a list of containers. Newer libraries may append fields.
 */
typedef struct ctr_container_summary {
  /**
   * 64 hexadecimal digits.
   */
  const char *id;
  /**
   * Its name; may be empty for attached ones.
   */
  const char *name;
  /**
   * The image as it was named.
   */
  const char *image;
  /**
   * The image's id.
   */
  const char *image_id;
  /**
   * Status word, as ctr_container_status.
   */
  const char *status;
  /**
   * Entrypoint and command; ends with NULL.
   */
  const char *const *command;
  /**
   * Labels: `key=value`; ends with NULL.
   */
  const char *const *labels;
  /**
   * Unix time in nanoseconds.
   */
  int64_t created_ns;
  /**
   * Unix time in nanoseconds of the last start; 0: never.
   */
  int64_t started_ns;
  /**
   * Unix time in nanoseconds of the last end; 0: never.
   */
  int64_t finished_ns;
  /**
   * Exit code of the last end; -1: there was none.
   */
  int32_t exit_code;
  /**
   * 1: it lives without the process that made it.
   */
  int32_t detached;
  /**
   * docker's word for its health: `starting`, `healthy`, `unhealthy`; empty: it has no health check.
   */
  const char *health;
  /**
   * Names of its networks; ends with NULL.
   */
  const char *const *networks;
  /**
   * What is mounted in it, by target; ends with NULL.
   */
  const struct ctr_mount_point *const *mounts;
} ctr_container_summary;

/**
 * A list of containers.
 */
typedef struct ctr_container_rows {
  /**
   * Private.
   */
  void *owner;
  /**
   * The rows; ends with NULL.
   */
  const struct ctr_container_summary *const *items;
  /**
   * How many.
   */
  size_t count;
} ctr_container_rows;

/**
 * A line of a log with its end, or a part of one where the stream paused. Newer libraries may append fields.
 */
typedef struct ctr_log_line {
  /**
   * Private.
   */
  void *owner;
  /**
   * CTR_STDOUT or CTR_STDERR.
   */
  int32_t stream;
  /**
   * The bytes; a NUL that is not counted follows.
   */
  const char *data;
  /**
   * How many.
   */
  size_t data_size;
  /**
   * Unix time in nanoseconds.
   */
  int64_t time_ns;
} ctr_log_line;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The number of an error, CTR_E_*, positive; CTR_OK for NULL. Any thread; does not block.
 */
int32_t ctr_error_code(const struct ctr_error *error);

/**
 * The name of an error, the same word in every language: `image_not_found`. Lives as long as the error; NULL
 * for NULL. Any thread; does not block.
 */
const char *ctr_error_name(const struct ctr_error *error);

/**
 * One line for people: the operation, what went wrong, with what, and why. Lives as long as the error; NULL
 * for NULL. Any thread; does not block.
 */
const char *ctr_error_message(const struct ctr_error *error);

/**
 * What was being done: `container.start`. Lives as long as the error; NULL for NULL. Any thread; does not
 * block.
 */
const char *ctr_error_operation(const struct ctr_error *error);

/**
 * What it was about, by key (`path`, `ref`, `step`, `field`…); NULL when there is no such key. Lives as long
 * as the error. Any thread; does not block.
 *
 * `key` is text.
 */
const char *ctr_error_context(const struct ctr_error *error,
                              const char *key);

/**
 * The key of the context entry number `index`, from 0; NULL behind the last. Lives as long as the error. Any
 * thread; does not block.
 */
const char *ctr_error_context_key(const struct ctr_error *error, size_t index);

/**
 * The value of the context entry number `index`, from 0; NULL behind the last. Lives as long as the error.
 * Any thread; does not block.
 */
const char *ctr_error_context_value(const struct ctr_error *error, size_t index);

/**
 * What the command had printed (CTR_E_EXEC_TIMEOUT, CTR_E_EXIT_ERROR); NULL when there is none. Lives as long
 * as the error: do not free it. Any thread; does not block.
 */
const struct ctr_output *ctr_error_output(const struct ctr_error *error);

/**
 * Frees an error; NULL is fine. Any thread; does not block.
 */
void ctr_error_free(struct ctr_error *error);

/**
 * Whether `code` (as a function returned it, or positive) is `of` or a case of it: CTR_E_IMAGE_NOT_FOUND is
 * CTR_E_NOT_FOUND. 1 or 0. Any thread; does not block.
 */
int32_t ctr_code_is(int32_t code, int32_t of);

/**
 * The name of `code` (as a function returned it, or positive): `image_not_found`; `ok` for 0 and `unknown` for
 * other numbers. The text is static. Any thread; does not block.
 */
const char *ctr_code_name(int32_t code);

/**
 * Makes a cancel handle in `*cancel`; free it with ctr_cancel_free. Any thread; does not block.
 *
 * Errors: CTR_E_IO when descriptors have run out.
 */
int32_t ctr_cancel_new(struct ctr_cancel **cancel, struct ctr_error **error);

/**
 * Ends the calls that have this handle with CTR_E_CANCELLED, now and in future. Any thread; does not block; may
 * be called in a signal handler with `error` NULL.
 */
int32_t ctr_cancel_trigger(const struct ctr_cancel *cancel,
                           struct ctr_error **error);

/**
 * Frees a cancel handle, which no call may have any more; NULL is fine. Any thread; does not block.
 */
void ctr_cancel_free(struct ctr_cancel *cancel);

/**
 * Opens a root in `*runtime`: creates it when missing, repairs what a crash left, starts the helper process.
 * Any thread; may block for a moment.
 *
 * `options` may be NULL. Close with ctr_runtime_close or ctr_runtime_free.
 *
 * Errors: CTR_E_PERMISSION and CTR_E_IO for the folder, CTR_E_UNSUPPORTED for what the machine lacks,
 * CTR_E_CORRUPT for damaged records.
 */
int32_t ctr_runtime_open(const ctr_runtime_options *options,
                         struct ctr_runtime **runtime,
                         struct ctr_error **error);

/**
 * What this machine and this root have, as a JSON object in `*json` (version, root, rootless, cgroup_version,
 * cgroup_controllers, warnings…); free it with ctr_string_free. Any thread; does not block.
 *
 * Errors: CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_runtime_info(const struct ctr_runtime *runtime, char **json, struct ctr_error **error);

/**
 * Closes a runtime: kills attached containers, cleans up, ends the helper process. Other calls on it and on
 * handles that came from it fail with CTR_E_HANDLE_CLOSED from now on; closing twice is fine. The handle
 * itself is still to be freed. Any thread; may block for a moment.
 */
int32_t ctr_runtime_close(const struct ctr_runtime *runtime, struct ctr_error **error);

/**
 * Frees a runtime; NULL is fine. When no container or image handle of it is left, it is closed as well. Any
 * thread; may block for a moment.
 */
void ctr_runtime_free(struct ctr_runtime *runtime);

/**
 * Frees text that a call gave (`char **`); NULL is fine. Any thread; does not block.
 */
void ctr_string_free(char *text);

/**
 * Version of the library that is loaded; static. Any thread; does not block.
 */
const char *ctr_version(void);

/**
 * Frees the output of a command; NULL is fine. Any thread; does not block.
 */
void ctr_output_free(struct ctr_output *output);

/**
 * Frees bytes; NULL is fine. Any thread; does not block.
 */
void ctr_bytes_free(struct ctr_bytes *bytes);

/**
 * Finds an image by reference, id, unique beginning of an id, or `host`, in `*image`; free it with
 * ctr_image_free. Any thread; does not block.
 *
 * Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT for a malformed reference.
 */
int32_t ctr_image_get(const struct ctr_runtime *runtime,
                      const char *reference,
                      struct ctr_image **image,
                      struct ctr_error **error);

/**
 * The machine's own system as an image, in `*image`: /usr, /bin, /sbin, /lib*, /opt and a filtered /etc,
 * read-only below a throw-away writable layer. Its id names it where a container is created. Free it with
 * ctr_image_free. Any thread; does not block.
 *
 * `paths` are further host folders to show; it may be NULL.
 */
int32_t ctr_image_host(const char *const *paths, struct ctr_image **image, struct ctr_error **error);

/**
 * Removes a reference, and the image when it was the last one; by id all of them. `force` is 0 or 1. Any thread;
 * may block for a moment.
 *
 * Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_IN_USE while a container needs it (unless forced).
 */
int32_t ctr_image_remove(const struct ctr_runtime *runtime,
                         const char *reference,
                         int32_t force,
                         struct ctr_error **error);

/**
 * Gives an image a further reference. Any thread; does not block.
 *
 * Errors: CTR_E_INVALID_ARGUMENT for a malformed reference.
 */
int32_t ctr_image_tag(const struct ctr_image *image, const char *reference, struct ctr_error **error);

/**
 * `sha256:…` of an image's configuration, in `*id`; it names the image in every call. It lives as long as the
 * handle. Any thread; does not block.
 */
int32_t ctr_image_id(const struct ctr_image *image,
                     const char **id,
                     struct ctr_error **error);

/**
 * Digest of an image's manifest, in `*digest`; lives as long as the handle. Any thread; does not block.
 */
int32_t ctr_image_digest(const struct ctr_image *image, const char **digest, struct ctr_error **error);

/**
 * Unpacked bytes of an image, in `*bytes`. Any thread; does not block.
 */
int32_t ctr_image_size(const struct ctr_image *image, uint64_t *bytes, struct ctr_error **error);

/**
 * References of an image with tags, as a JSON list in `*json`; free it with ctr_string_free. Any thread; does
 * not block.
 */
int32_t ctr_image_tags(const struct ctr_image *image, char **json, struct ctr_error **error);

/**
 * What containers take over from an image (env, entrypoint, cmd, working_dir, user…), as a JSON object in
 * `*json`; free it with ctr_string_free. Any thread; does not block.
 */
int32_t ctr_image_config(const struct ctr_image *image, char **json, struct ctr_error **error);

/**
 * Everything about an image, as docker's inspect document, JSON in `*json`; free it with ctr_string_free. Any
 * thread; does not block.
 */
int32_t ctr_image_inspect(const struct ctr_image *image, char **json, struct ctr_error **error);

/**
 * How an image came to be, newest first, as a JSON list of objects (created in Unix nanoseconds, created_by,
 * size, comment, empty_layer) in `*json`; free it with ctr_string_free. Any thread; does not block.
 */
int32_t ctr_image_history(const struct ctr_image *image, char **json, struct ctr_error **error);

/**
 * Frees an image handle, not the image; NULL is fine. Any thread; does not block.
 */
void ctr_image_free(struct ctr_image *image);

/**
 * Fetches an image into `*image`; free it with ctr_image_free. Any thread; may block.
 *
 * `reference` names it as docker does: `debian:12`, `localhost:5000/app@sha256:…`. `options` may be NULL.
 *
 * Errors: CTR_E_INVALID_ARGUMENT for a malformed reference, CTR_E_IMAGE_NOT_FOUND, CTR_E_AUTH, CTR_E_REGISTRY,
 * CTR_E_CORRUPT for content that is not what its digest says, CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_IO.
 */
int32_t ctr_image_pull(const struct ctr_runtime *runtime,
                       const char *reference,
                       const ctr_pull_options *options,
                       struct ctr_image **image,
                       struct ctr_error **error);

/**
 * Loads all images of an OCI layout (folder or tar) or a docker-archive. `*list` gets what came; free it with
 * ctr_image_rows_free. Any thread; may block.
 *
 * `path` is a path on the host, `options` may be NULL.
 *
 * Errors: CTR_E_PATH_NOT_FOUND, CTR_E_INVALID_ARGUMENT for something else, CTR_E_CORRUPT, CTR_E_LIMIT_EXCEEDED,
 * CTR_E_CANCELLED, CTR_E_IO.
 */
int32_t ctr_image_load(const struct ctr_runtime *runtime,
                       const char *path,
                       const ctr_load_options *options,
                       struct ctr_image_rows **list,
                       struct ctr_error **error);

/**
 * Makes an image of one layer from a tar of a root file system (plain, gzip or zstd) in `*image`; free it with
 * ctr_image_free. Any thread; may block.
 *
 * `path` is a path on the host, `options` may be NULL.
 *
 * Errors: CTR_E_PATH_NOT_FOUND, CTR_E_INVALID_ARGUMENT for something else than a tar or an unknown change,
 * CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_IO.
 */
int32_t ctr_image_import(const struct ctr_runtime *runtime,
                         const char *path,
                         const ctr_import_options *options,
                         struct ctr_image **image,
                         struct ctr_error **error);

/**
 * Lists images, newest first, in `*list`; free it with ctr_image_rows_free. Any thread; does not block.
 *
 * Errors: CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_image_list(const struct ctr_runtime *runtime,
                       struct ctr_image_rows **list,
                       struct ctr_error **error);

/**
 * Frees a list of images; NULL is fine. Any thread; does not block.
 */
void ctr_image_rows_free(struct ctr_image_rows *list);

/**
 * Runs a command to its end in a throw-away container and collects its output in `*output`; free it with
 * ctr_output_free. An exit code other than 0 is no error, unless `check` is on. Any thread; may block.
 *
 * `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
 * image's. `options` may be NULL.
 *
 * Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_COMMAND_NOT_FOUND, CTR_E_PATH_NOT_FOUND for a
 * mount's source, CTR_E_EXEC_TIMEOUT and CTR_E_EXIT_ERROR with the output (ctr_error_output),
 * CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_UNSUPPORTED, CTR_E_PERMISSION, CTR_E_IO.
 */
int32_t ctr_container_run(const struct ctr_runtime *runtime,
                          const char *image,
                          const char *const *command,
                          const ctr_run_options *options,
                          struct ctr_output **output,
                          struct ctr_error **error);

/**
 * Creates and starts a container that lives on without this process, as docker's `run -d`, in `*container`,
 * whatever `detach` says. One that can't be started is removed again. Free the handle with ctr_container_free, which
 * leaves the container alone. Any thread; may block for a moment.
 *
 * `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
 * image's. `options` may be NULL.
 *
 * Errors: those of ctr_container_create and ctr_container_start.
 */
int32_t ctr_container_run_detached(const struct ctr_runtime *runtime,
                                   const char *image,
                                   const char *const *command,
                                   const ctr_create_options *options,
                                   struct ctr_container **container,
                                   struct ctr_error **error);

/**
 * Creates a container in `*container`; nothing runs yet. Free the handle with ctr_container_free. Any thread; may
 * block for a moment.
 *
 * `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
 * image's. `options` may be NULL.
 *
 * Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_ALREADY_EXISTS for a name that is taken,
 * CTR_E_PATH_NOT_FOUND for a mount's source, CTR_E_UNSUPPORTED, CTR_E_PERMISSION, CTR_E_IO.
 */
int32_t ctr_container_create(const struct ctr_runtime *runtime,
                             const char *image,
                             const char *const *command,
                             const ctr_create_options *options,
                             struct ctr_container **container,
                             struct ctr_error **error);

/**
 * Finds a container by id, unique beginning of an id, or name, in `*container`. The handle never kills; free it
 * with ctr_container_free. Any thread; does not block.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_INVALID_ARGUMENT for a beginning of several ids.
 */
int32_t ctr_container_get(const struct ctr_runtime *runtime,
                          const char *id_or_name,
                          struct ctr_container **container,
                          struct ctr_error **error);

/**
 * Frees a container handle; NULL is fine. The one from ctr_container_create kills and removes an attached
 * container. Any thread; may block for a moment.
 */
void ctr_container_free(struct ctr_container *container);

/**
 * The id, 64 hexadecimal digits, in `*id`; lives as long as the handle. Any thread; does not block.
 */
int32_t ctr_container_id(const struct ctr_container *container, const char **id, struct ctr_error **error);

/**
 * The name, in `*name`; may be empty for attached containers. It lives as long as the handle. Any thread; does
 * not block.
 */
int32_t ctr_container_name(const struct ctr_container *container,
                           const char **name,
                           struct ctr_error **error);

/**
 * docker's word for how it stands, in `*status`: `created`, `running`, `paused`, `restarting`, `exited`, `dead`. It
 * lives as long as the handle. Any thread; does not block.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND when it has been removed, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_status(const struct ctr_container *container,
                             const char **status,
                             struct ctr_error **error);

/**
 * Process id of its first process on the host, in `*pid`; 0 when it does not run. Any thread; does not block.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_pid(const struct ctr_container *container, int32_t *pid, struct ctr_error **error);

/**
 * Everything about it, as docker's inspect document, JSON in `*json`; free it with ctr_string_free. Any thread;
 * does not block.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_inspect(const struct ctr_container *container,
                              char **json,
                              struct ctr_error **error);

/**
 * Starts it; returns when its command has been executed. Fine when it runs already. Any thread; may block for a
 * moment.
 *
 * Errors: CTR_E_COMMAND_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_container_start(const struct ctr_container *container,
                            struct ctr_error **error);

/**
 * Sends the stop signal, waits `timeout_ms` (-1: the container's stop_timeout), then kills. Fine when it does not
 * run. Any thread; may block for the timeout.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_stop(const struct ctr_container *container,
                           int64_t timeout_ms,
                           struct ctr_error **error);

/**
 * As ctr_container_stop, also with another signal. Any thread; may block for the timeout.
 *
 * `options` may be NULL.
 *
 * Errors: CTR_E_INVALID_ARGUMENT for the signal, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_stop_with(const struct ctr_container *container,
                                const ctr_stop_options *options,
                                struct ctr_error **error);

/**
 * Sends a signal to its first process: `SIGTERM`, `TERM` or `15`. Any thread; does not block.
 *
 * Errors: CTR_E_INVALID_ARGUMENT, CTR_E_NOT_RUNNING, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_kill(const struct ctr_container *container,
                           const char *signal,
                           struct ctr_error **error);

/**
 * Stops it as ctr_container_stop, then starts it. Any thread; may block for the timeout.
 *
 * Errors: those of both.
 */
int32_t ctr_container_restart(const struct ctr_container *container,
                              int64_t timeout_ms,
                              struct ctr_error **error);

/**
 * As ctr_container_restart, also with another signal. Any thread; may block for the timeout.
 *
 * `options` may be NULL.
 *
 * Errors: those of ctr_container_stop_with and ctr_container_start.
 */
int32_t ctr_container_restart_with(const struct ctr_container *container,
                                   const ctr_stop_options *options,
                                   struct ctr_error **error);

/**
 * Freezes all its processes. Any thread; may block for a moment.
 *
 * Errors: CTR_E_NOT_RUNNING, CTR_E_CONFLICT when it is paused, CTR_E_UNSUPPORTED without a freezer cgroup,
 * CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_pause(const struct ctr_container *container, struct ctr_error **error);

/**
 * Thaws its processes. Any thread; may block for a moment.
 *
 * Errors: CTR_E_CONFLICT when it is not paused, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_unpause(const struct ctr_container *container, struct ctr_error **error);

/**
 * Waits for its end; the exit code in `*exit_code` (128 + n after death by signal n). A timeout
 * (CTR_E_EXEC_TIMEOUT) kills nothing. Any thread; may block.
 *
 * `timeout_ms` is -1 for none, `cancel` may be NULL.
 *
 * Errors: CTR_E_EXEC_TIMEOUT, CTR_E_CANCELLED, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_wait(const struct ctr_container *container,
                           int64_t timeout_ms,
                           const struct ctr_cancel *cancel,
                           int32_t *exit_code,
                           struct ctr_error **error);

/**
 * A descriptor in `*fd` that polls readable when the container has ended, for event loops; do not read from it. It
 * is the caller's: close(2) it. Any thread; does not block.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_container_exit_fd(const struct ctr_container *container,
                              int32_t *fd,
                              struct ctr_error **error);

/**
 * Gives it another name. Any thread; does not block.
 *
 * Errors: CTR_E_ALREADY_EXISTS, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_rename(const struct ctr_container *container,
                             const char *name,
                             struct ctr_error **error);

/**
 * Removes it and all that is its own; the handle is still to be freed. Any thread; may block for a moment.
 *
 * `options` may be NULL.
 *
 * Errors: CTR_E_IN_USE while it runs (unless forced), CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_remove(const struct ctr_container *container,
                             const ctr_remove_options *options,
                             struct ctr_error **error);

/**
 * Starts a further process in it, in `*process`; free it with ctr_process_free. Any thread; may block for a
 * moment.
 *
 * `command` is a program with its arguments, `options` may be NULL.
 *
 * Errors: CTR_E_NOT_RUNNING, CTR_E_COMMAND_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND,
 * CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_exec(const struct ctr_container *container,
                           const char *const *command,
                           const ctr_exec_options *options,
                           struct ctr_process **process,
                           struct ctr_error **error);

/**
 * Runs a further process to its end and collects its output in `*output`; free it with ctr_output_free. Any
 * thread; may block.
 *
 * `command` is a program with its arguments, `options` may be NULL. With `check` 1 an exit code other than 0 is
 * CTR_E_EXIT_ERROR. `cancel` may be NULL.
 *
 * Errors: those of ctr_container_exec, CTR_E_EXEC_TIMEOUT and CTR_E_EXIT_ERROR with the output
 * (ctr_error_output), CTR_E_CANCELLED.
 */
int32_t ctr_container_exec_run(const struct ctr_container *container,
                               const char *const *command,
                               const ctr_exec_options *options,
                               int32_t check,
                               const struct ctr_cancel *cancel,
                               struct ctr_output **output,
                               struct ctr_error **error);

/**
 * Its streams from now on, in `*process`; before ctr_container_start too, and then nothing is missed. Input only
 * when it was created with `stdin_open`. Free it with ctr_process_free, which leaves the container running. Any
 * thread; may block for a moment.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_NOT_RUNNING when it has ended, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_attach(const struct ctr_container *container,
                             struct ctr_process **process,
                             struct ctr_error **error);

/**
 * Its output so far, both streams in order of arrival, in `*bytes`; free it with ctr_bytes_free. Any thread; does
 * not block.
 *
 * `options` may be NULL.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_container_logs(const struct ctr_container *container,
                           const ctr_log_options *options,
                           struct ctr_bytes **bytes,
                           struct ctr_error **error);

/**
 * Its output line by line, in `*stream`; free it with ctr_log_stream_free. Any thread; does not block.
 *
 * `options` may be NULL.
 *
 * Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_container_logs_stream(const struct ctr_container *container,
                                  const ctr_log_options *options,
                                  struct ctr_log_stream **stream,
                                  struct ctr_error **error);

/**
 * Sets the size of its terminal. Any thread; does not block.
 *
 * Errors: CTR_E_NOT_RUNNING, CTR_E_INVALID_ARGUMENT when it has none, CTR_E_CONTAINER_NOT_FOUND,
 * CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_container_resize(const struct ctr_container *container,
                             uint16_t rows,
                             uint16_t cols,
                             struct ctr_error **error);

/**
 * Lists containers, newest first, in `*list`; free it with ctr_container_rows_free. Any thread; does not block.
 *
 * `options` may be NULL: those that run.
 *
 * Errors: CTR_E_INVALID_ARGUMENT for an unknown filter, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_container_list(const struct ctr_runtime *runtime,
                           const ctr_list_options *options,
                           struct ctr_container_rows **list,
                           struct ctr_error **error);

/**
 * Frees a list of containers; NULL is fine. Any thread; does not block.
 */
void ctr_container_rows_free(struct ctr_container_rows *list);

/**
 * Frees a process; NULL is fine. It closes the streams; a process from ctr_container_exec that still runs is killed
 * with its group, unless its container is detached. Any thread; may block for a moment.
 */
void ctr_process_free(struct ctr_process *process);

/**
 * The descriptors of its streams: `*stdin_fd` to write its input, `*stdout_fd` to read its output, `*stderr_fd` to
 * read its errors; -1: not open. Each pointer may be NULL. The descriptors are non-blocking, belong to the handle and
 * must not be closed (see ctr_process_close_stdin); poll(2) them in an event loop, then read(2) and write(2). With a
 * terminal the first two are its master. Any thread; does not block.
 */
int32_t ctr_process_fds(const struct ctr_process *process,
                        int32_t *stdin_fd,
                        int32_t *stdout_fd,
                        int32_t *stderr_fd,
                        struct ctr_error **error);

/**
 * Writes all of `size` bytes to its input; waits while the pipe is full. Any thread; may block.
 *
 * `cancel` may be NULL; once it ended the call it is unknown how much was written.
 *
 * Errors: CTR_E_IO when the process has closed its input or input is not open, CTR_E_CANCELLED,
 * CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_process_write(const struct ctr_process *process,
                          const void *data,
                          size_t size,
                          const struct ctr_cancel *cancel,
                          struct ctr_error **error);

/**
 * Closes its input, so that it sees the end of it; closing twice is fine. Any thread; does not block.
 */
int32_t ctr_process_close_stdin(const struct ctr_process *process, struct ctr_error **error);

/**
 * Reads what comes next of one stream, at most `size` bytes, into `buffer`; how many in `*count`, 0 at its end. Any
 * thread, each stream by one at a time; may block.
 *
 * `stream` is CTR_STDOUT or CTR_STDERR; `cancel` may be NULL.
 *
 * Errors: CTR_E_EXEC_TIMEOUT when the process's own timeout killed it, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_process_read(const struct ctr_process *process,
                         int32_t stream,
                         void *buffer,
                         size_t size,
                         const struct ctr_cancel *cancel,
                         size_t *count,
                         struct ctr_error **error);

/**
 * Reads what comes next of either stream, in order of arrival: which stream in `*stream` (CTR_STDOUT, CTR_STDERR, 0
 * when both have ended), the bytes in `*bytes` (NULL when both have ended); free them with ctr_bytes_free. Any
 * thread, one at a time; may block.
 *
 * `cancel` may be NULL.
 *
 * Errors: as ctr_process_read.
 */
int32_t ctr_process_next(const struct ctr_process *process,
                         const struct ctr_cancel *cancel,
                         int32_t *stream,
                         struct ctr_bytes **bytes,
                         struct ctr_error **error);

/**
 * Writes `input` (`input_size` bytes; NULL: nothing), closes its input, collects all output in `*output` and waits
 * for its end; free the output with ctr_output_free. Any thread; may block.
 *
 * `cancel` may be NULL.
 *
 * Errors: CTR_E_EXEC_TIMEOUT with the output so far, CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED, CTR_E_IO.
 */
int32_t ctr_process_communicate(const struct ctr_process *process,
                                const void *input,
                                size_t input_size,
                                const struct ctr_cancel *cancel,
                                struct ctr_output **output,
                                struct ctr_error **error);

/**
 * Waits for its end; the exit code in `*exit_code` (128 + n after death by signal n). A timeout
 * (CTR_E_EXEC_TIMEOUT) kills nothing. Any thread; may block.
 *
 * `timeout_ms` is -1 for none, `cancel` may be NULL.
 *
 * Errors: CTR_E_EXEC_TIMEOUT, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_process_wait(const struct ctr_process *process,
                         int64_t timeout_ms,
                         const struct ctr_cancel *cancel,
                         int32_t *exit_code,
                         struct ctr_error **error);

/**
 * Whether it has ended, in `*ended` (1 or 0), and then its exit code in `*exit_code`. Any thread; does not block.
 *
 * Errors: CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_process_poll(const struct ctr_process *process,
                         int32_t *ended,
                         int32_t *exit_code,
                         struct ctr_error **error);

/**
 * Sends signal number `signal` to it; 0 sends nothing and only checks that it runs. Any thread; does not block.
 *
 * Errors: CTR_E_INVALID_ARGUMENT, CTR_E_NOT_RUNNING, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_process_kill(const struct ctr_process *process,
                         int32_t signal,
                         struct ctr_error **error);

/**
 * Sets the size of its terminal. Any thread; does not block.
 *
 * Errors: CTR_E_INVALID_ARGUMENT when it has none, CTR_E_NOT_RUNNING, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_process_resize(const struct ctr_process *process,
                           uint16_t rows,
                           uint16_t cols,
                           struct ctr_error **error);

/**
 * The next line of a log, in `*line`; NULL at its end. Free it with ctr_log_line_free. Any thread, one at a time;
 * may block when it follows.
 *
 * `cancel` may be NULL.
 *
 * Errors: CTR_E_CONFLICT when another thread reads, CTR_E_CANCELLED, CTR_E_CORRUPT, CTR_E_IO, CTR_E_HANDLE_CLOSED.
 */
int32_t ctr_log_stream_next(const struct ctr_log_stream *stream,
                            const struct ctr_cancel *cancel,
                            struct ctr_log_line **line,
                            struct ctr_error **error);

/**
 * Frees a line; NULL is fine. Any thread; does not block.
 */
void ctr_log_line_free(struct ctr_log_line *line);

/**
 * Frees a log stream; NULL is fine. Any thread; does not block.
 */
void ctr_log_stream_free(struct ctr_log_stream *stream);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CONTAINERS_H */
