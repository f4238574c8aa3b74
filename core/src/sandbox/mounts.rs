//! Mounts: those of every container, and the caller's.

use super::cache::{Cache, TTY_GROUP};
use crate::container::spec::{Spec, UserMount};
use containers_protocol::plan::{Bind, Mount, Step};
use rustix::mount::MountAttrFlags;
use std::path::Path;

const RDONLY: u64 = MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64;
const NOSUID: u64 = MountAttrFlags::MOUNT_ATTR_NOSUID.bits() as u64;
const NODEV: u64 = MountAttrFlags::MOUNT_ATTR_NODEV.bits() as u64;
const NOEXEC: u64 = MountAttrFlags::MOUNT_ATTR_NOEXEC.bits() as u64;
const NOATIME: u64 = MountAttrFlags::MOUNT_ATTR_NOATIME.bits() as u64;

fn mount(fstype: &str, target: &str, attr: u64, options: &[(&str, Option<String>)]) -> Step {
    Step::Mount(Mount {
        fstype: fstype.to_owned(),
        target: target.into(),
        attr,
        options: options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        copy_up: false,
    })
}

/// What a container has to show in `/sys/fs/cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Nothing.
    None,
    /// Groups of its own in some v1 hierarchies.
    V1,
    /// Its part of the unified hierarchy.
    V2,
}

/// `/proc`, `/dev`, `/sys` and what belongs in them. A mount of the caller's at the same place comes instead.
pub(super) fn defaults(spec: &Spec, cache: &Cache, cgroups: Cgroups, steps: &mut Vec<Step>) {
    let quiet = NOSUID | NODEV | NOEXEC;
    let sys = if spec.privileged { quiet } else { quiet | RDONLY };
    let taken = |target: &str| spec.mounts.iter().any(|m| m.target() == target);
    steps.push(mount("proc", "/proc", quiet, &[]));
    if !taken("/sys") {
        steps.push(mount("sysfs", "/sys", sys, &[]));
        match cgroups {
            _ if taken("/sys/fs/cgroup") => {}
            Cgroups::None => {}
            Cgroups::V1 => steps.push(Step::OwnCgroups { attr: sys }),
            Cgroups::V2 => steps.push(mount("cgroup2", "/sys/fs/cgroup", sys, &[])),
        }
    }
    if taken("/dev") {
        return;
    }
    steps.push(Step::DefaultDev);
    let text = |s: &str| Some(s.to_owned());
    if !taken("/dev/pts") {
        let mut options = vec![("ptmxmode", text("0666")), ("mode", text("0620"))];
        if cache.has_tty_group {
            options.push(("gid", Some(TTY_GROUP.to_string())));
        }
        steps.push(mount("devpts", "/dev/pts", NOSUID | NOEXEC, &options));
    }
    if !taken("/dev/shm") {
        let options = [("mode", text("1777")), ("size", Some(spec.shm_size.to_string()))];
        steps.push(mount("tmpfs", "/dev/shm", quiet, &options));
    }
    if !taken("/dev/mqueue") {
        steps.push(mount("mqueue", "/dev/mqueue", quiet, &[]));
    }
}

/// Folders that the image declares as volumes. They come before anything else is mounted: what the kernel's
/// file systems cover stays covered. Until there are volumes, they lie in the container's writable layer and
/// go with it.
pub(super) fn volumes(spec: &Spec, steps: &mut Vec<Step>) {
    for mount in &spec.mounts {
        if let UserMount::Volume { target, below } = mount {
            steps.push(Step::Volume { path: target.as_str().into(), later: *below });
        }
    }
}

/// The caller's mounts, in their order.
pub(super) fn users(spec: &Spec, steps: &mut Vec<Step>) {
    for mount in &spec.mounts {
        steps.push(match mount {
            UserMount::Volume { below: false, .. } => continue,
            UserMount::Volume { target, .. } => Step::AttachVolume(target.as_str().into()),
            UserMount::Bind { source, identity, target, read_only, recursive, propagation, flags } => {
                Step::Bind(Bind {
                    source: source.as_str().into(),
                    identity: Some(*identity),
                    target: target.as_str().into(),
                    attr: flag_bits(flags, 0),
                    recursive: *recursive,
                    propagation: *propagation,
                    attr_recursive: if *read_only { RDONLY } else { 0 },
                })
            }
            UserMount::Tmpfs { target, options, read_only, flags } => Step::Mount(Mount {
                fstype: "tmpfs".to_owned(),
                target: target.as_str().into(),
                attr: flag_bits(flags, NOSUID | NODEV | NOEXEC) | if *read_only { RDONLY } else { 0 },
                options: options.clone(),
                copy_up: false,
            }),
        });
    }
}

fn flag_bits(flags: &[String], default: u64) -> u64 {
    flags.iter().fold(default, |bits, flag| match flag.as_str() {
        "exec" => bits & !NOEXEC,
        "noexec" => bits | NOEXEC,
        "suid" => bits & !NOSUID,
        "nosuid" => bits | NOSUID,
        "dev" => bits & !NODEV,
        "nodev" => bits | NODEV,
        "noatime" => bits | NOATIME,
        _ => bits,
    })
}

/// A folder of the machine, read-only at the same path.
pub(super) fn shown(folder: &Path) -> Step {
    Step::Bind(Bind {
        source: folder.into(),
        identity: None,
        target: folder.into(),
        attr: 0,
        recursive: true,
        propagation: libc::MS_PRIVATE | libc::MS_REC,
        attr_recursive: RDONLY | NOSUID | NODEV,
    })
}
