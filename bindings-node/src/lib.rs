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

/// Panics on the caller's thread, on the I/O thread, or beside it; only in the build of `tests/panic`.
#[cfg(feature = "panic-for-test")]
#[napi(catch_unwind)]
pub fn panic_for_test(port: &port::Port, id: u32, place: String) {
    match place.as_str() {
        "call" => panic!("as asked"),
        "future" => port.start(id, async { panic!("as asked") }),
        _ => port.start_sync(id, || panic!("as asked")),
    }
}
