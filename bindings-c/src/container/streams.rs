//! Processes in a container, and what it writes.

use super::ctr_container;
use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error};
use crate::ffi::{ctr_given_options, ctr_given_texts, give, handle, room_for};
use crate::options::{ctr_exec_options, ctr_log_options};
use crate::output::{ctr_bytes, ctr_output};
use crate::process::ctr_process;
use containers::blocking::block_on;
use std::mem::MaybeUninit;

/// Starts a further process in it, in `*process`; free it with ctr_process_free. Any thread; may block for a
/// moment.
///
/// `command` is a program with its arguments, `options` may be NULL.
///
/// Errors: CTR_E_NOT_RUNNING, CTR_E_COMMAND_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND,
/// CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_exec(
    container: Option<&ctr_container>,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_exec_options>,
    process: Option<&mut MaybeUninit<*mut ctr_process>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.exec", error, || {
        let room = room_for("process", process)?;
        let c = handle("container", container)?;
        let options = options.read("options")?.into_options(command.all("command")?)?;
        give(room, ctr_process::from(block_on(c.container.exec(options))?));
        Ok(())
    })
}

/// Runs a further process to its end and collects its output in `*output`; free it with ctr_output_free. Any
/// thread; may block.
///
/// `command` is a program with its arguments, `options` may be NULL. With `check` 1 an exit code other than 0 is
/// CTR_E_EXIT_ERROR. `cancel` may be NULL.
///
/// Errors: those of ctr_container_exec, CTR_E_EXEC_TIMEOUT and CTR_E_EXIT_ERROR with the output
/// (ctr_error_output), CTR_E_CANCELLED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_exec_run(
    container: Option<&ctr_container>,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_exec_options>,
    check: i32,
    cancel: Option<&ctr_cancel>,
    output: Option<&mut MaybeUninit<*mut ctr_output>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.exec_run", error, || {
        let room = room_for("output", output)?;
        let c = handle("container", container)?;
        let options = options.read("options")?.into_options(command.all("command")?)?;
        give(room, ctr_output::from(wait(cancel, c.container.exec_run(options, check != 0))?));
        Ok(())
    })
}

/// Its streams from now on, in `*process`; before ctr_container_start too, and then nothing is missed. Input only
/// when it was created with `stdin_open`. Free it with ctr_process_free, which leaves the container running. Any
/// thread; may block for a moment.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_NOT_RUNNING when it has ended, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_attach(
    container: Option<&ctr_container>,
    process: Option<&mut MaybeUninit<*mut ctr_process>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.attach", error, || {
        let room = room_for("process", process)?;
        give(room, ctr_process::from(block_on(handle("container", container)?.container.attach())?));
        Ok(())
    })
}

/// Its output so far, both streams in order of arrival, in `*bytes`; free it with ctr_bytes_free. Any thread; does
/// not block.
///
/// `options` may be NULL.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_logs(
    container: Option<&ctr_container>,
    options: ctr_given_options<ctr_log_options>,
    bytes: Option<&mut MaybeUninit<*mut ctr_bytes>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.logs", error, || {
        let room = room_for("bytes", bytes)?;
        let options = options.read("options")?.into_options()?;
        give(room, ctr_bytes::from(handle("container", container)?.container.logs(&options)?));
        Ok(())
    })
}

/// Its output line by line, in `*stream`; free it with ctr_log_stream_free. Any thread; does not block.
///
/// `options` may be NULL.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_logs_stream(
    container: Option<&ctr_container>,
    options: ctr_given_options<ctr_log_options>,
    stream: Option<&mut MaybeUninit<*mut crate::logs::ctr_log_stream>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.logs_stream", error, || {
        let room = room_for("stream", stream)?;
        let options = options.read("options")?.into_options()?;
        let stream = handle("container", container)?.container.logs_stream(options)?;
        give(room, crate::logs::ctr_log_stream::from(stream));
        Ok(())
    })
}

/// Sets the size of its terminal. Any thread; does not block.
///
/// Errors: CTR_E_NOT_RUNNING, CTR_E_INVALID_ARGUMENT when it has none, CTR_E_CONTAINER_NOT_FOUND,
/// CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_resize(
    container: Option<&ctr_container>,
    rows: u16,
    cols: u16,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.resize", error, || block_on(handle("container", container)?.container.resize(rows, cols)))
}
