//! An OCI runtime: what `containers-oci` does, without its command line.
//!
//! No launcher, no database and no executor: one folder for each container below a root, a one-shot helper that
//! makes the container's first process, and the kernel.

#![allow(dead_code, reason = "the verbs that use these parts come next")]

pub(crate) mod cgroup;
pub(crate) mod config;
pub(crate) mod seccomp;
pub(crate) mod translate;
pub(crate) mod validate;
