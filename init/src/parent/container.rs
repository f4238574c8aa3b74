//! A container in the parent's eyes.

use super::connections::not_running;
use super::poller::Token;
use super::restart::Policy;
use super::spares::{DevMount, RootMount};
use super::stdio::{self, Ends, Streams};
use super::timers::Timer;
use super::{Parent, REMEMBERED};
use crate::cgroup::Cgroup;
use crate::failure::{Context, coded};
use crate::sys::process::{self, Ended};
use containers_protocol::control::{Event, ExitRecord, Failure, Started, State};
use containers_protocol::plan::{Plan, Stdio};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::io::Write;
use std::rc::Rc;

/// One container.
pub struct Container {
    /// Its plan.
    pub plan: Rc<Plan>,
    /// The connection that owns it.
    pub owner: Option<u64>,
    /// Its first process, from its birth until it is reaped.
    pub process: Option<Running>,
    /// While it starts: where its child reports.
    pub starting: Option<Starting>,
    /// What `started` said.
    pub started: Option<Started>,
    /// Its cgroup.
    pub cgroup: Option<Cgroup>,
    /// Its root file system, to be closed when it has ended.
    pub root: Option<RootMount>,
    /// Mounts of its further overlays, by their steps.
    pub overlays: Vec<(usize, OwnedFd)>,
    /// Its prepared `/dev`.
    pub dev: Option<DevMount>,
    /// Keeps its mounts in place beyond its end, so that nobody waits until they are gone.
    pub hold: Option<OwnedFd>,
    /// The master of its terminal.
    pub master: Option<OwnedFd>,
    /// It is frozen.
    pub paused: bool,
    /// Our ends of its pipes, until it runs.
    pub ends: Option<Ends>,
    /// Its streams, while it runs.
    pub streams: Option<Streams>,
    /// Clients that attached before the start: they miss nothing.
    pub early: Vec<[Option<OwnedFd>; 3]>,
    /// Descriptors that a restart needs again.
    pub fds: Vec<OwnedFd>,
    /// What a monitor knows beyond that.
    pub policy: Policy,
}

/// A process that is ours to reap.
pub struct Running {
    /// Process id.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// The pidfd's registration.
    pub token: Token,
}

/// A start that is under way.
pub struct Starting {
    /// Where the child reports.
    pub report: OwnedFd,
    /// Its registration.
    pub token: Token,
    /// What it reported.
    pub failure: Option<Failure>,
    /// It said that it executes the command.
    pub executing: bool,
}

impl Container {
    /// A container that is yet to be started.
    pub fn new(plan: Rc<Plan>, owner: u64) -> Container {
        Container {
            plan,
            owner: Some(owner),
            process: None,
            starting: None,
            started: None,
            cgroup: None,
            root: None,
            overlays: Vec::new(),
            dev: None,
            hold: None,
            master: None,
            paused: false,
            ends: None,
            streams: None,
            early: Vec::new(),
            fds: Vec::new(),
            policy: Policy::default(),
        }
    }

    /// Kills every process of it.
    pub fn kill_all(&self) {
        if let Some(process) = &self.process {
            let _ = process::pidfd_kill(&process.pidfd, libc::SIGKILL);
        }
        let has_own_processes = self.plan.namespaces & libc::CLONE_NEWPID as u64 != 0;
        if let (Some(cgroup), true) = (&self.cgroup, self.paused || !has_own_processes) {
            cgroup.kill();
        }
    }

    /// How it stands.
    pub fn state(&mut self) -> State {
        let status = match (&self.started, self.paused) {
            (None, _) if self.policy.last.is_some() => "restarting",
            (None, _) => "created",
            (Some(_), true) => "paused",
            (Some(_), false) => "running",
        };
        if let Some(started) = self.started.as_mut().filter(|s| s.start_time == 0) {
            started.start_time = start_time(started.pid);
        }
        State {
            status: status.into(),
            started: self.started.clone(),
            exit: self.policy.last.clone(),
            restarts: self.policy.restarts,
            health: self.policy.health_word().into(),
        }
    }
}

/// Field 22 of `/proc/<pid>/stat`; 0: not known.
pub fn start_time(pid: i32) -> u64 {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let text = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_ascii_whitespace().nth(19).and_then(|f| f.parse().ok()).unwrap_or(0)
}

/// Unix time in nanoseconds.
pub fn unix_nanos() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

impl Parent {
    /// A container's first process has ended.
    pub(super) fn container_exited(&mut self, id: u64) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        // Its last report is still unread: that comes first.
        if container.starting.is_some() {
            self.report_ready(id);
        }
        let Some(container) = self.containers.get_mut(&id) else { return };
        let Some(process) = &container.process else { return };
        match process::reap(&process.pidfd, true) {
            Ok(Some(ended)) => self.container_ended(id, ended),
            Ok(None) => {}
            // Somebody else reaped it: nothing more will be known.
            Err(_) => self.container_ended(id, Ended { code: 255, signal: 0 }),
        }
    }

    /// Starts it again, or tells of the end and cleans up.
    fn container_ended(&mut self, id: u64, ended: Ended) {
        self.drain_streams(id);
        let Some(container) = self.containers.get_mut(&id) else { return };
        if let Some(process) = container.process.take() {
            self.poller.remove(process.token, &process.pidfd);
        }
        let record = ExitRecord {
            code: ended.code,
            signal: ended.signal,
            oom_killed: container.cgroup.as_ref().is_some_and(Cgroup::oom_killed),
            started_at: container.started.as_ref().map_or(0, |s| s.at),
            finished_at: unix_nanos(),
            restarts: container.policy.restarts,
            failure: None,
        };
        if !self.will_restart(id, &record) {
            self.finish_container(id, record);
        }
    }

    /// The end of a container for good.
    pub(super) fn finish_container(&mut self, id: u64, record: ExitRecord) {
        let Some(container) = self.containers.remove(&id) else { return };
        if let Some(path) = &container.plan.keep.exit_record {
            write_record(&path.0, &record);
        }
        self.tell_exit(id, &record);
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((container.plan.id.clone(), record));
        self.discard(container);
    }

    /// Sends `exited` to the owner and to all who wait.
    fn tell_exit(&mut self, container: u64, record: &ExitRecord) {
        let about = |c: &super::Connection| c.waits && c.container == Some(container);
        let waiting = self.connections.iter().filter(|(_, c)| about(c));
        let mut waiting: Vec<(bool, u64)> = waiting.map(|(id, c)| (c.owner, *id)).collect();
        // In order, the owner last: who has a descriptor that tells of the end, and then waits, finds it readable
        // when the wait is over.
        waiting.sort_unstable();
        let event = Event::Exited(record.clone());
        for (_, id) in waiting {
            self.send(id, &event, &[]);
            if let Some(connection) = self.connections.get_mut(&id) {
                (connection.waits, connection.owner) = (false, false);
            }
        }
    }

    /// Hands everything that is left of a container to the clean-up.
    pub(super) fn discard(&mut self, container: Container) {
        let attached = !self.is_monitor();
        self.put_away(container.cgroup, container.hold);
        if let Some(root) = container.root {
            self.cleanup.paths.extend(self.spares.take_back(root));
        }
        if let Some(dev) = container.dev {
            self.spares.take_back_dev(dev);
        }
        let paths = container.plan.keep.delete.iter().map(|path| path.0.clone());
        let owner = container.owner.and_then(|owner| self.connections.get_mut(&owner));
        match owner {
            // The container may be started again, as long as its owner is there.
            Some(owner) if attached => owner.delete = paths.collect(),
            _ => self.cleanup.paths.extend(paths),
        }
    }

    /// The owner of a container has closed its connection.
    pub(super) fn owner_gone(&mut self, id: u64) {
        if let Some(container) = self.containers.get_mut(&id) {
            container.owner = None;
            container.kill_all();
        }
    }

    /// Sends a signal to the container of a connection.
    pub(super) fn kill(&mut self, connection: u64, signal: i32) -> Result<(), Failure> {
        if !(0..=64).contains(&signal) {
            return Err(coded("invalid_argument", "kill", signal.to_string().as_bytes(), "no such signal"));
        }
        if let Some(exec) = self.connections.get(&connection).and_then(|c| c.exec) {
            return self.exec_kill(exec, signal);
        }
        let id = self.connected(connection).ok_or_else(not_running)?;
        let container = self.containers.get(&id).ok_or_else(not_running)?;
        let process = container.process.as_ref().ok_or_else(not_running)?;
        match process::pidfd_kill(&process.pidfd, signal) {
            Err(Errno::SRCH) => return Err(not_running()),
            other => other.at("kill", signal.to_string().as_bytes())?,
        }
        // A frozen process does not even die.
        if signal == libc::SIGKILL && container.paused {
            self.freeze(connection, false)?;
        }
        Ok(())
    }

    /// Freezes or thaws the container of a connection.
    pub(super) fn freeze(&mut self, connection: u64, frozen: bool) -> Result<(), Failure> {
        let id = self.connected(connection).ok_or_else(not_running)?;
        let base = self.host.cgroups().clone();
        let container = self.containers.get_mut(&id).ok_or_else(not_running)?;
        let Some(cgroup) = &mut container.cgroup else {
            let detail = "pausing needs a cgroup, and none is writable here";
            return Err(coded("unsupported", "pause", b"", detail));
        };
        cgroup.freeze(&base, frozen).during("pause")?;
        container.paused = frozen;
        Ok(())
    }

    /// Changes limits of the container of a connection.
    pub(super) fn update(
        &mut self,
        connection: u64,
        writes: &[(String, String, String)],
    ) -> Result<(), Failure> {
        let id = self.connected(connection).ok_or_else(not_running)?;
        let container = self.containers.get(&id).ok_or_else(not_running)?;
        let cgroup = container.cgroup.as_ref();
        let cgroup =
            cgroup.ok_or_else(|| coded("unsupported", "cgroup", b"", "no cgroup is writable here"))?;
        writes.iter().try_for_each(|(controller, file, value)| cgroup.update(controller, file, value))
    }

    /// A start has taken too long.
    pub(super) fn start_too_long(&mut self, id: u64) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        if let Some(starting) = &mut container.starting {
            let detail = "the start did not come to its end in time";
            starting.failure.get_or_insert(coded("", "start", b"", detail));
            container.kill_all();
        }
        self.timers.cancel(Timer::StartDeadline(id));
    }

    /// Serves the streams of a container that has just started, if they are ours to serve.
    fn begin_streams(&mut self, id: u64) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let plan = Rc::clone(&container.plan);
        let Stdio::Parent { stdin_once, .. } = plan.stdio else { return };
        let master = container.master.take();
        let terminal = master.is_some();
        let ends = match master.map(Ends::terminal) {
            Some(Ok(ends)) => Some(ends),
            Some(Err(_)) => None,
            None => container.ends.take(),
        };
        let early = std::mem::take(&mut container.early);
        let Some(ends) = ends else { return };
        let log = stdio::open_log(&plan).unwrap_or_default();
        // Without descriptors to spare, output is lost; the container runs all the same.
        let streams = self.serve_streams(id, ends, log, stdin_once, terminal);
        if let (Ok(streams), Some(container)) = (streams, self.containers.get_mut(&id)) {
            container.streams = Some(streams);
        }
        for fds in early {
            let _ = self.attach(id, fds, true);
        }
    }

    /// Announces that a container runs.
    pub(super) fn container_started(&mut self, id: u64) {
        self.begin_streams(id);
        let Some(container) = self.containers.get_mut(&id) else { return };
        let Some(started) = &container.started else { return };
        let master = container.master.take();
        let told = master.is_some() || !container.plan.quiet;
        let owner = container.owner.filter(|_| told);
        let event = owner.map(|owner| (owner, Event::Started(started.clone())));
        self.begin_health(id);
        if let Some((owner, event)) = event {
            let fds: Vec<_> = master.iter().map(AsFd::as_fd).collect();
            self.send(owner, &event, &fds);
        }
    }
}

/// Writes an exit record and puts it in its place whole.
fn write_record(path: &[u8], record: &ExitRecord) {
    let new = [path, b".new"].concat();
    let Ok(json) = serde_json::to_vec(record) else { return };
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(fd) = openat(CWD, &*new, how, Mode::from_raw_mode(0o600)) else { return };
    // Nobody is left to be told of a failure; readers see that there is no record.
    if std::fs::File::from(fd).write_all(&json).is_ok() {
        let _ = rustix::fs::rename(&*new, path);
    }
}
