//! Sysctls that namespaces have of their own.

/// Sysctls of an IPC namespace, beside `fs.mqueue.*`.
pub(crate) const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
