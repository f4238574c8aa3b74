//! When the first process is made in this process's memory.

use super::{CreateOptions, Making};
use crate::oci::Engine;
use crate::oci::cgroup::{Cgroup, Driver, Machine};
use crate::oci::program::is_out_of_reach;
use crate::{Error, Result};
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::plan::{Plan, Step};
use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Spec};

/// What a start takes of a container's memory is a fraction of this.
const ENOUGH: u64 = 16 << 20;

impl Engine {
    /// Has made what takes long of a container that seems to [share](Making::may_share) this process's memory.
    pub(super) fn meanwhile(
        &self,
        spec: &Spec,
        machine: &Machine,
        options: &CreateOptions,
    ) -> Option<Meanwhile> {
        use LinuxNamespaceType::{Network, Time, User};
        let namespaces = spec.linux().as_ref()?.namespaces().as_deref().unwrap_or_default();
        let has = |kind| namespaces.iter().find(|space| space.typ() == kind);
        let own = has(Network).is_some_and(|space| space.path().is_none());
        let shares = self.first.is_some() && self.is_alone(options) && has(User).or(has(Time)).is_none();
        let begin = || Meanwhile::begin(Cgroup::program(spec, (self.driver(), machine)));
        if own && shares { begin() } else { None }
    }

    /// Whether neither a user namespace nor systemd is in between, nor the caller has descriptors there.
    fn is_alone(&self, options: &CreateOptions) -> bool {
        let plain = self.driver() == Driver::Cgroupfs && !self.rootless() && !self.mapped();
        plain && options.preserve_fds == 0
    }
}

impl Making<'_> {
    /// Whether the process can be made in this process's memory: nothing has to be prepared outside of its namespaces, nor to
    /// be joined before, it has nothing to be told while a filter stops it, and what happens to it doesn't
    /// matter to us: who is killed for want of memory takes along all that share his.
    pub(super) fn may_share(&self, plan: &Plan) -> bool {
        const PREPARED: u64 = (libc::CLONE_NEWUSER | libc::CLONE_NEWTIME) as u64;
        // A program of the container's could look into a process that is still a part of this one.
        let foreign = |step: &Step| match step {
            Step::MountEntry(entry) => entry.idmap.is_some(),
            Step::Hook(hook) => hook.in_container,
            _ => false,
        };
        let apart = plan.extra.iter().any(|e| !e.join.is_empty() || !e.net_devices.is_empty());
        let alone = plan.namespaces & PREPARED == 0 && !apart && !plan.steps.iter().any(foreign);
        let linux = self.spec.linux().as_ref();
        let listened = plan.process.extra.as_ref().is_some_and(|extra| extra.seccomp_notify);
        let quiet = !linux.is_some_and(|l| l.intel_rdt().is_some()) && !listened;
        let quiet = quiet && linux.and_then(|l| l.resources().as_ref()).is_none_or(leaves_room);
        alone && quiet && self.engine.is_alone(self.options) && is_out_of_reach()
    }

    /// Opens the gate of a `run` before its process is there, if nobody has to know of that before the command runs.
    pub(super) fn opens_ahead(&mut self) -> Result<bool> {
        let told = self.options.pid_file.is_some() || self.options.pidfd_socket.is_some();
        if told || self.spec.hooks().is_some() || self.record.cgroup.is_unfinished() {
            return Ok(false);
        }
        let Some(opener) = self.opener.take() else { return Ok(false) };
        rustix::io::write(&opener, b"0").map_err(|e| Error::io("can't start the process", e.into()))?;
        Ok(true)
    }
}

/// Whether the limits of a container leave room for a start.
fn leaves_room(resources: &LinuxResources) -> bool {
    let limit = resources.memory().as_ref().and_then(|memory| memory.limit());
    let unified = |name: &str| resources.unified().as_ref()?.get(name)?.trim().parse().ok();
    // Of the two ways to set one, only this has a word for none that is a number.
    let limit = limit.and_then(|l| u64::try_from(l).ok()).filter(|limit| *limit > 0);
    let limits = [limit, unified("memory.max"), unified("memory.high")];
    limits.into_iter().flatten().all(|limit| limit >= ENOUGH)
}

/// Whether those of the cgroups above it do.
pub(super) fn has_room(cgroup: &Cgroup, machine: &Machine) -> bool {
    cgroup.memory_above(machine).into_iter().all(|limit| limit >= ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::leaves_room;
    use serde_json::json;

    #[test]
    fn a_start_needs_room() {
        let cases = [
            (json!({}), true),
            (json!({"memory": {"limit": 16 << 20}}), true),
            (json!({"memory": {"limit": (16 << 20) - 1}}), false),
            // Neither is a limit.
            (json!({"memory": {"limit": -1}}), true),
            (json!({"memory": {"limit": 0}}), true),
            (json!({"unified": {"memory.max": "max"}}), true),
            (json!({"unified": {"memory.max": "0"}}), false),
            (json!({"unified": {"memory.high": "4096"}}), false),
        ];
        for (resources, room) in cases {
            let parsed = serde_json::from_value(resources.clone()).expect("resources");
            assert_eq!(leaves_room(&parsed), room, "{resources}");
        }
    }
}
