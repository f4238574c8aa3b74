//! From a configuration to a plan.

use crate::{Error, ErrorKind, Result};
use containers_protocol::plan::{Plan, ProcessPlan};
use oci_spec::runtime::{Process, Spec};
use std::path::{Path, PathBuf};

/// What a plan depends on besides the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    /// The container's id.
    pub(crate) id: &'a str,
    /// Its bundle, absolute.
    pub(crate) bundle: &'a Path,
    /// Its root file system, absolute.
    pub(crate) rootfs: PathBuf,
    /// Leave the old root with `MS_MOVE` and `chroot` instead of `pivot_root`.
    pub(crate) no_pivot: bool,
    /// Keep the caller's session keyring.
    pub(crate) no_new_keyring: bool,
    /// The caller is not root, or root of a user namespace.
    pub(crate) rootless: bool,
    /// Index of the descriptor that the gate waits on, among those of the start message.
    pub(crate) gate: u32,
    /// Rows and columns of the terminal, if there is one.
    pub(crate) tty: Option<(u16, u16)>,
    /// State document for hooks in the container, with `"pid":0` where the process id goes.
    pub(crate) hook_state: &'a [u8],
}

/// The plan of a container. Its steps end with `Gate` and the `startContainer` hooks; those of `prestart` and
/// `createRuntime` are `Hook` steps that are not `in_container`, and carried out by the runtime; `poststart`
/// and `poststop` have no steps. Its standard streams are the first three descriptors of the start message.
pub(crate) fn plan(_spec: &Spec, _setting: &Setting<'_>) -> Result<Plan> {
    Err(Error::new(ErrorKind::Unsupported, "configurations can't be translated yet"))
}

/// The plan of a further process in a container.
pub(crate) fn process(_process: &Process, _spec: &Spec, _setting: &Setting<'_>) -> Result<ProcessPlan> {
    Err(Error::new(ErrorKind::Unsupported, "processes can't be translated yet"))
}
