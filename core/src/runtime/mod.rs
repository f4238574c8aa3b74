//! A runtime: one root with its images and containers, and a warm launcher while it is open.

mod info;
mod inner;
pub(crate) mod launcher;
pub(crate) mod paths;
mod repair;
mod replace;
mod support;

use crate::cgroup::Cgroups;
use crate::db::Db;
use crate::sandbox::idmap;
use crate::{Containers, Error, ErrorKind, Images, Result};
pub(crate) use inner::RuntimeInner;
use launcher::Launcher;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a [`Runtime`].
#[derive(Clone, Debug, Default)]
pub struct RuntimeBuilder {
    pub(crate) root: Option<PathBuf>,
    pub(crate) rootless: Option<bool>,
}

impl RuntimeBuilder {
    /// The folder that holds images, containers and records. Default: `CONTAINERS_ROOT`, else
    /// `/var/lib/embedded-containers` for root and `$XDG_DATA_HOME/embedded-containers` for others.
    #[must_use]
    pub fn root(mut self, root: impl AsRef<Path>) -> Self {
        self.root = Some(root.as_ref().to_path_buf());
        self
    }

    /// Whether to use a user namespace of the launcher's own. Default: unless the caller is root.
    #[must_use]
    pub fn rootless(mut self, rootless: bool) -> Self {
        self.rootless = Some(rootless);
        self
    }

    /// Opens the root: creates it when missing, repairs what a crash left, starts the launcher.
    pub async fn open(self) -> Result<Runtime> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let root = paths::root(self.root.as_deref(), uid == 0)?;
        let new = !root.exists();
        let opened = open(&root, self.rootless, uid, gid).await;
        let inner =
            opened.inspect_err(|_| paths::take_back(&root, uid, new)).map_err(inner::in_root(&root))?;
        Ok(Runtime { inner: Arc::new(inner) })
    }
}

/// An open root. Cheap to clone; closed by [`Runtime::close`] or when the last clone is dropped.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<RuntimeInner>,
}

impl Runtime {
    /// A builder with default settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// The images of this root.
    pub fn images(&self) -> Images {
        Images::new(self.inner.store.clone())
    }

    /// The containers of this root.
    pub fn containers(&self) -> Containers {
        Containers::of(&self.inner)
    }

    /// The folder this runtime works in.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// What this machine and this root have.
    pub fn info(&self) -> Result<Info> {
        self.inner.check_open().and_then(|()| info::info(self)).map_err(|e| e.with_operation("runtime.info"))
    }

    /// Kills attached containers, cleans up, ends the launcher. Later calls through this runtime or its
    /// handles fail with `handle_closed`. Closing twice is fine.
    pub async fn close(&self) -> Result<()> {
        self.inner.close().await.map_err(|e| e.with_operation("runtime.close"))
    }
}

async fn open(root: &Path, rootless: Option<bool>, uid: u32, gid: u32) -> Result<RuntimeInner> {
    let rootless = match rootless {
        None => uid != 0,
        Some(false) if uid != 0 => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "only root can do without a user namespace; leave `rootless` out or run as root",
            )
            .with_context("field", "rootless"));
        }
        Some(given) => given,
    };
    paths::private_dir(root)?;
    // Links in the path would give one root several run folders.
    let root = root.canonicalize().map_err(|e| paths::at("can't find the root folder", root, e))?;
    for folder in paths::FOLDERS {
        paths::private_dir(&root.join(folder))?;
    }
    let run_root = paths::run_root(&root, uid)?;
    let db = Arc::new(Db::open(&root.join("db.sqlite"))?);
    let hash = run_root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut cgroups = Cgroups::prepare(&hash);
    let trash = repair::repair(&root, &run_root, &db, &cgroups)?;
    let mut warnings = Vec::new();
    let id_maps = rootless.then(|| {
        let found = idmap::rootless(uid, gid);
        warnings.extend(found.warning);
        found.maps
    });
    let cache = crate::sandbox::Cache::new(id_maps.as_ref());
    let launcher = match Launcher::start(&root, &run_root, id_maps, &mut cgroups).await {
        Ok(launcher) => launcher,
        Err(e) => {
            cgroups.release();
            return Err(e);
        }
    };
    warnings.extend(cgroups.warning.iter().cloned());
    if !trash.is_empty() {
        // Nobody waits for it; what can't be deleted is found again by the next open.
        let paths = trash.into_iter().map(Into::into).collect();
        launcher.request(&containers_protocol::launch::Request::Delete(paths), &[]).await?;
    }
    let parts = inner::Parts { root, run_root, rootless, db, launcher, cgroups, warnings, cache };
    RuntimeInner::new(parts)
}

/// The error of handles whose runtime was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::HandleClosed, "the runtime has been closed")
}

/// The error in a child of the process that opened something.
pub(crate) fn forked() -> Error {
    let text = "the handle belongs to the process before a fork; open the runtime again here";
    Error::new(ErrorKind::HandleClosed, text)
}

/// What [`Runtime::info`] reports.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Info {
    /// Version of this library.
    pub version: String,
    /// The root folder.
    pub root: PathBuf,
    /// The folder with volatile state.
    pub run_root: PathBuf,
    /// Whether containers live in a user namespace of the launcher's.
    pub rootless: bool,
    /// `v1`, `v2` or `none`.
    pub cgroup_version: String,
    /// Who makes cgroups: `systemd` (scopes of its own), `cgroupfs` (we do), `none`.
    pub cgroup_driver: String,
    /// Controllers that limits can use.
    pub cgroup_controllers: Vec<String>,
    /// Storage driver: `overlay`.
    pub driver: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture as Go names it: `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Processors.
    pub ncpu: u32,
    /// Memory in bytes.
    pub mem_total: u64,
    /// Number of images.
    pub images: u64,
    /// Number of containers.
    pub containers: u64,
    /// Number of running containers.
    pub containers_running: u64,
    /// What can't be had here, and the fix.
    pub warnings: Vec<String>,
}
