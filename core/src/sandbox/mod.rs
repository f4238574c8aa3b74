//! From options to a plan: namespaces, mounts, capabilities, seccomp.

#[cfg(feature = "engine")]
mod cache;
pub(crate) mod capabilities;
#[cfg(feature = "engine")]
mod devices;
pub(crate) mod failure;
#[cfg(feature = "engine")]
mod files;
pub(crate) mod helper;
#[cfg(feature = "engine")]
pub(crate) mod idmap;
#[cfg(feature = "engine")]
mod mounts;
#[cfg(feature = "engine")]
mod plan;
pub(crate) mod rlimits;
pub(crate) mod seccomp;
pub(crate) mod sysctls;

#[cfg(feature = "engine")]
pub(crate) use {
    cache::Cache,
    plan::{Request, RootfsParts, build, extra_writable},
};
