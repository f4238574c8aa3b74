//! Overlay mounts.

mod old;

use crate::fs;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, idmap, setattr};
use crate::sys::security::with_fs_ids;
use containers_protocol::control::Failure;
use containers_protocol::plan::Overlay;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Uid, chmodat, chownat, mkdirat, open, openat, stat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, fsconfig_set_flag, fsconfig_set_string, open_tree};
use std::ffi::CStr;

use crate::failure::{Context, failure};

/// `fsconfig` takes strings shorter than this.
const MAX_VALUE: usize = 256;

/// What an owner that the user namespace does not have looks like.
const NOBODY: u32 = 65534;

/// Sets a path option, by way of a descriptor when it is too long.
fn set_path(config: &OwnedFd, key: &str, path: &[u8], open_fds: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    if path.len() < MAX_VALUE {
        return fsconfig_set_string(config, key, path);
    }
    let fd = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
    open_fds.push(fd);
    fsconfig_set_string(config, key, name)
}

/// Sets the layers one by one, or as a list where the kernel can't.
fn set_lower(
    config: &OwnedFd,
    lower: &[&[u8]],
    fds: &mut Vec<OwnedFd>,
) -> Result<Option<old::FdFolder>, Errno> {
    let Some((first, rest)) = lower.split_first() else { return Err(Errno::INVAL) };
    if old::collects_options() {
        return old::set_lower_list(config, lower, fds).map(Some);
    }
    match set_path(config, "lowerdir+", first, fds) {
        Err(Errno::INVAL) => old::set_lower_list(config, lower, fds).map(Some),
        Err(e) => Err(e),
        Ok(()) => {
            rest.iter().try_for_each(|path| set_path(config, "lowerdir+", path, fds))?;
            Ok(None)
        }
    }
}

/// Makes `upper` and `work` in a folder; those that exist are kept. Whether there was one already. A new `upper`
/// looks like the topmost layer, for an overlay shows its owner and mode as those of the root folder.
fn make_writable(dir: impl AsFd, topmost: &[u8]) -> Result<bool, Errno> {
    let mut used = false;
    for (name, mode) in [(c"upper", 0o755), (c"work", 0o700)] {
        match mkdirat(&dir, name, Mode::from_raw_mode(mode)) {
            Ok(()) if name == c"upper" => look_like(&dir, name, mode, topmost)?,
            Ok(()) => {}
            Err(Errno::EXIST) => used = true,
            Err(e) => return Err(e),
        }
    }
    Ok(used)
}

/// Gives a new folder the mode and the owner of another one, as far as the user namespace has that owner.
fn look_like(dir: impl AsFd, name: &CStr, mode: u32, other: &[u8]) -> Result<(), Errno> {
    // Where it is missing, the mount says so.
    let Ok(like) = stat(other) else { return Ok(()) };
    if like.st_mode & 0o7777 != mode {
        chmodat(&dir, name, Mode::from_raw_mode(like.st_mode & 0o7777), AtFlags::empty())?;
    }
    let (uid, gid) = (like.st_uid, like.st_gid);
    if (uid, gid) == (0, 0) || uid == NOBODY || gid == NOBODY {
        return Ok(());
    }
    chownat(&dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)
}

/// Whose ids the layers have.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    /// Those of the user namespace that this process is in.
    pub rootless: bool,
    /// They are to be seen through the map of a user namespace that is below ours.
    pub mapped: Option<Mapped<'a>>,
}

/// A user namespace below ours.
#[derive(Clone, Copy)]
pub struct Mapped<'a> {
    /// The namespace.
    pub userns: BorrowedFd<'a>,
    /// What its root is here: user, group.
    pub root: (u32, u32),
}

/// Mounts an overlay, detached. Runs in the launcher's mount namespace.
pub fn mount(overlay: &Overlay, ids: Ids<'_>) -> Result<OwnedFd, Failure> {
    let mut lower: Vec<Vec<u8>> = overlay.lower.iter().map(|p| p.0.clone()).collect();
    let first = overlay.lower.first().map_or(&b""[..], |p| p.0.as_slice());
    if let (None, false, [one]) = (&overlay.writable, overlay.in_memory, lower.as_slice()) {
        let tree = read_only_bind(one).at("overlay", one)?;
        map_ids(&tree, ids, one)?;
        return Ok(tree);
    }
    // Trees that are attached nowhere.
    let mut loose = Vec::new();
    if ids.mapped.is_some() {
        for path in &mut lower {
            let tree = bind(path).at("overlay", path)?;
            map_ids(&tree, ids, path)?;
            *path = format!("/proc/self/fd/{}", tree.as_raw_fd()).into_bytes();
            loose.push(tree);
        }
    }
    let mut writable = None;
    if overlay.in_memory {
        let tmpfs = fs::tmpfs("755", "0", ATTR_NOSUID | ATTR_NODEV).at("overlay", b"tmpfs")?;
        make_layer(&tmpfs, first).at("overlay", b"tmpfs")?;
        map_ids(&tmpfs, ids, b"tmpfs")?;
        writable = Some(tmpfs.as_raw_fd());
        loose.push(tmpfs);
    } else if let Some(folder) = &overlay.writable {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let dir = openat(CWD, &*folder.0, how, Mode::empty()).at("overlay", &folder.0)?;
        make_layer(&dir, first).at("overlay", &folder.0)?;
        if ids.mapped.is_some() {
            let tree = bind(&folder.0).at("overlay", &folder.0)?;
            map_ids(&tree, ids, &folder.0)?;
            writable = Some(tree.as_raw_fd());
            loose.push(tree);
        } else {
            return assemble(overlay, &lower, Some(dir.as_raw_fd()), ids).at("overlay", first);
        }
    }
    let attaches = old::attaches() && !loose.is_empty();
    let made = if attaches { Err(Errno::INVAL) } else { assemble(overlay, &lower, writable, ids) };
    if made.as_ref().err() != Some(&Errno::INVAL) || loose.is_empty() {
        return made.at("overlay", first);
    }
    let (lower, _open) = old::by_descriptors(&lower).at("overlay", first)?;
    let _attached = old::Attached::new(&loose, first).at("overlay", first)?;
    assemble(overlay, &lower, writable, ids).inspect(|_| old::attach_from_now()).at("overlay", first)
}

/// Configures and makes the mount of layers that are ready.
fn assemble(
    overlay: &Overlay,
    lower: &[Vec<u8>],
    writable: Option<RawFd>,
    ids: Ids<'_>,
) -> Result<OwnedFd, Errno> {
    let lower: Vec<&[u8]> = lower.iter().map(Vec::as_slice).collect();
    let mut fds = Vec::new();
    let config = fs::open("overlay")?;
    fsconfig_set_string(&config, c"source", c"overlay")?;
    if let Some(fd) = writable {
        set_writable(&config, fd)?;
    }
    let _folder = set_lower(&config, &lower, &mut fds)?;
    if ids.rootless {
        fsconfig_set_flag(&config, c"userxattr")?;
    }
    if overlay.volatile && writable.is_some() {
        fsconfig_set_flag(&config, c"volatile")?;
    }
    let read_only = if writable.is_some() { 0 } else { ATTR_RDONLY };
    let Some(mapped) = ids.mapped else { return fs::finish(&config, read_only) };
    // The overlay works with the ids of whoever mounts it, and the layers know only those of the map.
    let (uid, gid) = mapped.root;
    with_fs_ids(uid, gid, || fs::finish(&config, read_only)).and_then(|made| made)
}

/// A writable layer that was mounted `volatile` refuses to be mounted again, in case that writes were lost
/// in a crash. None was: the machine is still up, as the layer's owner is.
fn forget_volatile(dir: &OwnedFd) -> Result<(), Errno> {
    for path in [c"work/work/incompat/volatile/dirty", c"work/work/incompat/volatile"] {
        let dirty = path.to_bytes().ends_with(b"dirty");
        let flags = if dirty { AtFlags::empty() } else { AtFlags::REMOVEDIR };
        match unlinkat(dir, path, flags) {
            // Mode 000 keeps the rootless out.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Shows a detached tree through the id map of a container's user namespace.
fn map_ids(tree: &OwnedFd, ids: Ids<'_>, path: &[u8]) -> Result<(), Failure> {
    let Some(mapped) = ids.mapped else { return Ok(()) };
    idmap(tree, mapped.userns, false).map_err(|e| {
        let mut f = failure("userns", path, e);
        if matches!(e, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) {
            f.code = "unsupported".into();
            f.detail =
                "the kernel (before 5.19) or the file system has no id-mapped mounts for overlays".into();
        }
        f
    })
}

/// Makes `upper` and `work` in a folder, or readies those that are there.
fn make_layer(dir: &OwnedFd, topmost: &[u8]) -> Result<(), Errno> {
    if make_writable(dir, topmost)? { forget_volatile(dir) } else { Ok(()) }
}

/// Uses `upper` and `work` of an open folder as the writable layer.
fn set_writable(config: &OwnedFd, at: RawFd) -> Result<(), Errno> {
    fsconfig_set_string(config, c"upperdir", format!("/proc/self/fd/{at}/upper"))?;
    fsconfig_set_string(config, c"workdir", format!("/proc/self/fd/{at}/work"))
}

/// A folder as it is, read-only.
fn read_only_bind(path: &[u8]) -> Result<OwnedFd, Errno> {
    let tree = bind(path)?;
    setattr(&tree, c"", 0, ATTR_RDONLY, 0, libc::MS_PRIVATE)?;
    Ok(tree)
}

/// A folder as it is, without what is mounted below it.
pub fn bind(path: &[u8]) -> Result<OwnedFd, Errno> {
    let how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, how)
}
