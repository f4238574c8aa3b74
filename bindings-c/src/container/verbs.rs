//! What is done with a container.

use super::ctr_container;
use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error, milliseconds};
use crate::ffi::{ctr_given_options, ctr_given_text, handle, room};
use crate::options::{ctr_remove_options, ctr_stop_options};
use containers::blocking::block_on;
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;

/// Starts it; returns when its command has been executed. Fine when it runs already. Any thread; may block for a
/// moment.
///
/// Errors: CTR_E_COMMAND_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_start(
    container: Option<&ctr_container>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.start", error, || block_on(handle("container", container)?.container.start()))
}

/// Sends the stop signal, waits `timeout_ms` (-1: the container's stop_timeout), then kills. Fine when it does not
/// run. Any thread; may block for the timeout.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_stop(
    container: Option<&ctr_container>,
    timeout_ms: i64,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.stop", error, || {
        let timeout = milliseconds("timeout_ms", timeout_ms)?;
        block_on(handle("container", container)?.container.stop(timeout))
    })
}

/// As ctr_container_stop, also with another signal. Any thread; may block for the timeout.
///
/// `options` may be NULL.
///
/// Errors: CTR_E_INVALID_ARGUMENT for the signal, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_stop_with(
    container: Option<&ctr_container>,
    options: ctr_given_options<ctr_stop_options>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.stop", error, || {
        let options = options.read("options")?.into_options()?;
        block_on(handle("container", container)?.container.stop_with(&options))
    })
}

/// Sends a signal to its first process: `SIGTERM`, `TERM` or `15`. Any thread; does not block.
///
/// Errors: CTR_E_INVALID_ARGUMENT, CTR_E_NOT_RUNNING, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_kill(
    container: Option<&ctr_container>,
    signal: ctr_given_text,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.kill", error, || {
        block_on(handle("container", container)?.container.kill(signal.required("signal")?))
    })
}

/// Stops it as ctr_container_stop, then starts it. Any thread; may block for the timeout.
///
/// Errors: those of both.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_restart(
    container: Option<&ctr_container>,
    timeout_ms: i64,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.restart", error, || {
        let timeout = milliseconds("timeout_ms", timeout_ms)?;
        block_on(handle("container", container)?.container.restart(timeout))
    })
}

/// As ctr_container_restart, also with another signal. Any thread; may block for the timeout.
///
/// `options` may be NULL.
///
/// Errors: those of ctr_container_stop_with and ctr_container_start.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_restart_with(
    container: Option<&ctr_container>,
    options: ctr_given_options<ctr_stop_options>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.restart", error, || {
        let options = options.read("options")?.into_options()?;
        block_on(handle("container", container)?.container.restart_with(&options))
    })
}

/// Freezes all its processes. Any thread; may block for a moment.
///
/// Errors: CTR_E_NOT_RUNNING, CTR_E_CONFLICT when it is paused, CTR_E_UNSUPPORTED without a freezer cgroup,
/// CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_pause(
    container: Option<&ctr_container>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.pause", error, || block_on(handle("container", container)?.container.pause()))
}

/// Thaws its processes. Any thread; may block for a moment.
///
/// Errors: CTR_E_CONFLICT when it is not paused, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_unpause(
    container: Option<&ctr_container>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.unpause", error, || block_on(handle("container", container)?.container.unpause()))
}

/// Waits for its end; the exit code in `*exit_code` (128 + n after death by signal n). A timeout
/// (CTR_E_EXEC_TIMEOUT) kills nothing. Any thread; may block.
///
/// `timeout_ms` is -1 for none, `cancel` may be NULL.
///
/// Errors: CTR_E_EXEC_TIMEOUT, CTR_E_CANCELLED, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_wait(
    container: Option<&ctr_container>,
    timeout_ms: i64,
    cancel: Option<&ctr_cancel>,
    exit_code: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.wait", error, || {
        let room = room("exit_code", exit_code)?;
        let timeout = milliseconds("timeout_ms", timeout_ms)?;
        room.write(wait(cancel, handle("container", container)?.container.wait(timeout))?);
        Ok(())
    })
}

/// A descriptor in `*fd` that polls readable when the container has ended, for event loops; do not read from it. It
/// is the caller's: close(2) it. Any thread; does not block.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_exit_fd(
    container: Option<&ctr_container>,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.exit_fd", error, || {
        let room = room("fd", fd)?;
        room.write(handle("container", container)?.container.exit_fd()?.into_raw_fd());
        Ok(())
    })
}

/// Gives it another name. Any thread; does not block.
///
/// Errors: CTR_E_ALREADY_EXISTS, CTR_E_INVALID_ARGUMENT, CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_rename(
    container: Option<&ctr_container>,
    name: ctr_given_text,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.rename", error, || {
        handle("container", container)?.container.rename(name.required("name")?)
    })
}

/// Removes it and all that is its own; the handle is still to be freed. Any thread; may block for a moment.
///
/// `options` may be NULL.
///
/// Errors: CTR_E_IN_USE while it runs (unless forced), CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_remove(
    container: Option<&ctr_container>,
    options: ctr_given_options<ctr_remove_options>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.remove", error, || {
        let options = options.read("options")?.into_options();
        block_on(handle("container", container)?.container.remove(options))
    })
}
