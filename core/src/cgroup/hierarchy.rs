//! The cgroup hierarchies that are mounted on this machine, and our own place in them.

use crate::sys::read_kernel_file;
use containers_protocol::mountinfo;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of `/proc/self/mountinfo` that is a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// The cgroup shown at the mount point.
    pub(crate) root: String,
    /// The unified one.
    pub(crate) v2: bool,
    /// v1 controllers among the mount's options, and its name (`name=…`).
    pub(crate) controllers: Vec<String>,
}

/// What is mounted and visible to this process.
pub(crate) fn visible() -> Vec<Hierarchy> {
    let mounts = read_kernel_file("/proc/self/mountinfo").unwrap_or_default();
    parse_mounts(&mounts).into_iter().filter(is_visible).collect()
}

/// The whole of v2 where v1 would be, which OCI runtimes take as the sign that there is no v1: it costs less than a look at
/// all mounts.
pub(crate) fn unified_alone() -> Option<Hierarchy> {
    const USUAL: &str = "/sys/fs/cgroup";
    let h = Hierarchy { mount: USUAL.into(), root: "/".into(), v2: true, controllers: Vec::new() };
    (is_visible(&h) && is_root(&h.mount)).then_some(h)
}

/// Whether a folder of a hierarchy is the root of it, in whatever cgroup namespace: the first that there was.
pub(crate) fn is_root(dir: &Path) -> bool {
    const FIRST: u64 = 1;
    rustix::fs::stat(dir).is_ok_and(|found| found.st_ino == FIRST)
}

/// The cgroups of this process: controller (empty on v2) to path.
pub(crate) fn own() -> BTreeMap<String, String> {
    parse_own(&read_kernel_file("/proc/self/cgroup").unwrap_or_default())
}

/// Controllers that decide whether a machine is a v1 one: with any of them there, v2 lacks what limits need.
pub(crate) const WANTED: &[&str] = &["memory", "pids", "cpu", "cpuset", "freezer", "devices"];

/// Whether limits go through v1 hierarchies here.
pub(crate) fn uses_v1(hierarchies: &[Hierarchy]) -> bool {
    let wanted = |c: &String| WANTED.contains(&c.as_str());
    hierarchies.iter().any(|h| !h.v2 && h.controllers.iter().any(wanted))
}

/// Whether a hierarchy is what one finds at its mount point: something else may be mounted over it.
pub(crate) fn is_visible(h: &Hierarchy) -> bool {
    const V1: i64 = 0x0027_e0eb;
    const V2: i64 = 0x6367_7270;
    let wanted = if h.v2 { V2 } else { V1 };
    rustix::fs::statfs(&h.mount).is_ok_and(|found| found.f_type == wanted)
}

/// Where a cgroup of the hierarchy is in the file system. One outside of what the mount shows: the mount.
pub(crate) fn place(h: &Hierarchy, cgroup: &str) -> PathBuf {
    let inside = Path::new(cgroup).strip_prefix(&h.root).unwrap_or(Path::new(""));
    if inside.as_os_str().is_empty() {
        return h.mount.clone();
    }
    let folder = h.mount.join(inside);
    if folder.is_dir() { folder } else { h.mount.clone() }
}

pub(crate) fn parse_mounts(mountinfo: &str) -> Vec<Hierarchy> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - cgroup")?;
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        if !matches!(kind, "" | "2") {
            return None;
        }
        let mut left = left.split(' ').skip(3);
        let (root, mount) = (left.next()?, left.next()?);
        Some(Hierarchy {
            mount: path(mount),
            root: path(root).to_string_lossy().into_owned(),
            v2: kind == "2",
            controllers: options.split(',').map(str::to_owned).collect(),
        })
    };
    mountinfo.lines().filter_map(line).collect()
}

/// The path in a field of mountinfo.
pub(crate) fn path(field: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(mountinfo::unescape(field)))
}

/// `/proc/self/cgroup`: controller (empty on v2) to path.
pub(crate) fn parse_own(text: &str) -> BTreeMap<String, String> {
    let mut own = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        if let (Some(controllers), Some(path)) = (fields.next(), fields.next()) {
            for controller in controllers.split(',') {
                own.insert(controller.to_owned(), path.to_owned());
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_read() {
        let text = "\
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate
22 1 8:1 / / rw - ext4 /dev/sda1 rw
";
        let found = parse_mounts(text);
        assert_eq!(found.len(), 2);
        assert!(found[0].controllers.iter().any(|c| c == "cpuacct") && !found[0].v2);
        assert!(found[1].v2 && found[1].root == "/a");
    }

    #[test]
    fn own_cgroups_are_read() {
        let own = parse_own("4:memory:/a:b\n2:cpu,cpuacct:/c\n0::/d\n");
        assert_eq!(own["memory"], "/a:b");
        assert_eq!(own["cpuacct"], "/c");
        assert_eq!(own[""], "/d");
    }
}
