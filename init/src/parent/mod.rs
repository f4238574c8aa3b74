//! The parent of containers: one loop over processes, streams and connections, in the launcher and in each
//! monitor.

mod cleanup;
mod connections;
mod container;
mod exec;
mod health;
mod janitor;
mod log;
mod monitor;
mod poller;
mod restart;
mod spares;
mod stamps;
mod start;
mod stdio;
mod timers;
mod unpacker;

use crate::child::kernel_paths::KernelPaths;
use crate::host::Host;
use crate::sys::process::{self, Stack};
use cleanup::Cleanup;
use connections::Connection;
use container::Container;
use containers_protocol::control::{Event, ExitRecord, Failure};
use containers_protocol::launch::{Ready, Request};
use containers_protocol::{control, wire};
use exec::Further;
use janitor::Janitor;
pub use janitor::ReadyFile;
use poller::{IN, Poller, Source, Token};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use spares::Spares;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use stdio::Sink;
use timers::{Timer, Timers};

/// Stack of children that share memory.
const STACK: usize = 512 * 1024;

/// What says that the other end of a pipe is gone.
const BROKEN: EventFlags = EventFlags::ERR.union(EventFlags::HUP);

/// Exits that are remembered for those who ask late.
const REMEMBERED: usize = 64;

/// What this process is.
enum Role {
    /// The launcher of one open runtime.
    Launcher {
        /// The library's socket.
        main: OwnedFd,
        /// The library's process.
        _library: OwnedFd,
    },
    /// The parent of one detached container.
    Monitor {
        /// Says that it lives.
        _lock: OwnedFd,
    },
}

/// The state of a parent.
pub struct Parent {
    host: Rc<Host>,
    role: Role,
    /// pidfd of this process.
    me: OwnedFd,
    /// Stack of children that share our memory.
    stack: Stack,
    poller: Poller,
    timers: Timers,
    listener: OwnedFd,
    containers: HashMap<u64, Container>,
    connections: HashMap<u64, Connection>,
    further: HashMap<u64, Further>,
    sinks: HashMap<u64, Sink>,
    /// Bytes that clients who were too far behind have lost.
    lost: u64,
    /// Children of ours that only have to be reaped.
    orphans: HashMap<u64, (OwnedFd, Token)>,
    ended: VecDeque<(String, ExitRecord)>,
    cleanup: Cleanup,
    spares: Spares,
    janitor: Janitor,
    kernel_paths: KernelPaths,
    next_id: u64,
    stop: bool,
    /// A monitor waits for its last clients.
    farewell: bool,
}

impl Parent {
    /// The launcher.
    pub fn launcher(host: Host, main: OwnedFd, library: OwnedFd, listener: OwnedFd) -> Result<Parent, Errno> {
        rustix::io::ioctl_fionbio(&main, true)?;
        let mut poller = Poller::new()?;
        poller.add(&main, Source::Main, IN)?;
        poller.add(&library, Source::Library, IN)?;
        Parent::new(Rc::new(host), poller, Role::Launcher { main, _library: library }, listener)
    }

    fn new(host: Rc<Host>, mut poller: Poller, role: Role, listener: OwnedFd) -> Result<Parent, Errno> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        poller.add(&listener, Source::Listener, IN)?;
        Ok(Parent {
            host,
            role,
            me: pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?,
            stack: Stack::new(STACK)?,
            poller,
            timers: Timers::default(),
            listener,
            containers: HashMap::new(),
            connections: HashMap::new(),
            further: HashMap::new(),
            sinks: HashMap::new(),
            lost: 0,
            orphans: HashMap::new(),
            ended: VecDeque::new(),
            cleanup: Cleanup::default(),
            spares: Spares::new(),
            janitor: Janitor::default(),
            kernel_paths: KernelPaths::default(),
            next_id: 1,
            stop: false,
            farewell: false,
        })
    }

    /// Tells the library that the launcher serves.
    pub fn announce(&self, ready: &Ready) -> bool {
        match &self.role {
            Role::Launcher { main, .. } => wire::send_postcard(main, ready, &[]).is_ok(),
            Role::Monitor { .. } => false,
        }
    }

    fn is_monitor(&self) -> bool {
        matches!(self.role, Role::Monitor { .. })
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Serves until there is nothing left to serve. `false`: something could not be cleaned up in time.
    pub fn run(&mut self) -> bool {
        while !self.stop {
            let timeout =
                if self.has_idle_work() { Some(std::time::Duration::ZERO) } else { self.timers.next_in() };
            let events = self.poller.wait(timeout);
            let idle = events.is_empty();
            for (source, flags) in events {
                self.handle(source, flags);
            }
            while let Some(timer) = self.timers.due() {
                self.timer(timer);
            }
            if idle {
                self.idle_work();
            }
            self.end_monitor();
        }
        self.shut_down()
    }

    fn handle(&mut self, source: Source, flags: EventFlags) {
        match source {
            Source::Main => self.requests(),
            Source::Library => self.stop = true,
            Source::Listener => self.accept(),
            Source::Connection(id) => self.connection_ready(id),
            Source::Exit(id) => self.container_exited(id),
            Source::Report(id) => self.report_ready(id),
            Source::ExecReport(id) => self.exec_report_ready(id),
            Source::ExecExit(id) => self.exec_exited(id),
            Source::Output(id, stream) => self.output_ready(id, stream),
            Source::Input(id) if flags.intersects(BROKEN) => self.input_broken(id),
            Source::Input(id) => self.input_ready(id),
            Source::ClientInput(id, source) => self.client_input_ready(id, source),
            Source::Sink(id) => self.sink_ready(id, flags.intersects(BROKEN)),
            Source::Worker(id) => self.worker_ended(id),
            Source::WorkerClient(id) => self.worker_abandoned(id),
            Source::Orphan(id) => self.reap_orphan(id),
            Source::Janitor => self.janitor_ready(),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::StartDeadline(id) => self.start_too_long(id),
            Timer::ExecDeadline(id) | Timer::ExecTimeout(id) => self.exec_too_long(id),
            Timer::Restart(id) => self.restart(id),
            Timer::Health(id) => self.check_health(id),
            Timer::Cleanup => self.clean_again(),
            Timer::TakeOver => self.take_over(),
            Timer::Farewell => self.stop = true,
        }
    }

    /// Requests of the library.
    fn requests(&mut self) {
        loop {
            let Role::Launcher { main, .. } = &self.role else { return };
            let message = match wire::recv(main) {
                Ok(Some(message)) => message,
                Ok(None) => {
                    self.stop = true;
                    return;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                // Descriptors that did not fit, or a message that is none: whoever waits for an answer to
                // it sees its connection close.
                Err(_) => continue,
            };
            let mut fds = message.fds;
            if fds.is_empty() {
                continue;
            }
            let answer = fds.remove(0);
            match wire::from_postcard::<Request>(&message.payload) {
                Ok(request) => self.request(request, answer, fds),
                Err(e) => {
                    let failed =
                        Failure { step: "request".into(), detail: e.to_string(), ..Failure::default() };
                    let _ = wire::send_json(&answer, &Event::Failed(failed), &[]);
                }
            }
        }
    }

    fn request(&mut self, request: Request, answer: OwnedFd, fds: Vec<OwnedFd>) {
        match request {
            Request::Start(plan) => self.start_attached(*plan, answer, fds),
            Request::StartDetached(plan, apart) => self.start_detached(*plan, apart, answer, fds),
            Request::Unpack(unpack) => self.unpack(unpack, answer, fds),
            Request::Delete(paths) => self.delete(paths, answer),
            Request::Settle => self.settle(answer),
        }
    }

    fn has_idle_work(&self) -> bool {
        self.cleanup.has_work() || (!self.is_monitor() && self.spares.has_work())
    }

    /// Does one thing for which nobody waits.
    fn idle_work(&mut self) {
        if !self.cleanup.has_work() && !self.is_monitor() {
            let host = Rc::clone(&self.host);
            self.spares.prepare(&host);
        } else {
            self.clean_some();
        }
    }

    /// Kills everything that is ours and removes its traces. `false`: not all in time.
    fn shut_down(&mut self) -> bool {
        for container in self.containers.values() {
            container.kill_all();
        }
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !self.containers.is_empty() && std::time::Instant::now() < deadline {
            for (source, flags) in self.poller.wait(Some(std::time::Duration::from_millis(100))) {
                if !matches!(
                    source,
                    Source::Main | Source::Library | Source::Listener | Source::Connection(_)
                ) {
                    self.handle(source, flags);
                }
            }
        }
        for connection in std::mem::take(&mut self.connections).into_values() {
            self.cleanup.paths.extend(connection.delete);
        }
        self.cleanup.paths.extend(self.spares.give_up());
        self.end_janitor(deadline);
        while self.cleanup.has_any() && std::time::Instant::now() < deadline {
            self.cleanup.cgroups.retry();
            self.clean_some();
            for (source, flags) in self.poller.wait(Some(std::time::Duration::from_millis(1))) {
                if matches!(source, Source::Worker(_)) {
                    self.handle(source, flags);
                }
            }
        }
        self.containers.is_empty() && !self.cleanup.has_any()
    }

    /// Reaps a child when it ends, whatever it says.
    fn reap_later(&mut self, pidfd: OwnedFd) {
        let id = self.id();
        match self.poller.add(&pidfd, Source::Orphan(id), IN) {
            Ok(token) => drop(self.orphans.insert(id, (pidfd, token))),
            // Out of memory for a registration: it has but to exit.
            Err(_) => drop(process::reap(&pidfd, false)),
        }
    }

    fn reap_orphan(&mut self, id: u64) {
        if let Some((pidfd, token)) = self.orphans.remove(&id) {
            self.poller.remove(token, &pidfd);
            let _ = process::reap(&pidfd, true);
        }
    }

    /// Sends an event on a connection; one that does not take it is closed.
    fn send(&mut self, id: u64, event: &control::Event, fds: &[BorrowedFd<'_>]) {
        let Some(connection) = self.connections.get(&id) else { return };
        if wire::send_json(connection.sock.as_fd(), event, fds).is_err() {
            self.close_connection(id);
        }
    }
}

/// Answers a request with why it can't be done.
fn refuse(answer: &OwnedFd, failed: Failure) {
    let _ = wire::send_json(answer, &Event::Failed(failed), &[]);
}
