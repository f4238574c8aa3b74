//! The janitor: a process of the launcher's that prepares what containers need, and puts away what they
//! leave, while the launcher serves. On another processor, nobody waits for either.
//!
//! It is a help, not a need: what is not ready the launcher makes itself, and when the janitor is gone, the
//! launcher does its work too, until there is another one.

mod errands;
mod kit;

use super::Parent;
use super::poller::{IN, Source, Token};
use super::timers::Timer;
use crate::cgroup::Cgroup;
use crate::sys::process::{self, Forked};
use containers_protocol::plan::Plan;
use containers_protocol::wire;
use errands::{Done, Errand};
use kit::KitKey;
pub use kit::{Kit, ReadyFile};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Kits of one kind that are ready or ordered, once there has been a second start.
const AHEAD: usize = 2;

/// Kits of all kinds that are kept.
const MOST: usize = 4;

/// How long a janitor may take to finish at the end, or to die.
const PATIENCE: Duration = Duration::from_secs(5);

/// The janitor's process.
struct Worker {
    sock: OwnedFd,
    pidfd: OwnedFd,
    token: Token,
}

/// What the launcher knows of its janitor.
#[derive(Default)]
pub struct Janitor {
    worker: Option<Worker>,
    ready: VecDeque<(KitKey, Kit)>,
    /// What the process is to make, and the names of the cgroups.
    ordered: VecDeque<(KitKey, String)>,
    starts: u64,
}

impl Janitor {
    /// Whether there is a process.
    fn works(&self) -> bool {
        self.worker.is_some()
    }

    /// Sends an errand; false: the launcher has to do it.
    fn send(&self, errand: &Errand, fds: &[BorrowedFd<'_>]) -> bool {
        self.worker.as_ref().is_some_and(|w| wire::send_postcard(&w.sock, errand, fds).is_ok())
    }

    fn count(&self, key: &KitKey) -> usize {
        let ready = self.ready.iter().filter(|(k, _)| k == key).count();
        ready + self.ordered.iter().filter(|(k, _)| k == key).count()
    }
}

impl Parent {
    /// What is ready for a plan. More is ordered, to be there for the next.
    pub(super) fn take_kit(&mut self, plan: &Plan, base: bool) -> Kit {
        if self.is_monitor() {
            return Kit::default();
        }
        let Some(key) = KitKey::of(plan, base) else { return Kit::default() };
        if self.janitor.ordered.iter().any(|(ordered, _)| *ordered == key) {
            self.janitor_ready();
        }
        let found = self.janitor.ready.iter().position(|(k, _)| *k == key);
        let kit = found.and_then(|at| self.janitor.ready.remove(at)).map(|(_, kit)| kit);
        self.order(&key);
        kit.unwrap_or_default()
    }

    fn order(&mut self, key: &KitKey) {
        self.janitor.starts += 1;
        let ahead = if self.janitor.starts == 1 { 1 } else { AHEAD };
        // One more than that: a janitor that died is noticed when something is sent to it.
        for _ in 0..=ahead {
            if self.janitor.count(key) >= ahead || !self.janitor.works() && self.hire().is_err() {
                return;
            }
            let name = self.cgroup_name();
            if self.janitor.send(&Errand::Make(key.clone(), name.clone()), &[]) {
                self.janitor.ordered.push_back((key.clone(), name));
                continue;
            }
            self.janitor_ready();
            if self.janitor.works() {
                // It has too much to do already.
                return;
            }
        }
    }

    /// A name for a cgroup: whoever finds it sees whether its launcher lives.
    pub(super) fn cgroup_name(&mut self) -> String {
        let number = self.id();
        format!("{}-{number}", self.host.cgroup_prefix)
    }

    /// Forks the janitor.
    fn hire(&mut self) -> Result<(), Errno> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // Before there is a process that would have to be ended again.
        let token = self.poller.add(&ours, Source::Janitor, IN)?;
        match process::fork(0, None).inspect_err(|_| self.poller.remove(token, &ours))? {
            Forked::Child => {
                let mut keep = vec![0, 1, 2, theirs.as_raw_fd(), self.me.as_raw_fd()];
                keep.extend(self.host.base.as_ref().map(|base| base.small.as_raw_fd()));
                let code = match process::close_all_but(&mut keep) {
                    Ok(()) => errands::serve(&theirs, self.me.as_fd(), &self.host),
                    Err(_) => 1,
                };
                process::exit(code)
            }
            Forked::Parent { pidfd, .. } => {
                self.janitor.worker = Some(Worker { sock: ours, pidfd, token });
                Ok(())
            }
        }
    }

    /// The janitor has something to say, or is gone.
    pub(super) fn janitor_ready(&mut self) {
        while let Some(worker) = &self.janitor.worker {
            let message = match wire::recv(&worker.sock) {
                Ok(Some(message)) => message,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => return self.replace_janitor(),
            };
            match wire::from_postcard(&message.payload) {
                Ok(Done::Made(facts)) => {
                    let kit = facts.and_then(|facts| Kit::unpack(facts, message.fds));
                    if let (Some((key, _)), Some(kit)) = (self.janitor.ordered.pop_front(), kit) {
                        self.janitor.ready.push_back((key, kit));
                    }
                    if self.janitor.ready.len() > MOST
                        && let Some((_, kit)) = self.janitor.ready.pop_front()
                    {
                        self.put_away(kit.cgroup.map(|(cgroup, _)| cgroup), None);
                    }
                }
                Ok(Done::Settled) => self.cleanup.elsewhere -= 1,
                Err(_) => return self.replace_janitor(),
            }
        }
    }

    /// The janitor is of no more use: what it left undone is done here, and the next start gets another one.
    fn replace_janitor(&mut self) {
        self.dismiss();
        // Not at once: a start that is under way may have one in its hands.
        self.timers.cancel(Timer::TakeOver);
        self.timers.after(Duration::ZERO, Timer::TakeOver);
    }

    /// Takes cgroups of this launcher that nobody knows of: a janitor that died made or had them.
    pub(super) fn take_over(&mut self) {
        let prefix = format!("{}-", self.host.cgroup_prefix);
        let mut found = Cgroup::find(&self.host.cgroups, &prefix);
        let used = self.containers.values().filter_map(|c| c.cgroup.as_ref());
        let ready = self.janitor.ready.iter().filter_map(|(_, kit)| Some(&kit.cgroup.as_ref()?.0));
        let mut known: HashSet<&str> = used.chain(ready).map(Cgroup::name).collect();
        known.extend(self.janitor.ordered.iter().map(|(_, name)| name.as_str()));
        found.retain(|cgroup| !known.contains(cgroup.name()));
        self.cleanup.cgroups.take_over(found);
        self.clean_soon();
    }

    /// Ends the janitor's process.
    fn dismiss(&mut self) {
        let Some(Worker { sock, pidfd, token }) = self.janitor.worker.take() else { return };
        self.poller.remove(token, &sock);
        drop(sock);
        let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
        let _ = process::reap(&pidfd, false);
        self.janitor.ordered.clear();
        self.cleanup.elsewhere = 0;
    }

    /// Removes a cgroup, and closes what may take long to close.
    pub(super) fn put_away(&mut self, cgroup: Option<Cgroup>, hold: Option<OwnedFd>) {
        if cgroup.is_none() && hold.is_none() {
            return;
        }
        let mut fds = Vec::new();
        let facts = cgroup.as_ref().map(|cgroup| cgroup.pack_dirs(&mut fds));
        fds.extend(hold.as_ref().map(AsFd::as_fd));
        if !self.janitor.send(&Errand::Finish(facts), &fds) {
            self.cleanup.cgroups.extend(cgroup);
            // It is gone, or has too much to do already: then nothing may pile up here either.
            self.cleanup.cgroups.bound();
            self.clean_soon();
        }
    }

    /// Asks the janitor to say when it has done everything.
    pub(super) fn settle_janitor(&mut self) {
        if self.janitor.send(&Errand::Settle, &[]) {
            self.cleanup.elsewhere += 1;
        }
    }

    /// Lets the janitor finish and go, and gives up what is ready.
    pub(super) fn end_janitor(&mut self, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + PATIENCE);
        self.settle_janitor();
        while self.cleanup.elsewhere > 0 && Instant::now() < deadline {
            for (source, _) in self.poller.wait(Some(Duration::from_millis(100))) {
                if source == Source::Janitor {
                    self.janitor_ready();
                }
            }
        }
        self.dismiss();
        self.janitor.ready.clear();
        if !self.is_monitor() {
            self.take_over();
        }
    }
}
