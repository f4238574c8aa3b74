//! Containers.

use crate::cancel::wait;
use crate::error::{call, ctr_error};
use crate::ffi::{
    Texts, ctr_given_options, ctr_given_text, ctr_given_texts, give, give_text, handle, release, room,
    room_for,
};
use crate::options::{ctr_create_options, ctr_run_options};
use crate::output::ctr_output;
use crate::runtime::{ctr_runtime, to_json};
use containers::blocking::block_on;
use containers::{Container, Containers, CreateOptions, Result, Status};
use std::ffi::c_char;
use std::mem::MaybeUninit;

mod verbs;

mod streams;

mod rows;

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

/// What a container is made of, as the caller gave it.
fn creation<'a>(
    runtime: Option<&ctr_runtime>,
    image: ctr_given_text,
    command: ctr_given_texts,
    options: ctr_given_options<ctr_create_options>,
) -> Result<(Containers, &'a str, CreateOptions)> {
    let runtime = handle("runtime", runtime)?;
    let options = options.read("options")?.into_options(command.all("command")?)?;
    Ok((runtime.runtime.containers(), image.required("image")?, options))
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
        let (containers, image, options) = creation(runtime, image, command, options)?;
        give(room, ctr_container::from(block_on(containers.run_detached(image, options))?));
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
        let (containers, image, options) = creation(runtime, image, command, options)?;
        give(room, ctr_container::from(block_on(containers.create_with(image, options))?));
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
