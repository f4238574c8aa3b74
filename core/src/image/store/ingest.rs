//! One pull, load or import under way, and its commit.

use super::layer::{self, LayerInfo, LayerSink, LayerSlot, LayerSpec};
use super::lock::{Held, Named, TempDir, lease};
use super::{BlobWriter, ImageRecord, Store};
use crate::image::digest::{Algorithm, Digest};
use crate::{Error, ErrorKind, Result};
use containers_protocol::unpack::Compression;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// A lease on the store: while one exists nothing in it is deleted, so what was found in it stays.
pub(crate) struct Ingest {
    store: Arc<Store>,
    temp: TempDir,
    content: ErrorKind,
    _lease: Held,
}

/// A layer of an image to commit.
#[derive(Clone, Debug)]
pub(crate) struct CommitLayer {
    /// Digest of the uncompressed archive.
    pub(crate) diff_id: Digest,
    /// Its blob.
    pub(crate) blob: Digest,
}

/// An image to commit; its blobs and layers are in the store.
#[derive(Clone, Debug)]
pub(crate) struct NewImage {
    /// Manifest, as received.
    pub(crate) manifest: Vec<u8>,
    /// Digest of the manifest.
    pub(crate) digest: Digest,
    /// Configuration, as received.
    pub(crate) config: Vec<u8>,
    /// Layers, lowest first.
    pub(crate) layers: Vec<CommitLayer>,
    /// References with tags, in canonical form.
    pub(crate) tags: Vec<String>,
    /// References with digests, in canonical form (`docker.io/library/debian@sha256:…`).
    pub(crate) digests: Vec<String>,
}

impl Store {
    /// Begins to bring something in. `content`: the kind of error for content that is not what it should be:
    /// `registry` for a pull, `invalid_argument` for the caller's own files.
    pub(crate) fn ingest(self: &Arc<Self>, content: ErrorKind) -> Result<Ingest> {
        let _lease = lease(self.root())?;
        Ok(Ingest { store: self.clone(), temp: self.temp_dir()?, content, _lease })
    }
}

impl Ingest {
    /// The store.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// A file without a name for data that is in the way soon.
    pub(crate) fn scratch_file(&self) -> Result<File> {
        let path = self.temp.path().join("scratch");
        let failed = |e| Error::io("can't make a temporary file", e).with_context("path", super::text(&path));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        Ok(file)
    }

    /// Stores a small blob (a manifest, a configuration) whose digest is checked.
    pub(crate) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        if self.store.has_blob(digest, bytes.len() as u64) && self.store.verify_blob(digest)? {
            return Ok(());
        }
        let expected = Some((digest.clone(), bytes.len() as u64));
        let mut writer = BlobWriter::new(self.temp.path(), expected, self.content)?;
        let stored = writer.write(bytes).and_then(|()| writer.commit(|digest| self.store.blob_path(digest)));
        if stored.is_err() {
            let _ = std::fs::remove_file(self.temp.path().join("blob"));
        }
        stored.map(|_| ())
    }

    /// Looks for a layer, waiting while another process or task brings it in. What is here is used:
    /// unpacked, or as a blob to unpack.
    pub(crate) async fn layer(&self, spec: LayerSpec) -> Result<LayerSlot> {
        let Some(diff_id) = spec.diff_id.clone() else {
            return Ok(LayerSlot::Fetch(Box::new(LayerSink::start(&self.store, spec, None, self.content)?)));
        };
        if diff_id.algorithm() != Algorithm::Sha256 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "layers with other than sha256 diff ids are not supported",
            )
            .with_context("diff_id", diff_id.to_string()));
        }
        if self.store.layer_info(&diff_id)?.is_some() {
            return Ok(LayerSlot::Ready);
        }
        let lock = Named::acquire(&self.store.tmp(), diff_id.hex()).await?;
        if self.store.layer_info(&diff_id)?.is_some() {
            return Ok(LayerSlot::Ready);
        }
        if let Some((blob, size)) = &spec.blob
            && self.store.has_blob(blob, *size)
            && self.store.verify_blob(blob)?
        {
            let file = self.store.open_blob(blob)?;
            layer::unpack_file(&self.store, &spec, &file, self.content).await?;
            return Ok(LayerSlot::Ready);
        }
        Ok(LayerSlot::Fetch(Box::new(LayerSink::start(&self.store, spec, Some(lock), self.content)?)))
    }

    /// Makes the image visible: one flush of the file system, then one transaction.
    pub(crate) async fn commit(&self, image: NewImage) -> Result<ImageRecord> {
        let config_digest = Digest::of(&image.config);
        self.put_blob(&image.digest, &image.manifest)?;
        self.put_blob(&config_digest, &image.config)?;
        let mut infos: Vec<LayerInfo> = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let info = self.store.layer_info(&layer.diff_id)?.ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, "a layer vanished while its image was being stored")
                    .with_context("layer", layer.diff_id.to_string())
            })?;
            infos.push(info);
        }
        let fixes = super::super::snapshot::inherit(self, &image.layers, &infos).await?;
        self.store.sync().await?;
        let record = self.store.insert(&image, &config_digest, &infos, &fixes)?;
        Ok(record)
    }

    /// Unpacks an archive that was made here, and returns its diff id.
    pub(crate) async fn made_layer(&self, archive: Vec<u8>) -> Result<Digest> {
        let diff_id = Digest::of(&archive);
        let _lock = Named::acquire(&self.store.tmp(), diff_id.hex()).await?;
        if self.store.layer_info(&diff_id)?.is_some() {
            return Ok(diff_id);
        }
        let failed = |e| Error::io("can't write a temporary file", e);
        let path = self.temp.path().join("made");
        std::fs::write(&path, &archive).map_err(failed)?;
        let file = std::fs::File::open(&path).map_err(failed)?;
        let spec = LayerSpec {
            blob: None,
            compression: Compression::None,
            diff_id: Some(diff_id.clone()),
            whiteouts: true,
        };
        layer::unpack_file(&self.store, &spec, &file, ErrorKind::Internal).await?;
        let _ = std::fs::remove_file(&path);
        Ok(diff_id)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // Small blobs that were not committed; trees never lie in this one.
        let _ = std::fs::remove_dir_all(self.temp.path());
    }
}
