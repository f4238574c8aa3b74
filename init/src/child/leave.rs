//! The root of an OCI container: a directory of the host, the propagation around it, and the ways to leave the
//! old root for it.

use super::Child;
use super::extra::{host_proc, read_proc};
use super::mounts::clone_tree;
use super::root::{Root, attach};
use crate::failure::Context;
use crate::fs;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, RECURSIVE, setattr};
use containers_protocol::control::Failure;
use containers_protocol::extra::{Extra, Leave};
use containers_protocol::mountinfo::unescape;
use containers_protocol::plan::Step;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};
use std::ffi::CString;
use std::os::fd::AsFd;

const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the root directory, as a mount of its own where there is a mount namespace.
pub fn enter(child: &Child<'_>, extra: &Extra, path: &[u8]) -> Result<Root, Failure> {
    let own = !child.plan.steps.iter().any(|s| matches!(s, Step::PivotRoot { how: Leave::Chroot, .. }));
    if !own {
        let root = openat(CWD, path, DIR, Mode::empty()).at("rootfs", path)?;
        fchdir(&root).at("rootfs", path)?;
        return Ok(Root::new(root));
    }
    let around = match extra.propagation & !libc::MS_REC {
        0 => libc::MS_SLAVE | libc::MS_REC,
        _ => extra.propagation,
    };
    let deep = if around & libc::MS_REC != 0 { RECURSIVE } else { 0 };
    // All are slaves already.
    if around != libc::MS_SLAVE | libc::MS_REC {
        match setattr(CWD, c"/", deep, 0, 0, around & !libc::MS_REC) {
            // In a chroot, `/` is no mount.
            Err(Errno::INVAL) => {}
            done => done.at("propagation", b"/")?,
        }
    }
    let made;
    let tree = match child.root {
        Some(prepared) => prepared,
        None => {
            if around & (libc::MS_SHARED | libc::MS_UNBINDABLE) != 0 {
                close_off(path).at("propagation", path)?;
            }
            made = clone_tree(CWD, path, true).at("rootfs", path)?;
            made.as_fd()
        }
    };
    let own = if around & libc::MS_SLAVE != 0 && extra.propagation & libc::MS_SLAVE != 0 {
        libc::MS_SLAVE
    } else {
        libc::MS_PRIVATE
    };
    setattr(tree, c"", 0, 0, 0, own).at("rootfs", path)?;
    let at = match openat(CWD, path, DIR, Mode::empty()) {
        // Another user's folders are on the way.
        Err(Errno::ACCESS) => {
            let (folder, name) = child.corner.at(child.place.root_point());
            openat(folder, name, DIR, Mode::empty())
        }
        done => done,
    };
    attach(tree, at.at("rootfs", path)?).at("rootfs", path)?;
    fchdir(tree).at("rootfs", path)?;
    Ok(Root::new(openat(tree, c".", DIR, Mode::empty()).at("rootfs", path)?))
}

/// Makes the mount that a path lies in private: what is mounted there later is nobody else's business, and the
/// root could not be left otherwise.
pub fn close_off(path: &[u8]) -> Result<(), Errno> {
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)?;
    let mounts = read_proc(host_proc()?, "self/mountinfo")?;
    let id = stat.stx_mnt_id.to_string();
    let point = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        (fields.next() == Some(id.as_str())).then(|| fields.nth(3)).flatten()
    });
    let point = CString::new(unescape(point.ok_or(Errno::NOENT)?)).map_err(|_| Errno::INVAL)?;
    setattr(CWD, &point, 0, 0, 0, libc::MS_PRIVATE)
}

/// [`Step::PivotRoot`].
pub fn leave(root: &Root, readonly: bool, how: Leave, propagation: u64) -> Result<(), Failure> {
    if readonly && how != Leave::Chroot {
        setattr(root.fd(), c"", 0, ATTR_RDONLY, 0, 0).during("pivot_root")?;
    }
    fchdir(root.fd()).during("pivot_root")?;
    match how {
        Leave::Pivot => {
            let old = openat(CWD, c"/", DIR, Mode::empty()).during("pivot_root")?;
            pivot_root(c".", c".").during("pivot_root")?;
            // What goes away here must not go away elsewhere.
            setattr(&old, c"", RECURSIVE, 0, 0, libc::MS_SLAVE).during("pivot_root")?;
            fchdir(&old).during("pivot_root")?;
            unmount(c".", UnmountFlags::DETACH).during("pivot_root")?;
        }
        Leave::Move => move_over(root).during("pivot_root")?,
        Leave::Chroot => chroot(c".").during("chroot")?,
    }
    chdir(c"/").during("pivot_root")?;
    if how == Leave::Chroot || propagation == 0 {
        return Ok(());
    }
    let deep = if propagation & libc::MS_REC != 0 { RECURSIVE } else { 0 };
    setattr(root.fd(), c"", deep, 0, 0, propagation & !libc::MS_REC).during("propagation")
}

/// Moves the root over the old one. Whoever gets out of a `chroot` finds neither procfs nor sysfs of the host, and
/// a namespace below can't have whole ones of its own because the host's are there.
fn move_over(root: &Root) -> Result<(), Errno> {
    let own = rustix::process::getcwd(Vec::new())?;
    let mounts = read_proc(host_proc()?, "self/mountinfo")?;
    for path in kernel_mounts(&mounts, own.as_bytes()) {
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        if hide(&path).is_err() {
            let how = DIR | OFlags::NOFOLLOW;
            let Ok(point) = openat(CWD, &path, how, Mode::empty()) else { continue };
            let empty: OwnedFd = fs::tmpfs("0", "0", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC | ATTR_RDONLY)?;
            attach(empty, point)?;
        }
    }
    rustix::mount::mount_move(c".", c"/")?;
    fchdir(root.fd())?;
    chroot(c".")
}

/// Where procfs and sysfs are mounted outside of a folder, the latest first.
fn kernel_mounts(mountinfo: &str, own: &[u8]) -> Vec<Vec<u8>> {
    let place = |line: &str| {
        let (place, source) = line.split_once(" - ")?;
        let kind = source.split(' ').next()?;
        let place = unescape(place.split(' ').nth(4)?);
        let inside = place.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        (matches!(kind, "proc" | "sysfs") && !inside).then_some(place)
    };
    let mut all: Vec<_> = mountinfo.lines().filter_map(place).collect();
    all.reverse();
    all
}

fn hide(path: &std::ffi::CStr) -> Result<(), Errno> {
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_kernel_outside_of_the_root_are_found() {
        let line = |place: &str, kind: &str| format!("1 2 0:3 / {place} rw shared:1 - {kind} x rw\n");
        let all = [line("/proc", "proc"), line("/a/proc", "proc"), line("/ab", "sysfs"), line("/t", "tmpfs")];
        assert_eq!(kernel_mounts(&all.concat(), b"/a"), [b"/ab".to_vec(), b"/proc".to_vec()]);
    }
}
