//! Further processes.

use super::Parent;
use super::connections::not_running;
use super::container::{Running, Starting, unix_nanos};
use super::poller::{IN, Source};
use super::start::{NAMESPACES, NO_LISTENER, refuse_report};
use super::timers::Timer;
use crate::child::join::Joiner;
use crate::child::report::{Report, Reporter};
use crate::child::{self, Scratch};
use crate::failure::{Context, coded, failure};
use crate::sys::process::{self, Ended, Forked};
use containers_protocol::control::{Event, Exec, ExitRecord, Failure, Started};
use containers_protocol::plan::{CapSets, ProcessPlan};
use containers_protocol::{Bytes, wire};
use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::time::Duration;

/// How long it may take to enter a container.
const DEADLINE: Duration = Duration::from_secs(60);

/// A further process.
pub struct Further {
    /// Its container.
    pub container: u64,
    /// The connection that asked for it; `None`: a health check, or the connection is gone.
    pub connection: Option<u64>,
    /// It is a health check.
    pub check: bool,
    /// The process, once the joiner has made it.
    pub process: Option<Process>,
    /// While it starts.
    pub starting: Option<Starting>,
    /// The master of its terminal.
    master: Option<OwnedFd>,
    /// Kill its group when the connection closes.
    kill_on_close: bool,
    /// How long it may take.
    timeout_ms: Option<u64>,
    /// Unix time in nanoseconds.
    started_at: i64,
}

/// The process, before and after its exit is watched.
pub enum Process {
    /// Made, not yet known to run.
    Made(i32, OwnedFd),
    /// Runs.
    Runs(Running),
}

impl Further {
    /// Kills its process group, and itself.
    pub fn kill(&self, signal: i32) -> Result<(), Errno> {
        let (pid, pidfd) = match &self.process {
            Some(Process::Made(pid, pidfd)) => (*pid, pidfd),
            Some(Process::Runs(running)) => (running.pid, &running.pidfd),
            None => return Err(Errno::SRCH),
        };
        // Not reaped, so neither id can have passed to somebody else.
        match process::kill(-pid, signal) {
            Err(Errno::SRCH) => process::pidfd_kill(pidfd, signal),
            done => done,
        }
    }
}

impl Parent {
    /// [`containers_protocol::control::Request::Exec`].
    pub(super) fn exec(&mut self, connection: u64, exec: Exec, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let container = self.connected(connection).ok_or_else(not_running)?;
        if self.connections.get(&connection).is_some_and(|c| c.owner || c.exec.is_some()) {
            let detail = "this connection already is a process's";
            return Err(coded("invalid_argument", "exec", b"", detail));
        }
        let stdio = streams(&exec, &fds)?;
        let id = self.further(container, Some(connection), &exec, stdio)?;
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.exec = Some(id);
        }
        Ok(())
    }

    /// Makes a process in a container.
    pub(super) fn further(
        &mut self,
        container_id: u64,
        connection: Option<u64>,
        exec: &Exec,
        stdio: [RawFd; 3],
    ) -> Result<u64, Failure> {
        let container = self.containers.get(&container_id).ok_or_else(not_running)?;
        let running = container.process.as_ref().filter(|_| container.starting.is_none());
        let target = running.ok_or_else(not_running)?;
        if container.paused {
            return Err(coded("not_running", "exec", b"", "the container is paused"));
        }
        let plan = process_of(exec, &container.plan.process, self.host.caps)?;
        let (args, env) = child::strings(&plan)?;
        let entrances = match &container.cgroup {
            Some(cgroup) => cgroup.entrances().during("cgroup")?,
            None => Vec::new(),
        };
        let (mut reporter, report) = Reporter::pair().during("exec")?;
        let joiner = Joiner {
            target: target.pidfd.as_fd(),
            namespaces: container.plan.namespaces & NAMESPACES,
            entrances: &entrances,
            process: &plan,
            args: &args,
            stdio,
            parent: Some(self.me.as_fd()),
            preserved: 0,
            held: self.host.caps,
            nofile: self.host.nofile,
        };
        let joined = match process::fork(0, None).during("clone")? {
            Forked::Child => {
                let mut scratch = Scratch::new(env);
                let failed = joiner.run(&mut scratch, &mut reporter);
                reporter.send_failure(&failed);
                process::exit(127)
            }
            Forked::Parent { pidfd, .. } => pidfd,
        };
        drop(reporter);
        self.reap_later(joined);
        let id = self.id();
        rustix::io::ioctl_fionbio(&report, true).during("exec")?;
        let token = self.poller.add(&report, Source::ExecReport(id), IN).during("exec")?;
        let further = Further {
            container: container_id,
            connection,
            check: connection.is_none(),
            process: None,
            starting: Some(Starting { report, token, failure: None, executing: false }),
            master: None,
            kill_on_close: exec.kill_on_close,
            timeout_ms: exec.timeout_ms,
            started_at: unix_nanos(),
        };
        self.further.insert(id, further);
        self.timers.after(DEADLINE, Timer::ExecDeadline(id));
        Ok(id)
    }

    /// Reads what a starting process reports.
    pub(super) fn exec_report_ready(&mut self, id: u64) {
        while let Some(further) = self.further.get_mut(&id) {
            let Some(starting) = &mut further.starting else { return };
            let message = match wire::recv(&starting.report) {
                Ok(Some(message)) => message,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => return self.exec_report_closed(id),
            };
            let mut fds = message.fds.into_iter();
            match wire::from_postcard::<Report>(&message.payload) {
                Ok(Report::Joined { pid }) => {
                    further.process = fds.next().map(|pidfd| Process::Made(pid, pidfd));
                }
                Ok(Report::Master) => further.master = fds.next(),
                Ok(Report::Executing) => starting.executing = true,
                Ok(Report::Failed(failed)) => drop(starting.failure.get_or_insert(failed)),
                Ok(Report::Listener { .. }) => refuse_report(&starting.report, "seccomp", NO_LISTENER),
                Ok(Report::NeedMaps | Report::Hook { .. } | Report::MapMount { .. } | Report::Ready)
                | Err(_) => {}
            }
        }
    }

    /// The process has executed the command, or is gone.
    fn exec_report_closed(&mut self, id: u64) {
        let Some(further) = self.further.get_mut(&id) else { return };
        let Some(starting) = further.starting.take() else { return };
        self.poller.remove(starting.token, &starting.report);
        self.timers.cancel(Timer::ExecDeadline(id));
        let runs = starting.failure.is_none() && starting.executing;
        match further.process.take() {
            Some(Process::Made(pid, pidfd)) if runs => return self.exec_started(id, pid, pidfd),
            // To be reaped: until then, its container can't end.
            other => further.process = other,
        }
        let failed = starting.failure.unwrap_or_else(|| {
            coded("not_running", "exec", b"", "the process was killed before its command ran")
        });
        self.exec_failed(id, failed);
    }

    fn exec_started(&mut self, id: u64, pid: i32, pidfd: OwnedFd) {
        let token = match self.poller.add(&pidfd, Source::ExecExit(id), IN) {
            Ok(token) => token,
            Err(e) => {
                let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
                self.reap_later(pidfd);
                return self.exec_failed(id, failure("exec", b"", e));
            }
        };
        let Some(further) = self.further.get_mut(&id) else { return };
        further.process = Some(Process::Runs(Running { pid, pidfd, token }));
        if let Some(limit) = further.timeout_ms {
            self.timers.after(Duration::from_millis(limit), Timer::ExecTimeout(id));
        }
        let started = Started { pid, at: further.started_at, ..Started::default() };
        let (connection, master) = (further.connection, further.master.take());
        if let Some(connection) = connection {
            let fds: Vec<_> = master.iter().map(AsFd::as_fd).collect();
            self.send(connection, &Event::Started(started), &fds);
        } else if let Some(f) = self.further.get(&id).filter(|f| f.kill_on_close) {
            // Its connection was closed while it started.
            let _ = f.kill(libc::SIGKILL);
        }
    }

    /// There is no process.
    fn exec_failed(&mut self, id: u64, failed: Failure) {
        let Some(further) = self.further.remove(&id) else { return };
        match further.process {
            Some(Process::Made(_, pidfd)) => {
                let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
                self.reap_later(pidfd);
            }
            Some(Process::Runs(running)) => {
                self.poller.remove(running.token, &running.pidfd);
                self.reap_later(running.pidfd);
            }
            None => {}
        }
        if let Some(connection) = further.connection {
            if let Some(connection) = self.connections.get_mut(&connection) {
                connection.exec = None;
            }
            self.send(connection, &Event::Failed(failed), &[]);
        } else if further.check {
            self.checked(further.container, id, false);
        }
    }

    /// A further process has ended.
    pub(super) fn exec_exited(&mut self, id: u64) {
        let Some(further) = self.further.get(&id) else { return };
        let Some(Process::Runs(running)) = &further.process else { return };
        let ended = match process::reap(&running.pidfd, true) {
            Ok(Some(ended)) => ended,
            Ok(None) => return,
            Err(_) => Ended { code: 255, signal: 0 },
        };
        let Some(further) = self.further.remove(&id) else { return };
        self.timers.cancel(Timer::ExecTimeout(id));
        if let Some(Process::Runs(running)) = &further.process {
            self.poller.remove(running.token, &running.pidfd);
        }
        let record = ExitRecord {
            code: ended.code,
            signal: ended.signal,
            started_at: further.started_at,
            finished_at: unix_nanos(),
            ..ExitRecord::default()
        };
        if let Some(connection) = further.connection {
            if let Some(connection) = self.connections.get_mut(&connection) {
                connection.exec = None;
            }
            self.send(connection, &Event::Exited(record), &[]);
        } else if further.check {
            self.checked(further.container, id, ended.code == 0);
        }
    }

    /// The connection of a process is closed.
    pub(super) fn exec_abandoned(&mut self, id: u64) {
        let Some(further) = self.further.get_mut(&id) else { return };
        further.connection = None;
        if further.kill_on_close {
            let _ = further.kill(libc::SIGKILL);
        }
    }

    /// A process takes too long to start, or a check to end.
    pub(super) fn exec_too_long(&mut self, id: u64) {
        let Some(further) = self.further.get_mut(&id) else { return };
        let _ = further.kill(libc::SIGKILL);
        if let Some(starting) = &mut further.starting {
            let detail = "the start did not come to its end in time";
            starting.failure.get_or_insert(coded("", "exec", b"", detail));
            self.exec_report_closed(id);
        }
    }

    /// Sends a signal to the process group of an exec connection.
    pub(super) fn exec_kill(&mut self, id: u64, signal: i32) -> Result<(), Failure> {
        let further = self.further.get(&id).ok_or_else(not_running)?;
        match further.kill(signal) {
            Err(Errno::SRCH) => Err(not_running()),
            other => other.at("kill", signal.to_string().as_bytes()),
        }
    }
}

/// The standard streams that were sent along.
fn streams(exec: &Exec, fds: &[OwnedFd]) -> Result<[RawFd; 3], Failure> {
    let mut fds = fds.iter();
    let mut stdio = [-1; 3];
    if exec.tty.is_some() {
        return Ok(stdio);
    }
    for (slot, sent) in stdio.iter_mut().zip(exec.stdio) {
        if sent {
            *slot = fds.next().ok_or_else(|| failure("stdio", b"", Errno::BADF))?.as_raw_fd();
        }
    }
    Ok(stdio)
}

/// What the process becomes: as the container's command, but for what was said.
fn process_of(exec: &Exec, base: &ProcessPlan, held: (u64, u64)) -> Result<ProcessPlan, Failure> {
    if exec.args.is_empty() {
        return Err(coded("invalid_argument", "exec", b"command", "there is no command"));
    }
    let mut process = base.clone();
    process.args = exec.args.iter().map(|a| Bytes::from(a.as_str())).collect();
    for entry in &exec.env {
        let Some((name, _)) = entry.split_once('=') else {
            return Err(coded("invalid_argument", "exec", entry.as_bytes(), "no KEY=value"));
        };
        let same = |e: &Bytes| e.0.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
        process.env.retain(|e| !same(e));
        process.env.push(Bytes::from(entry.as_str()));
    }
    if let Some(cwd) = &exec.cwd {
        process.cwd = Bytes::from(cwd.as_str());
        process.create_cwd = false;
    }
    if let Some(user) = &exec.user {
        process.user.clone_from(user);
        process.groups.clear();
    }
    if exec.privileged {
        let all = held.0 & held.1;
        process.caps =
            CapSets { bounding: held.1, effective: all, permitted: all, inheritable: 0, ambient: 0 };
        process.seccomp = Bytes::default();
        process.no_new_privs = false;
    }
    process.tty = exec.tty;
    process.init = false;
    Ok(process)
}
