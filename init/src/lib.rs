//! The helper program of the `containers` library.
//!
//! The library starts it with one socket, as descriptor 3. It becomes a launcher: a small process of one
//! thread that starts containers for one open runtime and is their parent. Monitors, which are the parents
//! of detached containers, and the processes that unpack layers are forked from it. For `containers-oci` it
//! makes one process and ends.

#![deny(unsafe_code)]

mod cgroup;
mod child;
mod failure;
mod fs;
mod host;
mod launcher;
mod netlink;
mod oneshot;
mod overlay;
mod parent;
mod place;
mod remove;
#[allow(unsafe_code, reason = "the one module that makes raw system calls")]
mod sys;
mod unpack;

/// The program: a launcher, or with the argument for it a one-shot helper.
pub fn main() {
    match std::env::args_os().nth(1) {
        Some(arg) if arg == containers_protocol::oneshot::ARGUMENT => oneshot::main(),
        _ => launcher::main(),
    }
}

/// The program that is a one-shot helper and nothing else, so that it is small: `containers-oci` has it.
pub fn oneshot() -> ! {
    oneshot::main()
}
