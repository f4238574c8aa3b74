//! Raw system calls; the only module with `unsafe`.

pub(crate) mod born;
pub(crate) mod bpf;
#[cfg(feature = "engine")]
pub(crate) mod poll;
pub(crate) mod spawn;

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A reference to a value that was leaked on purpose and is never freed; `None` for null.
pub(crate) fn leaked<T: 'static>(ptr: *mut T) -> Option<&'static T> {
    // SAFETY: callers store only pointers from `Box::into_raw` that are published once and never freed,
    // so a non-null pointer is valid for the rest of the process, and the value is only shared from then on.
    unsafe { ptr.as_ref() }
}

/// Frees a box that was turned into a pointer and never shared.
pub(crate) fn free_unshared<T>(ptr: *mut T) {
    // SAFETY: the caller made `ptr` with `Box::into_raw` and has given it to nobody.
    drop(unsafe { Box::from_raw(ptr) });
}

/// A close-on-exec duplicate of a descriptor.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow lasts for this call only; a descriptor that is not open makes it fail with EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fd.try_clone_to_owned()
}

/// [`std::fs::canonicalize`] without memory of the C library's own: a short program may never need that otherwise.
pub(crate) fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    let mut real = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the path ends with NUL, and the buffer has the size that realpath(3) wants and lives over the call.
    let found = unsafe { libc::realpath(text.as_ptr(), real.as_mut_ptr().cast()) };
    if found.is_null() {
        return Err(io::Error::last_os_error());
    }
    let real = CStr::from_bytes_until_nul(&real).map_err(io::Error::other)?;
    Ok(PathBuf::from(OsStr::from_bytes(real.to_bytes())))
}

/// A close-on-exec duplicate of a descriptor that whoever executed this program handed down. Its own are closed on exec.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow lasts for this call only; a descriptor that is not open makes it fail with EBADF.
    let there = unsafe { BorrowedFd::borrow_raw(fd) };
    match rustix::io::fcntl_getfd(there)?.contains(rustix::io::FdFlags::CLOEXEC) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => duplicate(fd),
    }
}

/// Makes a detached mount read-only, and deaf for set-user-id bits.
pub(crate) fn make_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    mount_setattr(mount, false, &attr)
}

/// Has a detached mount show the ids that a user namespace maps.
pub(crate) fn map_mount(mount: BorrowedFd<'_>, space: BorrowedFd<'_>, recursive: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: space.as_raw_fd() as u64,
    };
    mount_setattr(mount, recursive, &attr)
}

fn mount_setattr(mount: BorrowedFd<'_>, recursive: bool, attr: &libc::mount_attr) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant string with an end, and `attr` a `struct mount_attr` of the size that is passed;
    // the call only reads them.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attr as *const libc::mount_attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The helper program.
#[cfg(feature = "engine")]
pub(crate) static HELPER: &[u8] = include_bytes!(env!("CONTAINERS_HELPER"));

/// Lets go of the memory that the first bytes of [`HELPER`] take; when they are read again, they come from the
/// program's file.
#[cfg(feature = "engine")]
pub(crate) fn forget_helper(bytes: usize) {
    /// No machine has greater pages.
    const PAGE: usize = 64 << 10;
    let part = &HELPER[..bytes.min(HELPER.len())];
    let start = part.as_ptr().addr().next_multiple_of(PAGE);
    let end = part.as_ptr_range().end.addr() / PAGE * PAGE;
    if start < end {
        // SAFETY: the range is whole pages inside `HELPER`, constant bytes without pointers: they lie in a segment
        // of the program's file that is mapped privately and never written, so a dropped page is read from there.
        let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The whole of a file that the kernel makes, which costs as much for each call that reads of it.
pub(crate) fn read_kernel_file(path: impl AsRef<std::path::Path>) -> io::Result<String> {
    /// More than most are long.
    const USUAL: usize = 16 << 10;
    let mut text = Vec::with_capacity(USUAL);
    io::Read::read_to_end(&mut std::fs::File::open(path)?, &mut text)?;
    String::from_utf8(text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// What tells this boot of the machine from others; empty where `/proc` does not say.
pub(crate) fn boot_id() -> String {
    read_kernel_file("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Blocks every signal on the calling thread, so that a host's handlers never run on ours.
pub(crate) fn block_all_signals() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
}

#[cfg(feature = "engine")]
/// Registers a descriptor with the current tokio reactor.
pub(crate) fn watch(
    fd: OwnedFd,
    interest: tokio::io::Interest,
) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: the returned `AsyncFd` owns the descriptor, gives out only shared references to it, and
    // `OwnedFd` always returns the same open descriptor, so it stays open and unchanged until it is
    // deregistered in its drop.
    unsafe { tokio::io::unix::AsyncFd::register_with_interest(fd, interest) }.map_err(|e| e.into())
}

/// Sends a signal by its number, which may be a real-time one.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `kill` takes two numbers and touches no memory.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(feature = "engine")]
/// `N` random bytes as hexadecimal digits.
pub(crate) fn random_hex<const N: usize>() -> crate::Result<String> {
    let mut bytes = [0u8; N];
    let failed = |e: getrandom::Error| {
        let text = format!("the kernel gives no random bytes: {e}");
        crate::Error::new(crate::ErrorKind::Io, text)
    };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes.iter().fold(String::with_capacity(2 * N), |mut text, b| {
        use std::fmt::Write;
        let _ = write!(text, "{b:02x}");
        text
    }))
}

/// Writes to a pipe without the `SIGPIPE` that the host may not expect: it is blocked on this thread for the
/// call, and taken away again if the call raised it.
pub(crate) fn write_quietly(fd: BorrowedFd<'_>, data: &[u8]) -> rustix::io::Result<usize> {
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    let mut before = SigSet::empty();
    let blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before)).is_ok();
    let was_pending = pending_pipe_signal();
    let done = rustix::io::write(fd, data);
    if blocked {
        if done == Err(rustix::io::Errno::PIPE) && !was_pending {
            take_pipe_signal();
        }
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    }
    done
}

fn pending_pipe_signal() -> bool {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is valid for writes and, being zeroed, initialised whatever the call does.
    unsafe { libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1 }
}

fn take_pipe_signal() {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set is valid and initialised, the time outlives the call, and no information is asked for.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &now);
    }
}

/// Lets a descriptor lead to what another one leads to; its number stays, and it stays close-on-exec.
pub(crate) fn replace(fd: &OwnedFd, by: &OwnedFd) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: both descriptors are open for the call. The number of `fd` stays open and owned; nothing of
    // this library relies on what a stream's descriptor leads to.
    let done = unsafe { libc::dup3(by.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) };
    if done < 0 {
        Err(rustix::io::Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(rustix::io::Errno::IO))
    } else {
        Ok(())
    }
}
