//! Which image of an index is for a platform, by docker's order of preference.

use super::{Descriptor, Index, PlatformSpec, media};
use crate::image::Platform;
use crate::image::digest::quoted;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// The platform of this machine.
pub(crate) fn machine() -> Platform {
    let (architecture, variant) = normalise(std::env::consts::ARCH, None);
    Platform { os: "linux".into(), architecture, variant }
}

/// What [`choose`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// This one.
    Manifest(&'a Descriptor),
    /// Nothing; these platforms are there.
    Nothing(Vec<String>),
}

/// The best entry of an index for a platform: the nearest variant, then what the machine also runs (386 on
/// amd64, arm on arm64), then an entry that names no platform, in this order; of equals, the first.
pub(crate) fn choose<'a>(index: &'a Index, wanted: &Platform) -> Choice<'a> {
    let usable = |d: &&Descriptor| media::is_manifest(&d.media_type) || media::is_index(&d.media_type);
    let ranked = index.manifests.iter().filter(usable).filter_map(|d| match &d.platform {
        Some(platform) => rank(wanted, platform).map(|rank| (rank, d)),
        None => Some((usize::MAX, d)),
    });
    match ranked.min_by_key(|(rank, _)| *rank) {
        Some((_, descriptor)) => Choice::Manifest(descriptor),
        None => {
            let named = index.manifests.iter().filter_map(|d| d.platform.as_ref());
            let known = named.filter(|p| p.os != "unknown").map(PlatformSpec::to_string);
            Choice::Nothing(known.take(50).collect())
        }
    }
}

/// Whether an image for `have` runs on `wanted`.
pub(crate) fn serves(wanted: &Platform, have: &PlatformSpec) -> bool {
    rank(wanted, have).is_some()
}

/// How well `have` serves `wanted`: 0 is best, `None` not at all.
fn rank(wanted: &Platform, have: &PlatformSpec) -> Option<usize> {
    if !have.os.eq_ignore_ascii_case(&wanted.os) {
        return None;
    }
    let have = normalise(&have.architecture, have.variant.as_deref());
    served_by(wanted).into_iter().position(|candidate| candidate == have)
}

/// Architectures and variants that run on a platform, the best first.
fn served_by(wanted: &Platform) -> Vec<(String, Option<String>)> {
    let (architecture, variant) = normalise(&wanted.architecture, wanted.variant.as_deref());
    let own = |variant: Option<&str>| (architecture.clone(), variant.map(str::to_owned));
    let level = variant.as_deref().and_then(|v| v.strip_prefix('v')).and_then(|v| v.parse::<u32>().ok());
    let arm = |from: u32| (5..=from.min(8)).rev().map(|n| normalise("arm", Some(&format!("v{n}"))));
    let mut all = vec![own(variant.as_deref())];
    match architecture.as_str() {
        "amd64" => {
            let lower = (2..level.unwrap_or(1).min(9)).rev();
            all.extend(lower.map(|n| own(Some(&format!("v{n}")))));
            if variant.is_some() {
                all.push(own(None));
            }
            all.push(("386".into(), None));
        }
        "arm64" => {
            let lower = (8..level.unwrap_or(8).min(20)).rev();
            all.extend(lower.map(|n| own(Some(&format!("v{n}")).filter(|_| n != 8).map(|v| v.as_str()))));
            all.extend(arm(8));
        }
        "arm" => all.extend(arm(level.unwrap_or(7).saturating_sub(1))),
        _ => {}
    }
    all
}

/// Go's names; a variant that is the architecture's usual one becomes `None` (`v7` for arm is kept).
fn normalise(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.map(str::to_ascii_lowercase).filter(|v| !v.is_empty());
    let variant =
        variant.map(|v| if v.starts_with(|c: char| c.is_ascii_digit()) { format!("v{v}") } else { v });
    let (architecture, variant) = match architecture.as_str() {
        "x86_64" | "x86-64" => ("amd64".to_owned(), variant),
        "x86" | "i386" | "i486" | "i586" | "i686" => ("386".to_owned(), None),
        "aarch64" => ("arm64".to_owned(), variant),
        "armhf" => ("arm".to_owned(), Some("v7".to_owned())),
        "armel" => ("arm".to_owned(), Some("v6".to_owned())),
        "powerpc64" if cfg!(target_endian = "little") => ("ppc64le".to_owned(), variant),
        _ => (architecture, variant),
    };
    let variant = match (architecture.as_str(), variant.as_deref()) {
        ("amd64", Some("v1")) | ("arm64", Some("v8" | "v8.0")) => None,
        ("arm", None) => Some("v7".to_owned()),
        _ => variant,
    };
    (architecture, variant)
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/arch`, `os/arch/variant` or `arch`; machine names (`x86_64`, `aarch64`) become Go's.
    fn from_str(text: &str) -> Result<Platform> {
        let refuse = |why: &str| {
            let message = format!("{} is no platform: {why}", quoted(text));
            Err(Error::new(ErrorKind::InvalidArgument, message).with_context("field", "platform"))
        };
        let word = |p: &str| {
            !p.is_empty()
                && p.len() <= 64
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|p| word(p)) {
            return refuse("a part is empty or has other than letters, digits, `.`, `_`, `-`");
        }
        let (os, architecture, variant) = match parts[..] {
            ["linux"] => ("linux", std::env::consts::ARCH, None),
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return refuse("it has more than os/arch/variant"),
        };
        let (architecture, variant) = normalise(architecture, variant);
        Ok(Platform { os: os.to_ascii_lowercase(), architecture, variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.os, &self.architecture, self.variant.as_deref())
    }
}

impl fmt::Display for PlatformSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Foreign text, for messages.
        let clean = |s: &str| s.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
        show(f, &clean(&self.os), &clean(&self.architecture), self.variant.as_deref().map(clean).as_deref())
    }
}

fn show(f: &mut fmt::Formatter<'_>, os: &str, architecture: &str, variant: Option<&str>) -> fmt::Result {
    write!(f, "{os}/{architecture}")?;
    match variant {
        Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
        _ => Ok(()),
    }
}
