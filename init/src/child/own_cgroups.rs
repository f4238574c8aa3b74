//! `/sys/fs/cgroup` on a machine with cgroup v1: the hierarchies in which the container has a group of its own.
//! The others would show the groups of everybody else.

use super::mounts::mount_point;
use super::root::{Root, attach};
use super::{Child, extra};
use crate::failure::Context;
use crate::fs;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID};
use containers_protocol::control::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;

/// Where they are.
pub const PATH: &[u8] = b"/sys/fs/cgroup";

/// Controllers that are mounted together.
type Together = Vec<String>;

/// The hierarchies that have one of the wanted controllers, from a `/proc/self/cgroup`.
pub fn hierarchies(memberships: &str, wanted: &[&str]) -> Vec<Together> {
    let controllers = memberships.lines().filter_map(|line| line.split(':').nth(1));
    let together = controllers.map(|list| list.split(',').map(str::to_owned).collect::<Together>());
    together.filter(|list| list.iter().any(|c| wanted.contains(&c.as_str()))).collect()
}

/// The machine's hierarchies that have one of the wanted controllers, from its procfs or another.
pub fn read(proc: OwnedFd, wanted: &[&str]) -> Result<Vec<Together>, Errno> {
    extra::read_proc(proc, "self/cgroup").map(|text| hierarchies(&text, wanted))
}

/// A detached tmpfs with a folder for each hierarchy, and links where several controllers share one.
pub fn folders(all: &[Together]) -> Result<OwnedFd, Errno> {
    let tmpfs = fs::tmpfs("755", "64k", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)?;
    for together in all {
        let name = together.join(",");
        mkdirat(&tmpfs, name.as_str(), Mode::from_raw_mode(0o755))?;
        for controller in together.iter().filter(|_| together.len() > 1) {
            symlinkat(name.as_str(), &tmpfs, controller.as_str())?;
        }
    }
    Ok(tmpfs)
}

/// Attaches a hierarchy in its folder, once the folders are attached themselves.
pub fn put(folders: &OwnedFd, together: &Together, tree: &OwnedFd) -> Result<(), Errno> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    attach(tree, openat(folders, together.join(","), how, Mode::empty())?)
}

/// [`containers_protocol::plan::Step::OwnCgroups`], with nothing ready: the container's cgroup namespace makes its
/// groups the roots of new mounts.
pub fn mount(child: &Child<'_>, root: &Root, attr: u64) -> Result<(), Failure> {
    let make = || -> Result<(), Errno> {
        let wanted: Vec<&str> = child.plan.cgroup.iter().flat_map(|plan| plan.controllers()).collect();
        let all = read(extra::procfs()?, &wanted)?;
        let folders = folders(&all)?;
        attach(&folders, mount_point(root, PATH, "cgroup")?)?;
        for together in &all {
            let options: Vec<_> = together.iter().map(|c| (c.clone(), None)).collect();
            put(&folders, together, &fs::new_mount("cgroup", &options, attr)?)?;
        }
        crate::sys::mount::setattr(&folders, c"", 0, attr, 0, 0)
    };
    make().at("cgroup", PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_wanted() {
        let text = "4:memory:/a\n3:cpu,cpuacct:/b:c\n2:blkio:/\n1:name=systemd:/\n0::/d\n";
        let found = hierarchies(text, &["cpu", "memory"]);
        assert_eq!(found, [vec!["memory".to_owned()], vec!["cpu".to_owned(), "cpuacct".to_owned()]]);
        assert!(hierarchies(text, &[]).is_empty());
    }
}
