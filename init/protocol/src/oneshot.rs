//! `containers-oci` to what becomes a container's process.
//!
//! The first process of a container for which nothing has to be prepared outside of its namespaces is made in the runtime's own
//! memory: [`First`]. For all others there is a helper from the same build: the program itself, executed again. It becomes
//! the process, or makes it and ends. The helper is executed with the argument [`ARGUMENT`], the number of its end of the
//! socket pair, and an empty environment. It gets one [`Request`]. A process that it makes is its sibling, a child of
//! whoever started it, and reports on the same socket.

use crate::Bytes;
use crate::control::Failure;
use crate::meanwhile::Meanwhile;
use crate::plan::{Plan, ProcessPlan};
use crate::turns::Turns;
use rustix::fd::{OwnedFd, RawFd};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// The argument that makes the helper a one-shot one.
pub const ARGUMENT: &std::ffi::CStr = c"oneshot";

/// What a one-shot helper is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first process of a container. Descriptors: those that the plan counts, then `preserved` further ones.
    Create(Box<Create>),
    /// A further process in a container. Descriptors: a pidfd of its first process, the standard streams, then
    /// `preserved` further ones.
    Join(Box<Join>),
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
    /// Files of cgroups to enter through: the helper does, before it makes the process, or the process itself.
    pub entrances: Vec<Bytes>,
    /// The cgroup on v2 that the process is born into.
    pub unified: Option<Bytes>,
    /// The caller is root of a user namespace: it may make no device nodes.
    pub mapped: bool,
}

/// The first process of a container, in the memory of the runtime that makes it.
#[derive(Debug)]
pub struct First {
    /// What it does and becomes.
    pub create: Create,
    /// Descriptors that the plan counts.
    pub fds: Vec<OwnedFd>,
    /// Where its network namespace comes from, if it is born without one of its own.
    pub meanwhile: Option<Meanwhile>,
    /// Its end of a socket for reports that carry descriptors or wait for an answer, if there may be such.
    pub socket: Option<OwnedFd>,
    /// The gate is open: the process goes through without a word.
    pub open: bool,
    /// Ends when the runtime does: an empty pipe to read from, which never waits.
    pub maker: OwnedFd,
    /// Descriptors by which others see that the runtime is there: it closes its copies first of all.
    pub not_its: Vec<RawFd>,
    /// Whether it or the runtime runs.
    pub turns: &'static Turns,
    /// What it has to say, for the runtime to read when that runs.
    pub said: RefCell<Said>,
}

/// What a process says in memory.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// It failed.
    pub failure: Option<Failure>,
    /// The command is executed next: when the process is [gone](Turns::is_gone) from the memory, it runs.
    pub executing: bool,
}

/// What such a process does; whether it was born in `create.unified`, to which it has to move if not. It does not come back but on
/// a failure that it has said.
pub type Become = fn(&'static First, bool);

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
