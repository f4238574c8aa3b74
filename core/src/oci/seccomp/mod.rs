//! Seccomp filters of a configuration.

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::LinuxSeccomp;

/// A compiled filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// An array of `struct sock_filter`.
    pub(crate) program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub(crate) flags: u32,
    /// Some calls are answered by a process behind `listenerPath`.
    pub(crate) notify: bool,
}

/// Compiles a filter.
pub(crate) fn compile(_seccomp: &LinuxSeccomp) -> Result<Compiled> {
    Err(Error::new(ErrorKind::Unsupported, "seccomp filters of a configuration can't be compiled yet"))
}
