//! cgroups of a configuration: `linux.cgroupsPath` and `linux.resources` on v1 and v2, made through the file
//! system or by systemd.
//!
//! On v1 a container is in every hierarchy that is mounted, as other runtimes do it. That of a hybrid machine which is
//! unified has no controllers, but names the container to whoever asks there (journald, BPF programs).

mod create;
mod devices;
mod file;
mod freeze;
mod kill;
mod oom;
mod owner;
mod place;
mod remove;
mod stats;
mod systemd;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_systemd;
mod values;

#[allow(unused_imports, reason = "the verbs that name them come next")]
pub(crate) use {
    oom::{OomEvents, OomNews},
    place::Machine,
    stats::Stats,
};

use crate::{Error, ErrorKind, Result};
use containers_protocol::extra::Hierarchy;
use containers_protocol::meanwhile::Meanwhile;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who makes the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Driver {
    /// The file system.
    Cgroupfs,
    /// systemd, over D-Bus.
    Systemd,
}

/// The cgroup of one container. What is stored in its state suffices for everything but the first
/// [`enter`](Cgroup::enter).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    tree: Tree,
    /// Folders above it that were made for it, the deepest first: removed with it when they are empty.
    #[serde(default)]
    made: Vec<PathBuf>,
    /// Made by an ordinary user: device rules, which need privileges, are left out.
    #[serde(default)]
    rootless: bool,
    /// The unit that systemd made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<systemd::Unit>,
    /// A limit that is set when the container has been made.
    #[serde(skip)]
    late: Option<Box<LinuxResources>>,
    /// What could not be set and was no limit that is in force.
    #[serde(skip)]
    warnings: Vec<String>,
}

/// Its folders.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Tree {
    /// It has none: an ordinary user's container without limits and without a path.
    #[default]
    None,
    V1(Vec<V1Dir>),
    V2(PathBuf),
}

/// Its folder in one hierarchy of a machine with v1.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct V1Dir {
    /// Of the unified hierarchy: one without a name.
    controllers: Vec<String>,
    dir: PathBuf,
}

impl From<place::V1Place> for V1Dir {
    fn from(place: place::V1Place) -> V1Dir {
        V1Dir { controllers: place.controllers, dir: place.dir }
    }
}

impl V1Dir {
    /// It is in the unified hierarchy of a hybrid machine.
    fn is_unified(&self) -> bool {
        self.controllers.iter().any(String::is_empty)
    }
}

impl Cgroup {
    /// Whether it has a cgroup at all: without one its processes can be found only through its namespaces.
    pub(crate) fn exists(&self) -> bool {
        self.dirs().first().is_some_and(|dir| dir.is_dir())
    }

    /// Whether nothing was made.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.tree, Tree::None)
    }

    /// Warnings of its creation: options of the configuration that the kernel no longer knows.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The folders by controller; the key of the unified hierarchy is empty.
    pub(crate) fn paths(&self) -> BTreeMap<String, PathBuf> {
        match &self.tree {
            Tree::None => BTreeMap::new(),
            Tree::V1(dirs) => {
                let all = dirs.iter().flat_map(|d| d.controllers.iter().map(|c| (c.clone(), d.dir.clone())));
                all.collect()
            }
            Tree::V2(dir) => BTreeMap::from([(String::new(), dir.clone())]),
        }
    }

    /// The folder on v2.
    pub(crate) fn unified(&self) -> Option<&Path> {
        match &self.tree {
            Tree::V2(dir) => Some(dir),
            _ => None,
        }
    }

    /// What a mount of cgroups shows of it in a container with this root file system. Empty: that is not known here,
    /// because some hierarchies are left out or lie in there.
    pub(crate) fn hierarchies(&self, machine: &Machine, rootfs: &Path) -> Vec<Hierarchy> {
        let shown = |dir: &Path, controllers: &[String]| {
            let holds = |h: &&crate::cgroup::hierarchy::Hierarchy| match controllers.first() {
                Some(first) => !h.v2 && h.controllers.contains(first),
                None => h.v2,
            };
            let found = machine.hierarchies.iter().find(|h| holds(h) && !h.mount.starts_with(rootfs))?;
            let path = dir.strip_prefix(&found.mount).ok()?;
            Some(Hierarchy {
                point: found.mount.as_path().into(),
                controllers: controllers.to_vec(),
                path: Path::new("/").join(path).as_path().into(),
            })
        };
        let all: Option<_> = match &self.tree {
            _ if self.rootless => None,
            Tree::None => None,
            Tree::V1(dirs) => {
                let dirs = dirs.iter().filter(|dir| !dir.is_unified());
                dirs.map(|dir| shown(&dir.dir, &dir.controllers)).collect()
            }
            Tree::V2(dir) => shown(dir, &[]).map(|one| vec![one]),
        };
        all.unwrap_or_default()
    }

    /// The folder that `clone3` can put a process into: in the unified hierarchy, of a hybrid machine too.
    pub(crate) fn birthplace(&self) -> Option<&Path> {
        match &self.tree {
            Tree::V1(dirs) => dirs.iter().find(|d| d.is_unified()).map(|d| d.dir.as_path()),
            _ => self.unified(),
        }
    }

    /// The files through which a process enters it by writing `0`; without that of the [`birthplace`](Self::birthplace)
    /// if it was `born` there. On v1 those of single threads: a process that moves itself, and has one thread, does not
    /// wait for an RCU period.
    pub(crate) fn entrances(&self, born: bool) -> Vec<PathBuf> {
        let birthplace = self.birthplace();
        let dirs = self.dirs().into_iter().filter(|dir| !born || Some(*dir) != birthplace);
        dirs.map(|dir| dir.join(if Some(dir) == birthplace { "cgroup.procs" } else { "tasks" })).collect()
    }

    /// Changes limits: what `resources` doesn't name stays as it is. Returns warnings.
    pub(crate) fn apply(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        let mut warnings = self.limit(resources)?;
        if let Some(rules) = resources.devices() {
            warnings.extend(self.apply_devices(rules, None)?);
        }
        Ok(warnings)
    }

    /// The same but for device rules.
    fn limit(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        if let Tree::V2(dir) = &self.tree {
            values::check_usage(resources, dir)?;
        }
        self.update_unit(resources)?;
        self.write(resources)
    }

    /// Writes limits to their files.
    fn write(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        match &self.tree {
            Tree::None => self.nothing_to_limit(resources),
            Tree::V1(_) => {
                let has = |controller: &str, name: &str| {
                    self.v1(controller).is_some_and(|dir| dir.join(name).exists())
                };
                let values = values::v1(resources, &has)?;
                let find = |w: &values::Write| {
                    self.v1(&w.controller).ok_or_else(|| not_mounted(&w.controller, &w.field))
                };
                values::write_all(&values, find)
            }
            Tree::V2(dir) => {
                let values = values::v2(resources, dir)?;
                values::write_all(&values, |_| Ok(dir.as_path()))
            }
        }
    }

    /// Device rules, where this process may set them; on v2 their program may be made `meanwhile`. Returns warnings.
    fn apply_devices(
        &self,
        rules: &[LinuxDeviceCgroup],
        meanwhile: Option<&Meanwhile>,
    ) -> Result<Vec<String>> {
        let set = match &self.tree {
            Tree::None => Ok(()),
            Tree::V1(_) => match self.v1("devices") {
                Some(dir) => devices::set_v1(rules, dir),
                None => Err(not_mounted("devices", "linux.resources.devices")),
            },
            Tree::V2(dir) => devices::set_v2(rules, dir, meanwhile),
        };
        match set {
            // An ordinary user can't open devices that the mount namespace doesn't have either.
            Err(e) if self.rootless && e.kind() != ErrorKind::InvalidArgument => {}
            set => set?,
        }
        Ok(devices::warnings(rules))
    }

    /// Without a cgroup only what limits nothing is fine.
    fn nothing_to_limit(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        let values = values::v2(resources, Path::new("/nonexistent"))?;
        match values.writes.iter().find(|w| w.missing == values::Missing::Fails) {
            None => Ok(values.warnings),
            Some(write) => Err(Error::new(
                ErrorKind::Unsupported,
                "the limit can't be set: the container has no cgroup, because this user may not make one; have \
                 one delegated (systemd-run --user --scope -p Delegate=yes, or --systemd-cgroup)",
            )
            .with_context("field", write.field.clone())),
        }
    }

    /// The folder of a v1 controller.
    fn v1(&self, controller: &str) -> Option<&Path> {
        match &self.tree {
            Tree::V1(dirs) => {
                dirs.iter().find(|d| d.controllers.iter().any(|c| c == controller)).map(|d| d.dir.as_path())
            }
            _ => None,
        }
    }

    /// All folders.
    fn dirs(&self) -> Vec<&Path> {
        match &self.tree {
            Tree::None => Vec::new(),
            Tree::V1(dirs) => dirs.iter().map(|d| d.dir.as_path()).collect(),
            Tree::V2(dir) => vec![dir],
        }
    }

    /// The limits of memory of cgroups above it, as far as this process is in none of them.
    pub(crate) fn memory_above(&self, machine: &Machine) -> Vec<u64> {
        let (dir, file) = match &self.tree {
            Tree::V2(dir) => (dir.as_path(), "memory.max"),
            _ => match self.v1("memory") {
                Some(dir) => (dir, "memory.limit_in_bytes"),
                None => return Vec::new(),
            },
        };
        let strangers = machine.strangers_above(dir);
        let limits = strangers.map(|dir| file::get(dir, file).ok()?.trim().parse().ok());
        limits.flatten().collect()
    }

    /// The folder in which its processes are looked for.
    fn members(&self) -> Option<&Path> {
        match &self.tree {
            Tree::V1(dirs) => {
                let known = ["freezer", "devices", "pids"].iter().find_map(|c| self.v1(c));
                known.or_else(|| dirs.first().map(|d| d.dir.as_path()))
            }
            _ => self.unified(),
        }
    }
}

/// A v1 controller that a limit needs.
fn not_mounted(controller: &str, field: &str) -> Error {
    let text = format!(
        "the limit can't be set: the {controller} controller of cgroup v1 is not mounted; mount -t cgroup -o \
         {controller} {controller} /sys/fs/cgroup/{controller} if the kernel has it (/proc/cgroups)"
    );
    Error::new(ErrorKind::Unsupported, text).with_context("field", field)
}
