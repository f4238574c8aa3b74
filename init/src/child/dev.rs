//! `/dev`.

use super::Child;
use super::mounts::clone_tree;
use super::root::{Root, attach};
use crate::failure::{Context, coded, failure};
use crate::fs;
use crate::sys::mount::{ATTR_NOEXEC, ATTR_NOSUID, setattr};
use containers_protocol::control::Failure;
use containers_protocol::plan::Device;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, makedev, mkdirat, mknodat, openat,
    statat, symlinkat,
};
use rustix::io::Errno;

/// Character devices that every container has: name, major, minor.
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links: where to, name.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

/// The default `/dev`, detached: nodes, links and the folders to mount on. Where nodes may not be made
/// (user namespaces), the host's are mounted over empty files.
pub fn tree(rootless: bool) -> Result<OwnedFd, Errno> {
    let dev = fs::tmpfs("755", "64k", ATTR_NOSUID | ATTR_NOEXEC)?;
    for (name, major, minor) in NODES {
        if !rootless {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor))?;
        }
    }
    for (target, name) in LINKS {
        symlinkat(target, &dev, name)?;
    }
    for name in ["pts", "shm", "mqueue"] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
    }
    Ok(dev)
}

/// [`containers_protocol::plan::Step::DefaultDev`].
pub fn default_dev(child: &Child<'_>, root: &Root) -> Result<(), Failure> {
    let target = root.real_dir(b"/dev").at("dev", b"/dev")?;
    let made;
    let dev = match child.dev {
        Some(prepared) => prepared,
        None => {
            made = tree(child.rootless).at("dev", b"/dev")?;
            std::os::fd::AsFd::as_fd(&made)
        }
    };
    attach(dev, &target).at("dev", b"/dev")?;
    if child.rootless {
        for (name, ..) in NODES {
            bind_node(root, format!("/dev/{name}").as_bytes(), format!("/dev/{name}").as_bytes())?;
        }
    }
    if child.process.tty.is_some() {
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let console = openat(dev, "console", how, Mode::from_raw_mode(0o600));
        drop(console.at("dev", b"/dev/console")?);
    }
    Ok(())
}

/// A node of the host mounted over a file.
fn bind_node(root: &Root, source: &[u8], path: &[u8]) -> Result<(), Failure> {
    let node = clone_tree(CWD, source, false).at("device", source)?;
    let target = root.file(path).at("device", path)?;
    // It is a device and nothing else.
    setattr(&node, c"", 0, ATTR_NOSUID | ATTR_NOEXEC, 0, 0).at("device", path)?;
    attach(&node, &target).at("device", path)
}

/// [`containers_protocol::plan::Step::Device`].
pub fn device(child: &Child<'_>, root: &Root, device: &Device) -> Result<(), Failure> {
    let path = &device.path.0;
    if child.rootless {
        return bind_node(root, &device.source.0, path);
    }
    let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
        Some(i) => (&path[..i + 1], &path[i + 1..]),
        None => (&b"/"[..], &path[..]),
    };
    let dir = root.dir(parent).at("device", path)?;
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    let kind = FileType::from_raw_mode(device.mode);
    match mknodat(&dir, name, kind, mode, makedev(device.major, device.minor)) {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty()).at("device", path)?;
            mknodat(&dir, name, kind, mode, makedev(device.major, device.minor)).at("device", path)?;
        }
        // Not allowed to make nodes here after all: mount the host's.
        Err(Errno::PERM) => return bind_node(root, &device.source.0, path),
        other => other.at("device", path)?,
    }
    own(&dir, name, device, path)
}

/// Owner and mode of a node that was just made.
fn own(dir: impl AsFd, name: &[u8], device: &Device, path: &[u8]) -> Result<(), Failure> {
    let there = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).at("device", path)?;
    let given = (there.st_uid, there.st_gid) != (device.uid, device.gid);
    if given {
        let owner = (Some(Uid::from_raw(device.uid)), Some(Gid::from_raw(device.gid)));
        chownat(&dir, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).at("device", path)?;
    }
    // A new owner takes some bits away, and a folder's access list others.
    if given || (there.st_mode ^ device.mode) & 0o7777 != 0 {
        let mode = Mode::from_raw_mode(device.mode & 0o7777);
        chmodat(&dir, name, mode, AtFlags::empty()).at("device", path)?;
    }
    Ok(())
}

/// The folder that the last node or link was made in, while nothing else is done.
#[derive(Default)]
pub struct Folder(Option<(Vec<u8>, OwnedFd)>);

impl Folder {
    /// Folder and name of a path, the folder being made when it is missing. `/dev` may be no link.
    fn of<'a>(&mut self, root: &Root, path: &'a [u8]) -> Result<(BorrowedFd<'_>, &'a [u8]), Errno> {
        let cut = path.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
        let (parent, name) = (&path[..cut], &path[cut..]);
        let last = match self.0.take() {
            Some(last) if last.0 == parent => last,
            _ => {
                let dir = match super::root::relative(parent) {
                    b"dev/" => root.real_dir(parent)?,
                    _ => root.dir(if parent.is_empty() { b"/" } else { parent })?,
                };
                (parent.to_vec(), dir)
            }
        };
        Ok((self.0.insert(last).1.as_fd(), name))
    }
}

/// [`containers_protocol::plan::Step::Node`].
pub fn node(child: &Child<'_>, root: &Root, folder: &mut Folder, device: &Device) -> Result<(), Failure> {
    let path = &device.path.0;
    let (dir, name) = folder.of(root, path).at("device", path)?;
    let kind = FileType::from_raw_mode(device.mode);
    let number = makedev(device.major, device.minor);
    let node = kind != FileType::Fifo;
    let made = match child.rootless && node {
        true => match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Err(Errno::PERM),
            there => there.and(Err(Errno::EXIST)),
        },
        false => mknodat(dir, name, kind, Mode::from_raw_mode(device.mode & 0o7777), number),
    };
    match made {
        Ok(()) => own(dir, name, device, path),
        Err(Errno::PERM) if node => bind_node(root, &device.source.0, path),
        Err(Errno::EXIST) => {
            let there = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).at("device", path)?;
            let numbered = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
            match FileType::from_raw_mode(there.st_mode) == kind && (!numbered || there.st_rdev == number) {
                true => Ok(()),
                false => Err(coded("conflict", "device", path, "something else is there already")),
            }
        }
        Err(e) => Err(failure("device", path, e)),
    }
}

/// [`containers_protocol::plan::Step::Link`].
pub fn link(root: &Root, folder: &mut Folder, target: &[u8], path: &[u8]) -> Result<(), Failure> {
    let (dir, name) = folder.of(root, path).at("link", path)?;
    match symlinkat(target, dir, name) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(e) => Err(failure("link", path, e)),
    }
}
