//! OCI image layouts.

use super::source::Content;
use super::{Job, LayerFile, canonical, config, refused, wrong};
use crate::image::manifest::{
    Choice, Descriptor, Document, ImageManifest, Index, MAX_DOCUMENT, choose, media,
};
use crate::image::store::{ImageRecord, LayerSpec, NewImage};
use crate::image::{Digest, PullEvent, Reference};
use crate::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, HashSet};

/// Full references that buildkit, containerd and docker write.
const FULL_NAME: &str = "io.containerd.image.name";
/// A reference or only a tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Indexes in indexes.
const MAX_DEPTH: usize = 4;

/// All images of the layout: one for each name, and those without a name.
pub(super) async fn load(job: &Job<'_>) -> Result<Vec<ImageRecord>> {
    let layout = job.source.get("oci-layout", false)?.bytes(MAX_DOCUMENT)?;
    let layout: serde_json::Value = serde_json::from_slice(&layout)
        .map_err(|e| wrong("the file oci-layout can't be read").with_source(e))?;
    match layout.get("imageLayoutVersion").and_then(|v| v.as_str()) {
        Some(version) if version.starts_with("1.") => {}
        _ => return Err(Error::new(ErrorKind::Unsupported, "the version of the OCI layout is not 1.x")),
    }
    let bytes = job.source.get("index.json", false)?.bytes(MAX_DOCUMENT)?;
    let index = match Document::parse(&bytes, Some(media::OCI_INDEX)).map_err(refused)? {
        Document::Index(index) => index,
        Document::Image(_) => return Err(wrong("index.json is no index")),
    };
    let mut names: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    let mut order: Vec<(Digest, ImageManifest, Vec<u8>)> = Vec::new();
    for (name, descriptors) in by_name(job, index) {
        for descriptor in pick(job, descriptors)? {
            let (digest, manifest, bytes) = resolve(job, &descriptor, 0)?;
            if !order.iter().any(|(d, ..)| *d == digest) {
                order.push((digest.clone(), manifest, bytes));
            }
            names.entry(digest).or_default().extend(name.clone());
        }
    }
    let mut records = Vec::new();
    for (digest, manifest, bytes) in order {
        let tags = names.remove(&digest).unwrap_or_default();
        records.push(image(job, digest, manifest, bytes, tags).await?);
    }
    Ok(records)
}

/// Entries by the reference they have; in the order of the index.
fn by_name(job: &Job<'_>, index: Index) -> Vec<(Option<String>, Vec<Descriptor>)> {
    let mut groups: Vec<(Option<String>, Vec<Descriptor>)> = Vec::new();
    for descriptor in index.manifests {
        let name = name_of(job, &descriptor);
        match groups.iter_mut().find(|(n, _)| *n == name) {
            Some((_, group)) => group.push(descriptor),
            None => groups.push((name, vec![descriptor])),
        }
    }
    groups
}

/// The reference of an entry, canonical; one that is none is not used.
fn name_of(job: &Job<'_>, descriptor: &Descriptor) -> Option<String> {
    if let Some(full) = descriptor.annotations.get(FULL_NAME) {
        return canonical(full).ok();
    }
    let name = descriptor.annotations.get(REF_NAME)?;
    let bare = !name.contains(['/', ':', '@']);
    let like_a_version =
        name == "latest" || name.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    if bare && like_a_version {
        // Only a tag: the layout itself is what the image is called.
        let stem = job.path.canonicalize().ok()?;
        let stem = stem.file_stem()?.to_str()?.to_ascii_lowercase();
        return canonical(&format!("{stem}:{name}")).ok();
    }
    canonical(name).ok()
}

/// Of several entries with one name, those for several platforms, the one for the platform that is wanted; of
/// those that say nothing about it, all.
fn pick(job: &Job<'_>, descriptors: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
    let mut seen = HashSet::new();
    let usable = |d: &Descriptor| media::is_manifest(&d.media_type) || media::is_index(&d.media_type);
    let descriptors: Vec<_> =
        descriptors.into_iter().filter(|d| usable(d) && seen.insert(d.digest.clone())).collect();
    if descriptors.len() < 2 || descriptors.iter().any(|d| d.platform.is_none()) {
        return Ok(descriptors);
    }
    chosen(job, &Index { manifests: descriptors }).map(|d| vec![d])
}

fn chosen(job: &Job<'_>, index: &Index) -> Result<Descriptor> {
    let wanted = job.platform();
    match choose(index, &wanted) {
        Choice::Manifest(descriptor) => Ok(descriptor.clone()),
        Choice::Nothing(known) => {
            Err(Error::new(ErrorKind::Unsupported, format!("the image is not there for {wanted}"))
                .with_context("platforms", known.join(", ")))
        }
    }
}

/// The manifest that an entry leads to.
fn resolve(job: &Job<'_>, descriptor: &Descriptor, depth: usize) -> Result<(Digest, ImageManifest, Vec<u8>)> {
    let bytes = document(job, descriptor)?;
    match Document::parse(&bytes, Some(&descriptor.media_type)).map_err(refused)? {
        Document::Image(manifest) => Ok((descriptor.digest.clone(), manifest, bytes)),
        Document::Index(_) if depth == MAX_DEPTH => Err(wrong("indexes lie in indexes too deeply")),
        Document::Index(index) => resolve(job, &chosen(job, &index)?, depth + 1),
    }
}

fn blob(job: &Job<'_>, descriptor: &Descriptor) -> Result<Content> {
    let digest = &descriptor.digest;
    let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
    let content = job.source.get(&name, false)?;
    if content.size() != descriptor.size {
        let what = format!("a blob has {} bytes, not the {} it should have", content.size(), descriptor.size);
        return Err(wrong(what).with_context("digest", digest.to_string()));
    }
    Ok(content)
}

/// A small blob, checked.
fn document(job: &Job<'_>, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let bytes = blob(job, descriptor)?.bytes(MAX_DOCUMENT)?;
    if !descriptor.digest.matches(&bytes) {
        return Err(wrong("a blob has another content than its digest says")
            .with_context("digest", descriptor.digest.to_string()));
    }
    Ok(bytes)
}

async fn image(
    job: &Job<'_>,
    digest: Digest,
    manifest: ImageManifest,
    bytes: Vec<u8>,
    tags: Vec<String>,
) -> Result<ImageRecord> {
    let config_bytes = document(job, &manifest.config)?;
    let file = config(&config_bytes, manifest.layers.len())?;
    let total = manifest.layers.iter().map(|l| l.blob.size).sum();
    let layers = manifest.layers.len() as u64;
    job.report(PullEvent::Resolved { digest: digest.to_string(), layers, total });
    let mut files = Vec::with_capacity(manifest.layers.len());
    for (layer, diff_id) in manifest.layers.iter().zip(&file.rootfs.diff_ids) {
        files.push(LayerFile {
            content: blob(job, &layer.blob)?,
            name: layer.blob.digest.to_string(),
            spec: LayerSpec {
                blob: Some((layer.blob.digest.clone(), layer.blob.size)),
                compression: layer.compression,
                diff_id: Some(diff_id.clone()),
                whiteouts: true,
            },
        });
    }
    let (layers, fetched) = job.layers(files).await?;
    let digests = names_with_digest(&tags, &digest);
    let image = NewImage { manifest: bytes, digest, config: config_bytes, layers, tags, digests };
    job.commit(image, fetched).await
}

/// `name@digest` for each name.
fn names_with_digest(tags: &[String], digest: &Digest) -> Vec<String> {
    let names: HashSet<String> = tags
        .iter()
        .filter_map(|t| Reference::parse(t).ok())
        .map(|r| format!("{}@{digest}", r.name()))
        .collect();
    names.into_iter().collect()
}
