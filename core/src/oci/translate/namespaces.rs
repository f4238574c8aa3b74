//! Namespaces, new or joined, and what belongs to them.

use super::{Setting, wrong};
use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::plan::{IdMap, IdMaps};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `CLONE_NEWNET`.
pub(super) const NET: u64 = libc::CLONE_NEWNET as u64;
const USER: u64 = libc::CLONE_NEWUSER as u64;

/// The namespaces of a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces {
    /// Flags of the new ones.
    pub(super) new: u64,
    /// Flags and paths of those that are joined.
    pub(super) join: Vec<(u64, Bytes)>,
    /// It has a mount namespace that is not the runtime's.
    pub(super) mounts: bool,
}

/// All types, and their `CLONE_NEW*` flags.
const TYPES: [(LinuxNamespaceType, i32); 8] = [
    (LinuxNamespaceType::Cgroup, libc::CLONE_NEWCGROUP),
    (LinuxNamespaceType::Ipc, libc::CLONE_NEWIPC),
    (LinuxNamespaceType::Mount, libc::CLONE_NEWNS),
    (LinuxNamespaceType::Network, libc::CLONE_NEWNET),
    (LinuxNamespaceType::Pid, libc::CLONE_NEWPID),
    (LinuxNamespaceType::Time, libc::CLONE_NEWTIME),
    (LinuxNamespaceType::User, libc::CLONE_NEWUSER),
    (LinuxNamespaceType::Uts, libc::CLONE_NEWUTS),
];

/// All types.
pub(in crate::oci) fn types() -> [LinuxNamespaceType; 8] {
    TYPES.map(|(kind, _)| kind)
}

/// The `CLONE_NEW*` flag of a type.
pub(super) fn flag(kind: LinuxNamespaceType) -> u64 {
    TYPES.iter().find(|(known, _)| *known == kind).map_or(0, |(_, flag)| *flag as u64)
}

/// The namespaces of a configuration.
pub(super) fn of(linux: &Linux) -> Result<Spaces> {
    let mut all = Spaces::default();
    for (index, space) in linux.namespaces().iter().flatten().enumerate() {
        let flag = flag(space.typ());
        if space.typ() == LinuxNamespaceType::Mount {
            all.mounts = true;
        }
        match space.path().as_ref().filter(|p| !p.as_os_str().is_empty()) {
            Some(path) if !path.is_absolute() => {
                return Err(wrong(format!("linux.namespaces[{index}].path"), "the path is not absolute"));
            }
            Some(path) => all.join.push((flag, Bytes::from(path.as_path()))),
            None => all.new |= flag,
        }
    }
    Ok(all)
}

/// One list of mappings.
pub(super) fn map(mappings: &Option<Vec<LinuxIdMapping>>) -> Vec<IdMap> {
    let one = |m: &LinuxIdMapping| IdMap { inside: m.container_id(), outside: m.host_id(), count: m.size() };
    mappings.iter().flatten().map(one).collect()
}

/// The maps of a new user namespace.
pub(super) fn id_maps(linux: &Linux, spaces: &Spaces, setting: &Setting<'_>) -> Result<Option<IdMaps>> {
    if spaces.new & USER == 0 {
        return Ok(None);
    }
    let (uids, gids) = (map(linux.uid_mappings()), map(linux.gid_mappings()));
    let own = |map: &[IdMap], id: u32| map.len() == 1 && map[0].count == 1 && map[0].outside == id;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // The kernel lets everybody map the own id; for others it takes the tools of the machine.
    let tools = match setting.rootless && !(own(&uids, uid) && own(&gids, gid)) {
        true if in_user_namespace() && uid == 0 => None,
        true => Some((tool("newuidmap", "uid")?, tool("newgidmap", "gid")?)),
        false => None,
    };
    Ok(Some(IdMaps { uids, gids, tools }))
}

/// Whether this is not the first user namespace: its root may map what it has, and nothing else of the machine's.
pub(in crate::oci) fn in_user_namespace() -> bool {
    /// `PROC_USER_INIT_INO` of linux/proc_ns.h.
    const FIRST: u64 = 0xefff_fffd;
    // A kernel without them has no such file.
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|space| space.ino() != FIRST)
}

fn tool(name: &str, what: &str) -> Result<Bytes> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let found: Option<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file());
    match found {
        Some(found) => Ok(Bytes::from(found)),
        None => Err(Error::new(ErrorKind::Unsupported, format!("mapping more than the own id needs {name}"))
            .with_context("field", format!("linux.{what}Mappings"))),
    }
}

/// Lines for `timens_offsets`.
pub(super) fn time_offsets(linux: &Linux) -> Bytes {
    let mut lines: Vec<String> = linux
        .time_offsets()
        .iter()
        .flatten()
        .map(|(clock, offset)| {
            format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0))
        })
        .collect();
    lines.sort();
    Bytes::from(lines.concat())
}

/// Devices that move into the network namespace, by name.
pub(super) fn net_devices(linux: &Linux) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = linux
        .net_devices()
        .iter()
        .flatten()
        .map(|(name, device)| {
            let inside = device.name().as_deref().filter(|n| !n.is_empty()).unwrap_or(name);
            (name.clone(), inside.to_owned())
        })
        .collect();
    all.sort();
    all
}

/// Whether a path names the same namespace that this process is in.
pub(in crate::oci) fn is_own(path: &Path, name: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |p: &Path| std::fs::metadata(p).ok().map(|m| (m.dev(), m.ino()));
    let own = identity(&Path::new("/proc/self/ns").join(name));
    own.is_some() && own == identity(path)
}
