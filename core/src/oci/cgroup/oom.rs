//! Word of containers that run out of memory.

use super::{Cgroup, Tree, file};
use crate::{Error, ErrorKind, Result};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags, open};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A source of out-of-memory events: its descriptor polls readable, [`take`](OomEvents::take) says what happened.
#[derive(Debug)]
pub(crate) struct OomEvents {
    fd: OwnedFd,
    from: From,
}

#[derive(Debug)]
enum From {
    /// An event descriptor that v1's memory controller signals.
    V1 { dir: PathBuf },
    /// inotify on `memory.events` and `cgroup.events`.
    V2 { dir: PathBuf, kills: u64 },
}

/// What has happened since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OomNews {
    /// How often memory ran out; one at least where the kernel doesn't count.
    pub(crate) ooms: u64,
    /// Nothing more will come: the cgroup is empty or gone.
    pub(crate) ended: bool,
}

impl Cgroup {
    /// Begins to watch for want of memory.
    pub(crate) fn oom_events(&self) -> Result<OomEvents> {
        let failed = |dir: &Path, e: io::Error| {
            Error::io("the container's memory can't be watched", e)
                .with_context("path", dir.display().to_string())
        };
        match &self.tree {
            Tree::V2(dir) => watch_v2(dir).map_err(|e| failed(dir, e)),
            _ => match self.v1("memory") {
                Some(dir) => watch_v1(dir).map_err(|e| failed(dir, e)),
                None => {
                    let text = "the container's memory can't be watched: it has no memory cgroup";
                    Err(Error::new(ErrorKind::Unsupported, text))
                }
            },
        }
    }

    /// How many of its processes the kernel has killed for want of memory.
    #[cfg(test)]
    pub(crate) fn oom_kills(&self) -> u64 {
        let found = match &self.tree {
            Tree::V2(dir) => Some(count(dir, "memory.events")),
            _ => self.v1("memory").map(|dir| count(dir, "memory.oom_control")),
        };
        found.unwrap_or_default()
    }
}

fn count(dir: &Path, name: &str) -> u64 {
    let text = file::get(dir, name).unwrap_or_default();
    file::pairs(&text).find(|(key, _)| *key == "oom_kill").map_or(0, |(_, n)| n)
}

fn watch_v1(dir: &Path) -> io::Result<OomEvents> {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = open(dir.join("memory.oom_control"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    file::put(dir, "cgroup.event_control", &line)?;
    Ok(OomEvents { fd, from: From::V1 { dir: dir.to_owned() } })
}

fn watch_v2(dir: &Path) -> io::Result<OomEvents> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&fd, dir.join("memory.events"), WatchFlags::MODIFY)?;
    inotify::add_watch(&fd, dir.join("cgroup.events"), WatchFlags::MODIFY)?;
    let kills = count(dir, "memory.events");
    Ok(OomEvents { fd, from: From::V2 { dir: dir.to_owned(), kills } })
}

impl OomEvents {
    /// What has happened; never waits.
    pub(crate) fn take(&mut self) -> Result<OomNews> {
        // What is in the buffer says no more than that something is there.
        let mut buffer = [0u8; 4096];
        let mut signalled = 0;
        loop {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(8) if matches!(self.from, From::V1 { .. }) => {
                    let mut number = [0u8; 8];
                    number.copy_from_slice(&buffer[..8]);
                    signalled = u64::from_ne_bytes(number);
                    break;
                }
                Ok(0) | Err(rustix::io::Errno::AGAIN) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::io("the container's memory can't be watched", e.into())),
            }
        }
        Ok(match &mut self.from {
            // The kernel signals the removal of the cgroup the same way.
            From::V1 { dir } if !dir.join("memory.oom_control").exists() => OomNews { ooms: 0, ended: true },
            From::V1 { .. } => OomNews { ooms: signalled, ended: false },
            From::V2 { dir, kills } => {
                let now = count(dir, "memory.events");
                let ooms = now.saturating_sub(*kills);
                *kills = now.max(*kills);
                let events = file::get(dir, "cgroup.events").unwrap_or_default();
                let populated = file::pairs(&events).any(|p| p == ("populated", 1));
                OomNews { ooms, ended: !populated }
            }
        })
    }
}

impl AsFd for OomEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
