//! What overlays need on older kernels: before 6.8 the layers are a list, before 6.5 nothing is looked at until the
//! mount is made, before 6.15 a layer must be attached in this mount namespace.

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    MoveMountFlags, UnmountFlags, fsconfig_set_flag, fsconfig_set_string, move_mount, unmount,
};
use rustix::process::{chdir, fchdir};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::MAX_VALUE;
use crate::fs;

/// Whether options are only collected, so that an unknown one is no error before the mount is made.
pub fn collects_options() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        fs::open("overlay").is_ok_and(|config| fsconfig_set_flag(config.as_fd(), c"no_such_option").is_ok())
    })
}

/// The layers as one string: numbers of descriptors, which mean something while the result lives.
pub fn set_lower_list(config: &OwnedFd, lower: &[&[u8]], fds: &mut Vec<OwnedFd>) -> Result<FdFolder, Errno> {
    let mut list = String::new();
    for path in lower {
        let fd = open(*path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if !list.is_empty() {
            list.push(':');
        }
        list.push_str(&fd.as_raw_fd().to_string());
        fds.push(fd);
    }
    if list.len() >= MAX_VALUE {
        return Err(Errno::NAMETOOLONG);
    }
    let folder = FdFolder::enter()?;
    fsconfig_set_string(config, c"lowerdir", list)?;
    Ok(folder)
}

/// The current directory is that of our descriptors, for as long as this lives.
pub struct FdFolder {
    before: OwnedFd,
}

impl FdFolder {
    fn enter() -> Result<FdFolder, Errno> {
        let before = open(c".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        chdir(c"/proc/self/fd")?;
        Ok(FdFolder { before })
    }
}

impl Drop for FdFolder {
    fn drop(&mut self) {
        let _ = fchdir(&self.before);
    }
}

/// The same folders by names that stay right when something is attached over them.
pub fn by_descriptors(lower: &[Vec<u8>]) -> Result<(Vec<Vec<u8>>, Vec<OwnedFd>), Errno> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open: Vec<OwnedFd> =
        lower.iter().map(|path| open(path.as_slice(), how, Mode::empty())).collect::<Result<_, _>>()?;
    let names = open.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes()).collect();
    Ok((names, open))
}

static ATTACHES: AtomicBool = AtomicBool::new(false);

/// Whether trees that are attached nowhere are known to be refused as layers.
pub fn attaches() -> bool {
    ATTACHES.load(Ordering::Relaxed)
}

/// Remembers that attaching helped.
pub fn attach_from_now() {
    ATTACHES.store(true, Ordering::Relaxed);
}

/// Trees that are attached for as long as this lives. The overlay has copies of them.
pub struct Attached<'a> {
    trees: Vec<&'a OwnedFd>,
}

impl<'a> Attached<'a> {
    /// Attaches trees over a folder. They are reached through their descriptors only.
    pub fn new(trees: &'a [OwnedFd], over: &[u8]) -> Result<Attached<'a>, Errno> {
        let mut attached = Attached { trees: Vec::new() };
        for tree in trees {
            move_mount(tree, c"", CWD, over, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            attached.trees.push(tree);
        }
        Ok(attached)
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        for tree in self.trees.iter().rev() {
            let path = format!("/proc/self/fd/{}", tree.as_raw_fd());
            let _ = unmount(path, UnmountFlags::DETACH);
        }
    }
}
