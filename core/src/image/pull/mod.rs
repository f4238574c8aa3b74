//! Pulling: a reference becomes a manifest, its configuration and its layers, and then, at once, an image.
//!
//! Resolution asks for the reference once; from there on everything is fetched by digest, so a tag that moves
//! meanwhile mixes nothing. Layers come in parallel, each hashed, stored and unpacked as it arrives. Nothing
//! is visible before all of it is complete.

#[cfg(test)]
mod harness;
mod layers;
#[cfg(test)]
mod real_tests;
mod resolve;
#[cfg(test)]
mod tests;

use super::auth::{Sources, check_explicit};
use super::manifest::{self, ConfigFile};
use super::reference::Reference;
use super::registries_conf::Registries;
use super::registry::{Client, Settings};
use super::store::{CommitLayer, ImageRecord, NewImage, Store};
use super::{Platform, PullEvent, PullOptions, PullPolicy};
use crate::executor;
use crate::{Error, ErrorKind, Result};
use layers::Transfer;
use resolve::Resolved;
use std::sync::Arc;

/// What a pull takes from its surroundings.
pub(super) struct Surroundings {
    pub(super) registries: Registries,
    pub(super) credentials: Sources,
    pub(super) settings: Settings,
}

impl Surroundings {
    /// Those of this machine and user.
    fn of_machine(options: &PullOptions) -> Result<Surroundings> {
        let registries = Registries::load()?;
        let credentials = Sources::from_environment(options.auth.clone());
        Ok(Surroundings {
            credentials: credentials.with_helpers(registries.credential_helpers()),
            registries,
            settings: Settings::default(),
        })
    }
}

/// Makes sure that the image of a reference is here, as the policy says.
pub(super) async fn pull(
    store: &Arc<Store>,
    reference: &str,
    options: PullOptions,
) -> Result<Arc<ImageRecord>> {
    pull_with(store, reference, options, Surroundings::of_machine).await
}

async fn pull_with(
    store: &Arc<Store>,
    reference: &str,
    options: PullOptions,
    surroundings: impl FnOnce(&PullOptions) -> Result<Surroundings>,
) -> Result<Arc<ImageRecord>> {
    let in_reference = |e: Error| e.with_context("ref", super::digest::bounded(reference));
    if let Some(auth) = &options.auth {
        check_explicit(auth).map_err(in_reference)?;
    }
    let parsed = Reference::parse(reference)?;
    let here = match options.policy {
        PullPolicy::Always => None,
        PullPolicy::Missing | PullPolicy::Never => find_here(store, &parsed, options.platform.as_ref())?,
    };
    if let Some(record) = here {
        let id = record.id.to_string();
        report(&options, || PullEvent::Complete { id, fetched: false });
        return Ok(record);
    }
    if options.policy == PullPolicy::Never {
        let message = "the image is not here, and the policy is never to pull";
        return Err(in_reference(Error::new(ErrorKind::ImageNotFound, message)));
    }
    let surroundings = surroundings(&options).map_err(in_reference)?;
    let work = Pull { store: store.clone(), reference: parsed, options, surroundings };
    executor::spawn(work.run()).map_err(&in_reference)?.await.map(Arc::new).map_err(in_reference)
}

/// The image of a reference when it is in the store and for a fitting platform.
fn find_here(
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Option<Arc<ImageRecord>>> {
    // The full form can't be taken for the beginning of an id.
    let found = store.find(&reference.to_string())?;
    // One that has lost a layer is mended by a pull.
    let fits = |r: &Arc<ImageRecord>| {
        store.is_whole(r) && platform.is_none_or(|p| manifest::serves(p, &r.file.platform()))
    };
    Ok(found.filter(fits))
}

fn report(options: &PullOptions, event: impl FnOnce() -> PullEvent) {
    if let Some(progress) = &options.progress {
        progress(event());
    }
}

/// One pull, on the I/O thread.
struct Pull {
    store: Arc<Store>,
    reference: Reference,
    options: PullOptions,
    surroundings: Surroundings,
}

impl Pull {
    async fn run(self) -> Result<ImageRecord> {
        let clients = self.clients()?;
        let Resolved { top, manifest, bytes, digest, client } = self.resolve(&clients).await?;
        let ingest = self.store.ingest(ErrorKind::Registry)?;
        // The places that were passed over for the manifest are not asked for its parts either.
        let clients = &clients[client..];
        let (config, mut fetched) = self.config(clients, &manifest.config).await?;
        let file = ConfigFile::parse(&config, manifest.layers.len()).map_err(|e| {
            e.into_error(ErrorKind::Registry).with_context("digest", manifest.config.digest.as_str())
        })?;
        self.check_platform(&file)?;
        report(&self.options, || PullEvent::Resolved {
            digest: top.to_string(),
            layers: manifest.layers.len() as u64,
            total: manifest.layers.iter().map(|l| l.blob.size).sum(),
        });
        let transfer = Transfer { ingest: &ingest, clients, options: &self.options };
        fetched |= transfer.all(&manifest.layers, &file.rootfs.diff_ids).await?;
        let layer = |(layer, diff_id): (&manifest::Layer, &super::Digest)| CommitLayer {
            diff_id: diff_id.clone(),
            blob: layer.blob.digest.clone(),
        };
        let layers = manifest.layers.iter().zip(&file.rootfs.diff_ids).map(layer).collect();
        // As docker does it: what was pulled by digest gets no tag.
        let tags = match self.reference.digest() {
            Some(_) => Vec::new(),
            None => vec![self.reference.to_string()],
        };
        let digests = vec![self.reference.with_digest(top).to_string()];
        let image = NewImage { manifest: bytes, digest, config, layers, tags, digests };
        let record = ingest.commit(image).await?;
        report(&self.options, || PullEvent::Complete { id: record.id.to_string(), fetched });
        Ok(record)
    }

    /// The places the image can come from, the first one first.
    fn clients(&self) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for mut source in self.surroundings.registries.sources(&self.reference)? {
            let credentials = if source.mirror {
                // What the caller gave is for the registry of the reference.
                self.surroundings.credentials.without_explicit()
            } else {
                source.insecure |= self.options.insecure;
                self.surroundings.credentials.clone()
            };
            clients.push(Client::new(&source, credentials, self.surroundings.settings.clone())?);
        }
        Ok(clients)
    }

    async fn config(&self, clients: &[Client], descriptor: &manifest::Descriptor) -> Result<(Vec<u8>, bool)> {
        // A damaged one is replaced by the commit.
        if let Ok(Some(bytes)) = self.store.read_blob(&descriptor.digest, manifest::MAX_DOCUMENT) {
            return Ok((bytes, false));
        }
        let mut failure = None;
        for client in clients {
            match client.small_blob(descriptor).await {
                Ok(bytes) => return Ok((bytes, true)),
                Err(e) => failure = Some(e),
            }
        }
        Err(failure.expect("there is at least one place"))
    }

    /// What the caller asked for by name must be what the configuration says; without a wish, another
    /// architecture may still run, emulated.
    fn check_platform(&self, file: &ConfigFile) -> Result<()> {
        let Some(wanted) = &self.options.platform else {
            return Ok(());
        };
        let have = file.platform();
        if have.architecture.is_empty() || manifest::serves(wanted, &have) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ImageNotFound, "the image is not for this platform")
            .with_context("platform", wanted.to_string())
            .with_context("available", have.to_string()))
    }
}
