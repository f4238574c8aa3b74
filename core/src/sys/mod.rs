//! Raw system calls; the only module with `unsafe`.

pub(crate) mod poll;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

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

/// Blocks every signal on the calling thread, so that a host's handlers never run on ours.
pub(crate) fn block_all_signals() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
}

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
