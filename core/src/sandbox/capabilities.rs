//! Names of capabilities.

use crate::{Error, ErrorKind, Result};

/// Names by number, as in `linux/capability.h`.
pub(crate) const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The names of the capabilities in a set of bits.
pub(crate) fn names(bits: u64) -> impl Iterator<Item = &'static str> {
    NAMES.iter().enumerate().filter(move |(bit, _)| bits & 1 << bit != 0).map(|(_, name)| *name)
}

/// Whether this is the name of a capability, as `CAP_SYS_ADMIN`.
pub(crate) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The bit of a capability; `ALL` is all of them.
pub(crate) fn capability(text: &str, field: &'static str) -> Result<u64> {
    let upper = text.to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(all());
    }
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match NAMES.iter().position(|c| c.strip_prefix("CAP_") == Some(name)) {
        Some(bit) => Ok(1 << bit),
        None => {
            let text = format!("no such capability: `{text}` (examples: NET_ADMIN, CAP_SYS_PTRACE, ALL)");
            Err(Error::new(ErrorKind::InvalidArgument, text).with_context("field", field))
        }
    }
}

/// The set of all capabilities.
pub(crate) fn all() -> u64 {
    (1 << NAMES.len()) - 1
}
