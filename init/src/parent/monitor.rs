//! Monitors: the parents of detached containers.

use super::container::Container;
use super::poller::Poller;
use super::timers::Timer;
use super::{Parent, Role, refuse};
use crate::failure::{Context, failure};
use crate::sys::process::{self, Forked};
use containers_protocol::control::Event;
use containers_protocol::plan::Plan;
use containers_protocol::wire;
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::rc::Rc;
use std::time::Duration;

/// How long a monitor whose container has ended waits for clients that do not read.
const FAREWELL: Duration = Duration::from_secs(10);

impl Parent {
    /// [`containers_protocol::launch::Request::StartDetached`].
    pub(super) fn start_detached(&mut self, plan: Plan, apart: bool, answer: OwnedFd, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        let (Some(listener), Some(lock)) = (fds.next(), fds.next()) else {
            return refuse(&answer, failure("start", b"descriptors", Errno::BADF));
        };
        match process::fork(0, None) {
            Ok(Forked::Child) => {
                let code = self.become_monitor(plan, apart, answer, listener, lock, fds.collect());
                process::exit(code)
            }
            Ok(Forked::Parent { pidfd, .. }) => self.reap_later(pidfd),
            Err(e) => refuse(&answer, failure("clone", b"", e)),
        }
    }

    /// The monitor's life. Nothing of the launcher is touched again, nor dropped: its memory stays shared,
    /// and its descriptors are closed here already.
    fn become_monitor(
        &mut self,
        plan: Plan,
        apart: bool,
        answer: OwnedFd,
        listener: OwnedFd,
        lock: OwnedFd,
        fds: Vec<OwnedFd>,
    ) -> i32 {
        let mut keep: Vec<RawFd> = vec![0, 1, 2, answer.as_raw_fd(), listener.as_raw_fd(), lock.as_raw_fd()];
        keep.extend(fds.iter().map(AsRawFd::as_raw_fd));
        if let Some(base) = &self.host.base {
            keep.extend([base.small.as_raw_fd(), base.own.as_raw_fd()]);
        }
        let begun = process::close_all_but(&mut keep).and_then(|()| rustix::process::setsid().map(drop));
        if begun.is_ok() && apart {
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            let told = wire::send_json(&answer, &Event::Born { pid }, &[]).during("cgroup");
            match told.and_then(|()| crate::launcher::receive_cgroup(&answer)) {
                Ok(own) => drop(self.host.own_cgroups.set(own)),
                Err(failed) => {
                    refuse(&answer, failed);
                    return 1;
                }
            }
        }
        let begun = begun.and_then(|()| {
            let role = Role::Monitor { _lock: lock };
            Parent::new(Rc::clone(&self.host), Poller::new()?, role, listener)
        });
        let mut monitor = match begun {
            Ok(monitor) => monitor,
            Err(e) => {
                refuse(&answer, failure("monitor", b"", e));
                return 1;
            }
        };
        let id = monitor.id();
        let owner = match monitor.connect(answer, Some(id), false) {
            Ok(owner) => owner,
            Err(_) => return 1,
        };
        // Who starts a container may want its end, however soon that comes.
        if let Some(connection) = monitor.connections.get_mut(&owner) {
            connection.waits = true;
        }
        monitor.containers.insert(id, Container::new(Rc::new(plan), owner));
        monitor.first_start(id, fds);
        monitor.run();
        crate::cgroup::release(monitor.host.cgroups());
        0
    }

    /// Ends a monitor that has nothing left to do.
    pub(super) fn end_monitor(&mut self) {
        if !self.is_monitor() || !self.containers.is_empty() || self.cleanup.has_any() {
            return;
        }
        if self.sinks.is_empty() {
            self.stop = true;
        } else if !self.farewell {
            self.farewell = true;
            self.timers.after(FAREWELL, Timer::Farewell);
        }
    }
}
