//! `kill` and `delete`.

use super::hooks::Hook;
use super::record::{self, Found, lock_dir};
use super::{Engine, config};
use crate::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a killed container may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Sends a signal to a container's first process, or with `all` to all of its processes.
    pub fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        let found = self.find(id)?;
        let running = match &found.record.init {
            Some(init) => init.open()?,
            None => None,
        };
        // In the pid namespace of others, its further processes don't end with the first.
        if all || signal == libc::SIGKILL && !found.record.own_pids && running.is_some() {
            return match found.record.cgroup.kill(signal) {
                Err(e) if running.is_some() => Err(e),
                // Nothing is left to be signalled.
                _ => Ok(()),
            };
        }
        let (Some(_process), Some(init)) = (running, &found.record.init) else {
            // Without a pid namespace of its own, others may have outlived the first process.
            if !found.record.own_pids && found.record.cgroup.pids().is_ok_and(|pids| !pids.is_empty()) {
                return found.record.cgroup.kill(signal);
            }
            return Err(Error::new(ErrorKind::NotRunning, "container not running"));
        };
        crate::sys::kill(init.pid, signal).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH) => Error::new(ErrorKind::NotRunning, "container not running"),
            _ => Error::io(format!("signal {signal} can't be sent"), e),
        })
    }

    /// Removes a stopped container; with `force`, ends it first, and one that does not exist is fine.
    pub fn delete(&self, id: &str, force: bool) -> Result<()> {
        let dir = self.dir(id)?;
        let (found, _held) = match self.lock(id) {
            Ok(locked) => locked,
            Err(e) if force && matches!(e.kind(), ErrorKind::ContainerNotFound | ErrorKind::Corrupt) => {
                // What a killed `create` left.
                if dir.is_dir() {
                    let _held = lock_dir(&dir)?;
                    remove_dir(&dir)?;
                }
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        if !force {
            check_stopped(&found)?;
        }
        self.destroy(&found)
    }

    /// Ends what is left of a container, and removes everything of it.
    pub(crate) fn destroy(&self, found: &Found) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let cgroup = &found.record.cgroup;
        if let Some(init) = &found.record.init
            && let Some(process) = init.open()?
        {
            let _ = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL);
            cgroup.let_end();
            let mut fds = [PollFd::new(&process, PollFlags::IN)];
            let limit = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
            if poll(&mut fds, Some(&limit)) == Ok(0) {
                return Err(Error::new(ErrorKind::Io, "the container's process can't be killed"));
            }
        }
        if !cgroup.delete_empty() {
            while cgroup.pids().is_ok_and(|pids| !pids.is_empty()) && Instant::now() < deadline {
                let _ = cgroup.kill(libc::SIGKILL);
                std::thread::sleep(Duration::from_millis(1));
            }
            cgroup.delete()?;
        }
        found.record.rdt.as_ref().map_or(Ok(()), |group| group.delete())?;
        if found.record.stop_hooks { self.end_with_hooks(found) } else { remove_dir(&found.dir) }
    }

    /// Removes a container's folder, and runs the poststop hooks: the first process, if we are its parent, is no container's any
    /// more. Apart: a configuration is large, and few have any.
    #[inline(never)]
    fn end_with_hooks(&self, found: &Found) -> Result<()> {
        let hooks = found.spec().ok();
        remove_dir(&found.dir)?;
        let hooks = hooks.as_ref().and_then(|spec| spec.hooks().as_ref());
        let stop = hooks.iter().flat_map(|h| h.poststop().iter().flatten()).enumerate();
        for (index, hook) in stop {
            if let Err(e) = Hook::of("poststop", index, hook).run(&found.record.hook_state("stopped", 0)) {
                (self.warn)(&e.to_string());
            }
        }
        Ok(())
    }
}

/// Whether a container may be removed without being ended.
fn check_stopped(found: &Found) -> Result<()> {
    match found.status() {
        "stopped" | "creating" | "created" => Ok(()),
        status => {
            let text = format!("cannot delete container {} that is not stopped: {status}", found.record.id);
            Err(Error::new(ErrorKind::Conflict, text))
        }
    }
}

/// Removes a container's folder.
fn remove_dir(dir: &Path) -> Result<()> {
    // Mostly there is nothing but these in it. Without the record, which goes last, nobody would find what is left.
    for name in [record::FIFO, config::NAME, record::NAME] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    match std::fs::remove_dir(dir).or_else(|_| std::fs::remove_dir_all(dir)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("the container's folder can't be removed", e)
                .with_context("path", dir.display().to_string()))
        }
        _ => Ok(()),
    }
}
