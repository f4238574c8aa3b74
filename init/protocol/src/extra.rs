//! What only configurations of the OCI runtime specification ask of a start. A plan of the library has none
//! of it.

use crate::Bytes;
use crate::plan::IdMaps;
use serde::{Deserialize, Serialize};

/// Surroundings of a container beyond those of every container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Extra {
    /// Namespaces that are joined: `CLONE_NEW*` flag, path on the host.
    pub join: Vec<(u64, Bytes)>,
    /// Lines for `/proc/PID/timens_offsets` of a new time namespace.
    pub time_offsets: Bytes,
    /// Propagation of `/` of the new mount namespace before anything is mounted: an `MS_*` flag with `MS_REC`;
    /// 0: recursive slave.
    pub propagation: u64,
    /// Network devices of the host that go into the network namespace: name, name inside.
    pub net_devices: Vec<(String, String)>,
    /// The v1 hierarchies that a mount of cgroups shows, and where the process is in them. Empty: the helper looks.
    pub hierarchies: Vec<Hierarchy>,
}

/// A hierarchy of cgroups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Where the machine has it.
    pub point: Bytes,
    /// Its controllers, or its name (`name=…`), on v1; empty: it is the unified one, and there is no other.
    pub controllers: Vec<String>,
    /// Where below that mount the process is: begins with a slash, or is empty.
    pub path: Bytes,
}

/// An entry of `mounts`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MountEntry {
    /// What is mounted.
    pub what: MountWhat,
    /// Where; created when missing.
    pub target: Bytes,
    /// `MOUNT_ATTR_*` flags to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` flags to clear.
    pub clear: u64,
    /// Further ones to clear, where the kernel lets us: those of a bind's source that its options don't name.
    pub unasked: u64,
    /// The same for the whole tree, afterwards.
    pub set_recursive: u64,
    /// The same for the whole tree, afterwards.
    pub clear_recursive: u64,
    /// `MS_*` propagation flags with or without `MS_REC`, in order.
    pub propagation: Vec<u64>,
    /// Shown through an id map.
    pub idmap: Option<IdMapping>,
    /// Copy what the root file system has at `target` into the new file system.
    pub copy_up: bool,
}

/// What an entry of `mounts` mounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum MountWhat {
    /// A new file system.
    New {
        /// Its type.
        fstype: String,
        /// Its source, as `/proc/mounts` shows it.
        source: Bytes,
        /// Its options, `key` or `key=value`.
        options: Vec<(String, Option<String>)>,
    },
    /// Something of the host.
    Bind {
        /// Absolute path, opened in the runtime's mount namespace.
        source: Bytes,
        /// With the mounts below it.
        recursive: bool,
    },
    /// The container's part of the cgroup hierarchies: cgroup2, or a folder with each v1 hierarchy.
    Cgroup,
    /// Nothing: the flags are those of the mount that is already there.
    Remount,
}

/// An id-mapped mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdMapping {
    /// The map; `None`: that of the container's user namespace.
    pub maps: Option<IdMaps>,
    /// The mounts below it too.
    pub recursive: bool,
}

/// How the old root is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leave {
    /// `pivot_root`.
    #[default]
    Pivot,
    /// `MS_MOVE` over the old root, and `chroot`: for initial ram disks.
    Move,
    /// `chroot` alone: there is no mount namespace of its own.
    Chroot,
}

/// What a command gets beyond identity and limits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessExtra {
    /// AppArmor profile to change to on exec.
    pub apparmor: Option<String>,
    /// SELinux label of the command.
    pub selinux: Option<String>,
    /// Scheduling policy.
    pub scheduler: Option<Scheduler>,
    /// Value for `ioprio_set`: class and priority.
    pub io_priority: Option<u32>,
    /// Execution domain.
    pub personality: Option<u32>,
    /// Memory policy: mode with its flags, mask of nodes.
    pub memory_policy: Option<(u32, Vec<u64>)>,
    /// CPUs before the container's cgroup is entered, as a mask (`exec` only).
    pub initial_cpus: Option<Vec<u64>>,
    /// CPUs of the command, as a mask (`exec` only).
    pub final_cpus: Option<Vec<u64>>,
    /// Stay in the caller's session keyring.
    pub keep_keyring: bool,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub seccomp_flags: u32,
    /// Ask for a descriptor that answers the filter's notifications, and report it.
    pub seccomp_notify: bool,
}

/// The arguments of `sched_setattr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Deadline policy, in nanoseconds: runtime.
    pub runtime: u64,
    /// Deadline policy, in nanoseconds: deadline.
    pub deadline: u64,
    /// Deadline policy, in nanoseconds: period.
    pub period: u64,
}
