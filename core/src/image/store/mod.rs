//! What a root keeps of images: blobs by digest, unpacked layers by diff id, and their records.
//!
//! ```text
//! <root>/blobs/sha256/<hex>      as received, digest checked
//! <root>/layers/<hex>/fs         the tree of the layer with this diff id
//! <root>/layers/<hex>/info       what came of unpacking it, see [`LayerInfo`]
//! <root>/tmp/<random>/           work in progress; whoever works in it holds its flock
//! ```
//!
//! Nothing is visible under its final name before it is complete. What counts after a power loss is the
//! database: its records are written after a `syncfs` of everything they name.

mod blob;
mod gc;
mod ingest;
mod layer;
mod lock;
mod records;
#[cfg(test)]
mod tests;

pub(crate) use blob::BlobWriter;
pub(crate) use ingest::{CommitLayer, Ingest, NewImage};
pub(crate) use layer::{LayerInfo, LayerSink, LayerSlot, LayerSpec};
pub(crate) use records::ImageRecord;

use super::digest::Digest;
use crate::db::Db;
use crate::{Error, ErrorKind, Result};
use containers_protocol::plan::IdMaps;
use containers_protocol::{Bytes, control, launch, wire};
use lock::TempDir;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::collections::HashSet;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open runtime as the store sees it.
pub(crate) trait Support: Send + Sync {
    /// Sends a request to the launcher; the returned socket gets its answers. `handle_closed` after a close.
    fn request(&self, request: &launch::Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd>;
    /// Maps of the launcher's user namespace; `None`: it has none of its own.
    fn id_maps(&self) -> Option<&IdMaps>;
    /// Ids of the images that containers need, attached and detached ones, of any process.
    fn images_in_use(&self) -> Result<HashSet<String>>;
    /// `handle_closed` when the runtime is closed or belongs to the process before a fork.
    fn check_open(&self) -> Result<()>;
}

/// See [`Store::hold`].
pub(crate) struct Hold(#[allow(dead_code, reason = "held, not read")] lock::Held);

/// A temporary folder whose files belong to this user, deleted in the end.
pub(super) struct Scratch(TempDir);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}

/// A temporary folder for tests.
#[cfg(test)]
pub(super) fn scratch() -> Scratch {
    Scratch(TempDir::new(&std::env::temp_dir()).expect("a temporary folder"))
}

/// The images of one root.
pub(crate) struct Store {
    root: PathBuf,
    db: Arc<Db>,
    support: Arc<dyn Support>,
    cache: records::Cache,
    pub(super) host: super::host::Cache,
}

impl Store {
    /// Opens the image part of a root, making its folders when missing.
    pub(crate) fn open(root: &Path, db: Arc<Db>, support: Arc<dyn Support>) -> Result<Arc<Store>> {
        for folder in ["blobs", "blobs/sha256", "blobs/sha512", "layers", "empty", "host", "tmp"] {
            make_private_dir(&root.join(folder))?;
        }
        check_mode(&root.join("mode"), support.id_maps().is_some())?;
        let (root, cache, host) =
            (root.to_path_buf(), records::Cache::default(), super::host::Cache::default());
        let store = Arc::new(Store { root, db, support, cache, host });
        store.tidy()?;
        Ok(store)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    fn layer_dir(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    /// The tree of a layer.
    pub(crate) fn layer_tree(&self, diff_id: &Digest) -> PathBuf {
        self.layer_dir(diff_id).join("fs")
    }

    /// The open runtime.
    pub(crate) fn support(&self) -> &dyn Support {
        &*self.support
    }

    /// While it is held, nothing is deleted from the store: for the moments between looking up an image and
    /// having recorded the container that needs it.
    pub(crate) fn hold(&self) -> Result<Hold> {
        lock::lease(&self.root).map(Hold)
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn temp_dir(&self) -> Result<TempDir> {
        TempDir::new(&self.tmp())
    }

    /// A folder for something that is being made; what is left in it goes with it.
    pub(super) fn scratch_dir(&self) -> Result<Scratch> {
        self.temp_dir().map(Scratch)
    }

    /// Flushes the file system of the root.
    pub(crate) async fn sync(&self) -> Result<()> {
        let root = self.root.clone();
        let done = crate::executor::spawn_blocking(move || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::syncfs(rustix::fs::open(&root, flags, Mode::empty())?)
        })?;
        done.await.map_err(|e| {
            Error::io("can't write the image to disk", e.into()).with_context("path", text(&self.root))
        })
    }

    /// Asks the launcher to delete trees, also those whose files belong to mapped ids, and does not wait.
    fn delete_later(&self, paths: Vec<PathBuf>) {
        let request = launch::Request::Delete(paths.into_iter().map(Bytes::from).collect());
        // What could not be deleted lies in `tmp`, and the next open reclaims it.
        let _ = self.support.request(&request, &[]);
    }
}

/// The next answer on a request's socket.
async fn answer<T: serde::de::DeserializeOwned>(socket: &OwnedFd) -> Result<T> {
    let gone = || Error::new(ErrorKind::Internal, "the launcher ended before it answered");
    let io = |e| Error::io("can't read the launcher's answer", e);
    loop {
        crate::executor::readable(&socket.as_fd()).await.map_err(io)?;
        match wire::recv(socket) {
            Ok(Some(message)) => return wire::from_json(&message.payload).map_err(io),
            Ok(None) => return Err(gone()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(io(e)),
        }
    }
}

/// The error for what a helper process reports. `content`: the kind for content that is not what it should be.
fn failed(failure: control::Failure, content: ErrorKind) -> Error {
    let known = ErrorKind::ALL.iter().copied().find(|k| k.code() == failure.code);
    let message = match (&failure.detail, failure.errno) {
        (d, _) if !d.is_empty() => d.clone(),
        (_, 0) => "it failed".to_owned(),
        (_, errno) => std::io::Error::from_raw_os_error(errno).to_string(),
    };
    let mut error = match known {
        Some(ErrorKind::Corrupt) => Error::new(content, message),
        Some(kind) => Error::new(kind, message),
        None if failure.errno != 0 => Error::io(message, std::io::Error::from_raw_os_error(failure.errno)),
        None => Error::new(ErrorKind::Io, message),
    };
    if !failure.path.is_empty() {
        error = error.with_context("path", failure.path);
    }
    if !failure.step.is_empty() {
        error = error.with_context("step", failure.step);
    }
    error
}

/// Layers of a launcher in a user namespace have other owners and other marks than those of one outside: a root is
/// for one of the two.
fn check_mode(file: &Path, rootless: bool) -> Result<()> {
    let own = if rootless { "in a user namespace" } else { "with the ids of the machine" };
    let failed = |e| Error::io("can't write", e).with_context("path", text(file));
    match std::fs::read_to_string(file) {
        Ok(there) if there.trim_end() == own => Ok(()),
        Ok(there) if !there.trim().is_empty() => {
            let what = format!(
                "the root holds layers unpacked {}, and can't be used {own}; open another root",
                there.trim_end()
            );
            Err(Error::new(ErrorKind::Unsupported, what).with_context("field", "rootless"))
        }
        _ => {
            let fresh = file.with_extension(format!("{}.new", std::process::id()));
            std::fs::write(&fresh, format!("{own}\n")).map_err(failed)?;
            std::fs::rename(&fresh, file).map_err(failed)
        }
    }
}

/// Makes a folder that only its owner may enter, under any umask; one that exists is left alone.
fn make_private_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(false).mode(0o700).create(path);
    let result = match made {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    };
    result.map_err(|e| Error::io("can't make the folder", e).with_context("path", text(path)))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
