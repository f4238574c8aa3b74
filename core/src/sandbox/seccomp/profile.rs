//! What a profile says, free of its notation.

use super::ProfileError;

/// A system call profile, as docker and OCI write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// What happens to a call that no rule names.
    pub(super) default: Action,
    /// Rules, in the order of the file. Which one decides is told at [`super::select`].
    pub(super) rules: Vec<Rule>,
}

impl Profile {
    /// Reads docker's `seccomp.json` or the `linux.seccomp` object of an OCI configuration.
    pub(crate) fn parse(json: &str) -> Result<Profile, ProfileError> {
        let value = serde_json::from_str(json)
            .map_err(|e| ProfileError::invalid("", format!("it is not valid JSON: {e}")))?;
        super::parse::profile(&value)
    }
}

/// One entry of `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Where it stands: `syscalls[n]`.
    pub(super) path: String,
    /// The calls it is about.
    pub(super) names: Vec<String>,
    /// What happens to them.
    pub(super) action: Action,
    /// Conditions on arguments. On different arguments all must hold; several on one argument are
    /// alternatives, each alone, as runc and crun have it.
    pub(super) args: Vec<Condition>,
    /// The rule counts only where all of this holds.
    pub(super) includes: Scope,
    /// The rule does not count where any of this holds.
    pub(super) excludes: Scope,
}

/// Where a rule counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Capabilities, bit n being capability n.
    pub(super) caps: u64,
    /// Go's names of machines: `amd64`, `arm64`.
    pub(super) arches: Vec<String>,
    /// A kernel at least this new.
    pub(super) min_kernel: Option<(u32, u32)>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The process dies of `SIGSYS`.
    KillProcess,
    /// The thread dies.
    KillThread,
    /// The thread gets a `SIGSYS` it may handle.
    Trap,
    /// The call fails with this number; 0: it succeeds without having been made.
    Errno(u16),
    /// A tracer decides and is told this number; without a tracer the call fails with `ENOSYS`.
    Trace(u16),
    /// The call is made and noted in the audit log.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// The return value of a filter.
    pub(super) fn code(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Trace(message) => 0x7ff0_0000 | u32::from(message),
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// The kernel's order of precedence: the smaller, the stricter.
    pub(super) fn strictness(self) -> i32 {
        (self.code() & 0xffff_0000) as i32
    }

    /// Whether the call is never made.
    pub(super) fn refuses(self) -> bool {
        !matches!(self, Action::Allow | Action::Log | Action::Trace(_))
    }
}

/// A condition on one argument of a call. Arguments are compared as unsigned 64-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    /// Which argument, from 0 to 5.
    pub(super) index: u8,
    /// What must be true of it.
    pub(super) test: Test,
}

/// A comparison with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    /// It is not this.
    Ne(u64),
    /// It is below.
    Lt(u64),
    /// It is below or the same.
    Le(u64),
    /// It is this.
    Eq(u64),
    /// It is above or the same.
    Ge(u64),
    /// It is above.
    Gt(u64),
    /// The bits under the mask are those of the value.
    Masked {
        /// Which bits.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

/// Capabilities by number.
pub(super) const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
