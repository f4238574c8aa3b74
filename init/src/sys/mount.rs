//! Mount calls beyond rustix.

use super::check;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use std::ffi::CStr;

/// `MOUNT_ATTR_RDONLY`.
pub const ATTR_RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// `MOUNT_ATTR_NOSUID`.
pub const ATTR_NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// `MOUNT_ATTR_NODEV`.
pub const ATTR_NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// `MOUNT_ATTR_NOEXEC`.
pub const ATTR_NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// `AT_RECURSIVE` for [`setattr`].
pub const RECURSIVE: u32 = libc::AT_RECURSIVE as u32;

/// `mount_setattr(2)` on the mount of a descriptor, or of `path` below it.
pub fn setattr(
    fd: impl AsFd,
    path: &CStr,
    flags: u32,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Errno> {
    let attr = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = flags | if path.is_empty() { libc::AT_EMPTY_PATH as u32 } else { 0 };
    // SAFETY: the path is NUL-terminated, `attr` is a `struct mount_attr` of the size that is passed, and
    // both outlive the call, which only reads them.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            &attr as *const libc::mount_attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(ret).map(drop)
}

/// Gives the mount of a descriptor the id map of a user namespace.
pub fn idmap(fd: impl AsFd, userns: impl AsFd, recursive: bool) -> Result<(), Errno> {
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: userns.as_fd().as_raw_fd() as u64,
    };
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { RECURSIVE } else { 0 };
    // SAFETY: as in `setattr`; the empty path is a literal.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &attr as *const libc::mount_attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(ret).map(drop)
}

/// `mount(2)` with `MS_BIND`: one call where the descriptor-based way takes three. Both paths must be free
/// of links that someone else controls.
pub fn bind(source: &CStr, target: &CStr, recursive: bool) -> Result<(), Errno> {
    let flags = libc::MS_BIND | if recursive { libc::MS_REC } else { 0 };
    // SAFETY: both strings are NUL-terminated; a bind ignores type and data, which may be NULL.
    let ret =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(ret.into()).map(drop)
}
