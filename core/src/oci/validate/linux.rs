//! The rest of `linux`.

use super::namespaces::Spaces;
use super::{process, sysctl, unsupported, wrong};
use crate::Result;
use crate::oci::translate::{mask, propagation};
use oci_spec::runtime::{Linux, LinuxDeviceType, MemoryPolicyModeType as Mode, Spec};
use std::collections::HashSet;
use std::path::{Component, Path};

/// Longest name of a network device.
const MAX_DEVICE: usize = 15;

/// Checks everything else.
pub(super) fn check(spec: &Spec, linux: &Linux, spaces: &Spaces) -> Result<()> {
    sysctl::check(spec, linux, spaces)?;
    devices(linux)?;
    paths(linux, spaces)?;
    if let Some(name) = linux.rootfs_propagation().as_deref().filter(|n| !n.is_empty()) {
        let known = propagation(name).is_some();
        ensure!(known, "linux.rootfsPropagation", format!("there is no propagation {name:?}"))?;
    }
    if let Some(path) = linux.cgroups_path() {
        let climbs = path.components().any(|c| c == Component::ParentDir);
        ensure!(!climbs, "linux.cgroupsPath", "the path contains `..`")?;
    }
    if let Some(pids) = linux.resources().as_ref().and_then(|r| r.pids().as_ref()) {
        ensure!(
            pids.limit() >= -1,
            "linux.resources.pids.limit",
            "-1 is without limit, and nothing is below",
        )?;
    }
    if let Some(flags) = linux.personality().as_ref().and_then(|p| p.flags().as_ref()) {
        ensure!(flags.is_empty(), "linux.personality.flags", "there are no flags yet")?;
    }
    if linux.mount_label().as_deref().is_some_and(|l| !l.is_empty()) && !process::has_selinux() {
        return Err(unsupported("linux.mountLabel", "the kernel has no SELinux, or it is switched off"));
    }
    memory_policy(linux)?;
    rdt(linux)?;
    net_devices(linux, spaces)
}

fn devices(linux: &Linux) -> Result<()> {
    for (index, device) in linux.devices().iter().flatten().enumerate() {
        let field = |name: &str| format!("linux.devices[{index}].{name}");
        ensure!(device.typ() != LinuxDeviceType::A, field("type"), "a device node has one type, not all")?;
        ensure!(device.path().is_absolute(), field("path"), "the path is not absolute")?;
        let named = device.path().file_name().is_some();
        ensure!(named, field("path"), "the path has no name at its end")?;
        for (name, number) in [("major", device.major()), ("minor", device.minor())] {
            ensure!(number >= 0, field(name), format!("{number} is negative"))?;
        }
        ensure!(device.file_mode().is_none_or(|m| m & !0o177_777 == 0), field("fileMode"), "it is no mode")?;
    }
    Ok(())
}

fn paths(linux: &Linux, spaces: &Spaces) -> Result<()> {
    for (field, all) in
        [("linux.maskedPaths", linux.masked_paths()), ("linux.readonlyPaths", linux.readonly_paths())]
    {
        for (index, path) in all.iter().flatten().enumerate() {
            let at = || format!("{field}[{index}]");
            ensure!(Path::new(path).is_absolute(), at(), "the path is not absolute")?;
            ensure!(spaces.own(libc::CLONE_NEWNS), at(), "it needs a mount namespace")?;
        }
    }
    Ok(())
}

const NODES: &str = "linux.memoryPolicy.nodes";

fn memory_policy(linux: &Linux) -> Result<()> {
    let Some(policy) = linux.memory_policy() else { return Ok(()) };
    let nodes = policy.nodes().as_deref().filter(|n| !n.is_empty());
    let bits = nodes.map(|nodes| {
        mask(nodes, NODES).map_err(|_| wrong(NODES, format!("invalid memory policy node in {nodes:?}")))
    });
    let count: u32 = bits.transpose()?.iter().flatten().map(|word| word.count_ones()).sum();
    match policy.mode() {
        Mode::MpolDefault | Mode::MpolLocal => {
            ensure!(nodes.is_none(), NODES, format!("the mode requires 0 nodes but got {count}"))
        }
        Mode::MpolPreferred => Ok(()),
        _ => ensure!(nodes.is_some(), NODES, "the mode needs nodes"),
    }
}

fn rdt(linux: &Linux) -> Result<()> {
    let Some(rdt) = linux.intel_rdt() else { return Ok(()) };
    let field = |name: &str| format!("linux.intelRdt.{name}");
    if let Some(id) = rdt.clos_id() {
        let plain = !id.is_empty() && id != "." && id != ".." && !id.contains('/');
        ensure!(plain || id == "/", field("closID"), "it is neither the name of a folder nor \"/\"")?;
    }
    if let Some(schema) = rdt.mem_bw_schema().as_deref().filter(|schema| !schema.is_empty()) {
        let one = schema.starts_with("MB:") && !schema.contains('\n');
        ensure!(one, field("memBwSchema"), "it is not one line that begins with MB:")?;
    }
    for (index, line) in rdt.schemata().iter().flatten().enumerate() {
        ensure!(!line.contains('\n'), field(&format!("schemata[{index}]")), "it is not one line")?;
    }
    crate::oci::rdt::mounted().map(drop)
}

fn net_devices(linux: &Linux, spaces: &Spaces) -> Result<()> {
    let mut inside = HashSet::new();
    for (name, device) in linux.net_devices().iter().flatten() {
        let field = format!("linux.netDevices.{name}");
        ensure!(
            spaces.own(libc::CLONE_NEWNET),
            &*field,
            "it needs a network namespace that is not the machine's",
        )?;
        let new = device.name().as_deref().filter(|n| !n.is_empty()).unwrap_or(name);
        for name in [name.as_str(), new] {
            ensure!(is_device_name(name), &*field, format!("not the name of a network device: {name:?}"))?;
        }
        if !inside.insert(new) {
            return Err(wrong(field, format!("two devices would be called {new}")));
        }
    }
    Ok(())
}

fn is_device_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    !name.is_empty() && name.len() <= MAX_DEVICE && name != "." && name != ".." && !name.contains(bad)
}
