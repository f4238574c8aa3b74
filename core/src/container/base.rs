//! The image a container is made from.

use super::CreateOptions;
use super::spec::parse::bad;
use crate::image::host::HostImage;
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
        let mut base = self::host(rt)?;
        base.rootfs.shown = host.paths().to_vec();
        (base.name, base.id) = (host.name().to_owned(), host.name().to_owned());
        base.config = host.config().clone();
        return Ok((base, None));
    }
    if let Some(policy) = policy {
        let mut pull = PullOptions::default();
        (pull.policy, pull.platform) = (policy, platform.clone());
        images.pull(name, pull).await?;
    }
    let hold = rt.store.hold()?;
    let record = rt.store.get(name)?;
    let image = Image::stored(rt.store.clone(), record.clone());
    if let Some(wanted) = platform {
        let is = image.platform();
        let variant = wanted.variant.is_none() || wanted.variant == is.variant;
        if wanted.os != is.os || wanted.architecture != is.architecture || !variant {
            let text =
                format!("the image here is for {}/{}; pull it for the platform", is.os, is.architecture);
            return Err(Error::new(ErrorKind::ImageNotFound, text)
                .with_context("ref", name)
                .with_context("platform", options.platform.clone().unwrap_or_default()));
        }
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

/// A first version of the machine's own system, until the image module makes it.
fn host(rt: &RuntimeInner) -> Result<Base> {
    let skeleton = rt.launcher.dir.join("host");
    let failed = |e| Error::io("can't prepare the host's image", e);
    if !skeleton.exists() {
        let make = || -> std::io::Result<()> {
            std::fs::create_dir(&skeleton)?;
            for dir in [
                "etc", "home", "root", "var", "var/tmp", "run", "srv", "tmp", "usr", "opt", "proc", "sys",
                "dev",
            ] {
                std::fs::create_dir(skeleton.join(dir))?;
            }
            for link in ["bin", "sbin", "lib", "lib64"] {
                if let Ok(to) = std::fs::read_link(format!("/{link}")) {
                    std::os::unix::fs::symlink(to, skeleton.join(link))?;
                }
            }
            for file in ["passwd", "group", "nsswitch.conf", "ld.so.cache", "os-release", "debian_version"] {
                let _ = std::fs::copy(format!("/etc/{file}"), skeleton.join("etc").join(file));
            }
            use std::os::unix::fs::PermissionsExt;
            for (dir, mode) in [("", 0o755), ("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
                std::fs::set_permissions(skeleton.join(dir), std::fs::Permissions::from_mode(mode))?;
            }
            Ok(())
        };
        make().map_err(failed)?;
    }
    Ok(Base {
        name: "host".into(),
        id: "host".into(),
        config: ImageConfig { cmd: vec!["sh".into()], ..ImageConfig::default() },
        rootfs: RootfsParts {
            lowers: vec![skeleton],
            overlays: vec![("/usr".into(), vec!["/usr".into()])],
            shown: Vec::new(),
        },
    })
}
