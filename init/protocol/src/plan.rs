//! The plan of a container: everything resolved, validated and allocated by the library, executed by
//! the helper in order with raw system calls.
//!
//! A plan is for the helper of the same build only; a detached container's monitor keeps it in memory
//! and on disk to replay it on a restart.

use crate::Bytes;
use crate::extra::{Extra, Leave, MountEntry, ProcessExtra};
use serde::{Deserialize, Serialize};

/// One container to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The container's id: 64 lower-case hexadecimal digits.
    pub id: String,
    /// `CLONE_NEW*` flags of the namespaces that are new; the others are the launcher's.
    pub namespaces: u64,
    /// Id maps of a new user namespace (only with `CLONE_NEWUSER`).
    pub id_maps: Option<IdMaps>,
    /// The root file system, mounted before the steps run.
    pub rootfs: Rootfs,
    /// Where and how tightly the container is accounted; `None`: stays in the launcher's cgroup.
    pub cgroup: Option<CgroupPlan>,
    /// What the container's first process does before it becomes the command, in this order.
    pub steps: Vec<Step>,
    /// The command and its identity.
    pub process: ProcessPlan,
    /// Where its three standard streams go.
    pub stdio: Stdio,
    /// What the parent keeps of it, and what it deletes in the end.
    pub keep: Keep,
    /// The owner waits for the end alone: no `started` is sent, except with a terminal.
    pub quiet: bool,
    /// What only OCI configurations ask for.
    pub extra: Option<Box<Extra>>,
}

/// Id maps, one entry for each `uid_map` line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Lines of `uid_map`.
    pub uids: Vec<IdMap>,
    /// Lines of `gid_map`.
    pub gids: Vec<IdMap>,
    /// Absolute paths of `newuidmap` and `newgidmap`; `None`: the maps are written directly.
    pub tools: Option<(Bytes, Bytes)>,
}

/// One line of a `uid_map` or `gid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The root file system of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Rootfs {
    /// Image layers below a writable layer.
    Overlay(Overlay),
    /// A directory as it is.
    Dir {
        /// Absolute path on the host.
        path: Bytes,
    },
}

/// An overlay mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Absolute paths of the read-only layers, topmost first.
    pub lower: Vec<Bytes>,
    /// The folder that gets `upper` and `work`; `None`: a read-only overlay, or `lower` alone as a
    /// read-only bind when there is one.
    pub writable: Option<Bytes>,
    /// Keep the writable layer in memory (a private tmpfs) instead of in the folder.
    pub in_memory: bool,
    /// Mount with `volatile`: a throw-away layer that never needs `sync`.
    pub volatile: bool,
    /// The launcher makes a throw-away writable layer below this folder, which is its own: it keeps layers
    /// ready there, and deletes them, and in the end the folder. `writable` is `None` then.
    pub pool: Option<Bytes>,
}

/// Limits and accounting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPlan {
    /// The values to write, in order.
    pub writes: Vec<CgroupWrite>,
    /// The container has a memory limit: look for OOM kills when it ends.
    pub watch_oom: bool,
}

impl CgroupPlan {
    /// The v1 controllers that it has values for, each once.
    pub fn controllers(&self) -> impl Iterator<Item = &str> {
        let first = |at: usize, c: &str| self.writes[..at].iter().all(|w| w.controller != c);
        let all = self.writes.iter().map(|write| write.controller.as_str()).enumerate();
        all.filter(move |(at, c)| !c.is_empty() && first(*at, c)).map(|(_, c)| c)
    }
}

/// One value in a file of the container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupWrite {
    /// cgroup v1 controller (`memory`, `pids`, `cpu`…); empty on v2.
    pub controller: String,
    /// File name, e.g. `memory.max`.
    pub file: String,
    /// What is written.
    pub value: String,
    /// The caller's option, named in the error when the write fails; `None`: a default, whose failure is
    /// a warning.
    pub option: Option<String>,
}

/// One thing the container's first process does. Paths are inside the new root file system unless said
/// otherwise, and are resolved with `openat2(RESOLVE_IN_ROOT)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// A new file system.
    Mount(Mount),
    /// A bind of a host path.
    Bind(Bind),
    /// An entry of `mounts` of an OCI configuration.
    MountEntry(Box<MountEntry>),
    /// A further overlay (the `host` image's `/usr`).
    Overlay {
        /// Where.
        target: Bytes,
        /// What.
        overlay: Overlay,
    },
    /// The default `/dev`: a clone of the launcher's prepared tree with null, zero, full, random,
    /// urandom, tty, fd, stdin, stdout, stderr, ptmx, core, and empty `pts`, `shm`, `mqueue`.
    DefaultDev,
    /// A device node, bound from the host (rootless) or made.
    Device(Device),
    /// The same, but one that is there already must be it.
    Node(Device),
    /// A symbolic link, if nothing is there.
    Link {
        /// Where it leads.
        target: Bytes,
        /// Where it is.
        path: Bytes,
    },
    /// A small file on private tmpfs, bound at `path` (`/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`).
    File {
        /// Where; created in the root file system when missing.
        path: Bytes,
        /// The content.
        content: Bytes,
        /// Mode bits.
        mode: u32,
    },
    /// Paths hidden below `/dev/null` (files) or an empty read-only tmpfs (folders); missing ones are
    /// passed over.
    Mask(Vec<Bytes>),
    /// Paths made read-only, recursively; missing ones are passed over.
    ReadOnly(Vec<Bytes>),
    /// Leave the old root for the root file system.
    PivotRoot {
        /// Make the root mount read-only afterwards.
        readonly: bool,
        /// How.
        how: Leave,
        /// Propagation that the new root gets in the end: an `MS_*` flag with or without `MS_REC`; 0: private.
        propagation: u64,
    },
    /// Set the host name of the UTS namespace.
    Hostname(Bytes),
    /// Set the NIS domain name of the UTS namespace.
    Domainname(Bytes),
    /// Write a sysctl, dots as slashes, through a private procfs.
    Sysctl {
        /// `net.ipv4.ip_forward`.
        key: String,
        /// `1`.
        value: String,
    },
    /// Sysctls that nobody asked for: a kernel that does not have one, or does not let it be written, is
    /// fine.
    DefaultSysctls(Vec<(String, String)>),
    /// A folder of the root file system that stays writable when the root becomes read-only (an image's
    /// `VOLUME`); made when it is missing.
    Volume {
        /// Where.
        path: Bytes,
        /// Inside a mount of the caller's: what the image has there is kept at hand here, and attached by
        /// [`Step::AttachVolume`] with the same path.
        later: bool,
    },
    /// Attaches a volume that was kept at hand.
    AttachVolume(Bytes),
    /// Mount the v1 hierarchies in which the plan has values to write at `/sys/fs/cgroup`, each beginning at the
    /// container's own group. Comes after procfs and sysfs.
    OwnCgroups {
        /// `MOUNT_ATTR_*` flags.
        attr: u64,
    },
    /// Bring the loopback interface up.
    Loopback,
    /// Wait until one byte or end of file arrives on the descriptor `fd` of the start message (OCI
    /// `start`); end of file means: do not start. What comes after it is done with the identity of the
    /// command, right before it is executed; hooks alone may.
    Gate {
        /// Index in the start message's descriptors.
        fd: u32,
    },
    /// Run a program of the host (OCI hooks).
    Hook(Hook),
}

impl Step {
    /// The name that errors carry as `step`.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Mount(_) => "mount",
            Step::Bind(_) => "bind",
            Step::MountEntry(_) => "mount",
            Step::Overlay { .. } => "overlay",
            Step::DefaultDev => "dev",
            Step::Device(_) | Step::Node(_) => "device",
            Step::Link { .. } => "link",
            Step::File { .. } => "file",
            Step::Mask(_) => "mask",
            Step::ReadOnly(_) => "readonly",
            Step::PivotRoot { .. } => "pivot_root",
            Step::Hostname(_) => "hostname",
            Step::Domainname(_) => "domainname",
            Step::Sysctl { .. } | Step::DefaultSysctls(_) => "sysctl",
            Step::Volume { .. } | Step::AttachVolume(_) => "volume",
            Step::OwnCgroups { .. } => "cgroup",
            Step::Loopback => "loopback",
            Step::Gate { .. } => "gate",
            Step::Hook(_) => "hook",
        }
    }
}

/// A new file system instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mount {
    /// `proc`, `sysfs`, `tmpfs`, `mqueue`, `devpts`, `cgroup2`…
    pub fstype: String,
    /// Where; created when missing.
    pub target: Bytes,
    /// `MOUNT_ATTR_*` flags.
    pub attr: u64,
    /// File system options, `key` or `key=value`.
    pub options: Vec<(String, Option<String>)>,
    /// Copy what the root file system has at `target` into the new file system (tmpfs volumes).
    pub copy_up: bool,
}

/// A bind mount of something of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host, opened in the launcher's mount namespace.
    pub source: Bytes,
    /// Device and inode the library saw; a difference is an error.
    pub identity: Option<(u64, u64)>,
    /// Where; created when missing, as a folder or a file like the source.
    pub target: Bytes,
    /// `MOUNT_ATTR_*` flags.
    pub attr: u64,
    /// Bind mounts below the source too, and apply `attr` to them.
    pub recursive: bool,
    /// `MS_PRIVATE`, `MS_SLAVE` or `MS_SHARED`, with `MS_REC`; 0: private.
    pub propagation: u64,
    /// `MOUNT_ATTR_*` flags of the whole tree below even where `recursive` is off for `attr`.
    pub attr_recursive: u64,
}

/// A device node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Where in the container.
    pub path: Bytes,
    /// The node of the host to bind where `mknod` is not allowed.
    pub source: Bytes,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`, with mode bits.
    pub mode: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A program of the host run at a point of the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// How messages call it: its kind and its place in the list (`createRuntime hook #1`).
    pub name: String,
    /// Absolute path.
    pub path: Bytes,
    /// Arguments, the first being the program's name.
    pub args: Vec<Bytes>,
    /// Environment.
    pub env: Vec<Bytes>,
    /// It has the command's environment.
    pub inherits: bool,
    /// State document for its standard input, JSON with [`Hook::NO_PID`] where the process id of the container
    /// goes, which is known late.
    pub stdin: Bytes,
    /// Limit in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Run in the namespaces of the container (`createContainer`, `startContainer`); else whoever watches the
    /// start is asked to run it.
    pub in_container: bool,
}

impl Hook {
    /// Stands for the process id. No string of a JSON document can look like it.
    pub const NO_PID: &'static str = "\"pid\":0";

    /// The state document with a process id.
    pub fn stdin_for(&self, pid: i32) -> Vec<u8> {
        let mark = Hook::NO_PID.as_bytes();
        match self.stdin.0.windows(mark.len()).position(|w| w == mark) {
            None => self.stdin.0.clone(),
            Some(at) => {
                let (before, after) = (&self.stdin.0[..at], &self.stdin.0[at + mark.len()..]);
                [before, format!("\"pid\":{pid}").as_bytes(), after].concat()
            }
        }
    }
}

/// The command of a container and its identity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Program and arguments; the program is looked up in `PATH` of `env` when it has no slash.
    pub args: Vec<Bytes>,
    /// `KEY=value` entries. `HOME` is added from the passwd file when missing.
    pub env: Vec<Bytes>,
    /// Working directory, absolute; created when missing and `create_cwd`.
    pub cwd: Bytes,
    /// Create the working directory when it is missing (an image's `WORKDIR`).
    pub create_cwd: bool,
    /// `user`, `uid`, `user:group`, `uid:gid`; empty: root. Names are looked up in the container's files.
    pub user: String,
    /// Supplementary groups beside those of the group file: names or numbers.
    pub groups: Vec<String>,
    /// Capability sets, as bit masks.
    pub caps: CapSets,
    /// Set `no_new_privs`.
    pub no_new_privs: bool,
    /// Seccomp program: an array of `struct sock_filter` (8 bytes each, native order); empty: none.
    pub seccomp: Bytes,
    /// Resource limits: `RLIMIT_*` number, soft, hard.
    pub rlimits: Vec<(u32, u64, u64)>,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// File mode creation mask; default 0o022.
    pub umask: Option<u32>,
    /// A terminal: rows and columns.
    pub tty: Option<(u16, u16)>,
    /// Keep a small init as process 1 that reaps orphans and forwards signals.
    pub init: bool,
    /// What only OCI configurations ask for.
    pub extra: Option<Box<ProcessExtra>>,
}

/// Capability sets, bit n being capability n of `linux/capability.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapSets {
    /// Bounding set.
    pub bounding: u64,
    /// Effective set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set.
    pub inheritable: u64,
    /// Ambient set.
    pub ambient: u64,
}

/// Where the standard streams of the command go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// Straight to descriptors of the start message: stdin, stdout, stderr (indices; `None`: `/dev/null`).
    /// With a terminal, the master is sent back with `started`.
    Direct([Option<u32>; 3]),
    /// To the parent: written to the log, and to whoever is attached.
    Parent {
        /// Keep standard input open for those who attach; else it is `/dev/null`.
        stdin: bool,
        /// Close standard input for good when the first attached client's input ends.
        stdin_once: bool,
        /// Clients that attached before the start: descriptors of the start message (indices) for stdin,
        /// stdout and stderr, used as those of [`crate::control::Request::Attach`] are.
        attached: Vec<[Option<u32>; 3]>,
    },
}

/// What the parent keeps of a container and what it deletes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Keep {
    /// The log file ([`crate::log`] records), appended to; `None`: no log.
    pub log: Option<Bytes>,
    /// The log is rotated to `<log>.1` above this many bytes; 0: never.
    pub log_max: u64,
    /// The exit record ([`crate::control::ExitRecord`] as JSON), written and renamed into place.
    pub exit_record: Option<Bytes>,
    /// Paths deleted, recursively, when the container has ended and its owner's connection is closed: its
    /// writable layer, log, records. Missing ones are passed over. A monitor deletes them at the end.
    pub delete: Vec<Bytes>,
    /// Restart policy, followed by a monitor.
    pub restart: Restart,
    /// Health check, followed by a monitor.
    pub health: Option<Health>,
}

/// When a monitor starts the command again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// After a failure, at most so many times; `None`: without end.
    OnFailure(Option<u32>),
    /// After every end that nobody asked for.
    Always,
    /// As `Always`; a stopped one stays stopped when the root is opened again.
    UnlessStopped,
}

/// A health check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// Program and arguments.
    pub args: Vec<Bytes>,
    /// Milliseconds between checks.
    pub interval_ms: u64,
    /// Milliseconds a check may take.
    pub timeout_ms: u64,
    /// Milliseconds after the start in which failures do not count.
    pub start_period_ms: u64,
    /// Failures in a row until unhealthy.
    pub retries: u32,
}
