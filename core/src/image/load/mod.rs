//! Loading images from files: OCI layouts, as a folder or an archive, and docker-archives.

mod docker;
mod layout;
mod source;
#[cfg(test)]
mod tests;

use super::manifest::{ConfigFile, ManifestError};
use super::store::{CommitLayer, ImageRecord, Ingest, LayerSlot, LayerSpec, NewImage, Store};
use super::{Digest, Image, LoadOptions, Platform, PullEvent, Reference, manifest};
use crate::{Error, ErrorKind, Result};
use containers_protocol::unpack::Compression;
use source::{Content, Source};
use std::path::Path;
use std::sync::Arc;

/// What is wrong with a caller's file.
const WRONG: ErrorKind = ErrorKind::InvalidArgument;
/// Bytes read and handed on at a time.
const CHUNK: usize = 512 * 1024;

/// Loads all images of a layout or archive.
pub(super) async fn load(store: &Arc<Store>, path: &Path, options: &LoadOptions) -> Result<Vec<Image>> {
    let ingest = store.ingest(WRONG)?;
    let source = Source::open(path, &ingest)?;
    let job = Job { ingest: &ingest, source: &source, options, path };
    let found = if source.has("index.json") {
        layout::load(&job).await
    } else if source.has("manifest.json") {
        docker::load(&job).await
    } else {
        Err(wrong("there is neither an OCI layout (index.json) nor a docker-archive (manifest.json) in it"))
    };
    let records = found?;
    if records.is_empty() {
        return Err(wrong("there is no image in it"));
    }
    Ok(records.into_iter().map(|record| Image::stored(store.clone(), Arc::new(record))).collect())
}

/// One load under way.
struct Job<'a> {
    ingest: &'a Ingest,
    source: &'a Source,
    options: &'a LoadOptions,
    path: &'a Path,
}

/// A layer in the file that is loaded.
struct LayerFile {
    content: Content,
    spec: LayerSpec,
    /// What events call it.
    name: String,
}

impl Job<'_> {
    fn report(&self, event: PullEvent) {
        if let Some(progress) = &self.options.progress {
            progress(event);
        }
    }

    fn platform(&self) -> Platform {
        self.options.platform.clone().unwrap_or_else(manifest::machine)
    }

    /// Stores layers; their diff ids and blobs, and whether any of them was new.
    async fn layers(&self, layers: Vec<LayerFile>) -> Result<(Vec<CommitLayer>, bool)> {
        let mut done = Vec::with_capacity(layers.len());
        let mut fetched = false;
        for layer in layers {
            let name = layer.name.clone();
            let (committed, new) = self.layer(layer).await.map_err(|e| about(e, &name))?;
            fetched |= new;
            done.push(committed);
        }
        Ok((done, fetched))
    }

    async fn layer(&self, layer: LayerFile) -> Result<(CommitLayer, bool)> {
        let (diff_id, blob) = (layer.spec.diff_id.clone(), layer.spec.blob.clone());
        let mut sink = match self.ingest.layer(layer.spec).await? {
            LayerSlot::Fetch(sink) => sink,
            LayerSlot::Ready => {
                self.report(PullEvent::Exists { layer: layer.name });
                let diff_id =
                    diff_id.ok_or_else(|| Error::new(ErrorKind::Internal, "a layer without a name"))?;
                let blob = blob.map_or_else(|| diff_id.clone(), |(digest, _)| digest);
                return Ok((CommitLayer { diff_id, blob }, false));
            }
        };
        let total = layer.content.size();
        let mut reader = layer.content.reader()?;
        let mut buffer = vec![0u8; CHUNK];
        loop {
            let n = source::read(&mut reader, &mut buffer)?;
            if n == 0 {
                break;
            }
            sink.write(&buffer[..n]).await?;
            let (name, current) = (layer.name.clone(), sink.written());
            self.report(PullEvent::Downloading { layer: name, current, total });
            yield_now().await;
        }
        self.report(PullEvent::Extracting { layer: layer.name.clone() });
        let done = sink.finish().await?;
        self.report(PullEvent::Done { layer: layer.name });
        Ok((CommitLayer { diff_id: done.diff_id, blob: done.blob }, true))
    }

    async fn commit(&self, image: NewImage, fetched: bool) -> Result<ImageRecord> {
        let record = self.ingest.commit(image).await?;
        self.report(PullEvent::Complete { id: record.id.to_string(), fetched });
        Ok(record)
    }
}

/// Names the layer, unless one is named.
fn about(e: Error, layer: &str) -> Error {
    if e.context().iter().any(|(key, _)| *key == "layer") { e } else { e.with_context("layer", layer) }
}

/// Lets others run, and the caller be interrupted, between two pieces of work.
pub(super) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(WRONG, what)
}

fn refused(e: ManifestError) -> Error {
    e.into_error(WRONG)
}

/// How a layer file is compressed, by its first bytes. What is not known counts as an archive: the unpacker says
/// what it is.
pub(super) fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The media type of a layer blob.
pub(super) fn layer_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// A manifest for a configuration and layers that came without one.
pub(super) fn make_manifest(config: &[u8], layers: &[(Digest, u64, Compression)]) -> Vec<u8> {
    let layers: Vec<serde_json::Value> = layers
        .iter()
        .map(|(digest, size, compression)| {
            serde_json::json!({"mediaType": layer_type(*compression), "digest": digest.as_str(), "size": size})
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": manifest::media::OCI_MANIFEST,
        "config": {
            "mediaType": manifest::media::OCI_CONFIG,
            "digest": Digest::of(config).as_str(),
            "size": config.len(),
        },
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// A reference in canonical form, with its tag.
fn canonical(text: &str) -> Result<String> {
    let reference = Reference::parse(text)?;
    Ok(format!("{}:{}", reference.name(), reference.tag().unwrap_or("latest")))
}

/// Reads a configuration and checks that it fits.
fn config(bytes: &[u8], layers: usize) -> Result<ConfigFile> {
    ConfigFile::parse(bytes, layers).map_err(refused)
}
