//! From options to a plan: namespaces, mounts, capabilities, seccomp.

// until the plan is built from it
#[allow(dead_code, unused_imports)]
pub(crate) mod seccomp;
