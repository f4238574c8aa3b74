//! Streams that go through the parent: to the log, and to and from attached clients.

use super::Parent;
use super::container::unix_nanos;
use super::log::Log;
use super::poller::{IN, NOTHING, OUT, Source, Token};
use crate::failure::{Context, coded, failure};
use containers_protocol::control::Failure;
use containers_protocol::log::{STDERR, STDOUT};
use containers_protocol::plan::Plan;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::VecDeque;

/// Most bytes read at once.
const CHUNK: usize = 16 * 1024;

/// A container whose client is so far behind waits, if it is attached to a process that cares.
const HIGH: usize = 256 * 1024;

/// A later client of a detached container that is further behind loses the oldest.
const RING: usize = 1024 * 1024;

/// Most bytes taken from a stream after the container's end: whoever still writes is not part of it.
const DRAIN: usize = 16 * 1024 * 1024;

/// One output stream of a container.
struct Output {
    fd: OwnedFd,
    token: Token,
    held: bool,
}

/// The input of a container.
struct Input {
    fd: OwnedFd,
    token: Token,
    pending: VecDeque<u8>,
    /// Close it once `pending` is written.
    ending: bool,
}

/// Input of an attached client.
struct ClientInput {
    id: u64,
    fd: OwnedFd,
    token: Token,
    held: bool,
}

/// The streams of one container.
pub struct Streams {
    outputs: [Option<Output>; 2],
    input: Option<Input>,
    sources: Vec<ClientInput>,
    once: bool,
    log: Option<Log>,
    terminal: Option<OwnedFd>,
}

/// Where output goes: an attached client.
pub struct Sink {
    container: u64,
    stream: u8,
    fd: OwnedFd,
    token: Token,
    queue: VecDeque<u8>,
    /// Nothing more will come.
    ending: bool,
    /// The container waits for it.
    lossless: bool,
}

/// The ends of the pipes that a container gets.
pub struct Ends {
    /// stdin, stdout, stderr; `None`: `/dev/null`.
    pub child: [Option<OwnedFd>; 3],
    /// Ours.
    parent: [Option<OwnedFd>; 3],
}

impl Ends {
    /// Pipes for a container without a terminal.
    pub fn pipes(stdin: bool) -> Result<Ends, Errno> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let mut ends = Ends { child: [None, None, None], parent: [None, None, None] };
        if stdin {
            let (read, write) = pipe()?;
            (ends.child[0], ends.parent[0]) = (Some(read), Some(write));
        }
        for i in 1..3 {
            let (read, write) = pipe()?;
            (ends.child[i], ends.parent[i]) = (Some(write), Some(read));
        }
        Ok(ends)
    }

    /// The master of a terminal stands for all of them.
    pub fn terminal(master: OwnedFd) -> Result<Ends, Errno> {
        let reader = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
        Ok(Ends { child: [None, None, None], parent: [Some(master), Some(reader), None] })
    }

    /// Closes the container's ends here.
    pub fn close_child(&mut self) {
        self.child = [None, None, None];
    }
}

/// Opens the log that a plan asks for.
pub fn open_log(plan: &Plan) -> Result<Option<Log>, Failure> {
    match &plan.keep.log {
        Some(path) => Log::open(&path.0, plan.keep.log_max).at("log", &path.0).map(Some),
        None => Ok(None),
    }
}

impl Parent {
    /// Begins to serve the streams of a container.
    pub(super) fn serve_streams(
        &mut self,
        id: u64,
        ends: Ends,
        log: Option<Log>,
        once: bool,
        terminal: bool,
    ) -> Result<Streams, Errno> {
        let [input, out, err] = ends.parent;
        let mut streams =
            Streams { outputs: [None, None], input: None, sources: Vec::new(), once, log, terminal: None };
        if let (Some(fd), true) = (&input, terminal) {
            streams.terminal = Some(rustix::io::fcntl_dupfd_cloexec(fd, 3)?);
        }
        if let Some(fd) = input {
            rustix::io::ioctl_fionbio(&fd, true)?;
            let token = self.poller.add(&fd, Source::Input(id), NOTHING)?;
            streams.input = Some(Input { fd, token, pending: VecDeque::new(), ending: false });
        }
        for (slot, (fd, stream)) in streams.outputs.iter_mut().zip([(out, STDOUT), (err, STDERR)]) {
            let Some(fd) = fd else { continue };
            rustix::io::ioctl_fionbio(&fd, true)?;
            let token = self.poller.add(&fd, Source::Output(id, stream), IN)?;
            *slot = Some(Output { fd, token, held: false });
        }
        Ok(streams)
    }

    /// Attaches a client: descriptors for stdin, stdout and stderr. A detached container waits for one that is there
    /// `from_start`, as with `docker run`; one that looks in later must not be able to stop it.
    pub(super) fn attach(
        &mut self,
        id: u64,
        fds: [Option<OwnedFd>; 3],
        from_start: bool,
    ) -> Result<(), Failure> {
        let lossless = from_start || !self.is_monitor();
        let [input, out, err] = fds;
        let has_streams = self.containers.get(&id).is_some_and(|c| c.streams.is_some());
        if !has_streams {
            let detail = "its streams go straight to whoever ran it";
            return Err(coded("invalid_argument", "attach", b"", detail));
        }
        for (fd, stream) in [(out, STDOUT), (err, STDERR)] {
            let Some(fd) = fd else { continue };
            rustix::io::ioctl_fionbio(&fd, true).during("attach")?;
            let sink = self.id();
            let token = self.poller.add(&fd, Source::Sink(sink), NOTHING).during("attach")?;
            let made =
                Sink { container: id, stream, fd, token, queue: VecDeque::new(), ending: false, lossless };
            self.sinks.insert(sink, made);
        }
        let Some(fd) = input else { return Ok(()) };
        rustix::io::ioctl_fionbio(&fd, true).during("attach")?;
        let source = self.id();
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else {
            return Ok(());
        };
        if streams.input.as_ref().is_none_or(|i| i.ending) {
            // Nobody will read it: its writer sees that at once.
            return Ok(());
        }
        match self.poller.add(&fd, Source::ClientInput(id, source), IN) {
            Ok(token) => streams.sources.push(ClientInput { id: source, fd, token, held: false }),
            // A regular file is always readable; epoll takes none.
            Err(Errno::PERM) => return self.take_file(id, fd),
            Err(e) => return Err(failure("attach", b"", e)),
        }
        Ok(())
    }

    /// Input from a regular file is read at once.
    fn take_file(&mut self, id: u64, fd: OwnedFd) -> Result<(), Failure> {
        const MOST: usize = 64 << 20;
        let mut buf = [0u8; CHUNK];
        loop {
            let n = rustix::io::read(&fd, &mut buf).during("attach")?;
            let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { break };
            let Some(input) = &mut streams.input else { break };
            if n == 0 || input.pending.len() > MOST {
                input.ending = streams.once;
                break;
            }
            input.pending.extend(&buf[..n]);
        }
        self.input_ready(id);
        Ok(())
    }

    /// Output of a container has arrived, or ended.
    pub(super) fn output_ready(&mut self, id: u64, stream: u8) {
        let mut buf = [0u8; CHUNK];
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        let Some(output) = &streams.outputs[usize::from(stream - 1)] else { return };
        match rustix::io::read(&output.fd, &mut buf) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => self.output_ended(id, stream),
            Ok(n) => self.deliver(id, stream, &buf[..n]),
        }
    }

    /// Logs output and hands it to the clients.
    fn deliver(&mut self, id: u64, stream: u8, data: &[u8]) {
        if let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut())
            && let Some(log) = &mut streams.log
        {
            log.append(stream, unix_nanos(), data);
        }
        if self.sinks.is_empty() {
            return;
        }
        let about = |s: &Sink| s.container == id && s.stream == stream && !s.ending;
        let targets: Vec<u64> = self.sinks.iter().filter(|(_, s)| about(s)).map(|(id, _)| *id).collect();
        for sink in targets {
            if let Some(s) = self.sinks.get_mut(&sink) {
                s.queue.extend(data);
                if !s.lossless && s.queue.len() > RING {
                    let surplus = s.queue.len() - RING;
                    s.queue.drain(..surplus);
                    self.lost += surplus as u64;
                }
            }
            self.flush_sink(sink);
        }
        self.balance(id, stream);
    }

    /// Holds a stream while a client is far behind, and lets it go on.
    fn balance(&mut self, id: u64, stream: u8) {
        let behind = |s: &Sink| s.container == id && s.stream == stream && s.lossless && s.queue.len() > HIGH;
        let hold = self.sinks.values().any(behind);
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        if let Some(output) = &mut streams.outputs[usize::from(stream - 1)]
            && output.held != hold
        {
            output.held = hold;
            let _ = self.poller.change(output.token, &output.fd, if hold { NOTHING } else { IN });
        }
    }

    /// Writes what a client can take. `true`: it still exists.
    fn flush_sink(&mut self, id: u64) -> bool {
        let Some(sink) = self.sinks.get_mut(&id) else { return false };
        let gone = loop {
            let (front, _) = sink.queue.as_slices();
            if front.is_empty() {
                break sink.ending;
            }
            match rustix::io::write(&sink.fd, front) {
                Ok(n) => drop(sink.queue.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break false,
                Err(_) => break true,
            }
        };
        if gone {
            if let Some(sink) = self.sinks.remove(&id) {
                self.poller.remove(sink.token, &sink.fd);
            }
            return false;
        }
        let interest = if sink.queue.is_empty() { NOTHING } else { OUT };
        let _ = self.poller.change(sink.token, &sink.fd, interest);
        true
    }

    /// A client can take more, or is gone.
    pub(super) fn sink_ready(&mut self, id: u64, broken: bool) {
        let Some(sink) = self.sinks.get(&id) else { return };
        let (container, stream) = (sink.container, sink.stream);
        if broken && let Some(sink) = self.sinks.remove(&id) {
            self.poller.remove(sink.token, &sink.fd);
        } else {
            self.flush_sink(id);
        }
        self.balance(container, stream);
    }

    /// A stream of a container has ended.
    fn output_ended(&mut self, id: u64, stream: u8) {
        if let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut())
            && let Some(output) = streams.outputs[usize::from(stream - 1)].take()
        {
            self.poller.remove(output.token, &output.fd);
        }
        self.end_sinks(id, Some(stream));
    }

    /// Lets clients go once they have everything.
    fn end_sinks(&mut self, id: u64, stream: Option<u8>) {
        let about = |s: &Sink| s.container == id && stream.is_none_or(|stream| s.stream == stream);
        let ids: Vec<u64> = self.sinks.iter().filter(|(_, s)| about(s)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(sink) = self.sinks.get_mut(&id) {
                sink.ending = true;
            }
            self.flush_sink(id);
        }
    }

    /// A client has typed something, or has ended its input.
    pub(super) fn client_input_ready(&mut self, id: u64, source: u64) {
        let mut buf = [0u8; CHUNK];
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        let Some(at) = streams.sources.iter().position(|s| s.id == source) else { return };
        match rustix::io::read(&streams.sources[at].fd, &mut buf) {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(n) if n > 0 => match &mut streams.input {
                Some(input) if !input.ending => input.pending.extend(&buf[..n]),
                _ => return self.forget_sources(id),
            },
            Ok(_) | Err(_) => {
                let source = streams.sources.swap_remove(at);
                self.poller.remove(source.token, &source.fd);
                if let (Some(input), true) = (&mut streams.input, streams.once) {
                    input.ending = streams.terminal.is_none();
                }
            }
        }
        self.input_ready(id);
    }

    /// Writes pending input as far as the container takes it.
    pub(super) fn input_ready(&mut self, id: u64) {
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        let Some(input) = &mut streams.input else { return };
        let gone = loop {
            let (front, _) = input.pending.as_slices();
            if front.is_empty() {
                break input.ending;
            }
            match rustix::io::write(&input.fd, front) {
                Ok(n) => drop(input.pending.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break false,
                Err(_) => break true,
            }
        };
        if gone {
            if let Some(input) = streams.input.take() {
                self.poller.remove(input.token, &input.fd);
            }
            return self.forget_sources(id);
        }
        let hold = input.pending.len() > CHUNK;
        let interest = if input.pending.is_empty() { NOTHING } else { OUT };
        let _ = self.poller.change(input.token, &input.fd, interest);
        for source in streams.sources.iter_mut().filter(|s| s.held != hold) {
            source.held = hold;
            let _ = self.poller.change(source.token, &source.fd, if hold { NOTHING } else { IN });
        }
    }

    /// The container has closed its input.
    pub(super) fn input_broken(&mut self, id: u64) {
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        if let Some(input) = streams.input.take() {
            self.poller.remove(input.token, &input.fd);
        }
        self.forget_sources(id);
    }

    /// Nobody reads input any more.
    fn forget_sources(&mut self, id: u64) {
        let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else { return };
        for source in std::mem::take(&mut streams.sources) {
            self.poller.remove(source.token, &source.fd);
        }
    }

    /// Takes what the streams still hold after the container's end, and closes them.
    pub(super) fn drain_streams(&mut self, id: u64) {
        for stream in [STDOUT, STDERR] {
            let mut buf = [0u8; CHUNK];
            let mut taken = 0;
            while taken < DRAIN {
                let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.as_mut()) else {
                    return;
                };
                let Some(output) = &streams.outputs[usize::from(stream - 1)] else { break };
                match rustix::io::read(&output.fd, &mut buf) {
                    Err(Errno::INTR) => {}
                    Ok(0) | Err(_) => break,
                    Ok(n) => {
                        taken += n;
                        self.deliver(id, stream, &buf[..n]);
                    }
                }
            }
            self.output_ended(id, stream);
        }
        self.forget_sources(id);
        if let Some(streams) = self.containers.get_mut(&id).and_then(|c| c.streams.take())
            && let Some(input) = streams.input
        {
            self.poller.remove(input.token, &input.fd);
        }
        self.end_sinks(id, None);
    }

    /// Sets the size of a container's terminal.
    pub(super) fn resize(&mut self, id: u64, rows: u16, cols: u16) -> Result<(), Failure> {
        let streams = self.containers.get(&id).and_then(|c| c.streams.as_ref());
        let terminal: Option<BorrowedFd<'_>> = streams.and_then(|s| s.terminal.as_ref()).map(AsFd::as_fd);
        match terminal {
            Some(terminal) => crate::sys::tty::resize(terminal, rows, cols).during("resize"),
            None => Err(coded("invalid_argument", "resize", b"tty", "it has no terminal of its parent's")),
        }
    }
}
