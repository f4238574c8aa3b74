//! Handles: [`Images`] of a runtime, and one [`Image`].

use super::builder::PullBuilder;
use super::host::{self, HostImage};
use super::store::{ImageRecord, Store};
use super::{ImportOptions, LoadOptions, Platform, PullOptions, import, inspect, load, time};
use crate::image::Reference;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::path::Path;
use std::sync::Arc;

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
    /// How the health of detached containers is checked.
    #[serde(default)]
    pub healthcheck: Option<crate::HealthCheck>,
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
pub struct Images {
    store: Arc<Store>,
}

impl Images {
    pub(crate) fn new(store: Arc<Store>) -> Images {
        Images { store }
    }

    /// Fetches an image: `.await` what this gives.
    pub fn pull(&self, reference: impl Into<String>) -> PullBuilder {
        PullBuilder::new(self.clone(), reference.into())
    }

    /// [`Images::pull`] with all options at once.
    pub async fn pull_with(&self, reference: &str, options: PullOptions) -> Result<Image> {
        let pull = async {
            self.store.support().check_open()?;
            if let Some(host) = HostImage::parse(reference)? {
                return Ok(Image::from_host(host));
            }
            Ok(Image::stored(self.store.clone(), super::pull::pull(&self.store, reference, options).await?))
        };
        pull.await.map_err(|e: Error| e.with_operation("image.pull"))
    }

    /// Loads an OCI layout (folder or tar) or a docker-archive; all images in it.
    pub async fn load(&self, path: impl AsRef<Path>, options: LoadOptions) -> Result<Vec<Image>> {
        let path = path.as_ref();
        let loaded = async {
            self.store.support().check_open()?;
            load::load(&self.store, path, &options).await
        };
        loaded.await.map_err(|e| about("image.load", path, e))
    }

    /// Makes an image of one layer from a root file system tar (also gzip or zstd).
    pub async fn import_(&self, path: impl AsRef<Path>, options: ImportOptions) -> Result<Image> {
        let path = path.as_ref();
        let imported = async {
            self.store.support().check_open()?;
            import::import(&self.store, path, &options).await
        };
        imported.await.map_err(|e| about("image.import", path, e))
    }

    /// Finds an image by reference, id, unique beginning of an id, or `host`.
    pub fn get(&self, reference: &str) -> Result<Image> {
        self.find(reference).map_err(|e| e.with_operation("image.get"))
    }

    fn find(&self, reference: &str) -> Result<Image> {
        self.store.support().check_open()?;
        if let Some(host) = HostImage::parse(reference)? {
            return Ok(Image::from_host(host));
        }
        Ok(Image::stored(self.store.clone(), self.store.get(reference)?))
    }

    /// Lists images, newest first. Damaged records are left out; [`Images::get`] says what is wrong with one.
    pub fn list(&self) -> Result<Vec<ImageSummary>> {
        let list = || {
            self.store.support().check_open()?;
            let mut rows = Vec::new();
            for id in self.store.image_ids()? {
                match self.store.record(&id) {
                    Ok(record) => rows.push(summary(&record)),
                    Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::ImageNotFound) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(rows)
        };
        list().map_err(|e: Error| e.with_operation("image.list"))
    }

    /// Removes a reference, and the image when it was the last; by id all of them, with `force` when there are
    /// several. `in_use` while a container needs it, unless `force`: then it loses its names, and its layers
    /// go when the last such container does.
    pub fn remove(&self, reference: &str, force: bool) -> Result<()> {
        let remove = || {
            self.store.support().check_open()?;
            if HostImage::parse(reference)?.is_some() {
                return Err(undeletable());
            }
            let removed = self.store.remove(reference, force)?;
            if removed.deleted.is_some() {
                self.store.collect()?;
            }
            Ok(())
        };
        remove().map_err(|e: Error| e.with_operation("image.remove"))
    }
}

fn undeletable() -> Error {
    Error::new(ErrorKind::Unsupported, "the host image is this machine; it can't be removed")
}

/// Names the operation and, where no path is named yet, the caller's file.
fn about(operation: &'static str, path: &Path, e: Error) -> Error {
    let e = e.with_operation(operation);
    if e.context().iter().any(|(key, _)| *key == "path") {
        return e.with_context("file", path.display().to_string());
    }
    e.with_context("path", path.display().to_string())
}

fn summary(record: &ImageRecord) -> ImageSummary {
    ImageSummary {
        id: record.id.to_string(),
        tags: familiar(&record.tags),
        digests: familiar(&record.digests),
        created: record.created,
        size: record.size,
        labels: record.config.labels.clone(),
    }
}

/// References as docker shows them.
pub(super) fn familiar(references: &[String]) -> Vec<String> {
    references.iter().map(|r| Reference::parse(r).map_or_else(|_| r.clone(), |r| r.familiar())).collect()
}

/// One image.
#[derive(Clone)]
pub struct Image(Arc<Kind>);

enum Kind {
    Stored { store: Arc<Store>, record: Arc<ImageRecord>, manifest: String, platform: Platform },
    Host(Box<host::HostImage>),
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("id", &self.id()).field("tags", &self.tags()).finish_non_exhaustive()
    }
}

/// An image is named by its id where a name is wanted.
impl From<&Image> for String {
    fn from(image: &Image) -> String {
        image.id().to_owned()
    }
}

/// An image is named by its id where a name is wanted.
impl From<Image> for String {
    fn from(image: Image) -> String {
        image.id().to_owned()
    }
}

impl Image {
    pub(crate) fn stored(store: Arc<Store>, record: Arc<ImageRecord>) -> Image {
        let manifest = record.manifest.to_string();
        let platform = inspect::platform(&record.file);
        Image(Arc::new(Kind::Stored { store, record, manifest, platform }))
    }

    fn from_host(host: HostImage) -> Image {
        Image(Arc::new(Kind::Host(Box::new(host))))
    }

    /// The record of an image of the store.
    pub(crate) fn record(&self) -> Option<&Arc<ImageRecord>> {
        match &*self.0 {
            Kind::Stored { record, .. } => Some(record),
            Kind::Host(_) => None,
        }
    }

    /// The machine's own system, read-only below a throw-away writable layer; see
    /// [`Containers::run`](crate::Containers::run). `paths`: further host folders to show; they are checked when
    /// a container is made.
    pub fn host<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Image {
        Image::from_host(HostImage::new(paths))
    }

    /// `sha256:…` of the configuration; `host`, with its paths, for the host image. Names the image wherever
    /// one is wanted.
    pub fn id(&self) -> &str {
        match &*self.0 {
            Kind::Stored { record, .. } => record.id.as_str(),
            Kind::Host(host) => host.name(),
        }
    }

    /// References with tags, as docker shows them, when the handle was made.
    pub fn tags(&self) -> Vec<String> {
        self.record().map_or_else(|| vec!["host".to_owned()], |r| familiar(&r.tags))
    }

    /// Digest of the manifest; empty for the host image.
    pub fn digest(&self) -> &str {
        match &*self.0 {
            Kind::Stored { manifest, .. } => manifest,
            Kind::Host(_) => "",
        }
    }

    /// Unpacked bytes; 0 for the host image, which takes no space.
    pub fn size(&self) -> u64 {
        self.record().map_or(0, |r| r.size)
    }

    /// What it was built for.
    pub fn platform(&self) -> Platform {
        match &*self.0 {
            Kind::Stored { platform, .. } => platform.clone(),
            Kind::Host(_) => super::manifest::machine(),
        }
    }

    /// What containers take over.
    pub fn config(&self) -> &ImageConfig {
        match &*self.0 {
            Kind::Stored { record, .. } => &record.config,
            Kind::Host(host) => host.config(),
        }
    }

    /// How it came to be, newest first.
    pub fn history(&self) -> Vec<HistoryEntry> {
        let Some(record) = self.record() else {
            return Vec::new();
        };
        let mut layers = record.stack.iter().filter(|l| !l.inherits);
        let mut entries: Vec<HistoryEntry> = record
            .file
            .history
            .iter()
            .map(|h| HistoryEntry {
                created: time::parse(h.created.as_deref()),
                created_by: h.created_by.clone(),
                size: if h.empty_layer { 0 } else { layers.next().map_or(0, |l| l.size) },
                comment: h.comment.clone(),
                empty_layer: h.empty_layer,
            })
            .collect();
        entries.reverse();
        entries
    }

    /// Gives it a further reference. One that another image has moves over.
    pub fn tag(&self, reference: &str) -> Result<()> {
        let tag = || {
            let Kind::Stored { store, record, .. } = &*self.0 else {
                return Err(Error::new(ErrorKind::Unsupported, "the host image can't be tagged"));
            };
            store.support().check_open()?;
            let parsed = Reference::parse(reference)?;
            if parsed.digest().is_some() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "a reference to tag with can't have a digest",
                )
                .with_context("field", "reference")
                .with_context("ref", reference));
            }
            if HostImage::parse(reference)?.is_some() {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "the name host means this machine's own system",
                )
                .with_context("field", "reference"));
            }
            store.tag(&record.id, &format!("{}:{}", parsed.name(), parsed.tag().unwrap_or("latest")))
        };
        tag().map_err(|e: Error| e.with_operation("image.tag"))
    }

    /// Removes it with all its references: [`Images::remove`] by its id.
    pub fn remove(&self, force: bool) -> Result<()> {
        match &*self.0 {
            Kind::Stored { store, .. } => Images::new(store.clone()).remove(self.id(), force),
            Kind::Host(_) => Err(undeletable().with_operation("image.remove")),
        }
    }

    /// Everything about it, as docker's inspect document.
    pub fn inspect(&self) -> Result<serde_json::Value> {
        match &*self.0 {
            Kind::Stored { store, record, .. } => {
                let inspect = || {
                    store.support().check_open()?;
                    inspect::document(store, &store.record(record.id.as_str())?)
                };
                inspect().map_err(|e: Error| e.with_operation("image.inspect"))
            }
            Kind::Host(host) => Ok(host.inspect()),
        }
    }
}

#[allow(dead_code, reason = "asserts at compile time that the futures can move between threads")]
fn assert_send(images: &Images) {
    fn send<T: Send>(_: T) {}
    send(images.pull("").into_future());
    send(images.load("", LoadOptions::default()));
    send(images.import_("", ImportOptions::default()));
}
