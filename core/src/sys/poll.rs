//! `poll(2)` over raw descriptors.

use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

/// One descriptor to wait for.
#[repr(transparent)]
pub(crate) struct PollEntry(libc::pollfd);

impl PollEntry {
    /// Waits for input, output, or both; errors and hang-ups always count.
    pub(crate) fn new(fd: RawFd, read: bool, write: bool) -> Self {
        let mut events = 0;
        if read {
            events |= libc::POLLIN;
        }
        if write {
            events |= libc::POLLOUT;
        }
        PollEntry(libc::pollfd { fd, events, revents: 0 })
    }

    /// Whether the last poll found it ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one entry is ready or `deadline` has passed; the number of ready ones. `Interrupted` is
/// returned to the caller.
pub(crate) fn poll_until(entries: &mut [PollEntry], deadline: Instant) -> io::Result<usize> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = libc::timespec {
        tv_sec: left.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: left.subsec_nanos() as libc::c_long,
    };
    // SAFETY: `PollEntry` is a transparent `pollfd`, the pointer and length describe one live, exclusively
    // borrowed slice, and `timeout` outlives the call; the kernel writes only `revents`.
    let n = unsafe {
        libc::ppoll(entries.as_mut_ptr().cast(), entries.len() as libc::nfds_t, &timeout, std::ptr::null())
    };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// Waits until a descriptor can be read or `deadline` has passed; whether it can.
pub(crate) fn wait_readable(fd: &impl std::os::fd::AsRawFd, deadline: Instant) -> bool {
    let mut entry = [PollEntry::new(fd.as_raw_fd(), true, false)];
    while let Err(e) = poll_until(&mut entry, deadline) {
        if e.kind() != io::ErrorKind::Interrupted {
            return false;
        }
    }
    entry[0].is_ready()
}
