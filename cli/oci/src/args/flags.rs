//! The options of all commands, each of which is in the list of one or more of them (see [`super::verbs`]).

use super::table::Flag;

// Before the command.
pub static ROOT: Flag = Flag::value("root", "PATH", "Folder of the containers' state");
pub static LOG: Flag = Flag::value("log", "PATH", "File for messages (default: standard error)");
pub static LOG_FORMAT: Flag = Flag::value("log-format", "FORMAT", "Format of messages: text or json")
    .default("text")
    .choices(&["text", "json"]);
pub static DEBUG: Flag = Flag::switch("debug", "More messages");
pub static SYSTEMD_CGROUP: Flag =
    Flag::switch("systemd-cgroup", "Let systemd make cgroups; cgroupsPath is slice:prefix:name then");
pub static ROOTLESS: Flag =
    Flag::value("rootless", "WHETHER", "Ignore what only root may do: true, false or auto").default("auto");
pub static CRIU: Flag = Flag::value("criu", "PATH", "Ignored: criu is looked up in PATH").hidden();
pub static VERSION: Flag = Flag::switch("version", "Print the version").short('v');

// Of processes that are begun.
pub static BUNDLE: Flag = Flag::value("bundle", "PATH", "Bundle (default: the current folder)").short('b');
pub static CONSOLE_SOCKET: Flag =
    Flag::value("console-socket", "PATH", "Socket that the terminal is sent over");
pub static PIDFD_SOCKET: Flag =
    Flag::value("pidfd-socket", "PATH", "Socket that a descriptor of the process is sent over");
pub static PID_FILE: Flag = Flag::value("pid-file", "PATH", "File for the process id");
pub static DETACH: Flag = Flag::switch("detach", "Do not wait").short('d');
pub static NO_PIVOT: Flag = Flag::switch("no-pivot", "Do not use pivot_root");
pub static NO_NEW_KEYRING: Flag = Flag::switch("no-new-keyring", "Keep the session keyring");
pub static NO_SUBREAPER: Flag = Flag::switch("no-subreaper", "Accepted: nothing is ever adopted");
pub static PRESERVE_FDS: Flag =
    Flag::value("preserve-fds", "N", "Pass so many further descriptors on").default("0");
pub static KEEP: Flag = Flag::switch("keep", "Keep the container when it has ended");

// Of `exec`.
pub static CWD: Flag = Flag::value("cwd", "PATH", "Working directory");
pub static ENV: Flag = Flag::value("env", "KEY=VALUE", "A variable of the environment").short('e');
pub static TTY: Flag = Flag::switch("tty", "A terminal").short('t');
pub static USER: Flag = Flag::value("user", "USER", "uid, or uid:gid").short('u');
pub static ADDITIONAL_GIDS: Flag = Flag::value("additional-gids", "GID", "Further groups").short('g');
pub static PROCESS: Flag = Flag::value("process", "PATH", "File with the process").short('p');
pub static PROCESS_LABEL: Flag = Flag::value("process-label", "LABEL", "SELinux label");
pub static APPARMOR: Flag = Flag::value("apparmor", "PROFILE", "AppArmor profile");
pub static NO_NEW_PRIVS: Flag = Flag::switch("no-new-privs", "No new privileges");
pub static CAP: Flag = Flag::value("cap", "NAME", "Further capability").short('c');
pub static CGROUP: Flag =
    Flag::value("cgroup", "PATH", "A cgroup below the container's: [controller[,…]:]path");
pub static IGNORE_PAUSED: Flag = Flag::switch("ignore-paused", "Also in a paused container");
pub static EXEC_NO_SUBREAPER: Flag =
    Flag::switch("no-subreaper", "Accepted: nothing is ever adopted").hidden();

// Of `kill`, `delete`, `ps`, `list`, `events` and `spec`.
pub static ALL: Flag = Flag::switch("all", "To all of its processes").short('a');
pub static FORCE: Flag = Flag::switch("force", "End it first").short('f');
pub static FORMAT: Flag = Flag::value("format", "FORMAT", "table or json").short('f').default("table");
pub static QUIET: Flag = Flag::switch("quiet", "Ids alone").short('q');
pub static INTERVAL: Flag =
    Flag::value("interval", "TIME", "Time between looks: 5s, 500ms, 1m").default("5s");
pub static STATS: Flag = Flag::switch("stats", "One look only");
pub static SPEC_ROOTLESS: Flag = Flag::switch("rootless", "For an ordinary user");

// Of `update`.
pub static RESOURCES: Flag =
    Flag::value("resources", "PATH", "File with resources as JSON; - is standard input").short('r');
pub static BLKIO_WEIGHT: Flag = Flag::value("blkio-weight", "N", "Relative weight of block I/O");
pub static CPU_PERIOD: Flag = Flag::value("cpu-period", "N", "CPU period in microseconds");
pub static CPU_QUOTA: Flag = Flag::value("cpu-quota", "N", "CPU quota in microseconds");
pub static CPU_BURST: Flag = Flag::value("cpu-burst", "N", "CPU burst in microseconds");
pub static CPU_IDLE: Flag = Flag::value("cpu-idle", "N", "Run only when nothing else does");
pub static CPU_SHARE: Flag = Flag::value("cpu-share", "N", "Relative weight of CPU");
pub static CPU_RT_PERIOD: Flag = Flag::value("cpu-rt-period", "N", "Realtime period in microseconds");
pub static CPU_RT_RUNTIME: Flag = Flag::value("cpu-rt-runtime", "N", "Realtime runtime in microseconds");
pub static CPUSET_CPUS: Flag = Flag::value("cpuset-cpus", "LIST", "CPUs");
pub static CPUSET_MEMS: Flag = Flag::value("cpuset-mems", "LIST", "Memory nodes");
pub static KERNEL_MEMORY: Flag =
    Flag::value("kernel-memory", "SIZE", "Ignored: the kernel has it no more").hidden();
pub static KERNEL_MEMORY_TCP: Flag =
    Flag::value("kernel-memory-tcp", "SIZE", "Ignored: the kernel has it no more").hidden();
pub static MEMORY: Flag = Flag::value("memory", "SIZE", "Memory limit: bytes, or with k, m, g").short('m');
pub static MEMORY_RESERVATION: Flag = Flag::value("memory-reservation", "SIZE", "Memory reservation");
pub static MEMORY_SWAP: Flag =
    Flag::value("memory-swap", "SIZE", "Memory and swap together; -1 is unlimited");
pub static PIDS_LIMIT: Flag = Flag::value("pids-limit", "N", "Most processes");
pub static L3_CACHE_SCHEMA: Flag =
    Flag::value("l3-cache-schema", "SCHEMA", "Parts of the L3 cache (Intel RDT)");
pub static MEM_BW_SCHEMA: Flag =
    Flag::value("mem-bw-schema", "SCHEMA", "Parts of the memory bandwidth (Intel RDT)");

// Of `checkpoint` and `restore`.
pub static IMAGE_PATH: Flag = Flag::value("image-path", "PATH", "Folder of the image").default("checkpoint");
pub static WORK_PATH: Flag =
    Flag::value("work-path", "PATH", "Folder for criu's work and logs (default: that of the image)");
pub static TCP_ESTABLISHED: Flag = Flag::switch("tcp-established", "With open TCP connections");
pub static EXT_UNIX_SK: Flag = Flag::switch("ext-unix-sk", "With external Unix sockets");
pub static SHELL_JOB: Flag = Flag::switch("shell-job", "Of a container with a terminal that is not its own");
pub static FILE_LOCKS: Flag = Flag::switch("file-locks", "With file locks");
pub static AUTO_DEDUP: Flag = Flag::switch("auto-dedup", "Remove from images what is there twice");
pub static MANAGE_CGROUPS_MODE: Flag =
    Flag::value("manage-cgroups-mode", "MODE", "What is done with cgroups: ignore, soft, full or strict")
        .default("soft");
pub static EMPTY_NS: Flag =
    Flag::value("empty-ns", "NAME", "Leave out what is in a namespace: network").choices(&["network"]);
pub static LAZY_PAGES: Flag = Flag::switch("lazy-pages", "Pages when they are needed: not supported");

// Of `checkpoint`.
pub static PARENT_PATH: Flag =
    Flag::value("parent-path", "PATH", "Image of the checkpoint before, relative to this one");
pub static PRE_DUMP: Flag = Flag::switch("pre-dump", "Only memory, while the container runs on");
pub static LEAVE_RUNNING: Flag = Flag::switch("leave-running", "Let the container run on");
pub static TCP_SKIP_IN_FLIGHT: Flag =
    Flag::switch("tcp-skip-in-flight", "Without TCP connections that are being made");
pub static LINK_REMAP: Flag =
    Flag::switch("link-remap", "With files that are open and removed but have another name");
pub static PAGE_SERVER: Flag =
    Flag::value("page-server", "ADDRESS:PORT", "ADDRESS:PORT of a criu page-server that memory is sent to");
pub static STATUS_FD: Flag = Flag::value("status-fd", "N", "For lazy pages, which are not supported");

// Of `restore`.
pub static LSM_PROFILE: Flag =
    Flag::value("lsm-profile", "PROFILE", "apparmor:PROFILE or selinux:LABEL instead of that of the image");
pub static LSM_MOUNT_CONTEXT: Flag =
    Flag::value("lsm-mount-context", "LABEL", "A label for mounts: not supported");
pub static RESTORE_NO_PIVOT: Flag = Flag::switch("no-pivot", "Accepted: criu has its own way to a root");
