//! Images made from a root file system archive.

mod changes;
mod health;

use super::load::{compression, make_manifest, yield_now};
use super::store::{CommitLayer, LayerSlot, LayerSpec, NewImage, Store};
use super::{Digest, Image, ImportOptions, Reference, manifest, time};
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Bytes read and handed on at a time.
const CHUNK: usize = 512 * 1024;

/// Imports an archive as the only layer of a new image.
pub(super) async fn import(store: &Arc<Store>, path: &Path, options: &ImportOptions) -> Result<Image> {
    // All that can be wrong with the options is found before anything is read.
    let run_config = changes::apply(&options.changes)?;
    let tag = options.tag.as_deref().map(tag).transpose()?;
    let mut file = File::open(path).map_err(|e| Error::io("can't open the archive", e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::new(ErrorKind::InvalidArgument, "it is a folder; import takes a tar archive"));
    }
    let ingest = store.ingest(ErrorKind::InvalidArgument)?;
    let mut buffer = vec![0u8; CHUNK];
    let mut n = fill(&mut file, &mut buffer)?;
    let kind = compression(&buffer[..n]);
    let spec = LayerSpec { blob: None, compression: kind, diff_id: None, whiteouts: false };
    let LayerSlot::Fetch(mut sink) = ingest.layer(spec).await? else {
        return Err(Error::new(ErrorKind::Internal, "a layer without a name can't be there already"));
    };
    while n > 0 {
        sink.write(&buffer[..n]).await?;
        yield_now().await;
        n = fill(&mut file, &mut buffer)?;
    }
    let layer = sink.finish().await?;
    let config = config(options, run_config, &layer.diff_id).to_string().into_bytes();
    let manifest = make_manifest(&config, &[(layer.blob.clone(), layer.size, kind)]);
    let image = NewImage {
        digest: Digest::of(&manifest),
        manifest,
        config,
        layers: vec![CommitLayer { diff_id: layer.diff_id, blob: layer.blob }],
        tags: tag.into_iter().collect(),
        digests: Vec::new(),
    };
    let record = ingest.commit(image).await?;
    Ok(Image::stored(store.clone(), Arc::new(record)))
}

fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("can't read the archive", e)),
        }
    }
    Ok(done)
}

fn tag(text: &str) -> Result<String> {
    let reference = Reference::parse(text).map_err(|e| e.with_context("field", "tag"))?;
    if reference.digest().is_some() {
        return Err(Error::new(ErrorKind::InvalidArgument, "a reference to tag with can't have a digest")
            .with_context("field", "tag")
            .with_context("ref", text));
    }
    Ok(format!("{}:{}", reference.name(), reference.tag().unwrap_or("latest")))
}

fn config(options: &ImportOptions, run_config: Value, diff_id: &Digest) -> Value {
    let created = time::format(time::now());
    let platform = options.platform.clone().unwrap_or_else(manifest::machine);
    let comment = options.message.clone().unwrap_or_default();
    let mut config = json!({
        "created": created,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": run_config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id.as_str()]},
        "history": [{"created": created, "created_by": "import", "comment": comment}],
    });
    if let Some(variant) = platform.variant {
        config["variant"] = variant.into();
    }
    config
}
