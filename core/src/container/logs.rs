//! Logs of containers.

use super::StdioStream;
use crate::Result;
use serde::Serialize;

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
pub struct LogStream {}

impl LogStream {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<LogLine>> {
        todo!()
    }
}
