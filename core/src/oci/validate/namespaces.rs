//! Namespaces, mappings, time offsets.

use super::{ids, unsupported, wrong};
use crate::oci::translate::is_own_namespace;
use crate::{Error, Result};
use oci_spec::runtime::{Linux, LinuxNamespaceType};
use std::path::Path;

/// `CLONE_NEWTIME`.
const NEWTIME: i32 = 0x80;

/// The namespaces that a container does not share with the runtime.
pub(super) struct Spaces {
    own: u64,
    new: u64,
}

impl Spaces {
    /// Whether it has one of this type that is not the runtime's.
    pub(super) fn own(&self, flag: i32) -> bool {
        self.own & flag as u64 != 0
    }

    /// Whether it gets a new one of this type.
    pub(super) fn fresh(&self, flag: i32) -> bool {
        self.new & flag as u64 != 0
    }
}

/// The flag and the name below `/proc/self/ns` of a type.
fn names(kind: LinuxNamespaceType) -> (i32, &'static str) {
    match kind {
        LinuxNamespaceType::Mount => (libc::CLONE_NEWNS, "mnt"),
        LinuxNamespaceType::Cgroup => (libc::CLONE_NEWCGROUP, "cgroup"),
        LinuxNamespaceType::Uts => (libc::CLONE_NEWUTS, "uts"),
        LinuxNamespaceType::Ipc => (libc::CLONE_NEWIPC, "ipc"),
        LinuxNamespaceType::User => (libc::CLONE_NEWUSER, "user"),
        LinuxNamespaceType::Pid => (libc::CLONE_NEWPID, "pid"),
        LinuxNamespaceType::Network => (libc::CLONE_NEWNET, "net"),
        LinuxNamespaceType::Time => (NEWTIME, "time"),
    }
}

/// What a kernel without one of the namespaces is to be told. It is looked for when a start has failed, since a look at
/// each costs as much as their list: those that a kernel is likely to lack are looked for [before](check).
pub(crate) fn missing(linux: &Linux) -> Result<()> {
    linux.namespaces().iter().flatten().enumerate().try_for_each(|(index, space)| present(index, space.typ()))
}

fn present(index: usize, kind: LinuxNamespaceType) -> Result<()> {
    let (_, name) = names(kind);
    match Path::new("/proc/self/ns").join(name).exists() {
        true => Ok(()),
        false => {
            let field = format!("linux.namespaces[{index}].type");
            Err(unsupported(field, format!("the kernel has no {name} namespaces")))
        }
    }
}

/// Checks everything about namespaces.
pub(super) fn check(linux: &Linux) -> Result<Spaces> {
    let (mut seen, mut spaces) = (0, Spaces { own: 0, new: 0 });
    for (index, space) in linux.namespaces().iter().flatten().enumerate() {
        let at = |name: &str| format!("linux.namespaces[{index}].{name}");
        let (flag, name) = names(space.typ());
        let flag = flag as u64;
        ensure!(seen & flag == 0, at("type"), format!("the namespace is there twice: {name}"))?;
        seen |= flag;
        use LinuxNamespaceType::{Cgroup, Time, User};
        if matches!(space.typ(), User | Cgroup | Time) {
            present(index, space.typ())?;
        }
        match space.path().as_ref().filter(|p| !p.as_os_str().is_empty()) {
            Some(path) => {
                ensure!(path.is_absolute(), at("path"), "the path is not absolute")?;
                std::fs::metadata(path).map_err(|e| {
                    Error::io("can't find the namespace", e)
                        .with_context("field", at("path"))
                        .with_context("path", path.display().to_string())
                })?;
                if !is_own_namespace(path, name) {
                    spaces.own |= flag;
                }
            }
            None => {
                spaces.own |= flag;
                spaces.new |= flag;
            }
        }
    }
    mappings(linux, &spaces, seen & libc::CLONE_NEWUSER as u64 != 0)?;
    times(linux, &spaces)?;
    Ok(spaces)
}

fn mappings(linux: &Linux, spaces: &Spaces, user: bool) -> Result<()> {
    for (field, mappings) in
        [("linux.uidMappings", linux.uid_mappings()), ("linux.gidMappings", linux.gid_mappings())]
    {
        let mappings = mappings.as_deref().unwrap_or_default();
        ensure!(mappings.is_empty() || user, field, "mappings need a user namespace")?;
        if spaces.fresh(libc::CLONE_NEWUSER) {
            ensure!(!mappings.is_empty(), field, "a new user namespace needs mappings")?;
        }
        ids::check(mappings, field)?;
    }
    Ok(())
}

fn times(linux: &Linux, spaces: &Spaces) -> Result<()> {
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        let field = format!("linux.timeOffsets.{clock}");
        ensure!(matches!(clock.as_str(), "monotonic" | "boottime"), &*field, "there is no such clock")?;
        ensure!(
            offset.nanosecs().is_none_or(|n| n < 1_000_000_000),
            &*field,
            "nanoseconds are below one second",
        )?;
        if !spaces.fresh(NEWTIME) {
            return Err(wrong(field, "offsets need a new time namespace"));
        }
    }
    Ok(())
}
