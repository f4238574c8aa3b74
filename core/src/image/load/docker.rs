//! docker-archives: what `docker save` writes.

use super::{Job, LayerFile, canonical, compression, config, make_manifest, source, wrong};
use crate::image::digest::{Algorithm, Hasher};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::store::{ImageRecord, LayerSpec, NewImage};
use crate::image::{Digest, PullEvent};
use crate::{Error, ErrorKind, Result};
use containers_protocol::unpack::Compression;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// All images of the archive.
pub(super) async fn load(job: &Job<'_>) -> Result<Vec<ImageRecord>> {
    let bytes = job.source.get("manifest.json", false)?.bytes(MAX_DOCUMENT)?;
    let items: Vec<Item> =
        serde_json::from_slice(&bytes).map_err(|e| wrong("manifest.json can't be read").with_source(e))?;
    let mut records = Vec::with_capacity(items.len());
    for item in items {
        records.push(image(job, item).await?);
    }
    Ok(records)
}

async fn image(job: &Job<'_>, item: Item) -> Result<ImageRecord> {
    let names = item.layers.unwrap_or_default();
    let tags = item.repo_tags.unwrap_or_default();
    let tags = tags.iter().map(|t| canonical(t)).collect::<Result<Vec<_>>>()?;
    let config_bytes = job.source.get(&item.config, true)?.bytes(MAX_DOCUMENT)?;
    check_config_name(&item.config, &config_bytes)?;
    let file = config(&config_bytes, names.len())?;
    if let Some(wanted) = &job.options.platform {
        let spec = file.platform();
        if !crate::image::manifest::serves(wanted, &spec) {
            return Err(Error::new(ErrorKind::Unsupported, format!("the image is not there for {wanted}"))
                .with_context("platforms", spec.to_string()));
        }
    }
    let mut files = Vec::with_capacity(names.len());
    let mut described = Vec::with_capacity(names.len());
    for (name, diff_id) in names.iter().zip(&file.rootfs.diff_ids) {
        let layer = layer(job, name, diff_id)?;
        if let Some((digest, size)) = &layer.spec.blob {
            described.push((digest.clone(), *size, layer.spec.compression));
        }
        files.push(layer);
    }
    let manifest = make_manifest(&config_bytes, &described);
    let digest = Digest::of(&manifest);
    let (layers, total) = (files.len() as u64, files.iter().map(|f| f.content.size()).sum());
    job.report(PullEvent::Resolved { digest: digest.to_string(), layers, total });
    let (layers, fetched) = job.layers(files).await?;
    let image = NewImage { manifest, digest, config: config_bytes, layers, tags, digests: Vec::new() };
    job.commit(image, fetched).await
}

/// The name of a configuration is its digest; one that says something else is damaged.
fn check_config_name(name: &str, bytes: &[u8]) -> Result<()> {
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    match Digest::from_sha256_hex(stem) {
        Ok(digest) if !digest.matches(bytes) => {
            Err(wrong("the configuration has another content than its name says").with_context("file", name))
        }
        _ => Ok(()),
    }
}

fn layer(job: &Job<'_>, name: &str, diff_id: &Digest) -> Result<LayerFile> {
    let content = job.source.get(name, true)?;
    let compression = compression(&content.head()?);
    let blob = match compression {
        // The blob is the archive itself.
        Compression::None => diff_id.clone(),
        _ => digest_of(&content)?,
    };
    let size = content.size();
    Ok(LayerFile {
        content,
        name: diff_id.to_string(),
        spec: LayerSpec {
            blob: Some((blob, size)),
            compression,
            diff_id: Some(diff_id.clone()),
            whiteouts: true,
        },
    })
}

fn digest_of(content: &source::Content) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut reader = content.reader()?;
    let mut buffer = vec![0u8; super::CHUNK];
    loop {
        match source::read(&mut reader, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
