//! cgroups of a configuration.

use crate::Result;
use oci_spec::runtime::{LinuxResources, Spec};
use serde::{Deserialize, Serialize};

/// Who makes the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Driver {
    /// The file system.
    Cgroupfs,
    /// systemd, over D-Bus.
    Systemd,
}

/// The cgroup of one container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cgroup {}

impl Cgroup {
    /// Makes it, with the limits of the configuration.
    pub(crate) fn create(_spec: &Spec, _id: &str, _driver: Driver, _rootless: bool) -> Result<Cgroup> {
        Ok(Cgroup {})
    }

    /// Moves a process into it.
    pub(crate) fn enter(&self, _pid: i32) -> Result<()> {
        Ok(())
    }

    /// Changes limits.
    pub(crate) fn apply(&self, _resources: &LinuxResources) -> Result<()> {
        Ok(())
    }

    /// Stops all processes.
    pub(crate) fn freeze(&self) -> Result<()> {
        Ok(())
    }

    /// Lets all processes go on.
    pub(crate) fn thaw(&self) -> Result<()> {
        Ok(())
    }

    /// Whether its processes are stopped.
    pub(crate) fn frozen(&self) -> Result<bool> {
        Ok(false)
    }

    /// Sends a signal to every process.
    pub(crate) fn kill(&self, _signal: i32) -> Result<()> {
        Ok(())
    }

    /// All processes in it and below.
    pub(crate) fn pids(&self) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }

    /// Usage, in the shape of `data` of `runc events --stats`.
    pub(crate) fn stats(&self) -> Result<serde_json::Value> {
        Ok(serde_json::json!({}))
    }

    /// Removes it; nothing may be in it any more. One that is gone is fine.
    pub(crate) fn delete(&self) -> Result<()> {
        Ok(())
    }
}
