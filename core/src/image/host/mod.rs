//! The host image: the machine's own system as the root file system of containers.
//!
//! A small tree is made in the store, with the top-level folders, their links, and the files of `/etc` that every
//! program may need. The large folders (`/usr`, `/opt`) are not copied: each is the lower directory of an overlay
//! of its own. What is shown is listed; nothing is shown for not having been thought of.

mod etc;
mod layers;

pub(crate) use layers::{Cache, HostOverlay};

use super::ImageConfig;
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What containers of the host image search for commands.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The host image, with further paths that are shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostImage {
    paths: Vec<PathBuf>,
    name: String,
    config: ImageConfig,
}

impl HostImage {
    /// `paths`: further folders and files of the host.
    pub(crate) fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> HostImage {
        let paths: Vec<PathBuf> = paths.into_iter().map(|p| p.as_ref().to_path_buf()).collect();
        let mut name = "host".to_owned();
        for path in &paths {
            name.push(':');
            if !path.is_absolute() {
                // Refused when it is used; a tag can't begin so.
                name.push_str("./");
            }
            name.push_str(&escape(path));
        }
        let config =
            ImageConfig { env: vec![PATH.to_owned()], cmd: vec!["sh".to_owned()], ..ImageConfig::default() };
        HostImage { paths, name, config }
    }

    /// Reads `host`, or `host:/path:/path…` as [`HostImage::name`] writes it; `None`: it names another image.
    pub(crate) fn parse(name: &str) -> Result<Option<HostImage>> {
        if name == "host" {
            return Ok(Some(HostImage::new([""; 0])));
        }
        let Some(list) = name.strip_prefix("host:").filter(|l| l.starts_with(['/', '.'])) else {
            return Ok(None);
        };
        let paths = split(list).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the paths of the host image are malformed")
                .with_context("ref", name)
        })?;
        Ok(Some(HostImage::new(paths)))
    }

    /// What the image is called, paths included.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Further paths to show.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// What containers take over.
    pub(crate) fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Docker's inspect document, as far as it applies.
    pub(crate) fn inspect(&self) -> Value {
        let machine = super::manifest::machine();
        json!({
            "Id": self.name,
            "RepoTags": ["host"],
            "RepoDigests": [],
            "Comment": "the machine's own system",
            "Architecture": machine.architecture,
            "Os": machine.os,
            "Size": 0,
            "Config": {"Env": self.config.env, "Cmd": self.config.cmd, "Entrypoint": null, "Labels": null,
                       "User": "", "WorkingDir": ""},
            "RootFS": {"Type": "layers", "Layers": []},
        })
    }
}

/// Bytes that would end a path in a name, or are no text, as `%XX`.
fn escape(path: &Path) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b':' | b'%' | 0..=b' ' | 0x7f.. => {
                let _ = write!(text, "%{byte:02X}");
            }
            other => text.push(char::from(*other)),
        }
    }
    text
}

fn split(list: &str) -> Option<Vec<PathBuf>> {
    list.split(':').map(unescape).collect()
}

fn unescape(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_paths() {
        assert_eq!(HostImage::parse("host").unwrap().unwrap().name(), "host");
        for other in ["hosts", "host:latest", "docker.io/library/host", "host:5000/app", ""] {
            assert_eq!(HostImage::parse(other).unwrap(), None, "{other}");
        }
        let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/a:b %\xff\n"));
        let image = HostImage::new([odd.as_path(), Path::new("/data")]);
        assert_eq!(image.name(), "host:/a%3Ab%20%25%FF%0A:/data");
        assert_eq!(HostImage::parse(image.name()).unwrap().unwrap(), image);
        let relative = HostImage::new(["a", ""]);
        assert_eq!(relative.name(), "host:./a:./");
        assert!(HostImage::parse(relative.name()).unwrap().is_some_and(|h| h.paths().len() == 2));
        assert!(HostImage::parse("host:/a%").is_err());
    }
}
