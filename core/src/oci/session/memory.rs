//! The first process of a container, made in our own memory: neither a program is executed for it, nor anything copied.

use super::helper::{born_in, connection, not_born, open_cgroup, receive};
use crate::{Error, Result};
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::oneshot::{Become, Create, First, Report};
use containers_protocol::turns::{self, Turns};
use containers_protocol::vfork::Stack;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::RefCell;

/// Its stack.
const STACK: usize = 512 * 1024;

/// What is shared with the process.
pub(super) struct Memory {
    first: &'static First,
    pub(super) sock: Option<OwnedFd>,
    /// Tells the process that we are there.
    _alive: OwnedFd,
    /// Our own rank among those who are killed for want of memory: the kernel sets it for all that share memory.
    rank: Option<Vec<u8>>,
}

const RANK: &str = "/proc/self/oom_score_adj";

impl Memory {
    /// Makes the process, in the unified cgroup of `create` if it has one, and waits for its first word. With `speaks`, it
    /// may have to say what needs a socket; with `open`, its gate is; `held` keeps others from the container while we are
    /// there. Its id and its pidfd, too.
    pub(super) fn bear(
        run: Become,
        create: Create,
        fds: Vec<OwnedFd>,
        meanwhile: Option<Meanwhile>,
        (speaks, open): (bool, bool),
        held: RawFd,
    ) -> Result<(Memory, (i32, OwnedFd))> {
        let made_meanwhile = if meanwhile.is_some() { libc::CLONE_NEWNET } else { 0 };
        let namespaces = create.plan.namespaces & !((libc::CLONE_NEWCGROUP | made_meanwhile) as u64);
        let cgroup = create.unified.as_ref().map(|dir| open_cgroup(dir.as_path())).transpose()?;
        let (sock, socket) = match speaks {
            true => connection().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
            false => (None, None),
        };
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let (maker, alive) = pipe.map_err(|e| Error::io("can't make a pipe", e.into()))?;
        let rank = create.plan.process.oom_score_adj.and_then(|_| std::fs::read(RANK).ok());
        let ours = sock.as_ref().map(AsRawFd::as_raw_fd);
        let not_its = [alive.as_raw_fd(), held].into_iter().chain(ours).collect();
        // The process reads it for as long as it likes, and so do we.
        let first: &'static First = Box::leak(Box::new(First {
            create,
            fds,
            meanwhile,
            socket,
            not_its,
            open,
            maker,
            turns: Turns::new(),
            said: RefCell::default(),
        }));
        let bear = || {
            born_in(cgroup.as_ref().map(AsFd::as_fd), |cgroup| {
                let inside = cgroup.is_some();
                let stack = Stack::new(STACK)?;
                Ok(turns::share(namespaces, cgroup, stack, first.turns, move || run(first, inside))?)
            })
        };
        let (mut born, _) = bear();
        // The process has entered it, or never will.
        first.meanwhile.iter().for_each(Meanwhile::end);
        if first.meanwhile.is_some() && born.as_ref().is_err_and(|e| e.raw_os_error() == Some(libc::EAGAIN)) {
            // Where no more processes may be, that was one.
            born = bear().0;
        }
        let born = born.map_err(|e| not_born(e.raw_os_error().unwrap_or(0)))?;
        let memory = Memory { first, sock, _alive: alive, rank };
        memory.keep_rank();
        Ok((memory, born))
    }

    /// Takes our rank back once the process is gone from the memory.
    fn keep_rank(&self) {
        if let (Some(rank), true) = (&self.rank, self.first.turns.is_gone()) {
            // Nothing that the container asked for depends on it.
            let _ = std::fs::write(RANK, rank);
        }
    }

    /// What the process says; `None`: it waits at its gate, or is gone.
    pub(super) fn hear(&self) -> Result<Option<(Report, Vec<OwnedFd>)>> {
        if let Some(sock) = self.sock.as_ref().filter(|sock| readable(sock)) {
            return receive(sock);
        }
        let said = self.first.said.try_borrow().map(|said| said.clone()).unwrap_or_default();
        Ok(said.failure.map(|failed| (Report::Failed(failed), Vec::new())))
    }

    /// Whether the process is gone from the memory; and then, whether it runs its command.
    pub(super) fn gone(&self) -> Option<bool> {
        let executing = || self.first.said.try_borrow().is_ok_and(|said| said.executing);
        self.first.turns.is_gone().then(executing)
    }

    /// Lets it go on, and waits until it says something or is gone.
    pub(super) fn resume(&self) {
        self.first.turns.resume();
    }

    /// Opens its gate, and waits likewise.
    pub(super) fn open_gate(&self, opener: &OwnedFd) -> Result<(), rustix::io::Errno> {
        self.first.turns.give();
        let opened = rustix::io::write(opener, b"0");
        if opened.is_ok() {
            self.first.turns.wait();
        }
        self.keep_rank();
        opened.map(drop)
    }
}

fn readable(sock: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(sock, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}
