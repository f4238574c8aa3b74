//! What a command left, and bytes.

use crate::ffi::{Owner, c_string, release};
use containers::{Output, StdioStream};
use std::ffi::{CString, c_char, c_void};

/// Standard output; a terminal's output too.
pub const CTR_STDOUT: i32 = 1;
/// Standard error.
pub const CTR_STDERR: i32 = 2;

/// What a command that ran to its end left. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_output {
    /// Private.
    pub owner: *mut c_void,
    /// Exit code; 128 + n after death by signal n.
    pub exit_code: i32,
    /// The signal that ended it; 0: none.
    pub signal: i32,
    /// 1: the kernel killed it, or a process of it, for want of memory.
    pub oom_killed: i32,
    /// What it wrote to standard output; a NUL that is not counted follows.
    pub out: *const c_char,
    /// Bytes of `out`.
    pub out_size: usize,
    /// What it wrote to standard error; a NUL that is not counted follows.
    pub err: *const c_char,
    /// Bytes of `err`.
    pub err_size: usize,
    /// The command that ran; ends with NULL.
    pub args: *const *const c_char,
}

// SAFETY: the pointers go to memory that only this struct owns and nobody changes.
unsafe impl Send for ctr_output {}
// SAFETY: as above.
unsafe impl Sync for ctr_output {}

impl From<Output> for ctr_output {
    fn from(output: Output) -> Self {
        let ended = |mut bytes: Vec<u8>| {
            bytes.push(0);
            bytes
        };
        let texts: Vec<CString> = output.args.iter().map(|a| c_string(a)).collect();
        let (owner, (out, err, args, _texts)) =
            Owner::of((ended(output.stdout), ended(output.stderr), pointers(&texts), texts));
        ctr_output {
            owner: owner.into_raw(),
            exit_code: output.exit_code,
            signal: output.signal.unwrap_or(0),
            oom_killed: i32::from(output.oom_killed),
            out: out.as_ptr().cast(),
            out_size: out.len() - 1,
            err: err.as_ptr().cast(),
            err_size: err.len() - 1,
            args: args.as_ptr(),
        }
    }
}

impl Drop for ctr_output {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// Pointers to texts, ended by NULL. They stay valid while the texts do.
pub fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Bytes. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_bytes {
    /// Private.
    pub owner: *mut c_void,
    /// The bytes; a NUL that is not counted follows.
    pub data: *const c_char,
    /// How many.
    pub data_size: usize,
}

impl From<Vec<u8>> for ctr_bytes {
    fn from(mut bytes: Vec<u8>) -> Self {
        bytes.push(0);
        let (owner, bytes) = Owner::of(bytes);
        ctr_bytes { owner: owner.into_raw(), data: bytes.as_ptr().cast(), data_size: bytes.len() - 1 }
    }
}

impl Drop for ctr_bytes {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// The number of a stream.
pub fn stream_number(stream: StdioStream) -> i32 {
    match stream {
        StdioStream::Stdout => CTR_STDOUT,
        StdioStream::Stderr => CTR_STDERR,
    }
}

/// The stream of a number.
pub fn stream_of(number: i32) -> containers::Result<StdioStream> {
    match number {
        CTR_STDOUT => Ok(StdioStream::Stdout),
        CTR_STDERR => Ok(StdioStream::Stderr),
        _ => Err(crate::ffi::invalid("stream", "is neither CTR_STDOUT nor CTR_STDERR")),
    }
}

/// Frees the output of a command; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_output_free(output: Option<Box<ctr_output>>) {
    release(output);
}

/// Frees bytes; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_bytes_free(bytes: Option<Box<ctr_bytes>>) {
    release(bytes);
}
