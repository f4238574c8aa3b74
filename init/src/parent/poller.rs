//! epoll, with tokens that are never used twice: an event of something that is gone finds nothing.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::Timespec;
use std::collections::HashMap;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The library's socket (launcher).
    Main,
    /// The library's process (launcher).
    Library,
    /// A new control connection.
    Listener,
    /// A message of a connection, or its end.
    Connection(u64),
    /// A container's first process has ended.
    Exit(u64),
    /// A child tells how its start goes: of a container.
    Report(u64),
    /// A child tells how its start goes: of a further process.
    ExecReport(u64),
    /// A further process has ended.
    ExecExit(u64),
    /// Output of a container: 1 or 2.
    Output(u64, u8),
    /// A container's input can take more.
    Input(u64),
    /// An attached client's input has something: container, client.
    ClientInput(u64, u64),
    /// An attached client's output can take more, or is closed: sink.
    Sink(u64),
    /// A child that does work on the side has ended.
    Worker(u64),
    /// Whoever waits for such work is gone.
    WorkerClient(u64),
    /// A child has ended that has but to be reaped.
    Orphan(u64),
    /// The janitor has something to say, or is gone.
    Janitor,
}

/// A registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

/// Readable.
pub const IN: EventFlags = EventFlags::IN;
/// Writable.
pub const OUT: EventFlags = EventFlags::OUT;
/// Errors and hang-ups only, which always arrive.
pub const NOTHING: EventFlags = EventFlags::empty();

/// The registrations.
pub struct Poller {
    epoll: OwnedFd,
    sources: HashMap<u64, Source>,
    next: u64,
    events: Vec<Event>,
}

impl Poller {
    /// No registrations.
    pub fn new() -> Result<Poller, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, sources: HashMap::new(), next: 1, events: Vec::with_capacity(64) })
    }

    /// Registers a descriptor.
    pub fn add(&mut self, fd: impl AsFd, source: Source, interest: EventFlags) -> Result<Token, Errno> {
        let token = self.next;
        epoll::add(&self.epoll, fd, EventData::new_u64(token), interest)?;
        self.next += 1;
        self.sources.insert(token, source);
        Ok(Token(token))
    }

    /// Changes what is waited for.
    pub fn change(&mut self, token: Token, fd: impl AsFd, interest: EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token.0), interest)
    }

    /// Ends a registration; its descriptor must still be open.
    pub fn remove(&mut self, token: Token, fd: impl AsFd) {
        self.sources.remove(&token.0);
        // Fails only if it was not registered.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits; returns what happened.
    pub fn wait(&mut self, timeout: Option<std::time::Duration>) -> Vec<(Source, EventFlags)> {
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        self.events.clear();
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref());
        let known = |e: &Event| Some((*self.sources.get(&{ e.data }.u64())?, { e.flags }));
        self.events.iter().filter_map(known).collect()
    }
}
