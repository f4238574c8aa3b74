//! This program, where a container can't reach it: it does what a container's process does before its command.
//!
//! A command that is `/proc/self/exe`, or a process that looks into one that enters, gets at the file that is executed
//! (CVE-2019-5736). So it is executed from a read-only mount of its own that is attached nowhere: with its descriptor
//! closed, as it is before it does anything, the mount belongs to no mount namespace, so nobody can make it writable, copy or
//! move it. Nothing is copied, and processes that wait for their start share the pages of the program. A program that is
//! about to make a container may begin with that (see `start` of `containers-oci`), and makes the process in its own
//! memory; else it executes a helper.

use crate::sandbox::helper;
use crate::{Error, Result};
use containers_protocol::oneshot::ARGUMENT;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, open, statvfs};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::ffi::CStr;
use std::fs::File;
use std::path::Path;

/// The name by which it is executed.
pub(crate) const NAME: &CStr = c"containers-init";

const EXE: &str = "/proc/self/exe";

/// Whether this program was started as the helper of another one of the same build: then nothing else may be done than to
/// become it.
pub fn is_helper() -> bool {
    let mut args = std::env::args_os();
    args.next().is_some_and(|name| name.as_encoded_bytes() == NAME.to_bytes())
        && args.next().is_some_and(|what| what.as_encoded_bytes() == ARGUMENT.to_bytes())
}

/// Whether this program itself was executed from such a mount: its root is the program, no path leads there, and it is
/// read-only.
pub(crate) fn is_out_of_reach() -> bool {
    let read_only = || statvfs(EXE).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    std::fs::read_link(EXE).is_ok_and(|path| path == Path::new("/")) && read_only()
}

/// This program, to be executed. Where mounts can't be made, a copy of it.
pub(crate) fn executable(private: &Path) -> Result<OwnedFd> {
    if is_out_of_reach() {
        let opened = open(EXE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        return opened.map_err(|e| Error::io("this program can't be opened", e.into()));
    }
    if let Ok(mounted) = mounted() {
        return Ok(mounted);
    }
    let failed = |e| Error::io("this program can't be read to be the helper program too", e);
    let file = File::open(EXE).map_err(failed)?;
    helper::sealed_copy(private, |copy| std::io::copy(&mut &file, copy).map(drop))
}

/// This program, to be executed from where nobody can change it.
fn mounted() -> std::io::Result<OwnedFd> {
    let how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, EXE, how)?;
    crate::sys::make_read_only(mount.as_fd())?;
    Ok(mount)
}
