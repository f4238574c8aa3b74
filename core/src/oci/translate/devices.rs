//! Device nodes and links in `/dev`.

use super::wrong;
use crate::Result;
use containers_protocol::extra::MountWhat;
use containers_protocol::plan::{Device, Step};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, Mount, Spec};
use std::path::{Path, PathBuf};

/// Devices that the specification gives to every container: name, major, minor.
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("random", 1, 8), ("full", 1, 7), ("tty", 5, 0), ("zero", 1, 5), ("urandom", 1, 9)];

/// Links that the specification gives to every container: where to, path.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// The largest major and minor numbers.
const MAX_MAJOR: i64 = (1 << 12) - 1;
const MAX_MINOR: i64 = (1 << 20) - 1;

/// Whether the mount puts a directory of the host at `/dev`: then nothing is made in it.
fn is_hosts_dev(mount: &Mount) -> bool {
    let same = mount.destination().components().eq(Path::new("/dev").components());
    let options = super::options(mount);
    same && (options.bind.is_some() || mount.typ().as_deref() == Some("bind"))
}

/// Puts devices and links among the mounts: behind all that they may have to do with. Those that they have nothing to do with come
/// last, if all of them lie in a fresh `/dev`: what is below `/sys`, which may have to wait for a network namespace.
pub(super) fn insert(mounts: &mut Vec<Step>, devices: Vec<Step>) {
    let is_apart = |step: &Step| match step {
        Step::MountEntry(entry) => {
            let new = matches!(entry.what, MountWhat::New { .. } | MountWhat::Cgroup);
            new && entry.target.as_path().starts_with("/sys")
        }
        _ => false,
    };
    let dev = Path::new("/dev");
    let is_dev = |step: &Step| match step {
        Step::MountEntry(entry) => {
            matches!(entry.what, MountWhat::New { .. }) && entry.target.as_path() == dev
        }
        _ => false,
    };
    let in_dev = |step: &Step| match step {
        Step::Node(Device { path, .. }) | Step::Link { path, .. } => path.as_path().parent() == Some(dev),
        _ => false,
    };
    let last = mounts.iter().rposition(|step| !is_apart(step)).map_or(0, |last| last + 1);
    let fresh = mounts[..last].iter().any(is_dev) && devices.iter().all(in_dev);
    let at = if fresh { last } else { mounts.len() };
    mounts.splice(at..at, devices);
}

/// Devices and links, unless `/dev` is the host's.
pub(super) fn steps(spec: &Spec, linux: &Linux) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if spec.mounts().iter().flatten().any(is_hosts_dev) {
        return Ok(steps);
    }
    let own: Vec<&LinuxDevice> = linux.devices().iter().flatten().collect();
    for (name, major, minor) in DEFAULT {
        let path = format!("/dev/{name}");
        if own.iter().any(|d| d.path() == Path::new(&path)) {
            continue;
        }
        let mode = libc::S_IFCHR | 0o666;
        let source = path.as_str().into();
        steps.push(Step::Node(Device { source, path: path.into(), mode, major, minor, uid: 0, gid: 0 }));
    }
    for (index, device) in own.into_iter().enumerate() {
        steps.push(Step::Node(node(index, device)?));
    }
    for (target, path) in LINKS {
        steps.push(Step::Link { target: target.into(), path: path.into() });
    }
    if Path::new("/proc/kcore").exists() {
        steps.push(Step::Link { target: "/proc/kcore".into(), path: "/dev/core".into() });
    }
    steps.push(Step::Link { target: "pts/ptmx".into(), path: "/dev/ptmx".into() });
    Ok(steps)
}

fn node(index: usize, device: &LinuxDevice) -> Result<Device> {
    let kind = match device.typ() {
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
        LinuxDeviceType::P => libc::S_IFIFO,
        LinuxDeviceType::A => {
            return Err(wrong(format!("linux.devices[{index}].type"), "a device node has one type, not all"));
        }
    };
    let number = |name: &str, value: i64, max: i64| {
        if kind == libc::S_IFIFO {
            return Ok(0);
        }
        u32::try_from(value).ok().filter(|_| value <= max).ok_or_else(|| {
            wrong(format!("linux.devices[{index}].{name}"), format!("{value} is not from 0 to {max}"))
        })
    };
    // Without a slash at its end.
    let path: PathBuf = device.path().components().collect();
    let path = containers_protocol::Bytes::from(path.as_path());
    Ok(Device {
        source: path.clone(),
        path,
        mode: kind | device.file_mode().unwrap_or(0o666) & 0o7777,
        major: number("major", device.major(), MAX_MAJOR)?,
        minor: number("minor", device.minor(), MAX_MINOR)?,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}
