//! The native half of the Node package. It knows nothing of promises, classes of errors or streams: each
//! method that waits takes a [`port::Port`] and a number, starts its work on the library's I/O thread, and
//! later hands `(number, outcome)` to the port, where `lib/native.js` fetches it. No thread of libuv's pool
//! and no thread of our own waits for anything.

// What only Node calls is not registered in a test build.
#![cfg_attr(test, allow(dead_code))]

mod container;
mod failure;
mod image;
mod options;
mod port;
mod process;
mod runtime;
mod value;

use napi_derive::napi;

/// `[code, code of the parent]` of every error, for the test that compares them with the classes.
#[napi(catch_unwind)]
pub fn error_codes() -> Vec<Vec<String>> {
    containers::ErrorKind::ALL.iter().map(|k| vec![k.code().into(), k.parent().code().into()]).collect()
}

/// Panics on the I/O thread, for the test that a panic becomes an error.
#[napi(catch_unwind)]
pub fn panic_for_test(port: &port::Port, id: u32) {
    port.start(id, async { panic!("as asked") });
}
