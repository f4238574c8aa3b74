//! Manifests, indexes and configurations as registries and archives hold them: OCI and Docker schema 2.
//!
//! A document is read once, strictly: what two readers could understand differently is refused
//! (CVE-2021-41190), and what is not an image of ours says so by name.

mod config;
mod health;
mod platform;
#[cfg(test)]
mod tests;

pub(crate) use config::ConfigFile;
pub(crate) use platform::{Choice, choose, machine, serves};

use super::digest::{Digest, quoted};
use crate::{Error, ErrorKind};
use base64::Engine as _;
use containers_protocol::unpack::Compression;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest manifest, index or configuration that is read.
pub(crate) const MAX_DOCUMENT: u64 = 4 << 20;
/// The most layers of an image: the kernel stacks no more than 500.
const MAX_LAYERS: usize = 499;

/// Media types.
pub(crate) mod media {
    pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

    /// What is accepted from a registry for a reference.
    pub(crate) const ACCEPTED: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

    /// Whether this names an index or manifest list.
    pub(crate) fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_LIST)
    }

    /// Whether this names the manifest of an image.
    pub(crate) fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
    }

    /// Whether this names a manifest of Docker's first schema.
    pub(crate) fn is_schema1(media_type: &str) -> bool {
        media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
    }
}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    /// It is not what it should be; `field` says where.
    #[error("{reason}")]
    Invalid { field: String, reason: String },
    /// It is well-formed, but nothing that can be run here.
    #[error("{0}")]
    Unsupported(String),
}

impl ManifestError {
    fn invalid(field: impl Into<String>, reason: impl Into<String>) -> ManifestError {
        ManifestError::Invalid { field: field.into(), reason: reason.into() }
    }

    /// As an error of this library. `kind`: what a document that is not what it should be is in this place,
    /// `registry` for a pull, `invalid_argument` for the caller's own files.
    pub(crate) fn into_error(self, kind: ErrorKind) -> Error {
        match self {
            ManifestError::Invalid { field, reason } => {
                let error = Error::new(kind, reason);
                if field.is_empty() { error } else { error.with_context("field", field) }
            }
            ManifestError::Unsupported(what) => Error::new(ErrorKind::Unsupported, what),
        }
    }
}

type Result<T> = std::result::Result<T, ManifestError>;

/// Names some content: type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Media type.
    pub(crate) media_type: String,
    /// Digest of the content.
    pub(crate) digest: Digest,
    /// Size of the content in bytes.
    pub(crate) size: u64,
    /// In an index: what the image is for.
    pub(crate) platform: Option<PlatformSpec>,
    /// Annotations; only `org.opencontainers.image.ref.name` and the like are of use.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The content itself, checked against digest and size.
    pub(crate) data: Option<Vec<u8>>,
}

/// The platform of an entry of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct PlatformSpec {
    /// Go's GOOS.
    pub(crate) os: String,
    /// Go's GOARCH.
    pub(crate) architecture: String,
    /// `v7`…
    pub(crate) variant: Option<String>,
}

/// The manifest of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageManifest {
    /// Its media type.
    pub(crate) media_type: String,
    /// The configuration.
    pub(crate) config: Descriptor,
    /// The layers, lowest first.
    pub(crate) layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its blob.
    pub(crate) blob: Descriptor,
    /// How the blob is compressed, by its media type.
    pub(crate) compression: Compression,
}

/// The images of several platforms under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// The images.
    pub(crate) manifests: Vec<Descriptor>,
}

/// What a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// One image.
    Image(ImageManifest),
    /// Several.
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: String,
    size: serde_json::Number,
    platform: Option<PlatformSpec>,
    annotations: Option<BTreeMap<String, String>>,
    data: Option<String>,
}

impl Document {
    /// Reads a manifest or index. `expected`: the media type it was announced with, by its descriptor or a
    /// `Content-Type`; unknown ones (`text/plain`) count as none.
    pub(crate) fn parse(bytes: &[u8], expected: Option<&str>) -> Result<Document> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(ManifestError::invalid(
                "",
                format!("the manifest is larger than {MAX_DOCUMENT} bytes"),
            ));
        }
        let bad_json =
            |e: serde_json::Error| ManifestError::invalid("", format!("the manifest can't be read: {e}"));
        check_keys(&serde_json::from_slice(bytes).map_err(bad_json)?)?;
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(bad_json)?;
        let expected = expected.map(|e| e.split(';').next().unwrap_or(e).trim());
        let known = |m: &&str| media::is_index(m) || media::is_manifest(m) || media::is_schema1(m);
        let expected = expected.filter(known);
        if raw.schema_version == Some(1) || expected.is_some_and(media::is_schema1) {
            let fix = "push the image anew with a current tool, e.g. `skopeo copy --format v2s2`";
            return Err(ManifestError::Unsupported(format!("the manifest is of Docker's schema 1: {fix}")));
        }
        if raw.schema_version != Some(2) {
            let have = raw.schema_version.map_or("nothing".to_owned(), |v| v.to_string());
            return Err(ManifestError::invalid(
                "schemaVersion",
                format!("the manifest's version is {have}, not 2"),
            ));
        }
        if let (Some(own), Some(expected)) = (&raw.media_type, expected)
            && own != expected
        {
            let reason = format!("the manifest says it is {}, but was announced as {expected}", quoted(own));
            return Err(ManifestError::invalid("mediaType", reason));
        }
        match raw.media_type.as_deref().or(expected) {
            Some(m) if media::is_index(m) => raw.into_index(),
            Some(m) if media::is_manifest(m) => {
                let m = m.to_owned();
                raw.into_image(m)
            }
            Some(other) => Err(ManifestError::Unsupported(format!(
                "{} is neither an image nor an index of images",
                quoted(other)
            ))),
            None if raw.manifests.is_some() => raw.into_index(),
            None => raw.into_image(media::OCI_MANIFEST.to_owned()),
        }
    }
}

/// Refuses members that another reader could take for different ones: Go ignores the case of names.
fn check_keys(document: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
    const OURS: [&str; 9] = [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "fsLayers",
        "history",
        "signatures",
    ];
    for key in document.keys() {
        if let Some(known) = OURS.iter().find(|k| k.eq_ignore_ascii_case(key) && *k != key) {
            return Err(ManifestError::invalid(
                key.as_str(),
                format!("{key:?} can be mistaken for {known:?}"),
            ));
        }
    }
    let has = |key| document.contains_key(key);
    for (one, other) in
        [("manifests", "layers"), ("manifests", "config"), ("fsLayers", "layers"), ("fsLayers", "manifests")]
    {
        if has(one) && has(other) {
            let reason = format!("the manifest has both {one:?} and {other:?}: it is two documents in one");
            return Err(ManifestError::invalid(one, reason));
        }
    }
    Ok(())
}

impl RawDocument {
    fn into_index(self) -> Result<Document> {
        let missing = || ManifestError::invalid("manifests", "the index has no manifests");
        let manifests = self.manifests.ok_or_else(missing)?;
        let entries = manifests.into_iter().enumerate();
        let manifests = entries.map(|(i, d)| d.check(&format!("manifests[{i}]"))).collect::<Result<_>>()?;
        Ok(Document::Index(Index { manifests }))
    }

    fn into_image(self, media_type: String) -> Result<Document> {
        let missing = |what: &str| ManifestError::invalid(what, format!("the manifest has no {what}"));
        let config = self.config.ok_or_else(|| missing("config"))?.check("config")?;
        check_config_type(&config, self.artifact_type.as_deref())?;
        if config.size > MAX_DOCUMENT {
            let reason = format!("the configuration is larger than {MAX_DOCUMENT} bytes");
            return Err(ManifestError::invalid("config.size", reason));
        }
        let layers = self.layers.ok_or_else(|| missing("layers"))?;
        if layers.len() > MAX_LAYERS {
            let have = layers.len();
            return Err(ManifestError::Unsupported(format!(
                "the image has {have} layers; {MAX_LAYERS} can be stacked"
            )));
        }
        let layers =
            layers.into_iter().enumerate().map(|(i, d)| into_layer(d, i)).collect::<Result<Vec<_>>>()?;
        if layers
            .iter()
            .try_fold(0u64, |sum, l| sum.checked_add(l.blob.size))
            .is_none_or(|s| s > i64::MAX as u64)
        {
            return Err(ManifestError::invalid("layers", "the sizes of the layers can't be true"));
        }
        Ok(Document::Image(ImageManifest { media_type, config, layers }))
    }
}

fn check_config_type(config: &Descriptor, artifact_type: Option<&str>) -> Result<()> {
    let media_type = config.media_type.as_str();
    if matches!(media_type, media::OCI_CONFIG | media::DOCKER_CONFIG) {
        return Ok(());
    }
    if layer_compression(media_type).is_some() {
        let reason = format!("the configuration is said to be a layer, {}", quoted(media_type));
        return Err(ManifestError::invalid("config.mediaType", reason));
    }
    let kind = artifact_type.filter(|t| !t.is_empty()).unwrap_or(media_type);
    Err(ManifestError::Unsupported(format!("this is no image but an artifact of the type {}", quoted(kind))))
}

fn into_layer(raw: RawDescriptor, index: usize) -> Result<Layer> {
    // `urls` are not read: content comes from the registry that was asked, or not at all.
    let blob = raw.check(&format!("layers[{index}]"))?;
    match layer_compression(&blob.media_type) {
        Some(compression) => Ok(Layer { blob, compression }),
        None => {
            let kind = quoted(&blob.media_type);
            Err(ManifestError::Unsupported(format!("layer {} is of the unknown type {kind}", blob.digest)))
        }
    }
}

/// How a layer of this media type is compressed; `None`: this is no layer.
pub(crate) fn layer_compression(media_type: &str) -> Option<Compression> {
    let oci = media_type
        .strip_prefix("application/vnd.oci.image.layer.v1.tar")
        .or_else(|| media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar"));
    if let Some(suffix) = oci {
        return match suffix {
            "" => Some(Compression::None),
            "+gzip" => Some(Compression::Gzip),
            "+zstd" => Some(Compression::Zstd),
            _ => None,
        };
    }
    let docker = media_type
        .strip_prefix("application/vnd.docker.image.rootfs.diff.tar")
        .or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.tar"));
    match docker? {
        "" => Some(Compression::None),
        ".gzip" => Some(Compression::Gzip),
        ".zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

impl RawDescriptor {
    fn check(self, field: &str) -> Result<Descriptor> {
        let at = |member: &str| format!("{field}.{member}");
        let Some(media_type) = self.media_type.filter(|m| !m.is_empty()) else {
            return Err(ManifestError::invalid(at("mediaType"), "a descriptor has no media type"));
        };
        let digest =
            Digest::parse(&self.digest).map_err(|e| ManifestError::invalid(at("digest"), e.to_string()))?;
        let Some(size) = self.size.as_u64().filter(|s| *s <= i64::MAX as u64) else {
            let reason = format!("{} is no size in bytes", self.size);
            return Err(ManifestError::invalid(at("size"), reason));
        };
        let data = match self.data {
            None => None,
            Some(text) => {
                let wrong =
                    |why: &str| ManifestError::invalid(at("data"), format!("the embedded content {why}"));
                let data = base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|_| wrong("is not base64"))?;
                if data.len() as u64 != size {
                    return Err(wrong("has another size than the descriptor says"));
                }
                if !digest.matches(&data) {
                    return Err(wrong("has another digest than the descriptor says"));
                }
                Some(data)
            }
        };
        let annotations = self.annotations.unwrap_or_default();
        Ok(Descriptor { media_type, digest, size, platform: self.platform, annotations, data })
    }
}
