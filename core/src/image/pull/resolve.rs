//! From a reference to the manifest of one image.

use super::Pull;
use crate::image::digest::Digest;
use crate::image::manifest::{self, Choice, Document, ImageManifest};
use crate::image::registry::{Client, Fetched};
use crate::{Error, ErrorKind, Result};

/// How many indexes may lie between a reference and its image.
const MAX_DEPTH: usize = 4;

/// The manifest a reference leads to.
pub(super) struct Resolved {
    /// Digest of what the reference names: an index or the manifest.
    pub(super) top: Digest,
    pub(super) manifest: ImageManifest,
    /// The manifest as received.
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    /// Which of the clients had it.
    pub(super) client: usize,
}

impl Pull {
    /// Asks one place after the other.
    pub(super) async fn resolve(&self, clients: &[Client]) -> Result<Resolved> {
        let mut mirrors = Vec::new();
        for (number, client) in clients.iter().enumerate() {
            match self.resolve_at(client).await {
                Ok(resolved) => return Ok(Resolved { client: number, ..resolved }),
                Err(e) if number + 1 < clients.len() => mirrors.push(e.to_string()),
                Err(e) if mirrors.is_empty() => return Err(e),
                Err(e) => return Err(e.with_context("mirrors", mirrors.join("; "))),
            }
        }
        Err(Error::new(ErrorKind::Internal, "there is no place to pull from"))
    }

    async fn resolve_at(&self, client: &Client) -> Result<Resolved> {
        let first = client.manifest(self.reference.identifier(), self.reference.digest()).await?;
        let top = first.digest.clone();
        let mut fetched = first;
        let mut expected: Option<String> = None;
        for _ in 0..=MAX_DEPTH {
            // What a descriptor says counts for more than what the server calls it.
            let media_type = expected.as_deref().or(fetched.media_type.as_deref());
            let document = Document::parse(&fetched.bytes, media_type).map_err(|e| {
                e.into_error(ErrorKind::Registry).with_context("digest", fetched.digest.as_str())
            })?;
            let index = match document {
                Document::Image(manifest) => {
                    let Fetched { bytes, digest, .. } = fetched;
                    return Ok(Resolved { top, manifest, bytes, digest, client: 0 });
                }
                Document::Index(index) => index,
            };
            let default = manifest::machine();
            let wanted = self.options.platform.as_ref().unwrap_or(&default);
            let entry = match manifest::choose(&index, wanted) {
                Choice::Manifest(entry) => entry,
                Choice::Nothing(available) => {
                    return Err(Error::new(
                        ErrorKind::ImageNotFound,
                        "the image is not there for this platform",
                    )
                    .with_context("platform", wanted.to_string())
                    .with_context("available", available.join(", ")));
                }
            };
            fetched = match &entry.data {
                Some(data) => Fetched { bytes: data.clone(), digest: entry.digest.clone(), media_type: None },
                None => client
                    .manifest(entry.digest.as_str(), Some(&entry.digest))
                    .await
                    .map_err(missing_entry)?,
            };
            if fetched.bytes.len() as u64 != entry.size {
                let (have, want) = (fetched.bytes.len(), entry.size);
                let message = format!("a manifest has {have} bytes, and its index says {want}");
                return Err(
                    Error::new(ErrorKind::Registry, message).with_context("digest", entry.digest.as_str())
                );
            }
            expected = Some(entry.media_type.clone());
        }
        Err(Error::new(ErrorKind::Registry, "the index leads to indexes without end"))
    }
}

/// The registry has the image, but not all of it: that is its fault, not the reference's.
fn missing_entry(e: Error) -> Error {
    match e.kind() {
        ErrorKind::ImageNotFound => {
            Error::new(ErrorKind::Registry, "the registry does not have a manifest that its index names")
                .with_source(e)
        }
        _ => e,
    }
}
