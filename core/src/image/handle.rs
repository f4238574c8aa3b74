//! Handles: [`Images`] of a runtime, and one [`Image`].

use super::{ImportOptions, LoadOptions, Platform, PullOptions};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The part of an image's configuration that containers take over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Entrypoint.
    pub entrypoint: Vec<String>,
    /// Command.
    pub cmd: Vec<String>,
    /// Working directory.
    pub working_dir: String,
    /// User.
    pub user: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Exposed ports: `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// Paths of anonymous volumes.
    pub volumes: Vec<String>,
    /// Signal of `stop`; empty: SIGTERM.
    pub stop_signal: String,
}

/// One entry of an image's history, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Unix time in nanoseconds; 0: unknown.
    pub created: i64,
    /// What made it.
    pub created_by: String,
    /// Unpacked bytes of its layer; 0 without one.
    pub size: u64,
    /// Comment.
    pub comment: String,
    /// It has no layer.
    pub empty_layer: bool,
}

/// One row of [`Images::list`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ImageSummary {
    /// `sha256:…` of the configuration.
    pub id: String,
    /// References with tags.
    pub tags: Vec<String>,
    /// References with digests (`name@sha256:…`).
    pub digests: Vec<String>,
    /// Unix time in nanoseconds.
    pub created: i64,
    /// Unpacked bytes.
    pub size: u64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// The images of a runtime.
#[derive(Clone)]
pub struct Images {}

impl Images {
    /// Fetches an image.
    pub async fn pull(&self, reference: &str, options: PullOptions) -> Result<Image> {
        let _ = (reference, options);
        todo!()
    }

    /// Loads an OCI layout (folder or tar) or a docker-archive; all images in it.
    pub async fn load(&self, path: impl AsRef<Path>, options: LoadOptions) -> Result<Vec<Image>> {
        let _ = (path.as_ref(), options);
        todo!()
    }

    /// Makes an image of one layer from a root file system tar (also gzip or zstd).
    pub async fn import_(&self, path: impl AsRef<Path>, options: ImportOptions) -> Result<Image> {
        let _ = (path.as_ref(), options);
        todo!()
    }

    /// Finds an image by reference, id, unique beginning of an id, or `host`.
    pub fn get(&self, reference: &str) -> Result<Image> {
        let _ = reference;
        todo!()
    }

    /// Lists images, newest first.
    pub fn list(&self) -> Result<Vec<ImageSummary>> {
        todo!()
    }

    /// Removes a reference, and the image when it was the last; by id all of them. `in_use` while a container
    /// needs it, unless `force`.
    pub fn remove(&self, reference: &str, force: bool) -> Result<()> {
        let _ = (reference, force);
        todo!()
    }
}

/// One image.
#[derive(Clone, Debug)]
pub struct Image {}

impl Image {
    /// The machine's own system, read-only below a throw-away writable layer; see
    /// [`Containers::run`](crate::Containers::run). `paths`: further host folders to show.
    pub fn host<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Image {
        let _ = paths.into_iter().count();
        todo!()
    }

    /// `sha256:…` of the configuration.
    pub fn id(&self) -> &str {
        todo!()
    }

    /// References with tags.
    pub fn tags(&self) -> Vec<String> {
        todo!()
    }

    /// Digest of the manifest.
    pub fn digest(&self) -> &str {
        todo!()
    }

    /// Unpacked bytes.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// What it was built for.
    pub fn platform(&self) -> Platform {
        todo!()
    }

    /// What containers take over.
    pub fn config(&self) -> &ImageConfig {
        todo!()
    }

    /// How it came to be, newest first.
    pub fn history(&self) -> Vec<HistoryEntry> {
        todo!()
    }

    /// Gives it a further reference.
    pub fn tag(&self, reference: &str) -> Result<()> {
        let _ = reference;
        todo!()
    }

    /// Everything about it, as docker's inspect document.
    pub fn inspect(&self) -> Result<serde_json::Value> {
        todo!()
    }
}
