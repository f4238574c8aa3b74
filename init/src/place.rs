//! The launcher's private corner of a mount namespace: an empty folder and a `/dev/null` that hide paths,
//! and the points where a container's root and files are attached.
//!
//! It is one small read-only tmpfs. As the root of a namespace of its own ([`Place::Base`]), it is all that
//! a container's mount namespace starts with; nothing of the host has to be copied or left. In the
//! launcher's own namespace ([`Place::Own`]) it lies on the launcher's run folder, for containers that need
//! the host's paths.

use crate::fs;
use crate::sys::mount::{ATTR_NOSUID, ATTR_RDONLY, setattr};
use crate::sys::process;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, makedev, mkdirat, mknodat, openat, statx,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::{CStr, CString};

/// Paths of the corner.
pub struct Paths {
    null: CString,
    empty_dir: CString,
    root: CString,
    files: CString,
    sys: CString,
}

/// Which namespace a child starts in.
pub enum Place {
    /// The small one.
    Base(Paths),
    /// A copy of the launcher's.
    Own(Paths),
}

impl Place {
    fn paths(&self) -> &Paths {
        match self {
            Place::Base(paths) | Place::Own(paths) => paths,
        }
    }

    /// What hides files.
    pub fn null(&self) -> &CStr {
        &self.paths().null
    }

    /// What hides folders.
    pub fn empty_dir(&self) -> &CStr {
        &self.paths().empty_dir
    }

    /// Where the container's root is attached.
    pub fn root_point(&self) -> &CStr {
        &self.paths().root
    }

    /// Where the file system of generated files is attached.
    pub fn files_point(&self) -> &CStr {
        &self.paths().files
    }

    /// Where a sysfs waits that is made ahead.
    pub fn sys_point(&self) -> &CStr {
        &self.paths().sys
    }
}

/// The way to the corner's things from a container's first process.
pub enum Corner {
    /// By their paths.
    Paths,
    /// From its folder, for those who may not walk the way there: the run folder is private, and a user
    /// namespace's root is somebody else.
    Folder(OwnedFd),
}

impl Corner {
    /// Opens the folder, while the process still is who the run folder belongs to.
    pub fn open(place: &Place) -> Result<Corner, Errno> {
        let null = place.null().to_bytes();
        let folder = &null[..null.len() - b"null".len()];
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, folder, how, Mode::empty()).map(Corner::Folder)
    }

    /// Folder and name for one of the place's paths.
    pub fn at<'a>(&'a self, path: &'a CStr) -> (BorrowedFd<'a>, &'a [u8]) {
        match self {
            Corner::Paths => (CWD, path.to_bytes()),
            Corner::Folder(folder) => {
                let path = path.to_bytes();
                let name = path.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
                (folder.as_fd(), &path[name..])
            }
        }
    }
}

impl Paths {
    /// The paths when the corner is mounted at `at` (without a slash at the end).
    fn below(at: &[u8]) -> Result<Paths, Errno> {
        let path = |name: &str| CString::new([at, name.as_bytes()].concat()).map_err(|_| Errno::INVAL);
        Ok(Paths {
            null: path("/null")?,
            empty_dir: path("/dir")?,
            root: path("/root")?,
            files: path("/files")?,
            sys: path("/sys")?,
        })
    }

    /// The paths where the corner is the root of the namespace: the container's root covers it.
    fn at_root() -> Result<Paths, Errno> {
        Ok(Paths { root: c"/".into(), ..Paths::below(b"")? })
    }
}

/// What a launcher's corner has; one that no file is made for, and no sysfs ahead, does without the last two.
pub const FOLDERS: [&str; 4] = ["dir", "root", "files", "sys"];

/// Makes the corner's file system, detached.
pub fn make(rootless: bool, folders: &[&str]) -> Result<OwnedFd, Errno> {
    let corner = fs::tmpfs("755", "64k", ATTR_NOSUID)?;
    fill(&corner, rootless, folders)?;
    Ok(corner)
}

/// Makes it at a folder that is called as `at` ends. Who may walk there, and make nodes, does it by one call, which works on the
/// current directory; the other way takes six.
pub fn make_at(point: &OwnedFd, at: &[u8], (rootless, folders): (bool, &[&str])) -> Result<OwnedFd, Errno> {
    if rootless {
        let corner = make(rootless, folders)?;
        return crate::child::root::attach(&corner, point).map(|()| corner);
    }
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (above, name) = (openat(point, c"..", how, Mode::empty())?, at.rsplit(|b| *b == b'/').next());
    rustix::process::fchdir(point)?;
    mount("tmpfs", c".", "tmpfs", MountFlags::NOSUID, c"mode=755,size=64k")?;
    let corner = openat(above, name.unwrap_or(at), how | OFlags::NOFOLLOW, Mode::empty())?;
    fill(&corner, rootless, folders)?;
    Ok(corner)
}

fn fill(corner: &OwnedFd, rootless: bool, folders: &[&str]) -> Result<(), Errno> {
    for name in folders {
        mkdirat(corner, *name, Mode::from_raw_mode(0o755))?;
    }
    if rootless {
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        return openat(corner, "null", how, Mode::from_raw_mode(0o666)).map(drop);
    }
    mknodat(corner, "null", FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3))
}

/// Attaches the corner to a folder of the launcher's namespace and makes it read-only.
pub fn attach_own(corner: &OwnedFd, at: &[u8], rootless: bool) -> Result<Paths, Errno> {
    let point = openat(CWD, at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    crate::child::root::attach(corner, &point)?;
    finish_own(corner, at, rootless)
}

/// Makes a corner read-only that has been attached at a folder.
pub fn finish_own(corner: &OwnedFd, at: &[u8], rootless: bool) -> Result<Paths, Errno> {
    let paths = Paths::below(at)?;
    if rootless {
        let null = crate::child::mounts::clone_tree(CWD, b"/dev/null", false)?;
        let over = openat(corner, c"null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        crate::child::root::attach(&null, &over)?;
    }
    setattr(corner, c"", 0, ATTR_RDONLY, 0, libc::MS_PRIVATE)?;
    Ok(paths)
}

/// A mount namespace with nothing but the corner, and the way back.
pub struct Base {
    /// The small namespace.
    pub small: OwnedFd,
    /// The launcher's own.
    pub own: OwnedFd,
    /// Where things are in the small one.
    pub place: Place,
}

impl Base {
    /// Makes the namespace; the corner is already attached at `own_point`. Fails where this process could
    /// not come back (it was started in a chroot) or the root can't be left.
    pub fn make(own_point: &[u8]) -> Result<Base, Errno> {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let namespaces = openat(CWD, c"/proc/self/ns", how, Mode::empty())?;
        let current = || openat(&namespaces, c"mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let root_before = root_identity()?;
        let corner = crate::child::mounts::clone_tree(CWD, own_point, false)?;
        let own = current()?;
        process::unshare(libc::CLONE_NEWNS as u64)?;
        let small = enter(&corner, own_point).and_then(|()| current());
        process::setns(&own, libc::CLONE_NEWNS as u64)?;
        if root_identity()? != root_before {
            return Err(Errno::XDEV);
        }
        Ok(Base { small: small?, own, place: Place::Base(Paths::at_root()?) })
    }

    /// Runs something in the small namespace, or in a copy of it.
    pub fn within<T>(
        &self,
        copy: Option<&OwnedFd>,
        run: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        process::setns(copy.unwrap_or(&self.small), libc::CLONE_NEWNS as u64)?;
        let done = run();
        process::setns(&self.own, libc::CLONE_NEWNS as u64)?;
        done
    }
}

/// Makes the corner the root, and leaves everything else.
fn enter(corner: &OwnedFd, own_point: &[u8]) -> Result<(), Errno> {
    let point = openat(CWD, own_point, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    crate::child::root::attach(corner, &point)?;
    rustix::process::fchdir(corner)?;
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

/// Device, inode and mount of `/`.
fn root_identity() -> Result<(u32, u32, u64, u64), Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let stat = statx(CWD, c"/", AtFlags::empty(), wanted)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino, stat.stx_mnt_id))
}

/// The paths of a corner that is not made, for a container that has no mounts of its own.
pub fn unmade(at: &[u8]) -> Result<Paths, Errno> {
    Paths::below(at)
}
