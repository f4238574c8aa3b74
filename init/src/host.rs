//! What a parent knows about itself and the machine.

use crate::place::{Base, Place};
use containers_protocol::launch::{Apart, CgroupBase};
use std::cell::OnceCell;

/// Set up once by the launcher; a monitor inherits it.
pub struct Host {
    /// Inside a user namespace of our own.
    pub rootless: bool,
    /// What ids show as that the user namespace does not have.
    pub overflow_uid: u32,
    /// Where the launcher makes cgroups.
    pub cgroups: CgroupBase,
    /// Where a monitor does that was to have a place of its own.
    pub own_cgroups: OnceCell<Apart>,
    /// Beginning of the names of cgroups that are made ahead.
    pub cgroup_prefix: String,
    /// The launcher's corner in its own mount namespace.
    pub place: Place,
    /// The small mount namespace, where there can be one.
    pub base: Option<Base>,
    /// Capabilities we have: permitted, bounding.
    pub caps: (u64, u64),
    /// The limit of open files we were started with, if we have raised it.
    pub nofile: Option<(u64, u64)>,
}

impl Host {
    /// Where this process makes cgroups.
    pub fn cgroups(&self) -> &CgroupBase {
        self.own_cgroups.get().map_or(&self.cgroups, |own| &own.base)
    }

    /// Why that is no place of its own.
    pub fn cgroup_warning(&self) -> Option<String> {
        self.own_cgroups.get()?.warning.clone()
    }
}
