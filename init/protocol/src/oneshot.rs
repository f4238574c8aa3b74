//! `containers-oci` to a helper from the same build: the program itself, executed again. It becomes the process, or
//! makes it and ends.
//!
//! The helper is executed with the argument [`ARGUMENT`], the number of its end of the socket pair, and an empty
//! environment. It gets one [`Request`], and after a [`Request::Bear`] the process gets another. A process that it makes is
//! its sibling, a child of whoever started it, and reports on the same socket.

use crate::Bytes;
use crate::control::Failure;
use crate::plan::{Plan, ProcessPlan};
use serde::{Deserialize, Serialize};

/// The argument that makes the helper a one-shot one.
pub const ARGUMENT: &std::ffi::CStr = c"oneshot";

/// What a one-shot helper is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// A process in new namespaces that waits there for its own request, a [`Request::Create`].
    Bear(Birth),
    /// The first process of a container. Descriptors: those that the plan counts, then `preserved` further ones.
    Create(Box<Create>),
    /// A further process in a container. Descriptors: a pidfd of its first process, the standard streams, then
    /// `preserved` further ones.
    Join(Box<Join>),
}

/// Where a process is born.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Birth {
    /// `CLONE_NEW*` flags.
    pub namespaces: u64,
    /// Its cgroup on v2.
    pub unified: Option<Bytes>,
}

/// The first process of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Create {
    /// What it does and becomes.
    pub plan: Plan,
    /// A folder that the caller owns: in the container's mount namespace, until the root is entered, the
    /// helper's own things lie there.
    pub corner: Bytes,
    /// How many descriptors the command gets from 3 on.
    pub preserved: u32,
    /// For a process that was born already: nothing had to be prepared outside of its namespaces.
    pub born: bool,
    /// Files of cgroups to enter through: the helper does, before it makes the process, or the process that was born.
    pub entrances: Vec<Bytes>,
    /// The cgroup on v2 that the helper lets the process be born into.
    pub unified: Option<Bytes>,
    /// The caller is root of a user namespace: it may make no device nodes.
    pub mapped: bool,
}

/// A further process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Join {
    /// `CLONE_NEW*` flags of the namespaces to enter.
    pub namespaces: u64,
    /// What it becomes.
    pub process: ProcessPlan,
    /// How many descriptors the command gets from 3 on.
    pub preserved: u32,
    /// Files of cgroups to enter through.
    pub entrances: Vec<Bytes>,
}

/// A message from a process that starts, to whoever watches it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// The process is in its user namespace and waits for the id maps. Answer: empty.
    NeedMaps,
    /// The master of its terminal comes along.
    Master,
    /// A hook of the runtime's namespaces is due: a step of the plan. Answer: empty, or a [`Failure`].
    Hook {
        /// Index of the step.
        step: u32,
    },
    /// It attaches a filter next, and the descriptor that answers the filter's notifications gets this number. It
    /// waits for an answer, empty, before it goes on: who has taken the descriptor by then can answer for any call.
    Listener {
        /// The descriptor's number, in the process.
        fd: i32,
    },
    /// A mount is to show the ids that a user namespace maps; it and the namespace come along. Only who may do that for its
    /// file system can, outside of the container's user namespace. Answer: empty, or a [`Failure`].
    MapMount {
        /// The mounts below as well.
        recursive: bool,
    },
    /// It waits at the gate: all that remains is the last steps and the command.
    Ready,
    /// The command is executed next: the closing of the socket means that it runs.
    Executing,
    /// The process was made; its pidfd comes along.
    Joined {
        /// Process id as the maker counts.
        pid: i32,
    },
    /// It failed.
    Failed(Failure),
}
