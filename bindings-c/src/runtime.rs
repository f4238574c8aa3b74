//! Runtime: opening, information, closing.

use crate::error::{call, ctr_error};
use crate::ffi::{
    SizedStruct, ctr_given_options, ctr_given_text, give, give_text, handle, release, room_for, take_text,
};
use containers::blocking::block_on;
use containers::{Error, ErrorKind, Result, Runtime};
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// An open root: its images and containers, and a helper process that starts containers.
pub struct ctr_runtime {
    pub(crate) runtime: Runtime,
}

/// How to open a runtime.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_runtime_options {
    /// sizeof(ctr_runtime_options).
    pub size: usize,
    /// The folder that holds images, containers and records; NULL: $CONTAINERS_ROOT, else
    /// /var/lib/embedded-containers for root and $XDG_DATA_HOME/embedded-containers for others.
    pub root: ctr_given_text,
    /// Whether to use a user namespace: 1 yes, -1 no, 0 unless the caller is root.
    pub rootless: i32,
}

// SAFETY: repr(C), led by size, of pointers and integers.
unsafe impl SizedStruct for ctr_runtime_options {}

/// Opens a root in `*runtime`: creates it when missing, repairs what a crash left, starts the helper process.
/// Any thread; may block for a moment.
///
/// `options` may be NULL. Close with ctr_runtime_close or ctr_runtime_free.
///
/// Errors: CTR_E_PERMISSION and CTR_E_IO for the folder, CTR_E_UNSUPPORTED for what the machine lacks,
/// CTR_E_CORRUPT for damaged records.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_runtime_open(
    options: ctr_given_options<ctr_runtime_options>,
    runtime: Option<&mut MaybeUninit<*mut ctr_runtime>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("runtime.open", error, || {
        let room = room_for("runtime", runtime)?;
        let given = options.read("options")?;
        let mut builder = Runtime::builder();
        if let Some(root) = given.root.optional("root")? {
            builder = builder.root(root);
        }
        match given.rootless {
            0 => {}
            1 => builder = builder.rootless(true),
            -1 => builder = builder.rootless(false),
            _ => return Err(crate::ffi::invalid("rootless", "is not -1, 0 or 1")),
        }
        give(room, ctr_runtime { runtime: block_on(builder.open())? });
        Ok(())
    })
}

/// What this machine and this root have, as a JSON object in `*json` (version, root, rootless, cgroup_version,
/// cgroup_controllers, warnings…); free it with ctr_string_free. Any thread; does not block.
///
/// Errors: CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_runtime_info(
    runtime: Option<&ctr_runtime>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("runtime.info", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(&handle("runtime", runtime)?.runtime.info()?)?);
        Ok(())
    })
}

/// Closes a runtime: kills attached containers, cleans up, ends the helper process. Other calls on it and on
/// handles that came from it fail with CTR_E_HANDLE_CLOSED from now on; closing twice is fine. The handle
/// itself is still to be freed. Any thread; may block for a moment.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_runtime_close(
    runtime: Option<&ctr_runtime>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("runtime.close", error, || block_on(handle("runtime", runtime)?.runtime.close()))
}

/// Frees a runtime; NULL is fine. When no container or image handle of it is left, it is closed as well. Any
/// thread; may block for a moment.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_runtime_free(runtime: Option<Box<ctr_runtime>>) {
    release(runtime);
}

/// Frees text that a call gave (`char **`); NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_string_free(text: *mut c_char) {
    take_text(text);
}

/// Version of the library that is loaded; static. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// A value as JSON text.
pub fn to_json(value: &(impl serde::Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(ErrorKind::Internal, "can't be written as JSON").with_source(e))
}
