//! A helper: this program, executed once more.

use super::failed::describe;
use super::silent;
use crate::oci::program;
use crate::sys::born;
use crate::{Error, Result};
use containers_protocol::control::Failure;
use containers_protocol::oneshot::{ARGUMENT, Report, Request};
use containers_protocol::wire;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::VecDeque;
use std::path::Path;

/// A helper, and the process that it makes.
pub(super) struct Helper {
    pub(super) sock: OwnedFd,
    /// Until it is reaped.
    pid: Option<i32>,
    /// It was asked for something.
    asked: bool,
    early: VecDeque<(Report, Vec<OwnedFd>)>,
}

impl Helper {
    /// Starts one, in a unified cgroup; and whether it is in there.
    pub(super) fn start(private: &Path, cgroup: Option<&Path>) -> Result<(Helper, bool)> {
        let (sock, pid, inside) = started(&program::executable(private)?, cgroup)?;
        Ok((Helper { sock, pid: Some(pid), asked: false, early: VecDeque::new() }, inside))
    }

    /// Its process id, until it is reaped.
    pub(super) fn pid(&self) -> i32 {
        self.pid.unwrap_or_default()
    }

    /// Tells it what to do.
    pub(super) fn send(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.asked = true;
        wire::send_postcard(&self.sock, request, fds)
            .map_err(|e| Error::io("the helper program ended early", e))
    }

    /// Waits until the process is there: its id and pidfd.
    pub(super) fn meet(&mut self) -> Result<(i32, OwnedFd)> {
        loop {
            let (report, mut fds) = receive(&self.sock)?.ok_or_else(silent)?;
            match report {
                Report::Joined { pid } => return Ok((pid, fds.pop().ok_or_else(silent)?)),
                Report::Failed(failed) => return Err(describe(failed)),
                // The process may speak before the helper tells of it.
                other => self.early.push_back((other, fds)),
            }
        }
    }

    /// What the process says next; `None`: nothing more.
    pub(super) fn hear(&mut self) -> Result<Option<(Report, Vec<OwnedFd>)>> {
        match self.early.pop_front() {
            Some(early) => Ok(Some(early)),
            None => receive(&self.sock),
        }
    }

    /// Whether it may be making a process.
    pub(super) fn was_asked(&self) -> bool {
        self.asked
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends when it sees the socket close, unless it has ended.
        let _ = rustix::net::shutdown(&self.sock, rustix::net::Shutdown::Both);
        if let Some(pid) = self.pid.take() {
            crate::sys::spawn::reap(pid);
        }
    }
}

/// The next message of a socket; `None`: it is closed.
pub(super) fn receive(sock: &OwnedFd) -> Result<Option<(Report, Vec<OwnedFd>)>> {
    let failed = |e| Error::io("can't hear the container's process", e);
    let Some(message) = wire::recv(sock).map_err(failed)? else { return Ok(None) };
    let report = wire::from_postcard(&message.payload).map_err(failed)?;
    Ok(Some((report, message.fds)))
}

/// Two ends of a connection for whole messages.
pub(super) fn connection() -> Result<(OwnedFd, OwnedFd)> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    pair.map_err(|e| Error::io("can't make a socket", e.into()))
}

/// A cgroup that a process can be born in.
pub(super) fn open_cgroup(dir: &Path) -> Result<OwnedFd> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(dir, how, Mode::empty()).map_err(|e| Error::io("the cgroup can't be entered", e.into()))
}

/// The other end of its socket, a process that waits there for its request, and whether it is in the cgroup.
fn started(exe: &OwnedFd, cgroup: Option<&Path>) -> Result<(OwnedFd, i32, bool)> {
    let cgroup = cgroup.map(open_cgroup).transpose()?;
    let (ours, theirs) = connection()?;
    let (started, inside) = born_in(cgroup.as_ref().map(AsFd::as_fd), |cgroup| {
        born::start(exe.as_fd(), [program::NAME, ARGUMENT], theirs.as_fd(), cgroup)
    });
    let pid = started.map_err(|e| not_born(e.raw_os_error().unwrap_or(0)))?;
    Ok((ours, pid, inside))
}

/// Has a process be born in a cgroup, and if that is refused, outside: it may still move there, and if not, that says why.
/// Whether it is in there.
pub(super) fn born_in<T>(
    cgroup: Option<BorrowedFd<'_>>,
    mut start: impl FnMut(Option<BorrowedFd<'_>>) -> std::io::Result<T>,
) -> (std::io::Result<T>, bool) {
    match start(cgroup) {
        Err(e) if cgroup.is_some() && !matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM)) => {
            (start(None), false)
        }
        started => (started, cgroup.is_some()),
    }
}

/// The error for a process that the kernel did not make.
pub(super) fn not_born(errno: i32) -> Error {
    crate::sandbox::failure::describe(Failure { step: "clone".into(), errno, ..Failure::default() })
}
