//! Entries of `mounts`, and the propagation of the root.

use super::{Setting, namespaces, options, wrong};
use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::extra::{IdMapping, MountEntry, MountWhat};
use containers_protocol::plan::{IdMaps, Step};
use libc::{
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
};
use oci_spec::runtime::{Linux, LinuxNamespaceType, Mount};
use std::path::Path;

/// Types whose instances are made by the kernel from nothing; others may be on a read-only device.
const PSEUDO: &[&str] = &["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs"];

/// The step of one entry.
pub(super) fn entry(index: usize, mount: &Mount, linux: &Linux, setting: &Setting<'_>) -> Result<Step> {
    let opts = super::options(mount);
    let kind = mount.typ().as_deref().unwrap_or("");
    let field = |name: &str| format!("mounts[{index}].{name}");
    let bind = opts.bind.is_some() || kind == "bind";
    if !mount.destination().is_absolute() {
        (setting.warn)(&format!("{}: it is relative, and taken from the root", field("destination")));
    }
    let mut destination = mount.destination().as_path();
    if let Some(inside) = in_root(destination, &setting.rootfs) {
        let place = field("destination");
        (setting.warn)(&format!("{place}: it is a path of the machine in root.path, and taken from there"));
        destination = inside;
    }
    let what = if opts.remount {
        MountWhat::Remount
    } else if bind {
        bind_of(mount, opts.bind.unwrap_or(false), setting)
            .ok_or_else(|| wrong(field("source"), "a bind has no source"))?
    } else if kind.is_empty() {
        return Err(wrong(field("type"), "the type is missing"));
    } else if kind == "cgroup" {
        MountWhat::Cgroup
    } else {
        new_of(kind, mount, &opts, linux)
    };
    if bind && !opts.data.is_empty() {
        let names: Vec<_> = opts.data.iter().map(|(key, _)| key.as_str()).collect();
        let message = format!("a bind has options that only a file system could know: {}", names.join(", "));
        return Err(wrong(field("options"), message));
    }
    if opts.copy_up && kind != "tmpfs" {
        return Err(wrong(field("options"), "tmpcopyup is for tmpfs alone"));
    }
    Ok(Step::MountEntry(Box::new(MountEntry {
        what,
        target: Bytes::from(Path::new("/").join(destination)),
        set: opts.attr.0,
        clear: opts.attr.1 & !if bind { kept(&opts, linux) } else { 0 },
        unasked: if bind && !opts.remount { unasked(&opts, linux) } else { 0 },
        set_recursive: opts.attr_recursive.0,
        clear_recursive: opts.attr_recursive.1,
        propagation: opts.propagation.clone(),
        idmap: idmap_of(mount, &opts),
        copy_up: opts.copy_up,
    })))
}

/// What a bind clears of its source's attributes, as for other runtimes: all that its options don't name, once
/// they name one; without any, the source's stay. In a user namespace those stay that the kernel locks there.
fn unasked(opts: &options::Options, linux: &Linux) -> u64 {
    const LOCKED: u64 = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    const TIMES: u64 = options::ATIME | MOUNT_ATTR_NODIRATIME;
    let (set, clear) = opts.attr;
    if set | clear == 0 {
        return 0;
    }
    if in_userns(linux) {
        return MOUNT_ATTR_NOSYMFOLLOW & !set;
    }
    let times = if (set | clear) & TIMES != 0 { TIMES } else { 0 };
    (LOCKED | MOUNT_ATTR_NOSYMFOLLOW | times) & !set
}

/// What a bind does not clear in a user namespace, where times of access stay as they are: `diratime` alone is no
/// change of them, as `atime` is none.
fn kept(opts: &options::Options, linux: &Linux) -> u64 {
    let (set, clear) = opts.attr;
    let alone = clear & options::ATIME == 0 && set & MOUNT_ATTR_NODIRATIME == 0;
    if alone && in_userns(linux) { MOUNT_ATTR_NODIRATIME } else { 0 }
}

fn in_userns(linux: &Linux) -> bool {
    linux.namespaces().iter().flatten().any(|space| space.typ() == LinuxNamespaceType::User)
}

/// What remains of a destination that begins with the path that the root file system has on the machine, as
/// configurations of long ago wrote them.
fn in_root<'a>(destination: &'a Path, root: &Path) -> Option<&'a Path> {
    destination.strip_prefix(root).ok().filter(|_| root != Path::new("/"))
}

/// A tmpfs that is read-only still has to take what is mounted or made in it: it gets so at the end. The steps
/// that do this; of several mounts at one place, only the first waits.
pub(super) fn read_only_later(steps: &mut [Step], terminal: bool) -> Vec<Step> {
    let mut later = Vec::new();
    for at in 0..steps.len() {
        let (before, rest) = steps.split_at_mut(at + 1);
        let Step::MountEntry(entry) = &mut before[at] else { continue };
        let is_tmpfs = matches!(&entry.what, MountWhat::New { fstype, .. } if fstype == "tmpfs");
        if !is_tmpfs || entry.set & MOUNT_ATTR_RDONLY == 0 {
            continue;
        }
        let place = entry.target.as_path();
        let target = |step: &'_ Step| match step {
            Step::MountEntry(later) => Some(later.target.as_path().to_owned()),
            _ => None,
        };
        let mut after = rest.iter().filter_map(target);
        let needed = place == Path::new("/dev") || after.clone().any(|p| p.starts_with(place));
        if needed && !after.any(|p| p == place) {
            entry.set &= !MOUNT_ATTR_RDONLY;
            if place == Path::new("/dev") && terminal {
                // A file for the terminal that is mounted there last.
                let what = MountWhat::Bind { source: Bytes::from("/dev/null"), recursive: false };
                later.push(plain(what, Bytes::from("/dev/console"), 0));
            }
            later.push(plain(MountWhat::Remount, entry.target.clone(), MOUNT_ATTR_RDONLY));
        }
    }
    later
}

fn plain(what: MountWhat, target: Bytes, set: u64) -> Step {
    Step::MountEntry(Box::new(MountEntry {
        what,
        target,
        set,
        clear: 0,
        unasked: 0,
        set_recursive: 0,
        clear_recursive: 0,
        propagation: Vec::new(),
        idmap: None,
        copy_up: false,
    }))
}

fn bind_of(mount: &Mount, recursive: bool, setting: &Setting<'_>) -> Option<MountWhat> {
    let source = mount.source().as_ref().filter(|s| !s.as_os_str().is_empty())?;
    Some(MountWhat::Bind { source: Bytes::from(setting.bundle.join(source)), recursive })
}

fn new_of(kind: &str, mount: &Mount, opts: &options::Options, linux: &Linux) -> MountWhat {
    let source = mount.source().as_ref().filter(|s| !s.as_os_str().is_empty());
    let mut options = opts.data.clone();
    if !PSEUDO.contains(&kind) && opts.attr.0 & MOUNT_ATTR_RDONLY != 0 {
        options.push(("ro".into(), None));
    }
    if let Some(label) = linux.mount_label().as_deref().filter(|l| !l.is_empty())
        && !matches!(kind, "proc" | "sysfs" | "cgroup2")
    {
        options.push(("context".into(), Some(label.to_owned())));
    }
    MountWhat::New {
        fstype: kind.to_owned(),
        source: source.map_or_else(|| Bytes::from(kind), |s| Bytes::from(s.as_path())),
        options,
    }
}

/// Mappings of its own alone make a mount id-mapped, as the option does.
fn idmap_of(mount: &Mount, opts: &options::Options) -> Option<IdMapping> {
    let uids = namespaces::map(mount.uid_mappings());
    let gids = namespaces::map(mount.gid_mappings());
    let own = !uids.is_empty() || !gids.is_empty();
    (own || opts.idmap.is_some()).then(|| IdMapping {
        maps: own.then_some(IdMaps { uids, gids, tools: None }),
        recursive: opts.idmap == Some(true),
    })
}

/// `linux.rootfsPropagation`.
pub(super) fn root_propagation(linux: &Linux) -> Result<Option<u64>> {
    let Some(name) = linux.rootfs_propagation().as_deref().filter(|n| !n.is_empty()) else { return Ok(None) };
    match options::propagation(name) {
        Some(flag) => Ok(Some(flag)),
        None => Err(Error::new(ErrorKind::InvalidArgument, format!("there is no propagation {name:?}"))
            .with_context("field", "linux.rootfsPropagation")),
    }
}
