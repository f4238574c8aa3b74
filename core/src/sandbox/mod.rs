//! From options to a plan: namespaces, mounts, capabilities, seccomp.
