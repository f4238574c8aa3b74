//! Where the program begins, in place of Rust's own beginning: that one reads the list of this process's mappings to tell an
//! overflow of the stack from other faults, and each start of a container begins two processes.

use containers_protocol::raw::set_signal;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// What the C library calls.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: std::ffi::c_int, _args: *const *const std::ffi::c_char) -> std::ffi::c_int {
    if prepare().is_none() {
        return i32::from(super::USAGE);
    }
    let code = super::run();
    // SAFETY: nothing is left in buffers, and nobody asked to be told of the end: the C library would go through its streams.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Standard streams that are open, so that no other file takes their place, and errors for writes that nobody reads.
fn prepare() -> Option<()> {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::io::fcntl_getfd(stream).is_err() {
            // The lowest number that is free is this stream's.
            std::mem::forget(openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty()).ok()?);
        }
    }
    set_signal(libc::SIGPIPE, true).then_some(())
}
