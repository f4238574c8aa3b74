//! What crosses between the `containers` library and its helper program.
//!
//! Two kinds of messages exist:
//! * [`launch`]: library to launcher, both from the same build. Encoded with postcard, free to change.
//! * [`control`]: any process to the parent of a container (a launcher or a monitor), maybe of another
//!   build. Encoded as JSON, additive: fields and variants are added, never renamed or removed.
//!
//! [`wire`] carries both over `SOCK_SEQPACKET` Unix sockets, together with file descriptors.

#![deny(unsafe_code)]

pub mod bpf;
pub mod bytes;
pub mod control;
pub mod extra;
pub mod hook;
pub mod launch;
pub mod log;
pub mod meanwhile;
pub mod mountinfo;
pub mod oneshot;
pub mod plan;
pub mod raw;
pub mod run_folder;
pub mod sysctl;
pub mod turns;
pub mod unpack;
pub mod vfork;
pub mod wire;

pub use bytes::Bytes;
