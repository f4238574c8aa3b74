//! Locks between processes: temporary folders that are alive while their flock is held, and named locks.
//!
//! A forked child of the host shares our descriptors, so a lock is given back explicitly, and only by the
//! process that took it.

use super::{make_private_dir, text};
use crate::{Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A held flock.
pub(super) struct Held {
    fd: OwnedFd,
    pid: u32,
}

impl Held {
    fn new(fd: OwnedFd) -> Held {
        Held { fd, pid: std::process::id() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

fn try_lock(fd: impl AsFd, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match flock(&fd, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn failed(path: &Path, e: io::Error) -> Error {
    Error::io("can't lock", e).with_context("path", text(path))
}

/// Takes a shared lock of a folder, waiting; for locks that are held for moments.
fn lock_briefly(dir: &Path) -> Result<Held> {
    let fd = open_dir(dir).map_err(|e| failed(dir, e))?;
    loop {
        match flock(&fd, FlockOperation::LockShared) {
            Ok(()) => return Ok(Held::new(fd)),
            Err(Errno::INTR) => {}
            Err(e) => return Err(failed(dir, e.into())),
        }
    }
}

/// Tries to lock a folder for this process alone; `None`: somebody else has it.
pub(super) fn try_lock_dir(dir: &Path) -> Result<Option<Held>> {
    let fd = open_dir(dir).map_err(|e| failed(dir, e))?;
    match try_lock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|e| failed(dir, e))? {
        true => Ok(Some(Held::new(fd))),
        false => Ok(None),
    }
}

/// A folder for work in progress, in use while its flock is held.
pub(super) struct TempDir {
    path: PathBuf,
    _lock: Held,
}

impl TempDir {
    /// Makes one in `tmp`.
    pub(super) fn new(tmp: &Path) -> Result<TempDir> {
        // Keeps a reclaimer away until the new folder is locked.
        let _scan = lock_briefly(tmp)?;
        let mut random = [0u8; 12];
        getrandom::fill(&mut random).map_err(|e| failed(tmp, io::Error::other(e.to_string())))?;
        let path = tmp.join(hex(&random));
        make_private_dir(&path)?;
        let fd = open_dir(&path).map_err(|e| failed(&path, e))?;
        if !try_lock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|e| failed(&path, e))? {
            return Err(failed(&path, Errno::WOULDBLOCK.into()));
        }
        Ok(TempDir { path, _lock: Held::new(fd) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The folders in `tmp` that nobody works in any more, locked, so that they can be deleted. Named locks whose
/// holder was killed are removed at once.
pub(super) fn abandoned(tmp: &Path) -> Result<Vec<(PathBuf, Held)>> {
    let Some(_scan) = try_lock_dir(tmp)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(tmp).map_err(|e| failed(tmp, e))? {
        let entry = entry.map_err(|e| failed(tmp, e))?;
        if entry.path().extension().is_some_and(|e| e == "lock") {
            // Held by nobody: taking it and letting it go deletes it.
            if let Some(held) = Named::attempt(&entry.path()).unwrap_or(None) {
                drop(Named { path: entry.path(), held });
            }
            continue;
        }
        if entry.file_type().is_ok_and(|t| t.is_dir())
            && let Some(held) = try_lock_dir(&entry.path())?
        {
            found.push((entry.path(), held));
        } else if entry.path().extension().is_some_and(|e| e == "lock")
            && let Ok(Some(held)) = Named::attempt(&entry.path())
        {
            drop(Named { path: entry.path(), held });
        }
    }
    Ok(found)
}

/// A named lock: a file that exists while somebody holds it.
pub(super) struct Named {
    path: PathBuf,
    held: Held,
}

impl Named {
    /// Waits until this process has the lock.
    pub(super) async fn acquire(tmp: &Path, name: &str) -> Result<Named> {
        let path = tmp.join(format!("{name}.lock"));
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(held) = Self::attempt(&path).map_err(|e| failed(&path, e))? {
                return Ok(Named { path, held });
            }
            crate::executor::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn attempt(path: &Path) -> io::Result<Option<Held>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        if !try_lock(&fd, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(None);
        }
        let held = Held::new(fd);
        // The one who had it before may have unlinked the file that we opened.
        let ours = rustix::fs::fstat(&held.fd)?;
        let same = rustix::fs::stat(path).is_ok_and(|s| s.st_ino == ours.st_ino && s.st_dev == ours.st_dev);
        Ok(same.then_some(held))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if self.held.pid == std::process::id() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A lease on everything in the store: while one is held, nothing is deleted.
pub(super) fn lease(root: &Path) -> Result<Held> {
    // The folder of the blobs carries the lock; deleters take it exclusively, and never wait for it.
    lock_briefly(&root.join("blobs"))
}

/// The right to delete; `None`: somebody has a lease.
pub(super) fn try_deleter(root: &Path) -> Result<Option<Held>> {
    try_lock_dir(&root.join("blobs"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
