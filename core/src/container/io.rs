//! Pipes between a command and the caller.

use crate::executor::{readable, writable};
use crate::{Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Read at once at most.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Room that a first read gets.
const LEAST: usize = 4 * 1024;

/// A pipe: to read, to write.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::io("can't make a pipe", e.into()))
}

/// A pipe of which we read; our end is non-blocking.
pub(crate) fn output_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe()?;
    non_blocking(&ours)?;
    Ok((ours, theirs))
}

/// A pipe that we write; ours first, non-blocking.
pub(crate) fn input_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (theirs, ours) = pipe()?;
    non_blocking(&ours)?;
    Ok((ours, theirs))
}

fn non_blocking(fd: &OwnedFd) -> Result<()> {
    rustix::io::ioctl_fionbio(fd, true).map_err(|e| Error::io("can't set up a pipe", e.into()))
}

/// What one attempt to read gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes were appended.
    Bytes(usize),
    /// The end.
    End,
    /// Nothing at the moment.
    Nothing,
}

/// Appends what can be read at once.
pub(crate) fn read_some(fd: impl AsFd, out: &mut Vec<u8>) -> Result<Got> {
    // Room for what is there usually; where there is more, the next calls make more of it.
    if out.capacity() - out.len() < LEAST {
        out.reserve(if out.is_empty() { LEAST } else { CHUNK });
    }
    understand(retry(|| rustix::io::read(&fd, rustix::buffer::spare_capacity(out))))
}

/// Appends what can be read at once, at most `most` bytes.
pub(crate) fn read_most(fd: impl AsFd, out: &mut Vec<u8>, most: usize) -> Result<Got> {
    let before = out.len();
    out.resize(before + most, 0);
    let got = retry(|| rustix::io::read(&fd, &mut out[before..]));
    out.truncate(before + *got.as_ref().unwrap_or(&0));
    understand(got)
}

fn retry(mut read: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    loop {
        match read() {
            Err(Errno::INTR) => continue,
            other => return other,
        }
    }
}

fn understand(got: rustix::io::Result<usize>) -> Result<Got> {
    match got {
        Ok(0) => Ok(Got::End),
        Ok(n) => Ok(Got::Bytes(n)),
        Err(Errno::AGAIN) => Ok(Got::Nothing),
        // A terminal whose other side is closed.
        Err(Errno::IO) => Ok(Got::End),
        Err(e) => Err(Error::io("can't read the command's output", e.into())),
    }
}

/// Writes what is taken at once. `None`: the reader is gone.
pub(crate) fn write_some(fd: impl AsFd, data: &[u8]) -> Result<Option<usize>> {
    match crate::sys::write_quietly(fd.as_fd(), data) {
        Ok(n) => Ok(Some(n)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Some(0)),
        Err(Errno::PIPE | Errno::IO) => Ok(None),
        Err(e) => Err(Error::io("can't write the command's input", e.into())),
    }
}

/// A descriptor to wait for.
pub(crate) enum Wait<'a> {
    /// To be read.
    Read(&'a OwnedFd),
    /// To be written.
    Write(&'a OwnedFd),
}

/// Waits until one of several descriptors is ready.
pub(crate) async fn any_ready(waits: &[Wait<'_>]) -> Result<()> {
    let mut futures: Vec<_> = waits
        .iter()
        .map(|wait| match wait {
            Wait::Read(fd) => readable(*fd),
            Wait::Write(fd) => writable(*fd),
        })
        .collect();
    std::future::poll_fn(|cx| {
        for future in &mut futures {
            if let Poll::Ready(done) = Pin::new(future).poll(cx) {
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
    .map_err(|e| Error::io("can't wait for the command", e))
}
