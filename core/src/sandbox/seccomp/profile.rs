//! What a profile says, free of its notation.

use super::ProfileError;
use super::syscalls::{Arch, is_known};

/// A system call profile, as docker and OCI write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// What happens to a call that no rule names.
    pub(crate) default: Action,
    /// Further kinds of calls that may be made, beside the machine's own.
    pub(crate) machines: Vec<Arch>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub(crate) flags: u32,
    /// What becomes of a rule about a call that this version does not know.
    pub(crate) unknown: Unknown,
    /// Rules, in the order of the file. Which one decides is told at [`super::select`].
    pub(crate) rules: Vec<Rule>,
}

/// What becomes of a name that is no call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is an error if the call would be refused: leaving that out is not safe.
    #[default]
    Refuse,
    /// It is passed over, as OCI runtimes do.
    PassOver,
}

impl Profile {
    /// A profile without rules.
    pub(crate) fn new(default: Action) -> Profile {
        let (machines, rules) = (Vec::new(), Vec::new());
        Profile { default, machines, flags: 0, unknown: Unknown::default(), rules }
    }

    /// Where rules name calls that this version does not know, and the names.
    pub(crate) fn unknown_names(&self) -> impl Iterator<Item = (String, &str)> {
        self.rules.iter().flat_map(|rule| {
            let unknown = rule.names.iter().enumerate().filter(|(_, name)| !is_known(name));
            unknown.map(|(i, name)| (format!("{}.names[{i}]", rule.path), name.as_str()))
        })
    }

    /// Whether some calls are decided by another process.
    pub(crate) fn notifies(&self) -> bool {
        self.default == Action::Notify || self.rules.iter().any(|rule| rule.action == Action::Notify)
    }
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
pub(crate) struct Rule {
    /// Where it stands: `syscalls[n]`.
    pub(crate) path: String,
    /// The calls it is about.
    pub(crate) names: Vec<String>,
    /// What happens to them.
    pub(crate) action: Action,
    /// Conditions on arguments. On different arguments all must hold; several on one argument are
    /// alternatives, each alone, as runc and crun have it.
    pub(crate) args: Vec<Condition>,
    /// The rule counts only where all of this holds.
    pub(crate) includes: Scope,
    /// The rule does not count where any of this holds.
    pub(crate) excludes: Scope,
}

/// Where a rule counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Capabilities, bit n being capability n.
    pub(super) caps: u64,
    /// Go's names of machines: `amd64`, `arm64`.
    pub(super) arches: Vec<String>,
    /// A kernel at least this new.
    pub(super) min_kernel: Option<(u32, u32)>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The process dies of `SIGSYS`.
    KillProcess,
    /// The thread dies.
    KillThread,
    /// The thread gets a `SIGSYS` it may handle.
    Trap,
    /// The call fails with this number; 0: it succeeds without having been made.
    Errno(u16),
    /// Another process decides, which reads of the call from the filter's descriptor.
    Notify,
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
            Action::Notify => 0x7fc0_0000,
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
pub(crate) struct Condition {
    /// Which argument, from 0 to 5.
    pub(crate) index: u8,
    /// What must be true of it.
    pub(crate) test: Test,
}

/// A comparison with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
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
