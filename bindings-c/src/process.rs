//! Processes with open streams.

use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error, milliseconds};
use crate::ffi::{buffer, bytes, give, handle, release, room, room_for};
use crate::output::{ctr_bytes, ctr_output, stream_number, stream_of};
use containers::Process;
use containers::blocking::block_on;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// The most bytes that one ctr_process_read asks for.
const MAX_READ: usize = 1 << 20;

/// A process started by ctr_container_exec, or a container's first process seen through ctr_container_attach. Its
/// streams may be used from any thread, each by one reader at a time.
pub struct ctr_process {
    process: Process,
}

impl From<Process> for ctr_process {
    fn from(process: Process) -> Self {
        ctr_process { process }
    }
}

/// Frees a process; NULL is fine. It closes the streams; a process from ctr_container_exec that still runs is killed
/// with its group, unless its container is detached. Any thread; may block for a moment.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_free(process: Option<Box<ctr_process>>) {
    release(process);
}

/// The descriptors of its streams: `*stdin_fd` to write its input, `*stdout_fd` to read its output, `*stderr_fd` to
/// read its errors; -1: not open. Each pointer may be NULL. The descriptors are non-blocking, belong to the handle and
/// must not be closed (see ctr_process_close_stdin); poll(2) them in an event loop, then read(2) and write(2). With a
/// terminal the first two are its master. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_fds(
    process: Option<&ctr_process>,
    stdin_fd: Option<&mut MaybeUninit<i32>>,
    stdout_fd: Option<&mut MaybeUninit<i32>>,
    stderr_fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.fds", error, || {
        let open = handle("process", process)?.process.fds();
        for (room, fd) in [stdin_fd, stdout_fd, stderr_fd].into_iter().zip(open) {
            if let Some(room) = room {
                room.write(fd.map_or(-1, |fd| fd.as_raw_fd()));
            }
        }
        Ok(())
    })
}

/// Writes all of `size` bytes to its input; waits while the pipe is full. Any thread; may block.
///
/// `cancel` may be NULL; once it ended the call it is unknown how much was written.
///
/// Errors: CTR_E_IO when the process has closed its input or input is not open, CTR_E_CANCELLED,
/// CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_write(
    process: Option<&ctr_process>,
    data: *const c_void,
    size: usize,
    cancel: Option<&ctr_cancel>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.write", error, || {
        let p = handle("process", process)?;
        wait(cancel, p.process.write(bytes("data", data, size)?))
    })
}

/// Closes its input, so that it sees the end of it; closing twice is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_close_stdin(
    process: Option<&ctr_process>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.close_stdin", error, || {
        handle("process", process)?.process.close_stdin();
        Ok(())
    })
}

/// Reads what comes next of one stream, at most `size` bytes, into `buffer`; how many in `*count`, 0 at its end. Any
/// thread, each stream by one at a time; may block.
///
/// `stream` is CTR_STDOUT or CTR_STDERR; `cancel` may be NULL.
///
/// Errors: CTR_E_EXEC_TIMEOUT when the process's own timeout killed it, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_read(
    process: Option<&ctr_process>,
    stream: i32,
    buffer: *mut c_void,
    size: usize,
    cancel: Option<&ctr_cancel>,
    count: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.read", error, || {
        let p = handle("process", process)?;
        let count = room("count", count)?;
        let stream = stream_of(stream)?;
        let target = self::buffer("buffer", buffer, size)?;
        let read = wait(cancel, p.process.read(stream, size.min(MAX_READ)))?;
        for (to, from) in target.iter_mut().zip(&read) {
            to.write(*from);
        }
        count.write(read.len());
        Ok(())
    })
}

/// Reads what comes next of either stream, in order of arrival: which stream in `*stream` (CTR_STDOUT, CTR_STDERR, 0
/// when both have ended), the bytes in `*bytes` (NULL when both have ended); free them with ctr_bytes_free. Any
/// thread, one at a time; may block.
///
/// `cancel` may be NULL.
///
/// Errors: as ctr_process_read.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_next(
    process: Option<&ctr_process>,
    cancel: Option<&ctr_cancel>,
    stream: Option<&mut MaybeUninit<i32>>,
    bytes: Option<&mut MaybeUninit<*mut ctr_bytes>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.next", error, || {
        let room_for_bytes = room_for("bytes", bytes)?;
        let stream = room("stream", stream)?;
        match wait(cancel, handle("process", process)?.process.next())? {
            None => {
                stream.write(0);
            }
            Some((which, data)) => {
                stream.write(stream_number(which));
                give(room_for_bytes, ctr_bytes::from(data));
            }
        }
        Ok(())
    })
}

/// Writes `input` (`input_size` bytes; NULL: nothing), closes its input, collects all output in `*output` and waits
/// for its end; free the output with ctr_output_free. Any thread; may block.
///
/// `cancel` may be NULL.
///
/// Errors: CTR_E_EXEC_TIMEOUT with the output so far, CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_communicate(
    process: Option<&ctr_process>,
    input: *const c_void,
    input_size: usize,
    cancel: Option<&ctr_cancel>,
    output: Option<&mut MaybeUninit<*mut ctr_output>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.communicate", error, || {
        let room = room_for("output", output)?;
        let p = handle("process", process)?;
        let input = bytes("input", input, input_size)?;
        give(room, ctr_output::from(wait(cancel, p.process.communicate(input))?));
        Ok(())
    })
}

/// Waits for its end; the exit code in `*exit_code` (128 + n after death by signal n). A timeout
/// (CTR_E_EXEC_TIMEOUT) kills nothing. Any thread; may block.
///
/// `timeout_ms` is -1 for none, `cancel` may be NULL.
///
/// Errors: CTR_E_EXEC_TIMEOUT, CTR_E_CANCELLED, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_wait(
    process: Option<&ctr_process>,
    timeout_ms: i64,
    cancel: Option<&ctr_cancel>,
    exit_code: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.wait", error, || {
        let room = room("exit_code", exit_code)?;
        let timeout = milliseconds("timeout_ms", timeout_ms)?;
        room.write(wait(cancel, handle("process", process)?.process.wait(timeout))?);
        Ok(())
    })
}

/// Whether it has ended, in `*ended` (1 or 0), and then its exit code in `*exit_code`. Any thread; does not block.
///
/// Errors: CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_poll(
    process: Option<&ctr_process>,
    ended: Option<&mut MaybeUninit<i32>>,
    exit_code: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.poll", error, || {
        let ended = room("ended", ended)?;
        let exit_code = room("exit_code", exit_code)?;
        let code = handle("process", process)?.process.poll()?;
        ended.write(i32::from(code.is_some()));
        exit_code.write(code.unwrap_or(0));
        Ok(())
    })
}

/// Sends signal number `signal` to it; 0 sends nothing and only checks that it runs. Any thread; does not block.
///
/// Errors: CTR_E_INVALID_ARGUMENT, CTR_E_NOT_RUNNING, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_kill(
    process: Option<&ctr_process>,
    signal: i32,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.kill", error, || block_on(handle("process", process)?.process.kill(signal)))
}

/// Sets the size of its terminal. Any thread; does not block.
///
/// Errors: CTR_E_INVALID_ARGUMENT when it has none, CTR_E_NOT_RUNNING, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_process_resize(
    process: Option<&ctr_process>,
    rows: u16,
    cols: u16,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("process.resize", error, || block_on(handle("process", process)?.process.resize(rows, cols)))
}
