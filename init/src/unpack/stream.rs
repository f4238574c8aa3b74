//! The uncompressed stream: decompression and hashing on a thread of their own, a few large buffers between.

use super::fault::{Fault, Result};
use containers_protocol::unpack::Compression;
use rustix::fd::OwnedFd;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Size of one buffer between the threads.
const BUFFER: usize = 512 * 1024;
/// Buffers in flight.
const BUFFERS: usize = 4;
/// Size of one read from the pipe.
const READ: usize = 256 * 1024;

/// The consumer's end.
pub(super) struct Source {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    worker: Option<std::thread::JoinHandle<String>>,
    current: Vec<u8>,
    at: usize,
    /// Bytes taken so far.
    position: u64,
    ended: bool,
}

impl Source {
    /// Checks the first bytes against `compression` and starts the thread.
    pub(super) fn start(input: OwnedFd, compression: Compression) -> Result<Source> {
        let mut input = File::from(input);
        let head = check_magic(&mut input, compression)?;
        let input = BufReader::with_capacity(READ, io::Cursor::new(head).chain(input));
        let (full_tx, full) = sync_channel(BUFFERS);
        let (empty, empty_rx) = sync_channel(BUFFERS + 1);
        for _ in 0..BUFFERS {
            let _ = empty.send(Vec::with_capacity(BUFFER));
        }
        let worker = std::thread::Builder::new()
            .spawn(move || match compression {
                Compression::None => pump(input, &empty_rx, &full_tx),
                Compression::Gzip => pump(flate2::bufread::MultiGzDecoder::new(input), &empty_rx, &full_tx),
                Compression::Zstd => match zstd::stream::read::Decoder::with_buffer(input) {
                    Ok(decoder) => pump(decoder, &empty_rx, &full_tx),
                    Err(e) => {
                        let _ = full_tx.send(Err(e));
                        String::new()
                    }
                },
            })
            .map_err(|e| Fault::io("can't start a thread", &e))?;
        Ok(Source {
            full,
            empty,
            worker: Some(worker),
            current: Vec::new(),
            at: 0,
            position: 0,
            ended: false,
        })
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What can be had without waiting further; empty at the end.
    pub(super) fn peek(&mut self) -> Result<&[u8]> {
        while self.at == self.current.len() && !self.ended {
            let used = std::mem::take(&mut self.current);
            if used.capacity() > 0 {
                let _ = self.empty.send(used);
            }
            self.at = 0;
            match self.full.recv() {
                Ok(Ok(buffer)) => self.current = buffer,
                Ok(Err(e)) => return Err(Fault::io("the stream can't be read", &e)),
                Err(_) => self.ended = true,
            }
        }
        Ok(&self.current[self.at..])
    }

    /// Takes `n` bytes of what [`Source::peek`] gave.
    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.current.len() - self.at);
        self.at += n;
        self.position += n as u64;
    }

    /// Fills `out`; the number of bytes is smaller only at the end of the stream.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() {
            let part = self.peek()?;
            if part.is_empty() {
                break;
            }
            let n = part.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&part[..n]);
            self.consume(n);
            done += n;
        }
        Ok(done)
    }

    /// Passes over `n` bytes.
    pub(super) fn skip(&mut self, mut n: u64) -> Result<()> {
        while n > 0 {
            let part = self.peek()?.len();
            if part == 0 {
                return Err(truncated());
            }
            let step = (part as u64).min(n);
            self.consume(step as usize);
            n -= step;
        }
        Ok(())
    }

    /// The SHA-256 of everything, after its end was reached.
    pub(super) fn finish(mut self) -> Result<String> {
        if !self.peek()?.is_empty() {
            return Err(Fault::content("data follows the end of the archive"));
        }
        let worker = self.worker.take().expect("taken only here");
        worker.join().map_err(|_| Fault::content("the decompressor failed"))
    }
}

/// The archive ends inside an entry.
pub(super) fn truncated() -> Fault {
    Fault::content("the archive ends too early: it is truncated")
}

/// The first bytes, read and found to be those of `compression`.
fn check_magic(input: &mut File, compression: Compression) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = input.by_ref().take(8).read_to_end(&mut head);
    read.map_err(|e| Fault::io("the stream can't be read", &e))?;
    let found = match head.as_slice() {
        [] => return Err(Fault::content("the stream is empty")),
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "bzip2",
        _ => "",
    };
    let expected = match compression {
        Compression::None => "",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    if found == expected {
        return Ok(head);
    }
    if matches!(found, "xz" | "bzip2") {
        return Err(Fault::unsupported(format!("the stream is compressed with {found}; use gzip or zstd")));
    }
    let name = |kind: &str| {
        if kind.is_empty() { "not compressed".to_owned() } else { format!("compressed with {kind}") }
    };
    Err(Fault::content(format!("the stream is {}, but was declared to be {}", name(found), name(expected))))
}

/// Reads to the end, and returns the digest.
fn pump(mut from: impl Read, empty: &Receiver<Vec<u8>>, full: &SyncSender<io::Result<Vec<u8>>>) -> String {
    let mut hash = Sha256::new();
    while let Ok(mut buffer) = empty.recv() {
        buffer.resize(BUFFER, 0);
        let mut len = 0;
        let result = loop {
            match from.read(&mut buffer[len..]) {
                Ok(0) => break Ok(false),
                Ok(n) => {
                    len += n;
                    if len == BUFFER {
                        break Ok(true);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        buffer.truncate(len);
        hash.update(&buffer);
        if len > 0 && full.send(Ok(buffer)).is_err() {
            break;
        }
        match result {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => {
                let _ = full.send(Err(e));
                break;
            }
        }
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
