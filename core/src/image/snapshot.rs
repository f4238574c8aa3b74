//! From an image to the trees of its root file system.

use super::digest::Digest;
use super::store::{CommitLayer, ImageRecord, Ingest, LayerInfo, Store};
use crate::{Error, ErrorKind, Result};
use containers_protocol::plan::IdMaps;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Store {
    /// The trees of an image's root file system, topmost first: lower directories of an overlay. `corrupt`,
    /// naming the layer, when one is not here any more.
    pub(crate) fn lowers(&self, image: &ImageRecord) -> Result<Vec<PathBuf>> {
        let mut trees = Vec::with_capacity(image.stack.len());
        for layer in image.stack.iter().rev().filter(|l| !l.hidden) {
            let tree = self.layer_tree(&layer.diff_id);
            if !tree.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "a layer is missing; pull or load its image again",
                )
                .with_context("image", image.id.to_string())
                .with_context("layer", layer.diff_id.to_string())
                .with_context("path", tree.display().to_string()));
            }
            trees.push(tree);
        }
        if trees.is_empty() {
            trees.push(self.root().join("empty"));
        }
        Ok(trees)
    }

    /// Whether every layer of an image is here.
    pub(crate) fn is_whole(&self, image: &ImageRecord) -> bool {
        self.lowers(image).is_ok()
    }
}

/// An archive may hold `a/b` without `a`. Where a lower layer has `a`, an overlay would show the made-up `a`
/// with made-up attributes. For each such layer a further one is made that holds only these folders, with the
/// attributes that the layers below give them. Returns the position each goes above, and its diff id.
pub(super) async fn inherit(
    ingest: &Ingest,
    layers: &[CommitLayer],
    infos: &[LayerInfo],
) -> Result<Vec<(usize, Digest)>> {
    let mut fixes = Vec::new();
    for (i, info) in infos.iter().enumerate().skip(1) {
        if info.implied.is_empty() || info.opaque_root {
            continue;
        }
        let store = ingest.store();
        let below: Vec<PathBuf> = layers[..i].iter().rev().map(|l| store.layer_tree(&l.diff_id)).collect();
        let own = store.layer_tree(&layers[i].diff_id);
        let paths: Vec<PathBuf> = info.implied.iter().map(|b| b.as_path().to_path_buf()).collect();
        let Some(archive) = fix_archive(&own, &below, &paths, store.support().id_maps())? else {
            continue;
        };
        fixes.push((i, ingest.made_layer(archive).await?));
    }
    Ok(fixes)
}

/// What an overlay takes from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    xattrs: Vec<(CString, Vec<u8>)>,
}

/// The archive of the folders below which attributes differ; `None`: there are none.
fn fix_archive(
    own: &Path,
    below: &[PathBuf],
    implied: &[PathBuf],
    maps: Option<&IdMaps>,
) -> Result<Option<Vec<u8>>> {
    let mut wanted: BTreeMap<&Path, Attributes> = BTreeMap::new();
    for path in implied {
        if let (Some(here), Some(inherited)) = (attributes(own, path), find_below(own, below, path))
            && (here.mode, here.uid, here.gid, &here.xattrs)
                != (inherited.mode, inherited.uid, inherited.gid, &inherited.xattrs)
        {
            wanted.insert(path, inherited);
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    // Folders on the way are repeated as they are, for the new layer covers them too.
    for path in wanted.keys().copied().collect::<Vec<_>>() {
        for on_the_way in path.ancestors().skip(1) {
            if !wanted.contains_key(on_the_way)
                && let Some(here) = attributes(own, on_the_way)
            {
                wanted.insert(on_the_way, here);
            }
        }
    }
    let mut archive = tar::Builder::new(Vec::new());
    for (path, a) in &wanted {
        add_folder(&mut archive, path, a, maps).map_err(|e| Error::io("can't describe a folder", e))?;
    }
    archive.into_inner().map(Some).map_err(|e| Error::io("can't describe folders", e))
}

fn add_folder(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    a: &Attributes,
    maps: Option<&IdMaps>,
) -> std::io::Result<()> {
    let records: Vec<(String, &[u8])> = a
        .xattrs
        .iter()
        .map(|(name, value)| (format!("SCHILY.xattr.{}", name.to_string_lossy()), value.as_slice()))
        .collect();
    archive.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), *value)))?;
    let inside = |id: u32, uid: bool| {
        let Some(maps) = maps else { return id };
        let lines = if uid { &maps.uids } else { &maps.gids };
        let line = lines.iter().find(|l| id >= l.outside && id - l.outside < l.count);
        line.map_or(0, |l| id - l.outside + l.inside)
    };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(a.mode);
    header.set_uid(inside(a.uid, true).into());
    header.set_gid(inside(a.gid, false).into());
    header.set_mtime(a.mtime.max(0) as u64);
    header.set_size(0);
    let name = if path.as_os_str().is_empty() { Path::new("./") } else { path };
    archive.append_data(&mut header, name, std::io::empty())
}

/// What the layers below show at `path`, topmost first, as an overlay would merge them.
fn find_below(own: &Path, below: &[PathBuf], path: &Path) -> Option<Attributes> {
    if hides(own, path) {
        return None;
    }
    for tree in below {
        match look(tree, path) {
            Looked::Folder(attributes) => return Some(attributes),
            Looked::Other => return None,
            Looked::Nothing if hides(tree, path) => return None,
            Looked::Nothing => {}
        }
    }
    None
}

enum Looked {
    Folder(Attributes),
    Nothing,
    Other,
}

fn open_in(tree: &Path, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(tree, flags | OFlags::DIRECTORY, Mode::empty())?;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)
}

fn look(tree: &Path, path: &Path) -> Looked {
    match open_in(tree, path) {
        Ok(fd) => describe(&fd).map_or(Looked::Other, Looked::Folder),
        Err(Errno::NOENT) => Looked::Nothing,
        // Something on the way is no folder, or can't be looked into from here.
        Err(_) => Looked::Other,
    }
}

fn attributes(tree: &Path, path: &Path) -> Option<Attributes> {
    describe(&open_in(tree, path).ok()?)
}

fn describe(fd: &OwnedFd) -> Option<Attributes> {
    let stat: Stat = rustix::fs::fstat(fd).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return None;
    }
    Some(Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        xattrs: xattrs(fd),
    })
}

/// Whether the layer hides, at `path` or above it, what lies below: an opaque folder.
fn hides(tree: &Path, path: &Path) -> bool {
    path.ancestors().any(|p| {
        open_in(tree, p).is_ok_and(|fd| {
            let path = through_proc(&fd);
            let mut value = [0u8; 1];
            [c"trusted.overlay.opaque", c"user.overlay.opaque"].iter().any(|name| {
                rustix::fs::getxattr(&path, *name, &mut value).is_ok_and(|n| n == 1 && value[0] == b'y')
            })
        })
    })
}

fn through_proc(fd: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Extended attributes that mean something to programs; those of the overlay itself are not among them.
fn xattrs(fd: &OwnedFd) -> Vec<(CString, Vec<u8>)> {
    let path = through_proc(fd);
    let mut names = vec![0u8; 64 << 10];
    let Ok(n) = rustix::fs::listxattr(&path, &mut names[..]) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for name in names[..n].split_inclusive(|b| *b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let bytes = name.to_bytes();
        if bytes.starts_with(b"trusted.overlay.")
            || bytes.starts_with(b"user.overlay.")
            || bytes.starts_with(b"security.")
        {
            continue;
        }
        let mut value = vec![0u8; 64 << 10];
        if let Ok(n) = rustix::fs::getxattr(&path, OsStr::from_bytes(bytes), &mut value[..]) {
            value.truncate(n);
            found.push((name.to_owned(), value));
        }
    }
    found.sort();
    found
}
