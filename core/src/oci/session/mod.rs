//! The making of one process of a container: what it says, and what it is told.

mod failed;
mod helper;
mod memory;

use crate::{Error, ErrorKind, Result};
use containers_protocol::control::Failure;
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::oneshot::{Become, Create, Report, Request};
use containers_protocol::wire;
use failed::describe;
use helper::Helper;
use memory::Memory;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use std::path::Path;

/// A process that is being made.
pub(crate) struct Session {
    maker: Maker,
    /// A helper is in the unified cgroup that was asked for, and so will be the process; if not, it has still to move.
    pub(crate) inside: bool,
    /// The process: id and pidfd.
    pub(crate) born: Option<(i32, OwnedFd)>,
}

/// Who makes it.
enum Maker {
    Helper(Helper),
    Memory(Memory),
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
        let (helper, inside) = Helper::start(private, cgroup)?;
        Ok(Session { maker: Maker::Helper(helper), inside, born: None })
    }

    /// Makes the first process of a container in our own memory, and waits for its first word. `how`: whether it has
    /// hooks or a terminal, and whether its gate is open. Descriptors are those that the plan counts; `held` is one that it
    /// must not keep; `meanwhile` has its network namespace if somebody makes that already.
    pub(crate) fn bear(
        run: Become,
        create: Create,
        fds: Vec<OwnedFd>,
        meanwhile: Option<Meanwhile>,
        how: (bool, bool),
        held: RawFd,
    ) -> Result<Session> {
        let (memory, born) = Memory::bear(run, create, fds, meanwhile, how, held)?;
        Ok(Session { maker: Maker::Memory(memory), inside: true, born: Some(born) })
    }

    /// The helper's process id, until it is reaped.
    pub(crate) fn helper(&self) -> i32 {
        match &self.maker {
            Maker::Helper(helper) => helper.pid(),
            Maker::Memory(_) => 0,
        }
    }

    /// Tells a helper what to do.
    pub(crate) fn send(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        match &mut self.maker {
            Maker::Helper(helper) => helper.send(request, fds),
            Maker::Memory(_) => Err(silent()),
        }
    }

    /// Waits until the process is there.
    pub(crate) fn meet(&mut self) -> Result<i32> {
        if let (None, Maker::Helper(helper)) = (&self.born, &mut self.maker) {
            self.born = Some(helper.meet()?);
        }
        self.born.as_ref().map(|(pid, _)| *pid).ok_or_else(silent)
    }

    /// The next news. A failure of the process is an error.
    pub(crate) fn next(&mut self, executing: &mut bool) -> Result<News> {
        loop {
            // Its helper may tell of a process later than the process speaks.
            self.meet()?;
            let heard = match &mut self.maker {
                Maker::Helper(helper) => helper.hear()?,
                Maker::Memory(memory) => memory.hear()?,
            };
            let Some((report, fds)) = heard else { return Ok(self.nothing_said(executing)) };
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

    /// It is gone, or waits.
    fn nothing_said(&self, executing: &mut bool) -> News {
        let Maker::Memory(memory) = &self.maker else { return News::Closed };
        match memory.gone() {
            Some(runs) => {
                *executing = runs;
                News::Closed
            }
            None => News::Ready,
        }
    }

    /// Opens the gate of its process.
    pub(crate) fn open_gate(&self, opener: &OwnedFd) -> Result<()> {
        let opened = match &self.maker {
            Maker::Helper(_) => rustix::io::write(opener, b"0").map(drop),
            Maker::Memory(memory) => memory.open_gate(opener),
        };
        opened.map_err(|e| Error::io("can't start the process", e.into()))
    }

    /// The listener of a filter, out of the process that attaches the filter: from then on that process may have to
    /// wait in any call, sending included. `None`: it says something else, because it failed.
    fn take_listener(&self, fd: i32) -> Result<Option<OwnedFd>> {
        /// Between looks.
        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
        let (Some((_, process)), Some(sock)) = (&self.born, self.sock()) else { return Ok(None) };
        loop {
            match pidfd_getfd(process, fd, PidfdGetfdFlags::empty()) {
                Ok(got) if is_listener(&got) => return Ok(Some(got)),
                // It is not there yet.
                Ok(_) | Err(Errno::BADF) => {}
                Err(Errno::SRCH) => return Ok(None),
                Err(e) => return Err(Error::io("the listener of the seccomp filter can't be had", e.into())),
            }
            let mut fds = [PollFd::new(sock, PollFlags::IN)];
            match poll(&mut fds, Some(&PAUSE)) {
                Ok(0) | Err(Errno::INTR) => {}
                _ => return Ok(None),
            }
        }
    }

    fn sock(&self) -> Option<&OwnedFd> {
        match &self.maker {
            Maker::Helper(helper) => Some(&helper.sock),
            Maker::Memory(memory) => memory.sock.as_ref(),
        }
    }

    /// Answers that a hook has run, or that the listener of a filter is where it belongs; `step` is what failed if not.
    pub(crate) fn answer(&self, step: &str, done: Result<()>) -> Result<()> {
        let sock = self.sock().ok_or_else(silent)?;
        let sent = match done {
            Ok(()) => wire::send(sock, b"", &[]),
            Err(e) => {
                let failed = Failure { step: step.into(), detail: e.to_string(), ..Failure::default() };
                wire::send_postcard(sock, &failed, &[])
            }
        };
        sent.map_err(|e| Error::io("the container's process is gone", e))?;
        if let Maker::Memory(memory) = &self.maker {
            memory.resume();
        }
        Ok(())
    }

    /// Ends the process that was made, or is being made, and reaps it.
    pub(crate) fn abort(mut self) {
        if matches!(&self.maker, Maker::Helper(helper) if helper.was_asked()) {
            // One that is on its way would be left alone.
            let _ = self.meet();
        }
        if let Some((pid, pidfd)) = self.born.take() {
            let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            crate::sys::spawn::reap(pid);
        }
    }
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
