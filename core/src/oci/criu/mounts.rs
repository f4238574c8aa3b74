//! Mounts of a container as they were: CRIU drops attributes of roots, and of a second bind of one thing.

use super::Mounted;
use crate::cgroup::hierarchy::path;
use crate::{Error, Result};
use nix::sched::{CloneFlags, setns, unshare};
use oci_spec::runtime::Spec;
use rustix::mount::{MountFlags, mount_remount};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Attributes of a mount by their names in mountinfo.
const ATTRIBUTES: &[(&str, MountFlags)] = &[
    ("ro", MountFlags::RDONLY),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("relatime", MountFlags::RELATIME),
];

/// The attributes of all mounts of a process, by where they are; of several at one place, those of the last.
pub(super) fn attributes(pid: i32) -> Result<BTreeMap<PathBuf, String>> {
    let failed = |e| Error::io("the container's mounts can't be read", e);
    let info = crate::sys::read_kernel_file(format!("/proc/{pid}/mountinfo")).map_err(failed)?;
    let line = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        Some((path(fields.next()?), fields.next()?.to_owned()))
    };
    Ok(info.lines().filter_map(line).collect())
}

/// What an image says of mounts, or without that the configuration: it has the attributes that keep a container from
/// writing.
pub(super) fn wanted(image: Option<BTreeMap<PathBuf, Mounted>>, spec: &Spec) -> BTreeMap<PathBuf, Mounted> {
    image.unwrap_or_else(|| {
        // Files alone are masked by mounts from outside, by others.
        let masked = spec.linux().iter().flat_map(|l| l.masked_paths().iter().flatten()).map(PathBuf::from);
        let files = masked.filter(|path| !path.is_dir());
        let mut all: BTreeMap<_, _> =
            files.map(|path| (path, Mounted { attributes: "ro".into(), mask: Some(false) })).collect();
        if spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
            all.insert("/".into(), Mounted { attributes: "ro".into(), mask: None });
        }
        all
    })
}

/// Gives the mounts of a process, which stands still, the attributes that they had.
pub(super) fn put_right(pid: i32, wanted: &BTreeMap<PathBuf, Mounted>) -> Result<()> {
    let now = attributes(pid)?;
    let set = |text: &str, name: &str| text.split(',').any(|other| other == name);
    let differs = |path: &Path, mounted: &Mounted| {
        let now = now.get(path)?;
        // What it was not before it may stay, as noatime of the machine's own mount.
        let missing = ATTRIBUTES.iter().any(|(name, _)| set(&mounted.attributes, name) && !set(now, name));
        let flags = ATTRIBUTES.iter().filter(|(name, _)| set(&mounted.attributes, name) || set(now, name));
        missing.then(|| flags.fold(MountFlags::BIND, |all, (_, flag)| all | *flag))
    };
    let changes: Vec<(&Path, MountFlags)> = wanted
        .iter()
        .filter_map(|(path, mounted)| differs(path, mounted).map(|flags| (path.as_path(), flags)))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let failed = |e: std::io::Error| Error::io("the container's mounts can't be put right", e);
    let namespace = File::open(format!("/proc/{pid}/ns/mnt")).map_err(failed)?;
    let remount = move || {
        // Of this thread alone, which ends in the container's namespace.
        unshare(CloneFlags::CLONE_FS).map_err(|e| failed(e.into()))?;
        setns(&namespace, CloneFlags::CLONE_NEWNS).map_err(|e| failed(e.into()))?;
        changes.into_iter().try_for_each(|(path, flags)| {
            mount_remount(path, flags, c"")
                .map_err(|e| failed(e.into()).with_context("path", path.display().to_string()))
        })
    };
    super::on_thread(remount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_of_mountinfo() {
        let own = attributes(std::process::id() as i32).unwrap();
        assert!(own[Path::new("/proc")].contains("time") && own.contains_key(Path::new("/")));
        assert_eq!(path("/a\\040b\\134c"), Path::new("/a b\\c"));
    }
}
