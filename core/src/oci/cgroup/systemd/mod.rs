//! The systemd driver: the cgroup is that of a transient scope, and what systemd knows of limits is set as its
//! properties too.

mod properties;
mod text;

use super::place::{CgroupPath, FIELD, Machine, UnitName};
use super::{Cgroup, Tree, V1Dir, create, devices, owner, values};
use crate::cgroup::systemd::{self, Manager, Properties, Variant};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{LinuxResources, Spec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The unit of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unit {
    name: String,
    /// Of the manager of a user.
    user: bool,
    /// What its start needs: there between `create` and the first `enter`, never in the stored state.
    #[serde(skip)]
    start: Option<Arc<Start>>,
}

/// What the start of a unit needs.
#[derive(Debug)]
struct Start {
    spec: Spec,
    slice: String,
    annotated: Properties,
    done: OnceLock<()>,
}

impl Unit {
    /// What starts it, while nobody has yet.
    fn pending(&self) -> Option<&Start> {
        self.start.as_deref().filter(|start| start.done.get().is_none())
    }
}

/// Checks everything and finds the place; the unit is started when its first process is there.
pub(super) fn create(spec: &Spec, id: &str, wanted: Option<&Path>, rootless: bool) -> Result<Cgroup> {
    let unsupported = |text: &str| Error::new(ErrorKind::Unsupported, text).with_context("field", FIELD);
    if !systemd::is_running() {
        return Err(unsupported(
            "systemd doesn't run this machine; use the cgroupfs driver (no --systemd-cgroup)",
        ));
    }
    let unit = UnitName::parse(wanted, id, rootless)?;
    if unit.is_slice() {
        return Err(unsupported("processes can't be started in a slice: the name may not end with .slice"));
    }
    let annotated = properties::annotated(spec)?;
    let machine = Machine::look();
    let mut inner = PathBuf::new();
    if rootless {
        inner.push(Manager::connect(true)?.cgroup()?.trim_start_matches('/'));
    }
    inner.push(unit.path()?);
    let path = CgroupPath { absolute: true, inner };
    let tree = if machine.is_v1() {
        Tree::V1(machine.v1(&path).into_iter().map(V1Dir::from).collect())
    } else {
        Tree::V2(machine.v2(&path)?)
    };
    let start = Start { spec: spec.clone(), slice: unit.slice, annotated, done: OnceLock::new() };
    let unit = Unit { name: unit.name, user: rootless, start: Some(Arc::new(start)) };
    let mut cgroup = Cgroup { tree, rootless, unit: Some(unit), ..Cgroup::default() };
    // Whatever is wrong with the limits shows now, not when processes wait.
    cgroup.properties(&resources(spec), true, &mut || u32::MAX)?;
    let values = match &cgroup.tree {
        Tree::V1(_) => values::v1(&resources(spec), &|_, _| true)?,
        _ => values::v2(&resources(spec), Path::new("/nonexistent"))?,
    };
    cgroup.warnings = values.warnings;
    cgroup.warnings.extend(devices::warnings(resources(spec).devices().as_deref().unwrap_or_default()));
    for dir in cgroup.dirs().into_iter().filter(|dir| dir.is_dir()) {
        create::check_unused(dir)?;
    }
    Ok(cgroup)
}

fn resources(spec: &Spec) -> LinuxResources {
    spec.linux().as_ref().and_then(|l| l.resources().clone()).unwrap_or_default()
}

impl Cgroup {
    /// Has systemd start the unit with its first process, if there is to be one and it has not been started.
    pub(crate) fn start_unit(&self, pid: i32) -> Result<()> {
        let Some((unit, start)) = self.unit.as_ref().and_then(|u| Some((u, u.pending()?))) else {
            return Ok(());
        };
        let mut manager = Manager::connect(unit.user)?;
        let resources = resources(&start.spec);
        let mut properties = systemd::scope(&format!("container {}", unit.name), pid.cast_unsigned());
        properties.push(("Slice".to_owned(), Variant::from(start.slice.clone())));
        let io = if self.unified().is_some() { "IOAccounting" } else { "BlockIOAccounting" };
        for name in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", io] {
            properties.push((name.to_owned(), Variant::from(true)));
        }
        properties.extend(self.properties(&resources, true, &mut || manager.version())?);
        if let Some(group) = resources.unified().as_ref().and_then(|u| u.get("memory.oom.group")) {
            // Later changes of it are refused.
            let policy = if group.trim() == "1" { "kill" } else { "continue" };
            if manager.version() >= 253 {
                properties.push(("OOMPolicy".to_owned(), Variant::from(policy)));
            }
        }
        // What the annotations say wins.
        properties.retain(|(name, _)| !start.annotated.iter().any(|(n, _)| n == name));
        properties.extend(start.annotated.iter().cloned());
        manager.start(&unit.name, &properties)?;
        let _ = start.done.set(());
        self.complete(&start.spec, &resources)
    }

    /// After the start: the folders that systemd doesn't make, and limits that it doesn't know.
    fn complete(&self, spec: &Spec, resources: &LinuxResources) -> Result<()> {
        match &self.tree {
            Tree::V1(dirs) => {
                let machine = Machine::look();
                for dir in dirs {
                    let is_below = |h: &&crate::cgroup::hierarchy::Hierarchy| dir.dir.starts_with(&h.mount);
                    let Some(h) = machine.hierarchies.iter().find(is_below) else {
                        continue;
                    };
                    let cpuset = dir.controllers.iter().any(|c| c == "cpuset");
                    create::make_v1(&h.mount, &dir.dir, cpuset, &mut create::Made::default())
                        .map_err(|e| create::cannot_make(&dir.dir, e))?;
                }
            }
            Tree::V2(dir) => {
                let machine = Machine::look();
                let mount = &machine.unified()?.mount;
                create::make_v2(mount, dir, false, &mut create::Made::default())?;
            }
            Tree::None => {}
        }
        self.write(resources)?;
        self.apply_devices(resources.devices().as_deref().unwrap_or_default(), None)?;
        owner::delegate(spec, self)
    }

    /// What systemd is told of limits.
    fn properties(
        &self,
        resources: &LinuxResources,
        with_devices: bool,
        version: &mut dyn FnMut() -> u32,
    ) -> Result<Properties> {
        let v1 = self.unified().is_none();
        let mut all = properties::of_resources(resources, v1, version)?;
        // A user's manager may not load BPF programs.
        if (with_devices || resources.devices().is_some()) && !self.rootless {
            let rules = resources.devices().as_deref().unwrap_or_default();
            all.extend(properties::of_devices(&devices::State::build(rules)?));
        }
        Ok(all)
    }

    /// Tells systemd of changed limits, so that it doesn't set back what is written to the files.
    pub(super) fn update_unit(&self, resources: &LinuxResources) -> Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        let mut manager = Manager::connect(unit.user)?;
        let properties = self.properties(resources, false, &mut || manager.version())?;
        if properties.is_empty() { Ok(()) } else { manager.set(&unit.name, &properties) }
    }

    /// Stops the unit. One that was never started, or is gone, is fine.
    pub(super) fn stop_unit(&self) -> Result<()> {
        match &self.unit {
            Some(unit) if unit.pending().is_none() => Manager::connect(unit.user)?.stop(&unit.name),
            _ => Ok(()),
        }
    }
}
