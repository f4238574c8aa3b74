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
    configure(&config, fstype.as_bytes(), options)?;
    finish(&config, attr)
}

fn configure(config: &OwnedFd, source: &[u8], options: &[(String, Option<String>)]) -> Result<(), Errno> {
    fsconfig_set_string(config, c"source", source)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(config, key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(config, key.as_str())?,
        }
    }
    Ok(())
}

/// [`new_mount`] with a source of its own; a failure comes with what the file system said about it.
pub fn new_mount_from(
    source: &[u8],
    fstype: &str,
    options: &[(String, Option<String>)],
    attr: u64,
) -> Result<OwnedFd, (Errno, String)> {
    let config = open(fstype).map_err(|e| match e {
        Errno::NODEV => (e, format!("the kernel has no file system {fstype}")),
        e => (e, String::new()),
    })?;
    let made = configure(&config, source, options).and_then(|()| finish(&config, attr));
    made.map_err(|e| (e, said(&config)))
}

/// The messages of a file system that is being configured.
fn said(config: &OwnedFd) -> String {
    let mut all = String::new();
    let mut line = [0u8; 512];
    while let Ok(n @ 1..) = rustix::io::read(config, &mut line) {
        // Each begins with its level.
        let text = String::from_utf8_lossy(&line[..n]);
        let text = text.trim_end().trim_start_matches(['e', 'w', 'i']).trim_start();
        if !all.is_empty() {
            all.push_str("; ");
        }
        all.push_str(text);
    }
    all
}

/// A detached tmpfs.
pub fn tmpfs(mode: &str, size: &str, attr: u64) -> Result<OwnedFd, Errno> {
    let config = open("tmpfs")?;
    fsconfig_set_string(&config, c"source", c"tmpfs")?;
    fsconfig_set_string(&config, c"mode", mode)?;
    fsconfig_set_string(&config, c"size", size)?;
    finish(&config, attr)
}
