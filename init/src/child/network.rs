//! A network namespace that somebody makes while the container's first process does what needs none.

use crate::failure::Context;
use crate::sys::process;
use containers_protocol::control::Failure;
use containers_protocol::extra::MountWhat;
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::plan::Step;
use std::cell::Cell;

/// What a process that was born without its network namespace still has to enter.
#[derive(Default)]
pub struct Later<'a> {
    outside: Cell<Option<&'a Meanwhile>>,
    entered: Cell<Option<&'a Meanwhile>>,
}

impl<'a> Later<'a> {
    /// `None`: the process is in its network namespace.
    pub fn new(meanwhile: Option<&'a Meanwhile>) -> Later<'a> {
        Later { outside: Cell::new(meanwhile), entered: Cell::new(None) }
    }

    /// Whether it entered one whose loopback interface is up.
    pub fn is_up(&self) -> bool {
        self.entered.get().is_some_and(Meanwhile::is_up)
    }

    /// Enters it, or one of its own.
    pub fn enter(&self) -> Result<(), Failure> {
        let Some(meanwhile) = self.outside.take() else { return Ok(()) };
        if meanwhile.enter() {
            self.entered.set(Some(meanwhile));
            return Ok(());
        }
        // The kernel says why, if nobody can make one.
        process::unshare(libc::CLONE_NEWNET as u64).during("clone")
    }
}

/// Whether a step has nothing to do with the network namespace. Besides sysfs, what is not the kernel's own may ask for it.
pub fn is_apart(step: &Step) -> bool {
    const APART: [&str; 5] = ["proc", "tmpfs", "devpts", "mqueue", "ramfs"];
    match step {
        Step::MountEntry(entry) => match &entry.what {
            MountWhat::New { fstype, .. } => APART.contains(&fstype.as_str()),
            MountWhat::Cgroup | MountWhat::Remount => true,
            // Its source may be this process's network, below /proc.
            MountWhat::Bind { .. } => false,
        },
        Step::Node(_) | Step::Link { .. } | Step::Hostname(_) | Step::Domainname(_) => true,
        _ => false,
    }
}
