//! Places in a root file system that mounts go to.

use crate::{Error, Result};
use oci_spec::runtime::Spec;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat2};
use rustix::io::Errno;
use std::path::{Component, Path, PathBuf};

/// Makes those that are missing in `rootfs` itself: CRIU mounts, but makes none. `masks` are no mounts of the
/// configuration, and on file systems of the kernel's.
pub(super) fn make(spec: &Spec, rootfs: &Path, bundle: &Path) -> Result<()> {
    let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed(rootfs, e))?;
    let all: Vec<&Path> = spec.mounts().iter().flatten().map(|m| m.destination().as_path()).collect();
    let sources: Vec<(&Path, PathBuf)> = super::binds(spec, bundle).collect();
    for at in &all {
        // Below another mount it is in the image, or somebody else's.
        if all.iter().any(|above| above != at && at.starts_with(above)) {
            continue;
        }
        let file = sources.iter().any(|(to, source)| to == at && !source.is_dir());
        make_one(&root, at, file).map_err(|e| failed(at, e))?;
    }
    Ok(())
}

fn failed(path: &Path, e: Errno) -> Error {
    Error::io("the place of a mount can't be made", e.into()).with_context("path", path.display().to_string())
}

fn make_one(root: &OwnedFd, at: &Path, file: bool) -> rustix::io::Result<()> {
    let names: Vec<_> =
        at.components().filter_map(|c| if let Component::Normal(n) = c { Some(n) } else { None }).collect();
    let inside = |path: &Path, how: OFlags, mode: Mode| {
        openat2(root, path, how | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    };
    let mut path = PathBuf::new();
    let mut above = root.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    for (index, name) in names.iter().enumerate() {
        path.push(name);
        let last = index + 1 == names.len();
        if inside(&path, OFlags::PATH, Mode::empty()).is_err() {
            match last && file {
                true => drop(inside(&path, OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644))?),
                false => mkdirat(&above, *name, Mode::from_raw_mode(0o755))?,
            }
        }
        if !last {
            above = inside(&path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        }
    }
    Ok(())
}
