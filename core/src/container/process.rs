//! A process with open streams: what `exec` and `attach` return.

use super::io::{Got, Wait, any_ready, read_most, read_some, write_some};
use super::shared::{Shared, Waiting, is_closed, peek, peek_exit};
use super::{Output, StdioStream, events};
use crate::executor::{block_on, readable, timeout_at, writable};
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{ExitRecord, Request};
use containers_protocol::wire;
use rustix::fd::OwnedFd;
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// ^D.
const END_OF_INPUT: u8 = 4;

/// How long the end of a killed process, or of its streams, is waited for.
const GRACE: Duration = Duration::from_secs(10);

/// A running process (`exec`), or a container's main process seen through `attach`. All methods may be
/// called from any thread, each stream by one reader at a time. Dropping it closes the streams; an exec'd
/// process without a detached owner is killed with its group.
pub struct Process {
    container: Arc<Shared>,
    /// The connection of an exec'd process.
    exec: Option<OwnedFd>,
    streams: [Option<Stream>; 3],
    tty: bool,
    args: Vec<String>,
    deadline: Option<(Instant, Duration)>,
    timed_out: AtomicBool,
    /// One thread at a time takes answers off the connection.
    taking: Mutex<()>,
}

/// One open stream.
struct Stream {
    fd: OwnedFd,
    /// Closed by us, or read to its end.
    done: AtomicBool,
}

/// What [`Process::new`] is made from.
pub(super) struct Parts {
    pub(super) container: Arc<Shared>,
    pub(super) exec: Option<OwnedFd>,
    pub(super) streams: [Option<OwnedFd>; 3],
    pub(super) tty: bool,
    pub(super) args: Vec<String>,
    pub(super) timeout: Option<Duration>,
}

impl Process {
    pub(super) fn new(parts: Parts) -> Process {
        let Parts { container, exec, streams, tty, args, timeout } = parts;
        let open = |fd: Option<OwnedFd>| fd.map(|fd| Stream { fd, done: AtomicBool::new(false) });
        Process {
            container,
            exec,
            streams: streams.map(open),
            tty,
            args,
            deadline: timeout.map(|t| (Instant::now() + t, t)),
            timed_out: AtomicBool::new(false),
            taking: Mutex::new(()),
        }
    }

    /// A stream that is still open.
    fn open(&self, index: usize) -> Option<&Stream> {
        self.streams[index].as_ref().filter(|s| !s.done.load(Ordering::Acquire))
    }

    /// Writes to standard input; back-pressure waits.
    pub async fn write(&self, data: &[u8]) -> Result<()> {
        self.write_all(data).await.map_err(|e| e.with_operation("process.write"))
    }

    async fn write_all(&self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let Some(stdin) = self.open(0) else {
                return Err(Error::new(
                    ErrorKind::Io,
                    "standard input is closed, or was not asked for (stdin)",
                ));
            };
            match write_some(&stdin.fd, data)? {
                Some(0) => self.within(writable(&stdin.fd)).await?.map_err(|e| Error::io("can't wait", e))?,
                Some(n) => data = &data[n..],
                None => {
                    let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
                    return Err(Error::io("nobody reads the standard input any more", gone));
                }
            }
        }
        Ok(())
    }

    /// Closes standard input. A terminal's stays open; `write` ^D (byte 4) there.
    pub fn close_stdin(&self) {
        let Some(stdin) = self.open(0) else { return };
        stdin.done.store(true, Ordering::Release);
        if self.tty {
            return;
        }
        // Somebody may hold the descriptor's number (`fds`): it stays, and leads nowhere from now on.
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        let nowhere = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty());
        let _ = match &nowhere {
            Ok(null) => crate::sys::replace(&stdin.fd, null),
            Err(_) => match self.streams[1].as_ref().or(self.streams[2].as_ref()) {
                Some(output) => crate::sys::replace(&stdin.fd, &output.fd),
                None => Ok(()),
            },
        };
    }

    /// The next output of either stream, in order of arrival; `None` when both have ended.
    pub async fn next(&self) -> Result<Option<(StdioStream, Vec<u8>)>> {
        self.next_output().await.map_err(|e| e.with_operation("process.read"))
    }

    async fn next_output(&self) -> Result<Option<(StdioStream, Vec<u8>)>> {
        loop {
            let mut waits = Vec::with_capacity(2);
            for (index, name) in [(1, StdioStream::Stdout), (2, StdioStream::Stderr)] {
                let Some(stream) = self.open(index) else { continue };
                let mut data = Vec::new();
                match read_some(&stream.fd, &mut data)? {
                    Got::Bytes(_) => return Ok(Some((name, data))),
                    Got::End => stream.done.store(true, Ordering::Release),
                    Got::Nothing => waits.push(Wait::Read(&stream.fd)),
                }
            }
            if waits.is_empty() {
                return match self.timed_out.load(Ordering::Acquire) {
                    true => Err(self.too_late()),
                    false => Ok(None),
                };
            }
            self.within(any_ready(&waits)).await??;
        }
    }

    /// The next output of one stream, at most `max` bytes; empty at its end.
    pub async fn read(&self, stream: StdioStream, max: usize) -> Result<Vec<u8>> {
        let index = if stream == StdioStream::Stdout { 1 } else { 2 };
        let read = async {
            let mut data = Vec::new();
            let most = max.clamp(1, super::io::CHUNK);
            while let Some(stream) = self.open(index) {
                match read_most(&stream.fd, &mut data, most)? {
                    Got::Bytes(_) => return Ok(data),
                    Got::End => stream.done.store(true, Ordering::Release),
                    Got::Nothing => {
                        self.within(readable(&stream.fd)).await?.map_err(|e| Error::io("can't wait", e))?;
                    }
                }
            }
            if self.timed_out.load(Ordering::Acquire) { Err(self.too_late()) } else { Ok(data) }
        };
        read.await.map_err(|e: Error| e.with_operation("process.read"))
    }

    /// The descriptors of stdin (write), stdout, stderr (read), non-blocking, as far as they are open. With a
    /// terminal stdin and stdout are both its master, and stderr is none.
    pub fn fds(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [0, 1, 2].map(|index| self.open(index).map(|s| s.fd.as_fd()))
    }

    /// Waits for the end; the exit code. A timeout is `exec_timeout` and kills nothing.
    pub async fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        let wait = async {
            let deadline = timeout.map(|t| Instant::now() + t);
            let late = |_| {
                let text =
                    format!("the process did not end within {} s", timeout.unwrap_or_default().as_secs_f64());
                Error::new(ErrorKind::ExecTimeout, text)
            };
            timeout_at(deadline, self.exit()).await.map_err(late)?.map(|exit| exit.code)
        };
        wait.await.map_err(|e: Error| e.with_operation("process.wait"))
    }

    /// The end; `exec_timeout` when the process's own time ran out.
    async fn exit(&self) -> Result<ExitRecord> {
        let ended = self.within(self.wait_end()).await??;
        if ended.signal == libc::SIGKILL && self.deadline.is_some_and(|d| d.0 <= Instant::now()) {
            // Its parent was faster.
            self.timed_out.store(true, Ordering::Release);
        }
        if self.timed_out.load(Ordering::Acquire) { Err(self.too_late()) } else { Ok(ended) }
    }

    async fn wait_end(&self) -> Result<ExitRecord> {
        let Some(socket) = &self.exec else { return self.container.wait_end().await };
        loop {
            self.container.rt.check_open()?;
            if let Some(exit) = peek_exit(socket) {
                return Ok(exit);
            }
            if is_closed(socket) {
                return Err(events::gone());
            }
            readable(socket).await.map_err(|e| Error::io("can't wait for the process", e))?;
            self.skip_answers(socket);
        }
    }

    /// Runs something until the process's own time is over; then the process is killed.
    async fn within<F: Future>(&self, future: F) -> Result<F::Output> {
        if let Ok(output) = timeout_at(self.deadline.map(|d| d.0), future).await {
            return Ok(output);
        }
        self.timed_out.store(true, Ordering::Release);
        let _ = self.signal(libc::SIGKILL).await;
        let _ = timeout_at(Some(Instant::now() + GRACE), self.wait_end()).await;
        Err(self.too_late())
    }

    fn too_late(&self) -> Error {
        let after = self.deadline.map_or(0.0, |d| d.1.as_secs_f64());
        let text = format!("the command did not end within {after} s and was killed");
        Error::new(ErrorKind::ExecTimeout, text).with_context("command", self.args.join(" "))
    }

    /// Takes answers that nobody waits for off the connection, up to the end of the process, which stays.
    fn skip_answers(&self, socket: &OwnedFd) {
        let _taking = self.taking.lock().unwrap_or_else(|e| e.into_inner());
        // Only what was seen to be something else is taken: the end may arrive at any moment.
        while matches!(peek(socket), Waiting::Other) {
            if events::try_next(socket).is_err() {
                return;
            }
        }
    }

    /// The exit code if it has ended.
    pub fn poll(&self) -> Result<Option<i32>> {
        let poll = || {
            self.container.rt.check_open()?;
            match &self.exec {
                Some(socket) => {
                    self.skip_answers(socket);
                    Ok(peek_exit(socket).map(|exit| exit.code))
                }
                None => Ok(block_on(self.container.ended())?.map(|exit| exit.code)),
            }
        };
        poll().map_err(|e: Error| e.with_operation("process.poll"))
    }

    /// Sends a signal to it (with `signal` 0: nothing, checks only).
    pub async fn kill(&self, signal: i32) -> Result<()> {
        let kill = async {
            if !(0..=64).contains(&signal) {
                return Err(super::spec::parse::bad("signal", format!("not a signal: {signal}")));
            }
            if self.poll()?.is_some() {
                return Err(Error::new(ErrorKind::NotRunning, "the process has ended"));
            }
            if signal == 0 { Ok(()) } else { self.signal(signal).await }
        };
        kill.await.map_err(|e: Error| e.with_operation("process.kill"))
    }

    async fn signal(&self, signal: i32) -> Result<()> {
        match &self.exec {
            Some(socket) => send(socket, &Request::Kill { signal }),
            None => {
                self.container.running_client().await?.ask(&Request::Kill { signal }, &[]).await.map(drop)
            }
        }
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let resize = async {
            self.container.rt.check_open()?;
            if !self.tty {
                let text = "the process has no terminal (tty)";
                return Err(Error::new(ErrorKind::InvalidArgument, text).with_context("field", "tty"));
            }
            match (&self.exec, &self.streams[1]) {
                // The terminal's master is ours.
                (Some(_), Some(master)) => {
                    let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
                    tcsetwinsize(&master.fd, size)
                        .map_err(|e| Error::io("can't resize the terminal", e.into()))
                }
                _ => self.container.resize(rows, cols).await,
            }
        };
        resize.await.map_err(|e: Error| e.with_operation("process.resize"))
    }

    /// Writes `input`, closes standard input, collects all output, waits.
    pub async fn communicate(&self, input: &[u8]) -> Result<Output> {
        let mut output = Output { args: self.args.clone(), ..Output::default() };
        match self.exchange(input, &mut output).await {
            Ok(exit) => {
                output.exit_code = exit.code;
                output.signal = (exit.signal != 0).then_some(exit.signal);
                output.oom_killed = exit.oom_killed;
                Ok(output)
            }
            Err(e) if e.kind() == ErrorKind::ExecTimeout => {
                // What it wrote before it was killed.
                let _ = timeout_at(Some(Instant::now() + GRACE), self.drain(&mut output)).await;
                Err(e.with_output(output).with_operation("process.communicate"))
            }
            Err(e) => Err(e.with_operation("process.communicate")),
        }
    }

    async fn exchange(&self, input: &[u8], output: &mut Output) -> Result<ExitRecord> {
        let mut input = std::borrow::Cow::Borrowed(input);
        if self.tty && !input.is_empty() {
            input.to_mut().push(END_OF_INPUT);
        }
        let mut rest: &[u8] = &input;
        loop {
            if let Some(stdin) = self.open(0) {
                if rest.is_empty() {
                    self.close_stdin();
                } else {
                    match write_some(&stdin.fd, rest)? {
                        Some(n) => rest = &rest[n..],
                        None => self.close_stdin(),
                    }
                }
            }
            self.collect(output)?;
            let mut waits: Vec<Wait<'_>> =
                [1, 2].iter().filter_map(|i| Some(Wait::Read(&self.open(*i)?.fd))).collect();
            if waits.is_empty() {
                break;
            }
            waits.extend(self.open(0).map(|stdin| Wait::Write(&stdin.fd)));
            self.within(any_ready(&waits)).await??;
        }
        self.close_stdin();
        self.exit().await
    }

    /// Takes what can be read at once.
    fn collect(&self, output: &mut Output) -> Result<()> {
        for (index, into) in [(1, &mut output.stdout), (2, &mut output.stderr)] {
            while let Some(stream) = self.open(index) {
                match read_some(&stream.fd, into)? {
                    Got::Bytes(_) => {}
                    Got::End => stream.done.store(true, Ordering::Release),
                    Got::Nothing => break,
                }
            }
        }
        Ok(())
    }

    async fn drain(&self, output: &mut Output) -> Result<()> {
        loop {
            self.collect(output)?;
            let waits: Vec<Wait<'_>> =
                [1, 2].iter().filter_map(|i| Some(Wait::Read(&self.open(*i)?.fd))).collect();
            if waits.is_empty() {
                return Ok(());
            }
            any_ready(&waits).await?;
        }
    }
}

/// Sends a request whose answer nobody waits for.
fn send(socket: &OwnedFd, request: &Request) -> Result<()> {
    match wire::send_json(socket, request, &[]) {
        Ok(()) => Ok(()),
        Err(e)
            if matches!(e.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset) =>
        {
            Err(Error::new(ErrorKind::NotRunning, "the process has ended"))
        }
        Err(e) => Err(Error::io("can't reach the container's parent", e)),
    }
}
