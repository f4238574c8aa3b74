//! Files of a container that is made: its bundle, its folder, its gate, its process id.

use super::record::fifo;
use super::{Engine, config, validate};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::Spec;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A bundle whose configuration is valid.
pub(crate) struct Bundle {
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// The text of the configuration, and what it says.
    pub(crate) text: Vec<u8>,
    pub(crate) spec: Spec,
    /// Its root file system, absolute.
    pub(crate) rootfs: PathBuf,
}

impl Engine {
    /// Reads and checks the bundle at a path; empty: the current folder. What its configuration lets one begin is begun before that is
    /// checked.
    pub(crate) fn read_bundle<T>(&self, path: &Path, begin: impl FnOnce(&Spec) -> T) -> Result<(Bundle, T)> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let path = crate::sys::canonicalize(path).map_err(|e| {
            Error::io("the bundle can't be found", e).with_context("path", path.display().to_string())
        })?;
        let (text, spec) = config::load(&path, &*self.warn)?;
        let begun = begin(&spec);
        validate::check(&spec, &path)?;
        let rootfs = validate::rootfs_path(&spec, &path)?;
        Ok((Bundle { path, text, spec, rootfs }, begun))
    }
}

/// Makes the folder of a new container.
pub(crate) fn make_dir(root: &Path, dir: &Path) -> Result<()> {
    let failed = |at: &Path, e| {
        Error::io("the container's folder can't be made", e).with_context("path", at.display().to_string())
    };
    // Others may walk through, to what a container's own user namespace owns; they see nothing.
    let make = |all: bool, at: &Path| std::fs::DirBuilder::new().recursive(all).mode(0o711).create(at);
    let made = match make(false, dir) {
        // The first of this root, mostly.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            make(true, root).map_err(|e| failed(root, e))?;
            make(false, dir)
        }
        made => made,
    };
    match made {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::new(ErrorKind::AlreadyExists, "container with given ID already exists"))
        }
        made => made.map_err(|e| failed(dir, e)),
    }
}

/// The gate of a container that is started later.
pub(crate) fn make_fifo(dir: &Path) -> Result<OwnedFd> {
    let failed = |e: rustix::io::Errno| Error::io("the container's gate can't be made", e.into());
    let path = fifo(dir);
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map_err(failed)?;
    // With a writer of its own, the process that waits sees no end of file.
    open(&path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)
}

/// The gate of a container that is started at once: its two ends.
pub(crate) fn pipe() -> Result<(OwnedFd, Option<OwnedFd>)> {
    let made = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (gate, opener) = made.map_err(|e| Error::io("the container's gate can't be made", e.into()))?;
    Ok((gate, Some(opener)))
}

/// Writes a process id so that nobody sees half of it.
pub(crate) fn write_pid(path: &Path, pid: i32) -> Result<()> {
    let failed =
        |e| Error::io("the process id can't be written", e).with_context("path", path.display().to_string());
    let name = path.file_name().ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?;
    let new = path.with_file_name(format!(".{}", name.to_string_lossy()));
    std::fs::write(&new, pid.to_string()).and_then(|()| std::fs::rename(&new, path)).map_err(failed)
}
