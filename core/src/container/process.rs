//! A process with open streams: what `exec` and `attach` return.

use super::{Output, StdioStream};
use crate::Result;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A running process (`exec`), or a container's main process seen through `attach`. All methods may be
/// called from any thread, each stream by one reader at a time. Dropping it closes the streams; an exec'd
/// process without a detached owner is killed with its group.
pub struct Process {}

impl Process {
    /// Writes to standard input; back-pressure waits.
    pub async fn write(&self, data: &[u8]) -> Result<()> {
        let _ = data;
        todo!()
    }

    /// Closes standard input.
    pub fn close_stdin(&self) {
        todo!()
    }

    /// The next output of either stream, in order of arrival; `None` when both have ended.
    pub async fn next(&self) -> Result<Option<(StdioStream, Vec<u8>)>> {
        todo!()
    }

    /// The next output of one stream, at most `max` bytes; empty at its end.
    pub async fn read(&self, stream: StdioStream, max: usize) -> Result<Vec<u8>> {
        let _ = (stream, max);
        todo!()
    }

    /// The descriptors of stdin (write), stdout, stderr (read), non-blocking, as far as they are open. With a
    /// terminal stdin and stdout are both its master, and stderr is none.
    pub fn fds(&self) -> [Option<BorrowedFd<'_>>; 3] {
        todo!()
    }

    /// Waits for the end; the exit code. A timeout is `exec_timeout` and kills nothing.
    pub async fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        let _ = timeout;
        todo!()
    }

    /// The exit code if it has ended.
    pub fn poll(&self) -> Result<Option<i32>> {
        todo!()
    }

    /// Sends a signal to it (with `signal` 0: nothing, checks only).
    pub async fn kill(&self, signal: i32) -> Result<()> {
        let _ = signal;
        todo!()
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let _ = (rows, cols);
        todo!()
    }

    /// Writes `input`, closes standard input, collects all output, waits.
    pub async fn communicate(&self, input: &[u8]) -> Result<Output> {
        let _ = input;
        todo!()
    }
}
