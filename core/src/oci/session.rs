//! One use of the one-shot helper.

use super::program;
use crate::sys::born;
use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::oneshot::{ARGUMENT, Birth, Report, Request};
use containers_protocol::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdGetfdFlags, pidfd_getfd};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::collections::VecDeque;
use std::path::Path;

/// A helper, and the process that it makes.
pub(crate) struct Session {
    sock: OwnedFd,
    /// Until it is reaped, when the session ends.
    helper: Option<i32>,
    /// Where it may run from its first request on.
    allowed: Option<CpuSet>,
    /// It was asked for something.
    asked: bool,
    /// Whether the process is in the unified cgroup that was asked for; if not, it has still to move.
    pub(crate) inside: bool,
    /// The process: id and pidfd.
    pub(crate) born: Option<(i32, OwnedFd)>,
    early: VecDeque<(Report, Vec<OwnedFd>)>,
}

/// What a process that starts has to say.
pub(crate) enum News {
    /// The master of its terminal.
    Master(OwnedFd),
    /// A step's hook is due.
    Hook(u32),
    /// The listener of its filter, which waits for an [answer](Session::answer).
    Listener(OwnedFd),
    /// It waits at the gate.
    Ready,
    /// It runs, or is gone: [`Session::executing`].
    Closed,
}

impl Session {
    /// Starts a helper in a unified cgroup. It is on its way when this returns.
    pub(crate) fn start(private: &Path, cgroup: Option<&Path>) -> Result<Session> {
        Session::of(program::executable(private)?, cgroup)
    }

    /// Starts a helper for a container that has no folder yet. `None`: it needs one.
    pub(crate) fn early() -> Option<Session> {
        Session::of(program::mounted().ok()?, None).ok()
    }

    fn of(exe: OwnedFd, cgroup: Option<&Path>) -> Result<Session> {
        let (sock, helper, inside) = started(&exe, cgroup)?;
        let allowed = elsewhere(helper);
        let early = VecDeque::new();
        Ok(Session { sock, helper: Some(helper), allowed, asked: false, inside, born: None, early })
    }

    /// The helper's process id, until it is reaped.
    pub(crate) fn helper(&self) -> i32 {
        self.helper.unwrap_or_default()
    }

    /// Has the helper make the process, in new namespaces and in a unified cgroup. It waits for the next request.
    pub(crate) fn bear(&mut self, namespaces: u64, cgroup: Option<&Path>) -> Result<()> {
        self.inside = cgroup.is_some();
        self.send(&Request::Bear(Birth { namespaces, unified: cgroup.map(Bytes::from) }), &[])
    }

    /// Waits until the process is there.
    pub(crate) fn meet(&mut self) -> Result<i32> {
        loop {
            if let Some((pid, _)) = &self.born {
                return Ok(*pid);
            }
            let (report, fds) = self.receive()?.ok_or_else(silent)?;
            self.note(report, fds)?;
        }
    }

    /// Tells the helper what to do.
    pub(crate) fn send(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.asked = true;
        if let Some(allowed) = self.allowed.take() {
            // Only time would be lost.
            let _ = sched_setaffinity(self.helper.and_then(Pid::from_raw), &allowed);
        }
        wire::send_postcard(&self.sock, request, fds)
            .map_err(|e| Error::io("the helper program ended early", e))
    }

    /// The next news. A failure of the process is an error.
    pub(crate) fn next(&mut self, executing: &mut bool) -> Result<News> {
        loop {
            // Its helper may tell of a process later than the process speaks.
            self.meet()?;
            let (report, fds) = match self.early.pop_front() {
                Some(early) => early,
                None => match self.receive()? {
                    Some(message) => message,
                    None => return Ok(News::Closed),
                },
            };
            match report {
                Report::Failed(failed) => return Err(describe(failed)),
                Report::Master => {
                    if let Some(master) = fds.into_iter().next() {
                        return Ok(News::Master(master));
                    }
                }
                Report::Hook { step } => return Ok(News::Hook(step)),
                Report::Listener { fd } => {
                    if let Some(listener) = self.take_listener(fd)? {
                        return Ok(News::Listener(listener));
                    }
                }
                Report::MapMount { recursive } => self.answer("idmap", map_mount(&fds, recursive))?,
                Report::Ready => return Ok(News::Ready),
                Report::Executing => *executing = true,
                Report::NeedMaps | Report::Joined { .. } => {}
            }
        }
    }

    /// Keeps what is heard before the process is known.
    fn note(&mut self, report: Report, fds: Vec<OwnedFd>) -> Result<()> {
        match report {
            Report::Joined { pid } => self.born = fds.into_iter().next().map(|pidfd| (pid, pidfd)),
            Report::Failed(failed) => return Err(describe(failed)),
            other => self.early.push_back((other, fds)),
        }
        Ok(())
    }

    /// The listener of a filter, out of the process that attaches the filter: from then on that process may have to
    /// wait in any call, sending included. `None`: it says something else, because it failed.
    fn take_listener(&self, fd: i32) -> Result<Option<OwnedFd>> {
        /// Between looks.
        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
        let Some((_, process)) = &self.born else { return Ok(None) };
        loop {
            match pidfd_getfd(process, fd, PidfdGetfdFlags::empty()) {
                Ok(got) if is_listener(&got) => return Ok(Some(got)),
                // It is not there yet.
                Ok(_) | Err(Errno::BADF) => {}
                Err(Errno::SRCH) => return Ok(None),
                Err(e) => return Err(Error::io("the listener of the seccomp filter can't be had", e.into())),
            }
            let mut fds = [PollFd::new(&self.sock, PollFlags::IN)];
            match poll(&mut fds, Some(&PAUSE)) {
                Ok(0) | Err(Errno::INTR) => {}
                _ => return Ok(None),
            }
        }
    }

    fn receive(&self) -> Result<Option<(Report, Vec<OwnedFd>)>> {
        let failed = |e| Error::io("can't hear the helper program", e);
        let Some(message) = wire::recv(&self.sock).map_err(failed)? else { return Ok(None) };
        let report = wire::from_postcard(&message.payload).map_err(failed)?;
        Ok(Some((report, message.fds)))
    }

    /// Answers that a hook has run, or that the listener of a filter is where it belongs; `step` is what failed if not.
    pub(crate) fn answer(&self, step: &str, done: Result<()>) -> Result<()> {
        let sent = match done {
            Ok(()) => wire::send(&self.sock, b"", &[]),
            Err(e) => {
                let failed = Failure { step: step.into(), detail: e.to_string(), ..Failure::default() };
                wire::send_postcard(&self.sock, &failed, &[])
            }
        };
        sent.map_err(|e| Error::io("the container's process is gone", e))
    }

    fn reap(&mut self) {
        if let Some(pid) = self.helper.take() {
            crate::sys::spawn::reap(pid);
        }
    }

    /// Ends the process that was made, or is being made, and reaps it.
    pub(crate) fn abort(mut self) {
        if self.asked {
            // One that is on its way would be left alone.
            let _ = self.meet();
        }
        if let Some((pid, pidfd)) = self.born.take() {
            let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            crate::sys::spawn::reap(pid);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It ends when it sees the socket close, unless it has ended.
        let _ = rustix::net::shutdown(&self.sock, rustix::net::Shutdown::Both);
        self.reap();
    }
}

/// The other end of its socket, a process that waits there for its request, and whether it is in the cgroup.
fn started(exe: &OwnedFd, cgroup: Option<&Path>) -> Result<(OwnedFd, i32, bool)> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cgroup = cgroup.map(|dir| open(dir, how, Mode::empty())).transpose();
    let cgroup = cgroup.map_err(|e| Error::io("the cgroup can't be entered", e.into()))?;
    let cgroup = cgroup.as_ref().map(AsFd::as_fd);
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.map_err(|e| Error::io("can't make a socket", e.into()))?;
    let start = |cgroup| born::start(exe.as_fd(), [program::NAME, ARGUMENT], theirs.as_fd(), cgroup);
    let (started, inside) = match start(cgroup) {
        // What can't be born there may still move there, and if not, that says why.
        Err(e) if cgroup.is_some() && !matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM)) => {
            (start(None), false)
        }
        started => (started, cgroup.is_some()),
    };
    let pid = started.map_err(|e| {
        let errno = e.raw_os_error().unwrap_or(0);
        crate::sandbox::failure::describe(Failure { step: "clone".into(), errno, ..Failure::default() })
    })?;
    Ok((ours, pid, inside))
}

/// Keeps a helper from the processor that this process is busy on, for which some schedulers would have it wait. Where it
/// may run once it is waited for; `None`: it was left alone.
fn elsewhere(helper: i32) -> Option<CpuSet> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut others = allowed;
    others.unset(sched_getcpu());
    if others.count() == 0 {
        return None;
    }
    sched_setaffinity(Pid::from_raw(helper), &others).ok().map(|()| allowed)
}

fn silent() -> Error {
    Error::new(ErrorKind::Internal, "the helper program ended without a word")
}

/// Has a mount show the ids that a user namespace maps.
fn map_mount(fds: &[OwnedFd], recursive: bool) -> Result<()> {
    let [tree, space] = fds else {
        return Err(Error::new(ErrorKind::Internal, "the helper program sent no mount"));
    };
    crate::sys::map_mount(tree.as_fd(), space.as_fd(), recursive)
        .map_err(|e| Error::io("the kernel or the file system has no id-mapped mounts here", e))
}

/// Whether a descriptor answers the notifications of a filter.
fn is_listener(fd: &OwnedFd) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.is_ok_and(|link| link.as_os_str() == "anon_inode:seccomp notify")
}

/// The error for a mount that could not be made, in words that tools look for.
fn of_mount(failed: Failure) -> Error {
    let path = failed.path.clone();
    let reason = match (failed.errno, failed.detail.as_str()) {
        (0, detail) => detail.to_owned(),
        (errno, detail) => {
            let system = std::io::Error::from_raw_os_error(errno).to_string().to_lowercase();
            let system = system.split(" (os error").next().unwrap_or_default().to_owned();
            if detail.is_empty() { system } else { format!("{detail}: {system}") }
        }
    };
    let step = failed.step.clone();
    let text = format!(
        "unable to start container process: error during container init: error mounting {path:?}: {reason}"
    );
    let error = Error::new(crate::sandbox::failure::describe(failed).kind(), text);
    error.with_context("field", "mounts").with_context("step", step)
}

/// The error for a process that could not be started, in words that engines look for.
fn describe(failed: Failure) -> Error {
    if matches!(failed.step.as_str(), "mount" | "bind" | "idmap" | "propagation" | "remount") {
        return of_mount(failed);
    }
    if failed.step != "exec" {
        return crate::sandbox::failure::describe(failed);
    }
    let path = &failed.path;
    let reason = match failed.errno {
        0 | libc::ENOENT if !path.contains('/') => "executable file not found in $PATH".to_owned(),
        libc::ENOENT if failed.detail.contains("interpreter") => {
            format!("exec {path}: no such file or directory: {}", failed.detail)
        }
        libc::ENOENT => format!("stat {path}: no such file or directory"),
        libc::EACCES | libc::EPERM | libc::EISDIR => "permission denied".to_owned(),
        libc::ENOEXEC => "exec format error".to_owned(),
        libc::E2BIG => "argument list too long".to_owned(),
        0 => failed.detail.clone(),
        errno => std::io::Error::from_raw_os_error(errno).to_string(),
    };
    let kind =
        if failed.errno == libc::E2BIG { ErrorKind::InvalidArgument } else { ErrorKind::CommandNotFound };
    let text = format!("unable to start container process: exec: {path:?}: {reason}");
    let error = Error::new(kind, text);
    match failed.errno {
        0 => error,
        errno => error.with_context("errno", errno.to_string()),
    }
}
