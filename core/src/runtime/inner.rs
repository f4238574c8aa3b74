//! What all handles of an open runtime share.

use crate::db::Db;
use crate::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of an open root. Handles hold it in an `Arc`.
pub(crate) struct RuntimeInner {
    /// Images, containers and records.
    pub(crate) root: PathBuf,
    /// Volatile state of this root: sockets, locks, records of attached containers.
    pub(crate) run_root: PathBuf,
    /// Containers live in a user namespace of the launcher's.
    pub(crate) rootless: bool,
    /// Records.
    pub(crate) db: Arc<Db>,
    pid: u32,
    closed: AtomicBool,
}

impl RuntimeInner {
    /// `handle_closed` when the runtime was closed, or opened by the process before a fork. Every operation
    /// starts with this.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.pid != std::process::id() {
            return Err(forked());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::HandleClosed, "the runtime has been closed"));
        }
        Ok(())
    }

    /// Whether this is the process that opened it. Drops do nothing elsewhere.
    pub(crate) fn is_own_process(&self) -> bool {
        self.pid == std::process::id()
    }

    /// `<root>/db.sqlite` lies beside these.
    pub(crate) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Unpacked layers.
    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Locked temporary folders.
    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Writable layers and logs.
    pub(crate) fn containers_dir(&self) -> PathBuf {
        self.root.join("containers")
    }
}

/// The error in a child of the process that opened something.
pub(crate) fn forked() -> Error {
    Error::new(
        ErrorKind::HandleClosed,
        "the handle belongs to the process before a fork; open the runtime again here",
    )
}
