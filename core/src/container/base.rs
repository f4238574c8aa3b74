//! The image a container is made from.

use super::CreateOptions;
use super::spec::parse::bad;
use crate::image::host::{HostImage, HostOverlay};
use crate::image::store::Hold;
use crate::runtime::RuntimeInner;
use crate::sandbox::RootfsParts;
use crate::{Error, ErrorKind, Image, ImageConfig, Images, Platform, PullOptions, PullPolicy, Result};
use std::sync::Arc;

/// An image, resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    /// As it was named.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: String,
    pub(crate) config: ImageConfig,
    pub(crate) rootfs: RootfsParts,
}

/// Finds an image, pulling it first when the options say so. While the lease is held, its layers stay; a
/// record that names the image takes over.
pub(crate) async fn resolve(
    rt: &Arc<RuntimeInner>,
    name: &str,
    options: &CreateOptions,
) -> Result<(Base, Option<Hold>)> {
    let images = Images::new(rt.store.clone());
    let platform = options.platform.as_deref().map(platform).transpose()?;
    let policy = match options.pull.as_deref() {
        None | Some("never") => None,
        Some("missing") => Some(PullPolicy::Missing),
        Some("always") => Some(PullPolicy::Always),
        Some(other) => {
            return Err(bad("pull", format!("not a pull policy: `{other}` (missing, always, never)")));
        }
    };
    if let Some(host) = HostImage::parse(name)? {
        if let Some(wanted) = &platform {
            fits(wanted, &crate::image::machine(), name, "it is this machine's own system")?;
        }
        let base = Base {
            name: host.name().to_owned(),
            id: host.name().to_owned(),
            config: host.config().clone(),
            rootfs: host_parts(rt, &host)?,
        };
        return Ok((base, None));
    }
    if let Some(policy) = policy {
        let mut pull = PullOptions::default();
        (pull.policy, pull.platform) = (policy, platform.clone());
        images.pull_with(name, pull).await?;
    }
    let hold = rt.store.hold()?;
    let record = rt.store.get(name).map_err(|e| naming(e, name))?;
    let image = Image::stored(rt.store.clone(), record.clone());
    if let Some(wanted) = &platform {
        fits(wanted, &image.platform(), name, "pull it for the platform")?;
    }
    let lowers = rt.store.lowers(&record)?;
    let base = Base {
        name: name.to_owned(),
        id: record.id.to_string(),
        config: record.config.clone(),
        rootfs: RootfsParts { lowers, ..RootfsParts::default() },
    };
    Ok((base, Some(hold)))
}

/// Refuses an image for another platform than is wanted.
fn fits(wanted: &Platform, is: &Platform, name: &str, why: &str) -> Result<()> {
    let variant = wanted.variant.is_none() || wanted.variant == is.variant;
    if wanted.os == is.os && wanted.architecture == is.architecture && variant {
        return Ok(());
    }
    let text = format!("the image here is for {}/{}; {why}", is.os, is.architecture);
    let parts = [Some(&wanted.os), Some(&wanted.architecture), wanted.variant.as_ref()];
    let wanted: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    Err(Error::new(ErrorKind::ImageNotFound, text)
        .with_context("ref", name)
        .with_context("platform", wanted.join("/")))
}

/// Adds which image it was about.
fn naming(e: Error, name: &str) -> Error {
    if e.context().iter().any(|(key, _)| *key == "ref") { e } else { e.with_context("ref", name) }
}

/// `os/arch[/variant]`.
fn platform(text: &str) -> Result<Platform> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts.as_slice() {
        [os, architecture] => (*os, *architecture, None),
        [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
        _ => return Err(bad("platform", format!("not a platform: `{text}` (example: linux/amd64)"))),
    };
    if os.is_empty() || architecture.is_empty() {
        return Err(bad("platform", format!("not a platform: `{text}` (example: linux/amd64)")));
    }
    Ok(Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant })
}

/// The trees of an image that a container was made from.
pub(crate) fn rootfs(rt: &RuntimeInner, image_id: &str) -> Result<RootfsParts> {
    if let Some(host) = HostImage::parse(image_id)? {
        return host_parts(rt, &host);
    }
    let record = rt.store.record(image_id)?;
    Ok(RootfsParts { lowers: rt.store.lowers(&record)?, ..RootfsParts::default() })
}

fn host_parts(rt: &RuntimeInner, host: &HostImage) -> Result<RootfsParts> {
    let layers = rt.store.host_layers(host, &[&rt.root, &rt.run_root])?;
    let overlay = |o: &HostOverlay| (o.target.to_string_lossy().into_owned(), vec![o.lower.clone()]);
    Ok(RootfsParts {
        lowers: vec![layers.root.clone()],
        overlays: layers.overlays.iter().map(overlay).collect(),
        shown: layers.files.clone(),
        hidden: layers.hidden.clone(),
    })
}
