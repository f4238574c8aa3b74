//! Options and progress of image operations.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `os/arch[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`…
    pub architecture: String,
    /// `v8`…
    pub variant: Option<String>,
}

/// When to ask the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// Only when the image is not here.
    #[default]
    Missing,
    /// Always; what is here already is not fetched again.
    Always,
    /// Never: `image_not_found` when it is not here.
    Never,
}

impl PullPolicy {
    /// Its word in options.
    pub(crate) fn word(self) -> &'static str {
        match self {
            PullPolicy::Missing => "missing",
            PullPolicy::Always => "always",
            PullPolicy::Never => "never",
        }
    }
}

/// Explicit credentials.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// User name; empty with `identity_token`.
    #[serde(default)]
    pub username: String,
    /// Password.
    #[serde(default)]
    pub password: String,
    /// An OAuth2 refresh token instead.
    #[serde(default)]
    pub identity_token: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Progress of a pull or load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PullEvent {
    /// The reference was resolved.
    Resolved {
        /// Digest of the manifest.
        digest: String,
        /// Layers to have.
        layers: u64,
        /// Compressed bytes of all layers.
        total: u64,
    },
    /// A layer is here already.
    Exists {
        /// Digest of the layer.
        layer: String,
    },
    /// Bytes of a layer arrived.
    Downloading {
        /// Digest of the layer.
        layer: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer has arrived and is being unpacked to its end.
    Extracting {
        /// Digest of the layer.
        layer: String,
    },
    /// A layer is complete.
    Done {
        /// Digest of the layer.
        layer: String,
    },
    /// The image is complete.
    Complete {
        /// Id of the image.
        id: String,
        /// Whether anything was fetched.
        fetched: bool,
    },
}

/// Called with progress, on the thread that does the work; it must not block for long.
pub type Progress = Arc<dyn Fn(PullEvent) + Send + Sync>;

/// How to pull.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PullOptions {
    /// Default: this machine's.
    pub platform: Option<Platform>,
    /// When to ask the registry.
    pub policy: PullPolicy,
    /// Default: from the credential files.
    pub auth: Option<Auth>,
    /// Allow plain HTTP and unverified certificates.
    pub insecure: bool,
    /// Progress.
    pub progress: Option<Progress>,
}

/// How to load an archive or a layout folder.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Default: this machine's.
    pub platform: Option<Platform>,
    /// Progress.
    pub progress: Option<Progress>,
}

/// How to import a root file system.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Reference to give it.
    pub tag: Option<String>,
    /// Dockerfile instructions applied to its configuration (`CMD ["sh"]`, `ENV A=b`…).
    pub changes: Vec<String>,
    /// Comment in its history.
    pub message: Option<String>,
    /// Default: this machine's.
    pub platform: Option<Platform>,
}
