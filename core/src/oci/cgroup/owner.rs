//! Whose the cgroup is: with a cgroup namespace and a writable `/sys/fs/cgroup` on v2, the container's user may
//! make sub-cgroups.

use super::{Cgroup, Tree};
use crate::{Error, Result};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fs::Uid;
use std::fs;
use std::io;

/// Files that a delegated cgroup's owner writes, where the kernel doesn't name them.
const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// Hands the cgroup over, as the specification wants it.
pub(super) fn delegate(spec: &Spec, cgroup: &Cgroup) -> Result<()> {
    let Tree::V2(dir) = &cgroup.tree else { return Ok(()) };
    let Some(uid) = owner(spec) else { return Ok(()) };
    let failed = |e: io::Error| {
        Error::io("the cgroup can't be given to the container's user", e)
            .with_context("path", dir.display().to_string())
    };
    let give = |path: &std::path::Path| match rustix::fs::chown(path, Some(uid), None) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        given => given.map_err(|e| failed(e.into())),
    };
    give(dir)?;
    let files = fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| FILES.to_owned());
    files.lines().filter(|f| !f.is_empty() && !f.contains('/')).try_for_each(|f| give(&dir.join(f)))
}

/// The user on the host, unless the cgroup is theirs anyway or not to be handed over.
fn owner(spec: &Spec) -> Option<Uid> {
    let linux = spec.linux().as_ref()?;
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let has_new = |wanted| {
        namespaces
            .iter()
            .any(|n| n.typ() == wanted && n.path().as_ref().is_none_or(|p| p.as_os_str().is_empty()))
    };
    let is_writable = spec.mounts().iter().flatten().any(|m| {
        let is_cgroup = matches!(m.typ().as_deref(), Some("cgroup" | "cgroup2"));
        is_cgroup && !m.options().iter().flatten().any(|o| o == "ro" || o == "rro")
    });
    if !has_new(LinuxNamespaceType::Cgroup) || !is_writable {
        return None;
    }
    let inside = spec.process().as_ref().map_or(0, |p| p.user().uid());
    let maps = linux.uid_mappings().as_deref().unwrap_or_default();
    let host = if maps.is_empty() {
        inside
    } else {
        maps.iter().find_map(|m| {
            let offset = inside.checked_sub(m.container_id())?;
            (offset < m.size()).then(|| m.host_id().checked_add(offset)).flatten()
        })?
    };
    (host != rustix::process::geteuid().as_raw()).then(|| Uid::from_raw(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mount: &str, maps: &str) -> Spec {
        let json = format!(
            r#"{{"ociVersion":"1.2.0","root":{{"path":"r"}},"process":{{"cwd":"/","args":["a"],
                "user":{{"uid":5,"gid":0}}}},"mounts":[{{"destination":"/sys/fs/cgroup","type":"cgroup",
                "source":"cgroup","options":[{mount}]}}],
                "linux":{{"namespaces":[{{"type":"cgroup"}}],"uidMappings":[{maps}]}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_writable_cgroup_belongs_to_the_containers_user() {
        let map = r#"{"containerID":0,"hostID":100000,"size":6}"#;
        assert_eq!(owner(&spec(r#""rw""#, map)).map(|u| u.as_raw()), Some(100_005));
        assert_eq!(owner(&spec(r#""rw""#, "")).map(|u| u.as_raw()), Some(5));
        assert_eq!(owner(&spec(r#""ro""#, map)), None);
        let outside = r#"{"containerID":0,"hostID":100000,"size":5}"#;
        assert_eq!(owner(&spec("", outside)), None);
    }
}
