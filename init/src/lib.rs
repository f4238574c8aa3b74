//! The helper program of the `containers` library.
//!
//! The library starts it with one socket, as descriptor 3. It becomes a launcher: a small process of one
//! thread that starts containers for one open runtime and is their parent. Monitors, which are the parents
//! of detached containers, and the processes that unpack layers are forked from it. `containers-oci` has the part that
//! becomes, or makes, one process.

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

/// The program: a launcher.
pub fn main() {
    launcher::main();
}

/// The helper of `containers-oci`, which is that program itself.
pub fn oneshot() -> ! {
    oneshot::main()
}

/// What the first process of a container does that `containers-oci` makes in its own memory.
pub use oneshot::become_first;
