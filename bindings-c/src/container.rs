//! Containers.

use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error, milliseconds};
use crate::ffi::{
    Owner, Texts, c_string, ctr_given_options, ctr_given_text, ctr_given_texts, give, give_text, handle,
    release, room, room_for,
};
use crate::options::{
    ctr_create_options, ctr_exec_options, ctr_list_options, ctr_log_options, ctr_remove_options,
    ctr_run_options,
};
use crate::output::{ctr_bytes, ctr_output, pointers};
use crate::process::ctr_process;
use crate::runtime::{ctr_runtime, to_json};
use containers::blocking::block_on;
use containers::{Container, ContainerSummary, Status};
use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;

/// One container. The handle that ctr_container_create gave owns an attached container: freeing it kills and
/// removes the container. A container created with `detach` lives on, and handles from ctr_container_get never
/// kill.
pub struct ctr_container {
    container: Container,
    texts: Texts,
}

impl From<Container> for ctr_container {
    fn from(container: Container) -> Self {
        ctr_container { container, texts: Texts::default() }
    }
}

/// docker's word for a status.
fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Exited => "exited",
        Status::Dead => "dead",
        // Not in this version yet.
        _ => "unknown",
    }
}

/// Runs a command to its end in a throw-away container and collects its output in `*output`; free it with
/// ctr_output_free. An exit code other than 0 is no error, unless `check` is on. Any thread; may block.
///
/// `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
/// image's. `options` may be NULL.
///
/// Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_COMMAND_NOT_FOUND, CTR_E_PATH_NOT_FOUND for a
/// mount's source, CTR_E_EXEC_TIMEOUT and CTR_E_EXIT_ERROR with the output (ctr_error_output),
/// CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_UNSUPPORTED, CTR_E_PERMISSION, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_run(
    runtime: Option<&ctr_runtime>,
    image: ctr_given_text,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_run_options>,
    output: Option<&mut MaybeUninit<*mut ctr_output>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.run", error, || {
        let room = room_for("output", output)?;
        let runtime = handle("runtime", runtime)?;
        let given = options.read("options")?;
        let cancel = crate::ffi::cancel(given.cancel);
        let options = given.into_options(command.all("command")?)?;
        let run = runtime.runtime.containers();
        give(room, ctr_output::from(wait(cancel, run.run_with(image.required("image")?, options))?));
        Ok(())
    })
}

/// Creates and starts a container that lives on without this process, as docker's `run -d`, in `*container`,
/// whatever `detach` says. One that can't be started is removed again. Free the handle with ctr_container_free, which
/// leaves the container alone. Any thread; may block for a moment.
///
/// `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
/// image's. `options` may be NULL.
///
/// Errors: those of ctr_container_create and ctr_container_start.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_run_detached(
    runtime: Option<&ctr_runtime>,
    image: ctr_given_text,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_create_options>,
    container: Option<&mut MaybeUninit<*mut ctr_container>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.run", error, || {
        let room = room_for("container", container)?;
        let runtime = handle("runtime", runtime)?;
        let options = options.read("options")?.into_options(command.all("command")?)?;
        let containers = runtime.runtime.containers();
        give(
            room,
            ctr_container::from(block_on(containers.run_detached(image.required("image")?, options))?),
        );
        Ok(())
    })
}

/// Creates a container in `*container`; nothing runs yet. Free the handle with ctr_container_free. Any thread; may
/// block for a moment.
///
/// `image` names the image by reference, id, or `host`. `command` is a program with its arguments; NULL: the
/// image's. `options` may be NULL.
///
/// Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT, CTR_E_ALREADY_EXISTS for a name that is taken,
/// CTR_E_PATH_NOT_FOUND for a mount's source, CTR_E_UNSUPPORTED, CTR_E_PERMISSION, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_create(
    runtime: Option<&ctr_runtime>,
    image: ctr_given_text,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_create_options>,
    container: Option<&mut MaybeUninit<*mut ctr_container>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.create", error, || {
        let room = room_for("container", container)?;
        let runtime = handle("runtime", runtime)?;
        let options = options.read("options")?.into_options(command.all("command")?)?;
        let containers = runtime.runtime.containers();
        give(room, ctr_container::from(block_on(containers.create_with(image.required("image")?, options))?));
        Ok(())
    })
}

/// Finds a container by id, unique beginning of an id, or name, in `*container`. The handle never kills; free it
/// with ctr_container_free. Any thread; does not block.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_INVALID_ARGUMENT for a beginning of several ids.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_get(
    runtime: Option<&ctr_runtime>,
    id_or_name: ctr_given_text,
    container: Option<&mut MaybeUninit<*mut ctr_container>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.get", error, || {
        let room = room_for("container", container)?;
        let containers = handle("runtime", runtime)?.runtime.containers();
        give(room, ctr_container::from(containers.get(id_or_name.required("id_or_name")?)?));
        Ok(())
    })
}

/// Frees a container handle; NULL is fine. The one from ctr_container_create kills and removes an attached
/// container. Any thread; may block for a moment.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_free(container: Option<Box<ctr_container>>) {
    release(container);
}

/// The id, 64 hexadecimal digits, in `*id`; lives as long as the handle. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_id(
    container: Option<&ctr_container>,
    id: Option<&mut MaybeUninit<*const c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.id", error, || {
        let c = handle("container", container)?;
        room("id", id)?.write(c.texts.keep(c.container.id()));
        Ok(())
    })
}

/// The name, in `*name`; may be empty for attached containers. It lives as long as the handle. Any thread; does
/// not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_name(
    container: Option<&ctr_container>,
    name: Option<&mut MaybeUninit<*const c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.name", error, || {
        let c = handle("container", container)?;
        room("name", name)?.write(c.texts.keep(&c.container.name()));
        Ok(())
    })
}

/// docker's word for how it stands, in `*status`: `created`, `running`, `paused`, `restarting`, `exited`, `dead`. It
/// lives as long as the handle. Any thread; does not block.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND when it has been removed, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_status(
    container: Option<&ctr_container>,
    status: Option<&mut MaybeUninit<*const c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.status", error, || {
        let c = handle("container", container)?;
        let room = room("status", status)?;
        room.write(c.texts.keep(word(c.container.status()?)));
        Ok(())
    })
}

/// Process id of its first process on the host, in `*pid`; 0 when it does not run. Any thread; does not block.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_pid(
    container: Option<&ctr_container>,
    pid: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.pid", error, || {
        let c = handle("container", container)?;
        room("pid", pid)?.write(c.container.pid()?.unwrap_or(0));
        Ok(())
    })
}

/// Everything about it, as docker's inspect document, JSON in `*json`; free it with ctr_string_free. Any thread;
/// does not block.
///
/// Errors: CTR_E_CONTAINER_NOT_FOUND, CTR_E_HANDLE_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_inspect(
    container: Option<&ctr_container>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.inspect", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(&handle("container", container)?.container.inspect()?)?);
        Ok(())
    })
}

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

/// One row of a list of containers. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_container_summary {
    /// 64 hexadecimal digits.
    pub id: *const c_char,
    /// Its name; may be empty for attached ones.
    pub name: *const c_char,
    /// The image as it was named.
    pub image: *const c_char,
    /// The image's id.
    pub image_id: *const c_char,
    /// Status word, as ctr_container_status.
    pub status: *const c_char,
    /// Entrypoint and command; ends with NULL.
    pub command: *const *const c_char,
    /// Labels: `key=value`; ends with NULL.
    pub labels: *const *const c_char,
    /// Unix time in nanoseconds.
    pub created_ns: i64,
    /// Unix time in nanoseconds of the last start; 0: never.
    pub started_ns: i64,
    /// Unix time in nanoseconds of the last end; 0: never.
    pub finished_ns: i64,
    /// Exit code of the last end; -1: there was none.
    pub exit_code: i32,
    /// 1: it lives without the process that made it.
    pub detached: i32,
}

/// A list of containers.
#[repr(C)]
pub struct ctr_container_rows {
    /// Private.
    pub owner: *mut c_void,
    /// The rows; ends with NULL.
    pub items: *const *const ctr_container_summary,
    /// How many.
    pub count: usize,
}

impl From<Vec<ContainerSummary>> for ctr_container_rows {
    fn from(list: Vec<ContainerSummary>) -> Self {
        let count = list.len();
        let mut texts: Vec<Vec<CString>> = Vec::new();
        let mut lists = Vec::new();
        let mut rows = Vec::with_capacity(count);
        for c in &list {
            let own = [&c.id, &c.name, &c.image, &c.image_id].map(|t| c_string(t));
            let own: Vec<CString> = own.into_iter().chain([c_string(word(c.status))]).collect();
            let command: Vec<CString> = c.command.iter().map(|t| c_string(t)).collect();
            let labels: Vec<CString> = c.labels.iter().map(|(k, v)| c_string(&format!("{k}={v}"))).collect();
            let (command_list, label_list) = (pointers(&command), pointers(&labels));
            rows.push(Box::new(ctr_container_summary {
                id: own[0].as_ptr(),
                name: own[1].as_ptr(),
                image: own[2].as_ptr(),
                image_id: own[3].as_ptr(),
                status: own[4].as_ptr(),
                command: command_list.as_ptr(),
                labels: label_list.as_ptr(),
                created_ns: c.created,
                started_ns: c.started_at,
                finished_ns: c.finished_at,
                exit_code: c.exit_code.unwrap_or(-1),
                detached: i32::from(c.detached),
            }));
            // Moving a CString or a Vec does not move what it points to.
            texts.extend([own, command, labels]);
            lists.extend([command_list, label_list]);
        }
        let items: Vec<*const ctr_container_summary> =
            rows.iter().map(|r| std::ptr::from_ref(&**r)).chain([std::ptr::null()]).collect();
        let (owner, (items, ..)) = Owner::of((items, rows, lists, texts));
        ctr_container_rows { owner: owner.into_raw(), items: items.as_ptr(), count }
    }
}

impl Drop for ctr_container_rows {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// Lists containers, newest first, in `*list`; free it with ctr_container_rows_free. Any thread; does not block.
///
/// `options` may be NULL: those that run.
///
/// Errors: CTR_E_INVALID_ARGUMENT for an unknown filter, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_list(
    runtime: Option<&ctr_runtime>,
    options: ctr_given_options<ctr_list_options>,
    list: Option<&mut MaybeUninit<*mut ctr_container_rows>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.list", error, || {
        let room = room_for("list", list)?;
        let options = options.read("options")?.into_options()?;
        let containers = handle("runtime", runtime)?.runtime.containers();
        give(room, ctr_container_rows::from(containers.list(&options)?));
        Ok(())
    })
}

/// Frees a list of containers; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_rows_free(list: Option<Box<ctr_container_rows>>) {
    release(list);
}
