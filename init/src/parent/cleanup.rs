//! What is done after the answer: cgroups and trees are removed when nothing else is to do.

use super::Parent;
use super::poller::{IN, Source, Token};
use super::timers::Timer;
use crate::cgroup::Cgroup;
use crate::child::confine::die_with;
use crate::failure::failure;
use crate::remove::{self, Progress};
use crate::sys::process::{self, Forked};
use containers_protocol::Bytes;
use containers_protocol::control::{Event, Failure};
use containers_protocol::wire;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// Entries of a tree that are deleted in one go; a bigger tree is left to a process of its own, because the
/// parent must answer.
const BUDGET: usize = 200;

/// How often a cgroup that is still busy is tried.
const TRIES: u32 = 200;

/// cgroups that may wait for a quiet moment. More of them are removed at once.
const BACKLOG: usize = 64;

/// How long something busy is left alone.
const PAUSE: Duration = Duration::from_millis(5);

/// cgroups to remove.
#[derive(Default)]
pub struct Leftovers {
    fresh: Vec<Cgroup>,
    /// Those that were busy, and how often.
    busy: Vec<(Cgroup, u32)>,
}

impl Leftovers {
    /// More of them.
    pub fn extend(&mut self, cgroups: impl IntoIterator<Item = Cgroup>) {
        self.fresh.extend(cgroups);
    }

    /// Those of a list that are not here yet.
    pub fn take_over(&mut self, mut found: Vec<Cgroup>) {
        let here = self.fresh.iter().chain(self.busy.iter().map(|(cgroup, _)| cgroup));
        let here: HashSet<&str> = here.map(Cgroup::name).collect();
        found.retain(|cgroup| !here.contains(cgroup.name()));
        self.fresh.append(&mut found);
    }

    /// Removes what is more than may wait.
    pub fn bound(&mut self) {
        while self.fresh.len() > BACKLOG && self.remove_one() {}
        // Each holds descriptors. What is given up here is found by its name in the end.
        let surplus = self.busy.len().saturating_sub(BACKLOG);
        self.busy.drain(..surplus);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.busy.is_empty()
    }

    /// Tries one for the first time; false: there is none.
    pub fn remove_one(&mut self) -> bool {
        let Some(mut cgroup) = self.fresh.pop() else { return false };
        if cgroup.remove() == Err(Errno::BUSY) {
            cgroup.kill();
            self.busy.push((cgroup, 0));
        }
        true
    }

    /// Takes up again what was busy.
    pub fn retry(&mut self) {
        for (mut cgroup, tries) in std::mem::take(&mut self.busy) {
            match cgroup.remove() {
                Err(Errno::BUSY) if tries < TRIES => {
                    cgroup.kill();
                    self.busy.push((cgroup, tries + 1));
                }
                // Given up: it is found by its name when the launcher ends, or when the root is opened again.
                _ => {}
            }
        }
    }

    /// Removes those of a name now, because they are about to be made anew.
    fn finish(&mut self, name: &str) {
        let busy = std::mem::take(&mut self.busy).into_iter().map(|(cgroup, _)| cgroup);
        let all = std::mem::take(&mut self.fresh).into_iter().chain(busy);
        let (mut named, others): (Vec<_>, Vec<_>) = all.partition(|cgroup| cgroup.name() == name);
        self.fresh = others;
        for cgroup in &mut named {
            for _ in 0..TRIES {
                match cgroup.remove() {
                    Err(Errno::BUSY) => cgroup.kill(),
                    _ => break,
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Work that is left.
#[derive(Default)]
pub struct Cleanup {
    /// cgroups to remove.
    pub cgroups: Leftovers,
    /// Trees to delete.
    pub paths: VecDeque<Vec<u8>>,
    /// Answers that the janitor owes about work of its own.
    pub elsewhere: usize,
    /// Processes that delete.
    workers: Vec<Worker>,
    /// Who waits for all of it.
    settling: Vec<OwnedFd>,
}

/// A process that deletes trees, or unpacks a layer.
pub struct Worker {
    /// Names it in events.
    pub id: u64,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// The pidfd's registration.
    pub token: Token,
    /// Who waits for it.
    pub answer: Option<OwnedFd>,
    /// Registration of `answer`: when it closes, the work is given up.
    pub client: Option<Token>,
}

impl Cleanup {
    /// Whether something can be done now.
    pub fn has_work(&self) -> bool {
        !self.cgroups.fresh.is_empty()
            || !self.paths.is_empty()
            || (!self.settling.is_empty() && !self.has_any())
    }

    /// Whether anything is left to do.
    pub fn has_any(&self) -> bool {
        !self.cgroups.is_empty() || !self.paths.is_empty() || !self.workers.is_empty() || self.elsewhere > 0
    }

    /// Removes the cgroups of a name now, because they are about to be made anew.
    pub fn finish_cgroup(&mut self, name: &str) {
        self.cgroups.finish(name);
    }

    /// Registers a process that works on the side.
    pub fn add_worker(&mut self, worker: Worker) {
        self.workers.push(worker);
    }
}

impl Parent {
    /// Does one piece of work.
    pub(super) fn clean_some(&mut self) {
        if !self.cleanup.cgroups.remove_one()
            && let Some(path) = self.cleanup.paths.pop_front()
        {
            let mut budget = BUDGET;
            if remove::tree(&path, &mut budget) == Ok(Progress::Unfinished) {
                self.delete_aside(vec![path], None);
            }
        }
        self.clean_soon();
        if !self.cleanup.has_any() {
            for answer in std::mem::take(&mut self.cleanup.settling) {
                let _ = wire::send_json(&answer, &Event::Done, &[]);
            }
        }
    }

    /// Sees to it that cgroups that are left are tried again.
    pub(super) fn clean_soon(&mut self) {
        if !self.cleanup.cgroups.is_empty() && !self.timers.is_set(Timer::Cleanup) {
            self.timers.after(PAUSE, Timer::Cleanup);
        }
    }

    /// Tries again what was busy.
    pub(super) fn clean_again(&mut self) {
        self.cleanup.cgroups.retry();
        self.clean_soon();
    }

    /// Deletes in a process of its own.
    fn delete_aside(&mut self, paths: Vec<Vec<u8>>, answer: Option<OwnedFd>) {
        let forked = process::fork(0, None);
        match forked {
            Ok(Forked::Child) => {
                // Nobody must think that a connection of the launcher's is still open because it is here.
                let mut keep = vec![0, 1, 2, self.me.as_raw_fd()];
                keep.extend(answer.as_ref().map(AsRawFd::as_raw_fd));
                if process::close_all_but(&mut keep).is_err() || die_with(self.me.as_fd()).is_err() {
                    process::exit(1);
                }
                let mut code = 0;
                for path in &paths {
                    if let Err(e) = remove::tree(path, &mut { usize::MAX }) {
                        tell(answer.as_ref(), &Event::Failed(failure("delete", path, e)));
                        code = 1;
                        break;
                    }
                }
                if code == 0 {
                    tell(answer.as_ref(), &Event::Done);
                }
                process::exit(code)
            }
            Ok(Forked::Parent { pidfd, .. }) => {
                let id = self.id();
                match self.poller.add(&pidfd, Source::Worker(id), IN) {
                    Ok(token) => self.cleanup.add_worker(Worker { id, pidfd, token, answer, client: None }),
                    Err(_) => drop(process::reap(&pidfd, false)),
                }
            }
            Err(e) => tell(answer.as_ref(), &Event::Failed(failure("delete", b"", e))),
        }
    }

    /// A deleting process has ended.
    pub(super) fn worker_ended(&mut self, id: u64) {
        let Some(at) = self.cleanup.workers.iter().position(|w| w.id == id) else { return };
        let worker = self.cleanup.workers.swap_remove(at);
        self.poller.remove(worker.token, &worker.pidfd);
        if let (Some(token), Some(answer)) = (worker.client, &worker.answer) {
            self.poller.remove(token, answer);
        }
        let ended = process::reap(&worker.pidfd, false);
        if !matches!(ended, Ok(Some(e)) if e.signal == 0) {
            let failed = Failure { step: "helper".into(), detail: "killed".into(), ..Failure::default() };
            tell(worker.answer.as_ref(), &Event::Failed(failed));
        }
    }

    /// Whoever waits for a worker is gone: it need not go on.
    pub(super) fn worker_abandoned(&mut self, id: u64) {
        let Some(worker) = self.cleanup.workers.iter_mut().find(|w| w.id == id) else { return };
        let _ = process::pidfd_kill(&worker.pidfd, libc::SIGKILL);
        if let (Some(token), Some(answer)) = (worker.client.take(), &worker.answer) {
            self.poller.remove(token, answer);
        }
    }

    /// Deletes trees for the library.
    pub(super) fn delete(&mut self, paths: Vec<Bytes>, answer: OwnedFd) {
        self.delete_aside(paths.into_iter().map(|p| p.0).collect(), Some(answer));
    }

    /// Answers when nothing is left to clean up.
    pub(super) fn settle(&mut self, answer: OwnedFd) {
        self.settle_janitor();
        self.cleanup.settling.push(answer);
    }
}

fn tell(answer: Option<&OwnedFd>, event: &Event) {
    if let Some(answer) = answer {
        let _ = wire::send_json(answer, event, &[]);
    }
}
