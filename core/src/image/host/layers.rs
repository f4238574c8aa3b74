//! From the host image to mounts.

use super::HostImage;
use super::etc::{self, Item};
use crate::image::Digest;
use crate::image::store::Store;
use crate::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, FileTimes, Permissions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Version of the skeleton's making: another one makes another skeleton.
const VERSION: u32 = 1;

/// Folders that are shown whole where they are folders, and as links where they are links (merged `/usr`).
const SYSTEM: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt"];

/// Folders that are there and empty.
const EMPTY: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
];

/// Whose change makes a skeleton outdated, and is looked at before each container.
const WATCHED: &[&str] =
    &["passwd", "group", "ld.so.cache", "ssl/certs", "alternatives", "nsswitch.conf", "profile.d"];

/// Mounts of a container of the host image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostLayers {
    /// Lower directory of the root file system.
    pub(crate) root: PathBuf,
    /// Folders, each below a throw-away layer of its own, in this order.
    pub(crate) overlays: Vec<HostOverlay>,
    /// Single files, shown read-only where they are.
    pub(crate) files: Vec<PathBuf>,
    /// What is to be masked: data of this library.
    pub(crate) hidden: Vec<PathBuf>,
}

/// A folder of the host in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostOverlay {
    /// Where.
    pub(crate) target: PathBuf,
    /// What.
    pub(crate) lower: PathBuf,
}

/// The skeleton that was used last.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(u64, PathBuf)>>, Mutex<HashMap<String, Arc<HostLayers>>>);

impl Store {
    /// The mounts of a host image. `private`: folders with data of this library, which no container may see.
    pub(crate) fn host_layers(&self, image: &HostImage, private: &[&Path]) -> Result<Arc<HostLayers>> {
        let root = self.skeleton()?;
        let mut known = self.host.1.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(layers) = known.get(image.name())
            && layers.root == root
            && image.paths().is_empty()
        {
            return Ok(layers.clone());
        }
        let layers = Arc::new(self.describe(image, root, private)?);
        if image.paths().is_empty() {
            known.insert(image.name().to_owned(), layers.clone());
        }
        Ok(layers)
    }

    fn describe(&self, image: &HostImage, root: PathBuf, private: &[&Path]) -> Result<HostLayers> {
        let mut layers = HostLayers { root, overlays: Vec::new(), files: Vec::new(), hidden: Vec::new() };
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            if path.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                layers.overlays.push(HostOverlay { target: path.clone(), lower: path });
            }
        }
        let private: Vec<PathBuf> =
            private.iter().copied().chain([self.root()]).filter_map(|p| p.canonicalize().ok()).collect();
        for path in image.paths() {
            further(&mut layers, path, &private)?;
        }
        for path in private {
            for overlay in &layers.overlays {
                if let Ok(below) = path.strip_prefix(&overlay.lower) {
                    layers.hidden.push(overlay.target.join(below));
                }
            }
        }
        layers.hidden.sort();
        layers.hidden.dedup();
        Ok(layers)
    }

    /// The skeleton for the host as it is now, made when it is missing.
    fn skeleton(&self) -> Result<PathBuf> {
        let etc = Path::new("/etc");
        let quick = quick_signature(etc);
        let mut last = self.host.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((signature, path)) = &*last
            && *signature == quick
            && path.is_dir()
        {
            return Ok(path.clone());
        }
        let items = etc::list(etc);
        let path = self.root().join("host").join(signature(&items));
        if !path.is_dir() {
            self.make_skeleton(etc, &items, &path)?;
        }
        *last = Some((quick, path.clone()));
        Ok(path)
    }

    fn make_skeleton(&self, etc: &Path, items: &[Item], target: &Path) -> Result<()> {
        let temp = self.scratch_dir()?;
        let tree = temp.path().join("host");
        build(&tree, etc, items)
            .map_err(|e| Error::io("can't prepare the host image", e).with_context("path", text(&tree)))?;
        match std::fs::rename(&tree, target) {
            Ok(()) => {}
            // Another process was faster.
            Err(_) if target.is_dir() => {}
            Err(e) => {
                return Err(Error::io("can't store the host image", e).with_context("path", text(target)));
            }
        }
        Ok(())
    }

    /// Deletes skeletons that are outdated, when no container has one.
    pub(in crate::image) fn sweep_skeletons(&self) -> Result<()> {
        if self.support().images_in_use()?.iter().any(|id| id == "host" || id.starts_with("host:")) {
            return Ok(());
        }
        let current = self.root().join("host").join(signature(&etc::list(Path::new("/etc"))));
        let Ok(entries) = std::fs::read_dir(self.root().join("host")) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.path() != current {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }
}

/// Adds a path that the caller names.
fn further(layers: &mut HostLayers, path: &Path, private: &[PathBuf]) -> Result<()> {
    let bad = |what: &str| {
        Err(Error::new(ErrorKind::InvalidArgument, what)
            .with_context("field", "paths")
            .with_context("path", text(path)))
    };
    if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return bad("a path of the host image is not absolute, or has .. in it");
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return bad("a path of the host image has a NUL byte");
    }
    let path: PathBuf = path.components().collect();
    if path == Path::new("/") {
        return bad("the host image can't show the whole of the root folder");
    }
    if ["/proc", "/sys", "/dev", "/etc"].iter().any(|own| path.starts_with(own)) {
        return bad(
            "/proc, /sys, /dev and /etc of the host are never shown; use a bind mount where it must be",
        );
    }
    let real = path.canonicalize().map_err(|e| {
        Error::io("can't find a path of the host image", e)
            .with_context("field", "paths")
            .with_context("path", text(&path))
    })?;
    if private.iter().any(|p| real.starts_with(p)) {
        return bad("the folder of this library's own data is never shown");
    }
    if layers.overlays.iter().any(|o| path.starts_with(&o.target) && real.starts_with(&o.lower)) {
        return Ok(());
    }
    if real.is_dir() {
        layers.overlays.push(HostOverlay { target: path, lower: real });
    } else {
        layers.files.push(path);
    }
    Ok(())
}

/// Whether something may have changed: a few calls.
fn quick_signature(etc: &Path) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for path in std::iter::once(etc.to_path_buf()).chain(WATCHED.iter().map(|w| etc.join(w))) {
        if let Ok(meta) = path.symlink_metadata() {
            (meta.ino(), meta.ctime(), meta.ctime_nsec()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Names a skeleton: what it is made of.
fn signature(items: &[Item]) -> String {
    // Of this boot, because a skeleton is not flushed: a crash may leave it with empty files.
    let mut all = format!("{VERSION} {}\n", crate::sys::boot_id());
    for name in SYSTEM {
        let path = Path::new("/").join(name);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => {
                all.push_str(&format!("{name} {:?}\n", std::fs::read_link(&path).ok()))
            }
            Ok(meta) if meta.is_dir() => all.push_str(&format!("{name}\n")),
            _ => {}
        }
    }
    all.push_str(&format!("{items:?}"));
    Digest::of(all.as_bytes()).hex()[..32].to_owned()
}

fn build(tree: &Path, etc: &Path, items: &[Item]) -> std::io::Result<()> {
    make_dir(tree, 0o755)?;
    for (name, mode) in EMPTY {
        make_dir(&tree.join(name), *mode)?;
    }
    for name in SYSTEM {
        let (from, to) = (Path::new("/").join(name), tree.join(name));
        match from.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => symlink(std::fs::read_link(&from)?, &to)?,
            Ok(meta) if meta.is_dir() => make_dir(&to, 0o755)?,
            _ => {}
        }
    }
    let to = tree.join("etc");
    make_dir(&to, 0o755)?;
    for item in items {
        match item {
            Item::Folder(path) => make_dir(&to.join(path), 0o755)?,
            Item::Link { path, target } => symlink(target, to.join(path))?,
            Item::File { path, mode, mtime, .. } => {
                // One that vanished or can't be read any more is left out.
                if let Ok(Some(content)) = etc::content(etc, path) {
                    make_file(&to.join(path), &content, *mode, *mtime)?;
                }
            }
        }
    }
    Ok(())
}

fn make_dir(path: &Path, mode: u32) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        _ => std::fs::set_permissions(path, Permissions::from_mode(mode)),
    }
}

fn make_file(path: &Path, content: &[u8], mode: u32, mtime: (i64, u32)) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    if let Ok(seconds) = u64::try_from(mtime.0) {
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, mtime.1.min(999_999_999));
        file.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
