//! `mounts`.

use super::namespaces::Spaces;
use super::{clean, ids, unsupported, wrong};
use crate::Result;
use crate::oci::translate::{Options, options};
use oci_spec::runtime::{Linux, Mount, Spec};
use std::path::{Component, Path};

/// Files in `/proc` that may be covered by emulations, as runc has them.
const COVERABLE: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
    "/proc/net/dev",
];

/// Checks all entries.
pub(super) fn check(spec: &Spec, linux: &Linux, spaces: &Spaces) -> Result<()> {
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        let options = options(mount);
        one(index, mount, &options)?;
        id_maps(index, mount, &options, linux, spaces)?;
    }
    Ok(())
}

fn one(index: usize, mount: &Mount, options: &Options) -> Result<()> {
    let field = |name: &str| format!("mounts[{index}].{name}");
    // A relative one begins at the root (config.md, `mounts`).
    let destination = &Path::new("/").join(mount.destination());
    let climbs = destination.components().any(|c| c == Component::ParentDir);
    ensure!(!climbs, field("destination"), "the destination contains `..`")?;
    let destination = clean(destination);
    ensure!(destination != Path::new("/"), field("destination"), "the destination is the root itself")?;
    let kind = mount.typ().as_deref().unwrap_or("");
    let bind = options.bind.is_some() || kind == "bind";
    if destination.starts_with("/proc") && destination != Path::new("/proc") {
        let known = COVERABLE.iter().any(|p| Path::new(p) == destination);
        ensure!(known, field("destination"), "nothing may be mounted there: it is inside /proc")?;
    }
    if destination == Path::new("/proc") && !bind && !options.remount {
        ensure!(kind == "proc", field("type"), "only a procfs goes on /proc")?;
    }
    if bind && !options.remount {
        let source = mount.source().as_ref().is_some_and(|s| !s.as_os_str().is_empty());
        ensure!(source, field("source"), "a bind needs a source")?;
        let message = "a bind has no options of a file system";
        ensure!(options.data.is_empty(), field("options"), message)?;
    } else if !options.remount {
        ensure!(!kind.is_empty(), field("type"), "the type is missing")?;
    }
    ensure!(!options.copy_up || kind == "tmpfs" && !bind, field("options"), "tmpcopyup is for tmpfs alone")
}

/// Id-mapped mounts are binds, and map both kinds of ids.
fn id_maps(index: usize, mount: &Mount, options: &Options, linux: &Linux, spaces: &Spaces) -> Result<()> {
    let field = |name: &str| format!("mounts[{index}].{name}");
    let bind = options.bind.is_some() || mount.typ().as_deref() == Some("bind");
    let lists = [("uidMappings", mount.uid_mappings()), ("gidMappings", mount.gid_mappings())];
    let there = lists.map(|(_, list)| list.as_ref().is_some_and(|l| !l.is_empty()));
    let user = spaces.own(libc::CLONE_NEWUSER);
    match there {
        [false, false] => {
            let asked = options.idmap.is_some();
            ensure!(!asked || bind, field("options"), "only a bind can be id-mapped")?;
            let maps = user && (linux.uid_mappings().is_some() || !spaces.fresh(libc::CLONE_NEWUSER));
            return ensure!(
                !asked || maps,
                field("options"),
                "there are neither mappings nor a user namespace",
            );
        }
        [true, false] => {
            return Err(wrong(field("gidMappings"), "there are mappings of users, but none of groups"));
        }
        [false, true] => {
            return Err(wrong(field("uidMappings"), "there are mappings of groups, but none of users"));
        }
        [true, true] => {}
    }
    ensure!(bind, field("uidMappings"), "only a bind can be id-mapped")?;
    for (name, list) in lists {
        ids::check(list.as_deref().unwrap_or_default(), &field(name))?;
    }
    // Root may give any map; others only that of their namespace.
    if !rustix::process::geteuid().is_root() {
        return Err(unsupported(field("uidMappings"), "id-mapped mounts take root"));
    }
    Ok(())
}
