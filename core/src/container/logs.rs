//! Logs of containers, read from the log file that the parent writes.

use super::shared::{Shared, is_running};
use super::spec::parse;
use super::{LogOptions, StdioStream};
use crate::executor::{block_on, readable, timeout_at};
use crate::{Error, Result};
use containers_protocol::log::{HEAD, STDOUT, parse_head};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::fd::OwnedFd;
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A line is not waited for longer than this.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest line that is kept together.
const LONGEST: usize = 256 * 1024;

/// The longest piece that a parent writes at once.
const MAX_RECORD: u32 = 16 << 20;

/// One piece of a log: a line with its end, or a part of one where the stream paused.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogLine {
    /// Which stream.
    pub stream: StdioStream,
    /// The bytes.
    pub data: Vec<u8>,
    /// Unix time in nanoseconds.
    pub time: i64,
}

/// A log being read.
pub struct LogStream {
    filter: Filter,
    reader: Option<Reader>,
    lines: Lines,
    ready: VecDeque<LogLine>,
    follow: Option<Follow>,
    /// Keeps the runtime open.
    shared: Arc<Shared>,
}

/// What is wanted of a log.
#[derive(Clone, Copy, Debug)]
struct Filter {
    since: i64,
    until: i64,
    stdout: bool,
    stderr: bool,
}

/// What tells that there is more.
struct Follow {
    changes: Inotify,
    end: OwnedFd,
    ended: bool,
}

impl Shared {
    /// [`crate::Container::logs`].
    pub(super) fn logs(self: &Arc<Self>, options: &LogOptions) -> Result<Vec<u8>> {
        if options.follow {
            return Err(parse::bad("follow", "logs gives what there is; logs_stream follows"));
        }
        let mut stream = self.logs_stream(options.clone())?;
        let mut all = Vec::new();
        while let Some(line) = block_on(stream.next())? {
            all.extend_from_slice(&line.data);
        }
        Ok(all)
    }

    /// [`crate::Container::logs_stream`].
    pub(super) fn logs_stream(self: &Arc<Self>, options: LogOptions) -> Result<LogStream> {
        let filter = Filter::new(&options)?;
        // The end is watched from before the first byte is read, so that nothing falls in between.
        let state = block_on(self.state())?;
        let follow = if options.follow && (is_running(&state) || state.status == "restarting") {
            Some(Follow::new(self)?)
        } else {
            None
        };
        let path = self.log_file();
        let mut stream = LogStream {
            filter,
            reader: Reader::open(&path)?,
            lines: Lines::default(),
            ready: VecDeque::new(),
            follow,
            shared: self.clone(),
        };
        if let Some(tail) = options.tail {
            stream.read_available()?;
            if stream.follow.is_none() {
                stream.ready.extend(stream.lines.flush());
            }
            let skip = stream.ready.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
            stream.ready.drain(..skip);
        }
        Ok(stream)
    }
}

impl LogStream {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<LogLine>> {
        self.next_line().await.map_err(|e| e.with_operation("container.logs"))
    }

    async fn next_line(&mut self) -> Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if self.read_available()? {
                continue;
            }
            let Some(follow) = &mut self.follow else {
                self.ready.extend(self.lines.flush());
                return Ok(self.ready.pop_front());
            };
            if follow.ended {
                // All that was written before the end has been read just now.
                self.follow = None;
                continue;
            }
            let deadline = self.lines.has_part().then(|| Instant::now() + PAUSE);
            if timeout_at(deadline, follow.wait()).await.is_err() {
                self.ready.extend(self.lines.flush());
            }
            if self.reader.is_none() {
                self.reader = Reader::open(&self.shared.log_file())?;
            }
        }
    }

    /// Reads what there is, up to a bound; whether lines came of it.
    fn read_available(&mut self) -> Result<bool> {
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let bounded = self.follow.is_some() || !self.ready.is_empty();
        while let Some((stream, time, data)) = reader.next()? {
            if self.filter.wants(stream, time) {
                self.ready.extend(self.lines.push(stream, time, data));
            }
            if !bounded && self.ready.len() > 1024 {
                break;
            }
        }
        Ok(!self.ready.is_empty())
    }
}

impl Filter {
    fn new(options: &LogOptions) -> Result<Filter> {
        let nanos = |value: Option<f64>, field, default| match value {
            None => Ok(default),
            Some(t) if t.is_finite() && t.abs() < 9e9 => Ok((t * 1e9) as i64),
            Some(t) => Err(parse::bad(field, format!("not a time in seconds since 1970: {t}"))),
        };
        Ok(Filter {
            since: nanos(options.since, "since", i64::MIN)?,
            until: nanos(options.until, "until", i64::MAX)?,
            stdout: !options.no_stdout,
            stderr: !options.no_stderr,
        })
    }

    fn wants(&self, stream: StdioStream, time: i64) -> bool {
        let wanted = if stream == StdioStream::Stdout { self.stdout } else { self.stderr };
        wanted && time >= self.since && time <= self.until
    }
}

impl Follow {
    fn new(shared: &Shared) -> Result<Follow> {
        let failed = |e: nix::errno::Errno| Error::io("can't watch the log", e.into());
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        changes.add_watch(&shared.dir(), what).map_err(failed)?;
        Ok(Follow { changes, end: block_on(shared.exit_fd())?, ended: false })
    }

    /// Waits for a change or the end.
    async fn wait(&mut self) -> Result<()> {
        let failed = |e| Error::io("can't watch the log", e);
        {
            let (mut change, mut end) = (readable(&self.changes), readable(&self.end));
            std::future::poll_fn(|cx| {
                use std::{future::Future, pin::Pin, task::Poll};
                if let Poll::Ready(done) = Pin::new(&mut change).poll(cx) {
                    return Poll::Ready(done);
                }
                Pin::new(&mut end).poll(cx)
            })
            .await
            .map_err(failed)?;
        }
        self.ended = crate::sys::poll::wait_readable(&self.end, Instant::now());
        let _ = self.changes.read_events();
        Ok(())
    }
}

/// The records of a log file, and of the one that was rotated away before it.
struct Reader {
    path: PathBuf,
    file: File,
    inode: u64,
    /// Bytes read and not yet understood.
    buf: Vec<u8>,
    at: usize,
    next: Option<File>,
}

impl Reader {
    /// `None`: there is no log yet.
    fn open(path: &Path) -> Result<Option<Reader>> {
        let open = |path: &Path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(path, e)),
        };
        let Some(current) = open(path)? else { return Ok(None) };
        let inode = current.metadata().map_err(|e| unreadable(path, e))?.ino();
        let (file, next) = match open(&rotated(path))? {
            Some(old) => (old, Some(current)),
            None => (current, None),
        };
        Ok(Some(Reader { path: path.to_path_buf(), file, inode, buf: Vec::new(), at: 0, next }))
    }

    /// The next record, if there is a whole one.
    fn next(&mut self) -> Result<Option<(StdioStream, i64, Vec<u8>)>> {
        loop {
            let rest = &self.buf[self.at..];
            if rest.len() >= HEAD {
                let damaged = || {
                    let e = std::io::Error::from(std::io::ErrorKind::InvalidData);
                    unreadable(&self.path, e)
                };
                let (stream, time, len) =
                    parse_head(rest).filter(|h| h.2 <= MAX_RECORD).ok_or_else(damaged)?;
                if let Some(data) = rest.get(HEAD..HEAD + len as usize) {
                    let data = data.to_vec();
                    self.at += HEAD + len as usize;
                    let stream = if stream == STDOUT { StdioStream::Stdout } else { StdioStream::Stderr };
                    return Ok(Some((stream, time, data)));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads on; whether there was anything.
    fn fill(&mut self) -> Result<bool> {
        self.buf.drain(..self.at);
        self.at = 0;
        let before = self.buf.len();
        self.buf.resize(before + 64 * 1024, 0);
        let n = loop {
            match self.file.read(&mut self.buf[before..]) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buf.truncate(before + *n.as_ref().unwrap_or(&0));
        match n {
            Ok(0) => self.turn_page(),
            Ok(_) => Ok(true),
            Err(e) => Err(unreadable(&self.path, e)),
        }
    }

    /// At the end of a file that was rotated away, goes on with the one after it.
    fn turn_page(&mut self) -> Result<bool> {
        if let Some(next) = self.next.take() {
            self.buf.clear();
            self.file = next;
            return Ok(true);
        }
        let Ok(meta) = std::fs::metadata(&self.path) else { return Ok(false) };
        if meta.ino() == self.inode {
            return Ok(false);
        }
        self.file = File::open(&self.path).map_err(|e| unreadable(&self.path, e))?;
        self.inode = meta.ino();
        self.buf.clear();
        Ok(true)
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    Error::io("can't read the log", e).with_context("path", path.display().to_string())
}

/// Puts lines together, for each stream.
#[derive(Default)]
struct Lines {
    parts: [Option<LogLine>; 2],
}

impl Lines {
    /// The lines that a record completes.
    fn push(&mut self, stream: StdioStream, time: i64, data: Vec<u8>) -> Vec<LogLine> {
        let slot = &mut self.parts[usize::from(stream == StdioStream::Stderr)];
        let mut done = Vec::new();
        for piece in data.split_inclusive(|b| *b == b'\n') {
            let line = slot.get_or_insert_with(|| LogLine { stream, data: Vec::new(), time });
            line.data.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.data.len() >= LONGEST {
                done.extend(slot.take());
            }
        }
        done
    }

    fn has_part(&self) -> bool {
        self.parts.iter().any(Option::is_some)
    }

    /// What has not got its end, oldest first.
    fn flush(&mut self) -> Vec<LogLine> {
        let mut parts: Vec<LogLine> = self.parts.iter_mut().filter_map(Option::take).collect();
        parts.sort_by_key(|p| p.time);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_for_each_stream() {
        let mut lines = Lines::default();
        let text = |lines: Vec<LogLine>| {
            lines.iter().map(|l| String::from_utf8_lossy(&l.data).into_owned()).collect::<Vec<_>>()
        };
        assert!(lines.push(StdioStream::Stdout, 1, b"ab".to_vec()).is_empty());
        assert_eq!(text(lines.push(StdioStream::Stderr, 2, b"e\n".to_vec())), ["e\n"]);
        assert_eq!(text(lines.push(StdioStream::Stdout, 3, b"c\nd\nx".to_vec())), ["abc\n", "d\n"]);
        assert_eq!(text(lines.flush()), ["x"]);
    }
}
