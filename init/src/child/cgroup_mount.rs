//! A mount of type `cgroup`: the container's part of the machine's hierarchies.

use super::entries::set_flags;
use super::mounts::{clone_tree, mount_point};
use super::root::{Root, attach, attach_at};
use super::{Child, extra};
use crate::failure::Context;
use crate::fs;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, setattr};
use containers_protocol::control::Failure;
use containers_protocol::extra::{Hierarchy, MountEntry};
use containers_protocol::plan::Rootfs;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, mkdirat, symlinkat};
use rustix::io::Errno;
use std::path::Path;

/// `CGROUP_SUPER_MAGIC`.
const CGROUP: u64 = 0x27_e0eb;

/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;

/// Where cgroups usually are.
const USUAL: &str = "/sys/fs/cgroup";

/// The inode of the root of a hierarchy.
const FIRST: u64 = 1;

/// The mount, as one tree.
pub fn mount(child: &Child<'_>, root: &Root, entry: &MountEntry) -> Result<(), Failure> {
    let at = &entry.target.0;
    let target = mount_point(root, at, "cgroup").at("cgroup", at)?;
    let known = child.plan.extra.as_ref().map_or(&[][..], |extra| &extra.hierarchies);
    match known {
        [] => {}
        [only] if only.controllers.is_empty() => {
            return alone(child, &target, entry, || Ok([&*only.point.0, &only.path.0].concat()));
        }
        known => return all(child, target, known, entry),
    }
    // The whole of v2 is where v1 would be: the list of all mounts, which is dear, need not be read.
    let usual = shows(USUAL, CGROUP2) && rustix::fs::stat(USUAL).is_ok_and(|found| found.st_ino == FIRST);
    let mounts = if usual { String::new() } else { proc_file("self/mountinfo")? };
    let memberships = proc_file("self/cgroup")?;
    // What an entry brought into the root, this one covers.
    let own = match &child.plan.rootfs {
        Rootfs::Dir { path } => path.as_path(),
        Rootfs::Overlay(_) => Path::new("/nonexistent"),
    };
    let hierarchies = v1(&memberships, &mounts, own);
    if hierarchies.is_empty() {
        return alone(child, &target, entry, || {
            let point = if usual { Some(USUAL) } else { unified_point(&mounts) };
            let path = memberships.lines().find_map(|l| l.strip_prefix("0::"));
            Ok([point.ok_or(Errno::NODEV)?, path.ok_or(Errno::NODEV)?].concat().into_bytes())
        });
    }
    all(child, target, &hierarchies, entry)
}

/// A folder with each v1 hierarchy.
fn all(
    child: &Child<'_>,
    target: OwnedFd,
    hierarchies: &[Hierarchy],
    entry: &MountEntry,
) -> Result<(), Failure> {
    let at = &entry.target.0;
    let folder = fs::tmpfs("755", "0", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC).at("cgroup", at)?;
    attach(&folder, &target).at("cgroup", at)?;
    for hierarchy in hierarchies {
        one(child, &folder, hierarchy, entry).at("cgroup", &hierarchy.point.0)?;
    }
    // Whatever the entry says: links and folders in there are nobody's to change.
    set_flags(&folder, entry, entry.set, entry.clear)
}

fn proc_file(path: &str) -> Result<String, Failure> {
    extra::host_proc().and_then(|proc| extra::read_proc(proc, path)).at("cgroup", path.as_bytes())
}

/// The v1 hierarchies that are mounted outside of the new root and that this process is in.
fn v1(memberships: &str, mounts: &str, own: &Path) -> Vec<Hierarchy> {
    let mut all: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
        let (&[_, _, _, top, point, ..], &["cgroup", _, options]) = (left.as_slice(), right.as_slice())
        else {
            continue;
        };
        if Path::new(point).starts_with(own) {
            continue;
        }
        let member = memberships.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let mine = |c: &str| options.split(',').any(|o| o == c);
            (!controllers.is_empty() && controllers.split(',').all(mine)).then_some((controllers, path))
        });
        let Some((controllers, path)) = member.filter(|_| shows(point, CGROUP)) else { continue };
        let controllers: Vec<String> = controllers.split(',').map(str::to_owned).collect();
        if all.iter().all(|h| h.controllers != controllers) {
            // Without a cgroup namespace, a container's mount begins below the hierarchy's root.
            let below = path.strip_prefix(top.trim_end_matches('/')).unwrap_or(path);
            all.push(Hierarchy { point: point.into(), controllers, path: below.into() });
        }
    }
    all
}

/// Whether a file system of a kind is what one finds at its mount point: something else may be mounted over it.
fn shows(point: &str, magic: u64) -> bool {
    rustix::fs::statfs(point).is_ok_and(|found| found.f_type as u64 == magic)
}

/// One v1 hierarchy in its folder, and links for each of several controllers.
fn one(child: &Child<'_>, folder: &OwnedFd, h: &Hierarchy, entry: &MountEntry) -> Result<(), Errno> {
    let name = h.point.as_path().file_name().and_then(|name| name.to_str()).ok_or(Errno::INVAL)?;
    mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    let quiet = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC | entry.set & ATTR_RDONLY;
    let tree = if child.cgroup_namespace {
        let option = |c: &String| match c.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (c.clone(), None),
        };
        let mut options: Vec<_> = h.controllers.iter().map(option).collect();
        if h.controllers.iter().any(|c| c.starts_with("name=")) {
            options.insert(0, ("none".to_owned(), None));
        }
        fs::new_mount_from(b"cgroup", "cgroup", &options, quiet).map_err(|(e, _)| e)?
    } else {
        let tree = clone_tree(CWD, [&*h.point.0, &h.path.0].concat().as_slice(), false)?;
        setattr(&tree, c"", 0, quiet, 0, libc::MS_PRIVATE)?;
        tree
    };
    attach_at(&tree, folder, name)?;
    if h.controllers.len() > 1 {
        for controller in h.controllers.iter().filter(|c| *c != name) {
            match symlinkat(name, folder, controller.as_str()) {
                Err(Errno::EXIST) | Ok(()) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

/// Where cgroup2 is mounted.
fn unified_point(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4).filter(|_| right.starts_with("cgroup2 "))?;
        shows(point, CGROUP2).then_some(point)
    })
}

/// cgroup2 alone: a mount of its own in a namespace of its own, else the machine's from where the container is down.
fn alone(
    child: &Child<'_>,
    target: &OwnedFd,
    entry: &MountEntry,
    place: impl FnOnce() -> Result<Vec<u8>, Errno>,
) -> Result<(), Failure> {
    let at = &entry.target.0;
    let made = match child.cgroup_namespace {
        true => fs::new_mount_from(b"cgroup", "cgroup2", &[], entry.set).map_err(|(e, _)| e),
        false => place().and_then(|place| clone_tree(CWD, &place, false)),
    };
    let made = made.at("cgroup", at)?;
    set_flags(&made, entry, entry.set, entry.clear)?;
    attach(&made, target).at("cgroup", at)
}
