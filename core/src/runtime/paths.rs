//! Where a root and its volatile state lie.

use crate::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use sha2::{Digest, Sha256};
use std::env;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The name of our folder among others'.
const FOLDER: &str = "embedded-containers";

/// The root folder: what the caller says, else `CONTAINERS_ROOT`, else the user's default. Absolute.
pub(super) fn root(given: Option<&Path>, is_root: bool) -> Result<PathBuf> {
    let named = match given {
        Some(path) if path.as_os_str().is_empty() => {
            return Err(Error::new(ErrorKind::InvalidArgument, "the root folder's path is empty")
                .with_context("field", "root"));
        }
        Some(path) => Some(path.to_path_buf()),
        None => env::var_os("CONTAINERS_ROOT").filter(|v| !v.is_empty()).map(PathBuf::from),
    };
    let path = match named {
        Some(path) => path,
        None if is_root => Path::new("/var/lib").join(FOLDER),
        None => data_home()?.join(FOLDER),
    };
    std::path::absolute(&path).map_err(|e| at("can't find the root folder", &path, e))
}

fn data_home() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|h| h.join(".local/share"))).ok_or_else(|| {
        let fix = "neither XDG_DATA_HOME nor HOME is set; set CONTAINERS_ROOT or name a root folder";
        Error::new(ErrorKind::InvalidArgument, fix).with_context("field", "root")
    })
}

/// The run folder of a root, which exists and has no links in its path.
pub(super) fn run_root(root: &Path, uid: u32) -> Result<PathBuf> {
    let (base, run) = run_folders(root, uid);
    private_dir(&base)?;
    check_private(&base, uid)?;
    private_dir(&run)?;
    Ok(run)
}

/// What all roots have in common, and the run folder of one.
fn run_folders(root: &Path, uid: u32) -> (PathBuf, PathBuf) {
    let hash = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let hash: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
    let runtime_dir = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let base = if uid == 0 {
        Path::new("/run").join(FOLDER)
    } else if let Some(dir) = runtime_dir.filter(|d| d.is_absolute() && is_private_dir(d, uid)) {
        dir.join(FOLDER)
    } else {
        PathBuf::from(format!("/tmp/{FOLDER}-{uid}"))
    };
    let run = base.join(hash);
    (base, run)
}

/// Folders of a new root that hold something later.
pub(super) const FOLDERS: [&str; 2] = ["containers", "tmp"];

/// Takes back what an open that failed has made and put nothing into. `new`: the root was not there before.
pub(super) fn take_back(root: &Path, uid: u32, new: bool) {
    let Ok(root) = root.canonicalize() else { return };
    let (_, run) = run_folders(&root, uid);
    // What is in use is not empty.
    let _ = std::fs::remove_dir(run);
    if new {
        FOLDERS.iter().for_each(|folder| drop(std::fs::remove_dir(root.join(folder))));
        let _ = std::fs::remove_dir(root);
    }
}

fn is_private_dir(path: &Path, uid: u32) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o022 == 0)
}

/// Refuses a folder in a shared place that somebody else has put there.
fn check_private(path: &Path, uid: u32) -> Result<()> {
    if is_private_dir(path, uid) {
        return Ok(());
    }
    let fix = "the run folder belongs to somebody else, or others may write to it; remove it, or set XDG_RUNTIME_DIR";
    Err(Error::new(ErrorKind::Permission, fix).with_context("path", path.display().to_string()))
}

/// Makes a folder of mode 0700 under any umask, with its parents; one that exists is left alone.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    let failed = |e| at("can't make the folder", path, e);
    if let Some(parent) = path.parent()
        && !parent.exists()
    {
        private_dir(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(failed(e)),
    }
}

/// The lock that whoever makes a launcher's or monitor's folder holds, in a run folder that may have been
/// removed a moment ago.
pub(crate) fn creation_lock(run_root: &Path) -> Result<Option<OwnedFd>> {
    for _ in 0..100 {
        private_dir(run_root)?;
        match lock_file(&run_root.join("lock"), true) {
            Err(e) if e.kind() == ErrorKind::PathNotFound => {}
            done => return done,
        }
    }
    lock_file(&run_root.join("lock"), true)
}

/// Opens or makes a file of mode 0600 and takes its lock. `None`: somebody else has it and `wait` is off.
/// A file that was removed before the lock was had is made again.
pub(crate) fn lock_file(path: &Path, wait: bool) -> Result<Option<OwnedFd>> {
    let failed = |e: rustix::io::Errno| at("can't lock", path, e.into());
    loop {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
        // Under any umask.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o600)).map_err(failed)?;
        let how = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
        match rustix::fs::flock(&fd, how) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(failed(e)),
        }
        let ours = rustix::fs::fstat(&fd).map_err(failed)?;
        if std::fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (ours.st_dev, ours.st_ino)) {
            return Ok(Some(fd));
        }
    }
}

pub(crate) fn at(what: &str, path: &Path, e: std::io::Error) -> Error {
    Error::io(what, e).with_context("path", path.display().to_string())
}
