//! The system calls that no safe crate wraps; the only place of the helper with `unsafe`.

pub mod mount;
pub mod process;
pub mod sched;
pub mod security;
pub mod tty;

use rustix::io::Errno;

/// The result of a raw system call made through libc.
fn check(ret: libc::c_long) -> Result<libc::c_long, Errno> {
    if ret < 0 { Err(last_errno()) } else { Ok(ret) }
}

/// The calling thread's errno.
fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
