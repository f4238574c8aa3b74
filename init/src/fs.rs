//! New mounts, detached.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

/// Starts to configure a file system.
pub fn open(fstype: &str) -> Result<OwnedFd, Errno> {
    fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)
}

/// Makes the configured file system and a mount of it.
pub fn finish(config: &OwnedFd, attr: u64) -> Result<OwnedFd, Errno> {
    fsconfig_create(config)?;
    fsmount(config, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(attr as u32))
}

/// A detached mount of a new file system.
pub fn new_mount(fstype: &str, options: &[(String, Option<String>)], attr: u64) -> Result<OwnedFd, Errno> {
    let config = open(fstype)?;
    fsconfig_set_string(&config, c"source", fstype)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(&config, key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(&config, key.as_str())?,
        }
    }
    finish(&config, attr)
}

/// A detached tmpfs.
pub fn tmpfs(mode: &str, size: &str, attr: u64) -> Result<OwnedFd, Errno> {
    let config = open("tmpfs")?;
    fsconfig_set_string(&config, c"source", c"tmpfs")?;
    fsconfig_set_string(&config, c"mode", mode)?;
    fsconfig_set_string(&config, c"size", size)?;
    finish(&config, attr)
}
