//! Numbers of errors, and the error itself.

use crate::ffi::{c_string, invalid, release};
use crate::output::ctr_output;
use containers::{Error, ErrorKind, Result};
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Success.
pub const CTR_OK: i32 = 0;
/// Something named does not exist.
pub const CTR_E_NOT_FOUND: i32 = 1;
/// No such image; a case of CTR_E_NOT_FOUND.
pub const CTR_E_IMAGE_NOT_FOUND: i32 = 2;
/// No such container; a case of CTR_E_NOT_FOUND.
pub const CTR_E_CONTAINER_NOT_FOUND: i32 = 3;
/// No such network; a case of CTR_E_NOT_FOUND.
pub const CTR_E_NETWORK_NOT_FOUND: i32 = 4;
/// No such volume; a case of CTR_E_NOT_FOUND.
pub const CTR_E_VOLUME_NOT_FOUND: i32 = 5;
/// No such path; a case of CTR_E_NOT_FOUND.
pub const CTR_E_PATH_NOT_FOUND: i32 = 6;
/// The state of something forbids it.
pub const CTR_E_CONFLICT: i32 = 10;
/// The name is taken; a case of CTR_E_CONFLICT.
pub const CTR_E_ALREADY_EXISTS: i32 = 11;
/// Something else still uses it, or it runs; a case of CTR_E_CONFLICT.
pub const CTR_E_IN_USE: i32 = 12;
/// The container does not run; a case of CTR_E_CONFLICT.
pub const CTR_E_NOT_RUNNING: i32 = 13;
/// A value that can never work; context `field` names it.
pub const CTR_E_INVALID_ARGUMENT: i32 = 20;
/// The registry refused the credentials, or wants some.
pub const CTR_E_AUTH: i32 = 30;
/// The registry failed, can't be reached, or sent something wrong.
pub const CTR_E_REGISTRY: i32 = 31;
/// A build step failed.
pub const CTR_E_BUILD: i32 = 40;
/// A command failed.
pub const CTR_E_EXEC: i32 = 50;
/// It did not end in time; a case of CTR_E_EXEC. See ctr_error_output for what it printed so far.
pub const CTR_E_EXEC_TIMEOUT: i32 = 51;
/// It ended with a code other than 0, and `check` was on; a case of CTR_E_EXEC. See ctr_error_output.
pub const CTR_E_EXIT_ERROR: i32 = 52;
/// The command is not there or can't be executed; a case of CTR_E_EXEC.
pub const CTR_E_COMMAND_NOT_FOUND: i32 = 53;
/// This machine, or this version, can't do it; the message names the cause and the fix.
pub const CTR_E_UNSUPPORTED: i32 = 60;
/// The kernel or the file system forbids it.
pub const CTR_E_PERMISSION: i32 = 61;
/// A bound was reached: output, size, entries, time.
pub const CTR_E_LIMIT_EXCEEDED: i32 = 62;
/// ctr_cancel_trigger ended it.
pub const CTR_E_CANCELLED: i32 = 63;
/// The runtime is closed, or the handle belongs to the process before a fork.
pub const CTR_E_HANDLE_CLOSED: i32 = 64;
/// Stored data is damaged.
pub const CTR_E_CORRUPT: i32 = 70;
/// Input or output failed.
pub const CTR_E_IO: i32 = 71;
/// A defect of this library.
pub const CTR_E_INTERNAL: i32 = 72;

/// Every number with its kind.
const NUMBERS: &[(i32, ErrorKind)] = &[
    (CTR_E_NOT_FOUND, ErrorKind::NotFound),
    (CTR_E_IMAGE_NOT_FOUND, ErrorKind::ImageNotFound),
    (CTR_E_CONTAINER_NOT_FOUND, ErrorKind::ContainerNotFound),
    (CTR_E_NETWORK_NOT_FOUND, ErrorKind::NetworkNotFound),
    (CTR_E_VOLUME_NOT_FOUND, ErrorKind::VolumeNotFound),
    (CTR_E_PATH_NOT_FOUND, ErrorKind::PathNotFound),
    (CTR_E_CONFLICT, ErrorKind::Conflict),
    (CTR_E_ALREADY_EXISTS, ErrorKind::AlreadyExists),
    (CTR_E_IN_USE, ErrorKind::InUse),
    (CTR_E_NOT_RUNNING, ErrorKind::NotRunning),
    (CTR_E_INVALID_ARGUMENT, ErrorKind::InvalidArgument),
    (CTR_E_AUTH, ErrorKind::Auth),
    (CTR_E_REGISTRY, ErrorKind::Registry),
    (CTR_E_BUILD, ErrorKind::Build),
    (CTR_E_EXEC, ErrorKind::Exec),
    (CTR_E_EXEC_TIMEOUT, ErrorKind::ExecTimeout),
    (CTR_E_EXIT_ERROR, ErrorKind::ExitError),
    (CTR_E_COMMAND_NOT_FOUND, ErrorKind::CommandNotFound),
    (CTR_E_UNSUPPORTED, ErrorKind::Unsupported),
    (CTR_E_PERMISSION, ErrorKind::Permission),
    (CTR_E_LIMIT_EXCEEDED, ErrorKind::LimitExceeded),
    (CTR_E_CANCELLED, ErrorKind::Cancelled),
    (CTR_E_HANDLE_CLOSED, ErrorKind::HandleClosed),
    (CTR_E_CORRUPT, ErrorKind::Corrupt),
    (CTR_E_IO, ErrorKind::Io),
    (CTR_E_INTERNAL, ErrorKind::Internal),
];

// A kind without a number does not compile.
const _: () = assert!(NUMBERS.len() == ErrorKind::ALL.len(), "each kind has a number");

fn number(kind: ErrorKind) -> i32 {
    NUMBERS.iter().find(|(_, k)| *k == kind).map_or(CTR_E_INTERNAL, |(n, _)| *n)
}

fn kind(number: i32) -> Option<ErrorKind> {
    NUMBERS.iter().find(|(n, _)| *n == number.saturating_abs()).map(|(_, k)| *k)
}

/// Why a call failed.
pub struct ctr_error {
    number: i32,
    name: CString,
    message: CString,
    operation: CString,
    context: Vec<(CString, CString)>,
    output: Option<ctr_output>,
}

impl From<Error> for ctr_error {
    fn from(e: Error) -> Self {
        ctr_error {
            number: number(e.kind()),
            name: c_string(e.code()),
            message: c_string(&e.to_string()),
            operation: c_string(e.operation()),
            context: e.context().iter().map(|(k, v)| (c_string(k), c_string(v))).collect(),
            output: e.output().cloned().map(ctr_output::from),
        }
    }
}

/// What every entry does: runs `body`, and hands its error or panic to the caller.
pub fn call(
    operation: &'static str,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
    body: impl FnOnce() -> Result<()>,
) -> i32 {
    // Whatever a panic leaves half done belongs to a handle whose locks tell so.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(from_panic(&*panic)));
    let result = result.map_err(|e| if e.operation().is_empty() { e.with_operation(operation) } else { e });
    match (result, error) {
        (Ok(()), room) => {
            if let Some(room) = room {
                room.write(std::ptr::null_mut());
            }
            CTR_OK
        }
        (Err(e), room) => {
            let number = number(e.kind());
            if let Some(room) = room {
                crate::ffi::give(room, ctr_error::from(e));
            }
            -number
        }
    }
}

fn from_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Internal, format!("a defect of the library: {}", text.unwrap_or("it panicked")))
}

/// The number of an error, CTR_E_*, positive; CTR_OK for NULL. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_code(error: Option<&ctr_error>) -> i32 {
    error.map_or(CTR_OK, |e| e.number)
}

/// The name of an error, the same word in every language: `image_not_found`. Lives as long as the error; NULL
/// for NULL. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_name(error: Option<&ctr_error>) -> *const c_char {
    error.map_or(std::ptr::null(), |e| e.name.as_ptr())
}

/// One line for people: the operation, what went wrong, with what, and why. Lives as long as the error; NULL
/// for NULL. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_message(error: Option<&ctr_error>) -> *const c_char {
    error.map_or(std::ptr::null(), |e| e.message.as_ptr())
}

/// What was being done: `container.start`. Lives as long as the error; NULL for NULL. Any thread; does not
/// block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_operation(error: Option<&ctr_error>) -> *const c_char {
    error.map_or(std::ptr::null(), |e| e.operation.as_ptr())
}

/// What it was about, by key (`path`, `ref`, `step`, `field`…); NULL when there is no such key. Lives as long
/// as the error. Any thread; does not block.
///
/// `key` is text.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_context(
    error: Option<&ctr_error>,
    key: crate::ffi::ctr_given_text,
) -> *const c_char {
    let (Some(error), Ok(Some(key))) = (error, key.optional("key")) else {
        return std::ptr::null();
    };
    let found = error.context.iter().find(|(k, _)| k.to_bytes() == key.as_bytes());
    found.map_or(std::ptr::null(), |(_, v)| v.as_ptr())
}

/// The key of the context entry number `index`, from 0; NULL behind the last. Lives as long as the error. Any
/// thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_context_key(error: Option<&ctr_error>, index: usize) -> *const c_char {
    error.and_then(|e| e.context.get(index)).map_or(std::ptr::null(), |(k, _)| k.as_ptr())
}

/// The value of the context entry number `index`, from 0; NULL behind the last. Lives as long as the error.
/// Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_context_value(error: Option<&ctr_error>, index: usize) -> *const c_char {
    error.and_then(|e| e.context.get(index)).map_or(std::ptr::null(), |(_, v)| v.as_ptr())
}

/// What the command had printed (CTR_E_EXEC_TIMEOUT, CTR_E_EXIT_ERROR); NULL when there is none. Lives as long
/// as the error: do not free it. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_output(error: Option<&ctr_error>) -> *const ctr_output {
    error.and_then(|e| e.output.as_ref()).map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Frees an error; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_error_free(error: Option<Box<ctr_error>>) {
    release(error);
}

/// Whether `code` (as a function returned it, or positive) is `of` or a case of it: CTR_E_IMAGE_NOT_FOUND is
/// CTR_E_NOT_FOUND. 1 or 0. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_code_is(code: i32, of: i32) -> i32 {
    match (kind(code), kind(of)) {
        (Some(code), Some(of)) => i32::from(code.is(of)),
        _ => 0,
    }
}

/// The name of `code` (as a function returned it, or positive): `image_not_found`; `ok` for 0 and `unknown` for
/// other numbers. The text is static. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_code_name(code: i32) -> *const c_char {
    static NAMES: std::sync::OnceLock<Vec<(i32, CString)>> = std::sync::OnceLock::new();
    let named = || NUMBERS.iter().map(|(n, k)| (*n, c_string(k.code()))).collect();
    let names = NAMES.get_or_init(named);
    let unknown: &CStr = if code == 0 { c"ok" } else { c"unknown" };
    let found = names.iter().find(|(n, _)| *n == code.saturating_abs());
    found.map_or(unknown.as_ptr(), |(_, name)| name.as_ptr())
}

/// A duration from milliseconds; -1 is none, other negative ones never work.
pub fn milliseconds(name: &str, value: i64) -> Result<Option<std::time::Duration>> {
    match u64::try_from(value) {
        Ok(ms) => Ok(Some(std::time::Duration::from_millis(ms))),
        Err(_) if value == -1 => Ok(None),
        Err(_) => Err(invalid(name, format_args!("is {value}; -1 stands for none"))),
    }
}

/// Seconds from the milliseconds of a struct, where 0 is none too.
pub fn seconds(name: &str, value: i64) -> Result<Option<f64>> {
    let duration = milliseconds(name, value)?;
    Ok(duration.filter(|d| !d.is_zero()).map(|d| d.as_secs_f64()))
}
