//! Attributes of the machine's mounts that a container in a user namespace may not take away.
//!
//! The kernel locks them in what such a container sees of the machine. A bind is opened by the runtime, with rights of its
//! own, so nothing is locked there: but a volume that the administrator mounted `ro` or `nosuid` is not to be written, or
//! used to gain rights, because a configuration says so.

use crate::failure::{Context, failure};
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::extra::MountEntry;
use libc::{MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_STRICTATIME};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;

/// What stays when it is set.
const LOCKED: u64 = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

/// How times of access are kept, which stays as it is.
const TIMES: u64 = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;

/// Refuses a bind whose options take attributes of its source away.
pub fn check(entry: &MountEntry, source: &Bytes) -> Result<(), Failure> {
    if (entry.clear & LOCKED) | ((entry.set | entry.clear) & TIMES) == 0 {
        return Ok(());
    }
    let found = statx(CWD, &*source.0, AtFlags::empty(), StatxFlags::MNT_ID).at("bind", &source.0)?;
    let mounts = std::fs::read("/proc/self/mountinfo").map_err(|e| {
        let errno = e.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        failure("mount", b"/proc/self/mountinfo", errno)
    })?;
    // A kernel before 5.8 doesn't say which mount it is.
    match attributes(&String::from_utf8_lossy(&mounts), found.stx_mnt_id) {
        Some(has) if takes_away(has, entry.set, entry.clear) => {
            Err(failure("mount", &entry.target.0, Errno::PERM))
        }
        _ => Ok(()),
    }
}

/// Whether a change takes away what is locked.
fn takes_away(has: u64, set: u64, clear: u64) -> bool {
    let after = has & !clear | set;
    has & LOCKED & !after != 0 || (has ^ after) & TIMES != 0
}

/// The attributes of a mount, from its line in `mountinfo`.
fn attributes(mountinfo: &str, id: u64) -> Option<u64> {
    let line = mountinfo.lines().find(|line| line.split(' ').next() == Some(&*id.to_string()))?;
    let options: Vec<&str> = line.split(' ').nth(5)?.split(',').collect();
    let bit = |name: &str, bits: u64| if options.contains(&name) { bits } else { 0 };
    let times = match (options.contains(&"noatime"), options.contains(&"relatime")) {
        (true, _) => MOUNT_ATTR_NOATIME,
        (false, true) => 0,
        (false, false) => MOUNT_ATTR_STRICTATIME,
    };
    Some(
        bit("ro", ATTR_RDONLY)
            | bit("nosuid", ATTR_NOSUID)
            | bit("nodev", ATTR_NODEV)
            | bit("noexec", ATTR_NOEXEC)
            | bit("nodiratime", MOUNT_ATTR_NODIRATIME)
            | times,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_of_the_mount() {
        let text = "7 1 8:1 / /a ro,nosuid,noatime - tmpfs t rw\n77 1 8:1 / /b rw,nodev - tmpfs t ro\n";
        assert_eq!(attributes(text, 7), Some(ATTR_RDONLY | ATTR_NOSUID | MOUNT_ATTR_NOATIME));
        assert_eq!(attributes(text, 77), Some(ATTR_NODEV | MOUNT_ATTR_STRICTATIME));
        assert_eq!(attributes(text, 8), None);
    }

    #[test]
    fn nothing_is_loosened_and_times_stay() {
        assert!(takes_away(ATTR_RDONLY, 0, ATTR_RDONLY));
        assert!(!takes_away(0, 0, ATTR_RDONLY));
        assert!(!takes_away(ATTR_NOSUID, ATTR_RDONLY | ATTR_NODEV, 0));
        assert!(takes_away(MOUNT_ATTR_NOATIME, 0, MOUNT_ATTR__ATIME));
        assert!(takes_away(0, MOUNT_ATTR_NODIRATIME, 0));
        assert!(!takes_away(MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME));
    }
}
