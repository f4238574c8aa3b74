//! A runtime: one root with its images and containers, and a warm launcher while it is open.

mod inner;

pub(crate) use inner::{RuntimeInner, forked};

use crate::{Containers, Images, Result};
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
        todo!()
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
        todo!()
    }

    /// The containers of this root.
    pub fn containers(&self) -> Containers {
        todo!()
    }

    /// The folder this runtime works in.
    pub fn root(&self) -> &Path {
        todo!()
    }

    /// What this machine and this root have.
    pub fn info(&self) -> Result<Info> {
        todo!()
    }

    /// Kills attached containers, cleans up, ends the launcher. Later calls through this runtime or its
    /// handles fail with `handle_closed`. Closing twice is fine.
    pub async fn close(&self) -> Result<()> {
        let _ = &self.inner;
        todo!()
    }
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
