//! From options to a plan: namespaces, mounts, capabilities, seccomp.

mod cache;
pub(crate) mod capabilities;
mod devices;
mod files;
pub(crate) mod idmap;
mod mounts;
mod plan;
pub(crate) mod seccomp;

pub(crate) use cache::Cache;
pub(crate) use plan::{Request, RootfsParts, build, extra_writable};
