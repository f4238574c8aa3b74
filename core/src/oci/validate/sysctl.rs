//! `linux.sysctl`: only what a namespace of the container's own keeps from the machine.

use super::namespaces::Spaces;
use super::wrong;
use crate::Result;
use crate::sandbox::sysctls::IPC;
use containers_protocol::sysctl::dotted;
use oci_spec::runtime::{Linux, Spec};

/// Checks all sysctls.
pub(super) fn check(spec: &Spec, linux: &Linux, spaces: &Spaces) -> Result<()> {
    for (key, value) in linux.sysctl().iter().flatten() {
        let field = format!("linux.sysctl.{key}");
        let name = dotted(key);
        let parts_are_names = name
            .split('.')
            .all(|part| !part.is_empty() && part.split('/').all(|p| !p.is_empty()) && !part.contains(".."));
        ensure!(parts_are_names && name.contains('.'), &*field, "it is not the name of a sysctl")?;
        let space = if name.starts_with("net.") {
            Some((libc::CLONE_NEWNET, "network"))
        } else if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
            Some((libc::CLONE_NEWIPC, "IPC"))
        } else if matches!(name.as_str(), "kernel.domainname" | "kernel.hostname") {
            Some((libc::CLONE_NEWUTS, "UTS"))
        } else if name.starts_with("user.") {
            Some((libc::CLONE_NEWUSER, "user"))
        } else {
            None
        };
        let Some((flag, what)) = space else {
            return Err(wrong(field, "it belongs to no namespace: a change would be one of the machine"));
        };
        ensure!(spaces.own(flag), &*field, format!("it needs a {what} namespace that is not the machine's"))?;
        let other = |n: &Option<String>| n.as_deref().is_some_and(|n| !n.is_empty() && n != value);
        let twice = name == "kernel.hostname" && other(spec.hostname())
            || name == "kernel.domainname" && other(spec.domainname());
        ensure!(!twice, &*field, "a property of its own gives another name")?;
    }
    Ok(())
}
