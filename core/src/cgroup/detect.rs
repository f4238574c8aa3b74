//! What cgroups this machine has, and which of them are ours to use.

use super::hierarchy::{self, Hierarchy, WANTED, place};
use super::scope::Wanted;
use containers_protocol::Bytes;
use containers_protocol::launch::CgroupBase;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Our folder in each hierarchy.
const FOLDER: &str = "embedded-containers";

/// The cgroups that containers of one root live in.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    /// For the launcher.
    pub(crate) base: CgroupBase,
    /// `v1`, `v2` or `none`.
    pub(crate) version: &'static str,
    /// Controllers that limits can use.
    pub(crate) controllers: Vec<String>,
    /// Why there are fewer than one would like.
    pub(crate) warning: Option<String>,
    /// Nothing is delegated to us, but there is systemd to ask: what it needs.
    pub(super) scope: Option<Wanted>,
    /// There is systemd to ask, for detached containers too.
    pub(super) manager: Option<Wanted>,
}

impl Cgroups {
    /// Nothing can be had, and why.
    pub(super) fn none(warning: impl Into<String>) -> Cgroups {
        Cgroups {
            base: CgroupBase::None,
            version: "none",
            controllers: Vec::new(),
            warning: Some(warning.into()),
            scope: None,
            manager: None,
        }
    }

    /// Looks at the machine and makes the folders of a root, named by `root_hash`.
    pub(crate) fn prepare(root_hash: &str) -> Cgroups {
        let (hierarchies, own) = (hierarchy::visible(), hierarchy::own());
        let v1: Vec<_> = hierarchies.iter().filter(|h| !h.v2).collect();
        if hierarchy::uses_v1(&hierarchies) {
            return prepare_v1(&v1, &own, root_hash);
        }
        match hierarchies.iter().find(|h| h.v2) {
            Some(unified) => prepare_v2(unified, &own, root_hash),
            None => {
                Cgroups::none("no cgroup file system is mounted; mount cgroup2 at /sys/fs/cgroup for limits")
            }
        }
    }

    /// Whether limits of a controller can be set.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    /// Removes the folders of a root when nothing is in them any more.
    pub(crate) fn release(&self) {
        for folder in self.folders() {
            if fs::remove_dir(&folder).is_ok()
                && let Some(parent) = folder.parent()
            {
                let _ = fs::remove_dir(parent);
            }
        }
    }

    /// Kills what is in the cgroups of dead parents, and removes them.
    pub(crate) fn clear(&self, is_dead: impl Fn(&str) -> bool) {
        for folder in self.folders() {
            let Ok(list) = fs::read_dir(&folder) else { continue };
            for entry in list.flatten() {
                let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
                if is_dir && entry.file_name().to_str().is_some_and(&is_dead) {
                    kill_and_remove(&entry.path());
                }
            }
        }
    }

    /// Kills what is in the cgroups of one container whose parent is dead, and removes them.
    pub(crate) fn clear_one(&self, name: &str) {
        for cgroup in self.folders().into_iter().map(|folder| folder.join(name)) {
            if cgroup.exists() {
                kill_and_remove(&cgroup);
            }
        }
    }

    /// All folders in which cgroups of containers are made.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.base.folders().map(|(_, folder)| folder.as_path().to_path_buf()).collect()
    }
}

/// Kills all processes of a cgroup, those in freezers too, and removes it.
fn kill_and_remove(cgroup: &Path) {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
            return;
        }
        let _ = fs::write(cgroup.join("freezer.state"), "THAWED");
        let _ = fs::write(cgroup.join("cgroup.freeze"), "0");
        if fs::write(cgroup.join("cgroup.kill"), "1").is_err() {
            let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
            for pid in procs.lines().filter_map(|l| l.trim().parse::<i32>().ok()).filter(|pid| *pid > 1) {
                kill_member(cgroup, pid);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Kills a process of a cgroup. The id may belong to somebody else by now: what is killed is looked at again
/// through a descriptor that can't change its meaning.
fn kill_member(cgroup: &Path, pid: i32) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    if procs.lines().any(|l| l.trim().parse() == Ok(pid.as_raw_nonzero().get())) {
        let _ = pidfd_send_signal(&process, Signal::KILL);
    }
}

fn prepare_v1(hierarchies: &[&Hierarchy], own: &BTreeMap<String, String>, root_hash: &str) -> Cgroups {
    let mut base = Vec::new();
    let mut refused = None;
    for wanted in WANTED {
        let Some(h) = hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == wanted)) else {
            continue;
        };
        let folder = place(h, own.get(*wanted).map_or("/", String::as_str)).join(FOLDER).join(root_hash);
        let make = || make_v1(&folder, *wanted == "cpuset");
        // Whoever closes the root at this moment may remove what was found a moment ago.
        let again = |e: io::Error| if e.kind() == io::ErrorKind::NotFound { make() } else { Err(e) };
        match make().or_else(again).or_else(again) {
            Ok(()) => base.push(((*wanted).to_owned(), Bytes::from(folder))),
            Err(e) => {
                refused =
                    Some(format!("limits need cgroups, which can't be made in {}: {e}", folder.display()));
            }
        }
    }
    if base.is_empty() {
        return Cgroups::none(refused.unwrap_or_else(|| "no cgroup controller is mounted".into()));
    }
    let controllers = base.iter().map(|(c, _)| c.clone()).collect();
    Cgroups {
        base: CgroupBase::V1(base),
        version: "v1",
        controllers,
        warning: refused,
        scope: None,
        manager: None,
    }
}

/// Makes the folders of our own, down from one that exists.
fn make_v1(folder: &Path, cpuset: bool) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    if !parent.is_dir() {
        if parent.file_name().is_none_or(|n| n != FOLDER) {
            return Err(io::ErrorKind::NotFound.into());
        }
        make_v1(parent, cpuset)?;
    }
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if cpuset {
        // A new cpuset is empty, and nothing below it may have more.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let parents = fs::read_to_string(parent.join(file))?;
            if fs::read_to_string(folder.join(file))?.trim().is_empty() {
                fs::write(folder.join(file), parents.trim())?;
            }
        }
    }
    Ok(())
}

fn prepare_v2(h: &Hierarchy, own: &BTreeMap<String, String>, root_hash: &str) -> Cgroups {
    let own = place(h, own.get("").map_or("/", String::as_str));
    let wanted = Wanted { mount: h.mount.clone(), own, root_hash: root_hash.to_owned() };
    if !super::systemd::is_running() {
        return wanted.beside();
    }
    // What systemd has delegated to us is ours; all else is its own, so it is asked.
    let ours = wanted.delegated().and_then(|top| wanted.below(&top).ok());
    let manager = Some(wanted.clone());
    match ours {
        Some(ours) => Cgroups { manager, ..ours },
        None => Cgroups { scope: Some(wanted), manager, ..Cgroups::none("no cgroup was made yet") },
    }
}

/// Our folder in a group, as what containers use.
pub(super) fn found(parent: &Path, folder: PathBuf, mut controllers: Vec<String>) -> Cgroups {
    let wanted = ["memory", "pids", "cpu"];
    let missing: Vec<&str> = wanted.into_iter().filter(|w| !controllers.iter().any(|c| c == w)).collect();
    let warning = (!missing.is_empty())
        .then(|| format!("no cgroup controller {} in {}", missing.join(", "), parent.display()));
    controllers.push("freezer".to_owned());
    let base = CgroupBase::V2(Bytes::from(folder));
    Cgroups { base, version: "v2", controllers, warning, scope: None, manager: None }
}

/// Makes our folder in a group and enables the controllers in it.
pub(super) fn make_v2(parent: &Path, root_hash: &str) -> io::Result<(PathBuf, Vec<String>)> {
    let ours = parent.join(FOLDER);
    let folder = ours.join(root_hash);
    let made_here = !ours.is_dir();
    let make = || -> io::Result<Vec<String>> {
        for dir in [&ours, &folder] {
            match fs::create_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        for dir in [parent, &ours, &folder] {
            enable(dir)?;
        }
        Ok(words(&fs::read_to_string(folder.join("cgroup.subtree_control"))?))
    };
    make().map(|controllers| (folder.clone(), controllers)).inspect_err(|_| {
        if made_here {
            let _ = fs::remove_dir(&folder);
            let _ = fs::remove_dir(&ours);
        }
    })
}

/// Gives the controllers of a group to its children. Processes in it forbid that (`EBUSY`).
fn enable(dir: &Path) -> io::Result<()> {
    let have = words(&fs::read_to_string(dir.join("cgroup.controllers"))?);
    let given = words(&fs::read_to_string(dir.join("cgroup.subtree_control"))?);
    for wanted in ["memory", "pids", "cpu", "cpuset", "io"] {
        let wanted_too = have.iter().any(|c| c == wanted) && !given.iter().any(|c| c == wanted);
        if wanted_too {
            match fs::write(dir.join("cgroup.subtree_control"), format!("+{wanted}")) {
                // One that can't be had is missing in the end, which is said where it matters.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EACCES | libc::EPERM)) => {
                    return Err(e);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
