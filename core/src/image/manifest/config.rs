//! The configuration of an image.

use super::health::HealthRecord;
use super::{MAX_DOCUMENT, ManifestError, PlatformSpec, Result};
use crate::image::digest::{Digest, quoted};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// An image's configuration, as OCI and Docker write it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct ConfigFile {
    /// Go's GOARCH.
    #[serde(deserialize_with = "or_default")]
    pub(crate) architecture: String,
    /// Go's GOOS.
    #[serde(deserialize_with = "or_default")]
    pub(crate) os: String,
    /// `v7`…
    pub(crate) variant: Option<String>,
    /// RFC 3339.
    pub(crate) created: Option<String>,
    /// Who made it.
    pub(crate) author: Option<String>,
    /// Docker's comment.
    pub(crate) comment: Option<String>,
    /// What containers take over.
    #[serde(deserialize_with = "or_default")]
    pub(crate) config: ContainerConfig,
    /// The layers.
    pub(crate) rootfs: RootFs,
    /// How it came to be, oldest first.
    #[serde(deserialize_with = "or_default")]
    pub(crate) history: Vec<HistoryRecord>,
}

/// The layers, by the digests of their uncompressed archives.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    /// `layers`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(crate) kind: String,
    /// Lowest first.
    #[serde(deserialize_with = "or_default")]
    pub(crate) diff_ids: Vec<Digest>,
}

/// What containers of an image take over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ContainerConfig {
    /// `KEY=value`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) env: Vec<String>,
    /// Entrypoint.
    #[serde(deserialize_with = "words")]
    pub(crate) entrypoint: Vec<String>,
    /// Command.
    #[serde(deserialize_with = "words")]
    pub(crate) cmd: Vec<String>,
    /// Working directory.
    #[serde(deserialize_with = "or_default")]
    pub(crate) working_dir: String,
    /// User.
    #[serde(deserialize_with = "or_default")]
    pub(crate) user: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    /// `80/tcp`.
    #[serde(deserialize_with = "keys")]
    pub(crate) exposed_ports: Vec<String>,
    /// Paths.
    #[serde(deserialize_with = "keys")]
    pub(crate) volumes: Vec<String>,
    /// Signal of `stop`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) stop_signal: String,
    /// Health check.
    #[serde(deserialize_with = "or_default")]
    pub(crate) healthcheck: HealthRecord,
}

/// One step of an image's making.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct HistoryRecord {
    /// RFC 3339.
    pub(crate) created: Option<String>,
    /// The command.
    #[serde(deserialize_with = "or_default")]
    pub(crate) created_by: String,
    /// Comment.
    #[serde(deserialize_with = "or_default")]
    pub(crate) comment: String,
    /// It made no layer.
    #[serde(deserialize_with = "or_default")]
    pub(crate) empty_layer: bool,
}

impl ConfigFile {
    /// Reads the configuration of an image of `layers` layers.
    pub(crate) fn parse(bytes: &[u8], layers: usize) -> Result<ConfigFile> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            let reason = format!("the configuration is larger than {MAX_DOCUMENT} bytes");
            return Err(ManifestError::invalid("config", reason));
        }
        // A list would be read as the members in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(ManifestError::invalid("config", "the configuration is no JSON object"));
        }
        let config: ConfigFile = serde_json::from_slice(bytes)
            .map_err(|e| ManifestError::invalid("config", format!("the configuration can't be read: {e}")))?;
        let rootfs = &config.rootfs;
        if !matches!(rootfs.kind.as_str(), "" | "layers") {
            let kind = quoted(&rootfs.kind);
            return Err(ManifestError::Unsupported(format!(
                "the root file system is of the type {kind}, not layers"
            )));
        }
        if rootfs.diff_ids.len() != layers {
            let (ids, field) = (rootfs.diff_ids.len(), "rootfs.diff_ids");
            let reason = format!("the manifest has {layers} layers, the configuration names {ids}");
            return Err(ManifestError::invalid(field, reason));
        }
        if !matches!(config.os.as_str(), "" | "linux") {
            let os = quoted(&config.os);
            return Err(ManifestError::Unsupported(format!(
                "the image is for {os}; only linux images run here"
            )));
        }
        Ok(config)
    }

    /// What it was built for.
    pub(crate) fn platform(&self) -> PlatformSpec {
        PlatformSpec {
            os: if self.os.is_empty() { "linux".into() } else { self.os.clone() },
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }
}

/// `null` is the same as nothing, as for Go.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// A list of words; also one word alone, as very old images have it.
fn words<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of strings")]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(match Option::deserialize(d)? {
        None => Vec::new(),
        Some(Words::Many(words)) => words,
        Some(Words::One(word)) => vec![word],
    })
}

/// The members of an object whose values mean nothing.
fn keys<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Vec<String>, D::Error> {
    let map: Option<BTreeMap<String, serde::de::IgnoredAny>> = Option::deserialize(d)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}
