//! Logs line by line.

use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error};
use crate::ffi::{Owner, give, handle, release, room_for};
use crate::output::stream_number;
use containers::{Error, ErrorKind, LogLine, LogStream};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::{Mutex, TryLockError};

/// A log being read.
pub struct ctr_log_stream {
    stream: Mutex<LogStream>,
}

impl From<LogStream> for ctr_log_stream {
    fn from(stream: LogStream) -> Self {
        ctr_log_stream { stream: Mutex::new(stream) }
    }
}

/// A line of a log with its end, or a part of one where the stream paused. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_log_line {
    /// Private.
    pub owner: *mut c_void,
    /// CTR_STDOUT or CTR_STDERR.
    pub stream: i32,
    /// The bytes; a NUL that is not counted follows.
    pub data: *const c_char,
    /// How many.
    pub data_size: usize,
    /// Unix time in nanoseconds.
    pub time_ns: i64,
}

impl From<LogLine> for ctr_log_line {
    fn from(mut line: LogLine) -> Self {
        line.data.push(0);
        let (owner, data) = Owner::of(line.data);
        ctr_log_line {
            owner: owner.into_raw(),
            stream: stream_number(line.stream),
            data: data.as_ptr().cast(),
            data_size: data.len() - 1,
            time_ns: line.time,
        }
    }
}

impl Drop for ctr_log_line {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// The next line of a log, in `*line`; NULL at its end. Free it with ctr_log_line_free. Any thread, one at a time;
/// may block when it follows.
///
/// `cancel` may be NULL.
///
/// Errors: CTR_E_CONFLICT when another thread reads, CTR_E_CANCELLED, CTR_E_CORRUPT, CTR_E_IO, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_log_stream_next(
    stream: Option<&ctr_log_stream>,
    cancel: Option<&ctr_cancel>,
    line: Option<&mut MaybeUninit<*mut ctr_log_line>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("log_stream.next", error, || {
        let room = room_for("line", line)?;
        let mut stream = match handle("stream", stream)?.stream.try_lock() {
            Ok(stream) => stream,
            Err(TryLockError::Poisoned(stream)) => stream.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "another thread is reading from this log stream",
                ));
            }
        };
        if let Some(next) = wait(cancel, stream.next())? {
            give(room, ctr_log_line::from(next));
        }
        Ok(())
    })
}

/// Frees a line; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_log_line_free(line: Option<Box<ctr_log_line>>) {
    release(line);
}

/// Frees a log stream; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_log_stream_free(stream: Option<Box<ctr_log_stream>>) {
    release(stream);
}
