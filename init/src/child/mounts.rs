//! File systems, binds, masks and read-only paths.

use super::root::{Root, attach};
use super::{Child, KernelPath, copy};
use crate::failure::{Context, failure};
use crate::fs;
use crate::sys::mount::{ATTR_RDONLY, RECURSIVE, bind, setattr};
use containers_protocol::control::Failure;
use containers_protocol::plan::{Bind, Mount};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, fstat, statat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

/// Whether the path is the kernel's `/proc` or `/sys`, or inside them.
pub(super) fn is_kernel(path: &[u8]) -> bool {
    let path = super::root::relative(path);
    [&b"proc"[..], b"sys"].iter().any(|k| path == *k || path.starts_with(k) && path[k.len()] == b'/')
}

/// The directory that a file system is mounted on. What the kernel's own file systems and devices go on
/// must not be reached over a link of the image.
pub(super) fn mount_point(root: &Root, target: &[u8], fstype: &str) -> Result<OwnedFd, Errno> {
    let strict = matches!(fstype, "proc" | "sysfs" | "devpts" | "mqueue" | "cgroup" | "cgroup2");
    if strict || is_kernel(target) { root.real_dir(target) } else { root.dir(target) }
}

/// [`containers_protocol::plan::Step::Mount`]. Gives the mount.
pub fn mount(child: &Child<'_>, root: &Root, m: &Mount) -> Result<OwnedFd, Failure> {
    let target = mount_point(root, &m.target.0, &m.fstype).at("mount", &m.target.0)?;
    let made = fs::new_mount(&m.fstype, &m.options, m.attr);
    let made = match made {
        Err(Errno::PERM) if child.rootless && m.fstype == "sysfs" => host_sysfs(m.attr),
        other => other,
    };
    let made = made.at("mount", &m.target.0)?;
    if m.copy_up {
        let from = root.open(&m.target.0, OFlags::RDONLY | OFlags::DIRECTORY).at("mount", &m.target.0)?;
        copy::contents(&from, &made).at("copy_up", &m.target.0)?;
    }
    attach(&made, &target).at("mount", &m.target.0)?;
    Ok(made)
}

/// A user namespace without a network namespace of its own may not mount sysfs: it gets the host's, which
/// shows it nothing that it could not see anyway.
pub(super) fn host_sysfs(attr: u64) -> Result<OwnedFd, Errno> {
    let tree = clone_tree(CWD, b"/sys", true)?;
    setattr(&tree, c"", RECURSIVE, attr, 0, libc::MS_PRIVATE)?;
    Ok(tree)
}

/// A detached copy of the mount at a path of the current mount namespace.
pub fn clone_tree(dir: impl AsFd, path: &[u8], recursive: bool) -> Result<OwnedFd, Errno> {
    let mut how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        how |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.is_empty() {
        how |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(dir, path, how)
}

/// [`containers_protocol::plan::Step::Bind`].
pub fn bind_mount(root: &Root, b: &Bind) -> Result<(), Failure> {
    let tree = clone_tree(CWD, &b.source.0, b.recursive).at("bind", &b.source.0)?;
    let stat = fstat(&tree).at("bind", &b.source.0)?;
    if b.identity.is_some_and(|(dev, ino)| (dev, ino) != (stat.st_dev, stat.st_ino)) {
        let detail = "the source was replaced by something else meanwhile";
        return Err(Failure { detail: detail.into(), ..failure("bind", &b.source.0, Errno::STALE) });
    }
    let private = if b.propagation == 0 { libc::MS_PRIVATE | libc::MS_REC } else { b.propagation };
    let deep = if private & libc::MS_REC != 0 { RECURSIVE } else { 0 };
    setattr(&tree, c"", deep, 0, 0, private & !libc::MS_REC).at("bind", &b.source.0)?;
    let attr_deep = if b.recursive { RECURSIVE } else { 0 };
    if b.attr != 0 {
        setattr(&tree, c"", attr_deep, b.attr, 0, 0).at("bind", &b.source.0)?;
    }
    if b.attr_recursive != 0 {
        setattr(&tree, c"", RECURSIVE, b.attr_recursive, 0, 0).at("bind", &b.source.0)?;
    }
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = if is_kernel(&b.target.0) {
        root.open_real(&b.target.0, OFlags::PATH)
    } else if is_dir {
        root.dir(&b.target.0)
    } else {
        root.file(&b.target.0)
    };
    attach(&tree, target.at("bind", &b.target.0)?).at("bind", &b.target.0)
}

/// Whether an error means that there is nothing at a path.
fn is_missing(e: Errno) -> bool {
    matches!(e, Errno::NOENT | Errno::NOTDIR)
}

/// One path of [`containers_protocol::plan::Step::Mask`].
pub fn mask(child: &Child<'_>, root: &Root, path: &[u8]) -> Result<(), Failure> {
    let kernel = is_kernel(path);
    let target = if kernel { root.open_real(path, OFlags::PATH) } else { root.open(path, OFlags::PATH) };
    let target = match target {
        Err(e) if is_missing(e) => return Ok(()),
        other => other.at("mask", path)?,
    };
    let stat = fstat(&target).at("mask", path)?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let source = if is_dir { child.place.empty_dir() } else { child.place.null() };
    let (folder, name) = child.corner.at(source);
    let tree = clone_tree(folder, name, false).at("mask", path)?;
    attach(&tree, &target).at("mask", path)
}

/// [`mask`] with one call. The current directory is the root.
pub fn mask_fast(child: &Child<'_>, target: &KernelPath) -> Result<(), Failure> {
    // A bind of the wrong kind is not only refused: taking it back waits for an RCU period.
    let guess = match target.dir.get() {
        Some(dir) => dir,
        None => match is_dir(&target.path) {
            Ok(dir) => dir,
            Err(e) if is_missing(e) => return Ok(()),
            Err(e) => return Err(failure("mask", target.path.to_bytes(), e)),
        },
    };
    for dir in [guess, !guess] {
        let source = if dir { child.place.empty_dir() } else { child.place.null() };
        match bind(source, &target.path, false) {
            Ok(()) => {
                target.dir.set(Some(dir));
                return Ok(());
            }
            Err(Errno::NOENT) => return Ok(()),
            // A directory is no place for a file, nor the other way round.
            Err(Errno::NOTDIR) => continue,
            Err(e) => return Err(failure("mask", target.path.to_bytes(), e)),
        }
    }
    Err(failure("mask", target.path.to_bytes(), Errno::NOTDIR))
}

fn is_dir(path: &std::ffi::CStr) -> Result<bool, Errno> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// [`read_only`] with two calls. The current directory is the root.
pub fn read_only_fast(target: &KernelPath) -> Result<(), Failure> {
    match bind(&target.path, &target.path, true) {
        Err(e) if is_missing(e) => return Ok(()),
        other => other.at("readonly", target.path.to_bytes())?,
    }
    setattr(CWD, &target.path, RECURSIVE, ATTR_RDONLY, 0, 0).at("readonly", target.path.to_bytes())
}

/// One path of [`containers_protocol::plan::Step::ReadOnly`].
pub fn read_only(root: &Root, path: &[u8]) -> Result<(), Failure> {
    let target =
        if is_kernel(path) { root.open_real(path, OFlags::PATH) } else { root.open(path, OFlags::PATH) };
    let target = match target {
        Err(e) if is_missing(e) => return Ok(()),
        other => other.at("readonly", path)?,
    };
    let tree = clone_tree(&target, b"", true).at("readonly", path)?;
    setattr(&tree, c"", RECURSIVE, ATTR_RDONLY, 0, 0).at("readonly", path)?;
    attach(&tree, &target).at("readonly", path)
}
