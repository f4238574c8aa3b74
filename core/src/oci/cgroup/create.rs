//! Making the folders.

use super::place::{CgroupPath, FIELD, Machine};
use super::{Cgroup, Driver, Tree, V1Dir, devices, file, values};
use crate::cgroup::hierarchy;
use crate::{Error, ErrorKind, Result};
use containers_protocol::meanwhile::{Meanwhile, Program};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources, Spec};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Cgroup {
    /// What [`create`](Cgroup::create) is about to make, for a record that outlives whoever makes it. `None`: some of it
    /// is there already and may be somebody else's, or systemd makes it.
    pub(crate) fn planned(
        spec: &Spec,
        id: &str,
        (driver, machine): (Driver, &Machine),
        rootless: bool,
    ) -> Result<Option<Cgroup>> {
        if driver == Driver::Systemd {
            return Ok(None);
        }
        let path = CgroupPath::parse(wanted_path(spec), id)?;
        let tree = match machine.is_v1() {
            true => Tree::V1(machine.v1(&path).into_iter().map(V1Dir::from).collect()),
            false => Tree::V2(machine.v2(&path)?),
        };
        let planned = Cgroup { tree, rootless, ..Cgroup::default() };
        if planned.dirs().iter().any(|dir| dir.exists()) {
            return Ok(None);
        }
        // Where the path begins, there is a cgroup.
        let depth = path.inner.components().count();
        let above = |dir: &Path| -> Vec<PathBuf> {
            let between = dir.ancestors().take(depth).skip(1);
            between.take_while(|above| !above.exists()).map(Path::to_owned).collect()
        };
        let made = planned.dirs().into_iter().flat_map(above).collect();
        Ok(Some(Cgroup { made, ..planned }))
    }

    /// The program of device rules that [`create`](Cgroup::create) will need, if it will.
    pub(crate) fn program(spec: &Spec, (driver, machine): (Driver, &Machine)) -> Option<Program> {
        let needed = driver == Driver::Cgroupfs && !machine.is_v1();
        needed.then(|| devices::program(wanted_rules(spec))).flatten()
    }

    /// Makes it, with the limits of the configuration, but for one that is for [`finish`](Cgroup::finish). What was
    /// made is removed when something fails. The program of its device rules may be made `meanwhile`.
    pub(crate) fn create(
        spec: &Spec,
        id: &str,
        by: (Driver, &Machine),
        rootless: bool,
        meanwhile: Option<&Meanwhile>,
    ) -> Result<Cgroup> {
        match without_few_pids(spec) {
            None => Cgroup::make(spec, id, by, rootless, meanwhile),
            Some((rest, late)) => {
                let cgroup = Cgroup::make(&rest, id, by, rootless, meanwhile)?;
                Ok(Cgroup { late: Some(Box::new(late)), ..cgroup })
            }
        }
    }

    /// Sets the limit that a start would not fit in, once the helper has left the container alone in there.
    pub(crate) fn finish(&self) -> Result<()> {
        self.late.as_ref().map_or(Ok(()), |late| self.apply(late).map(drop))
    }

    /// Whether there is something to [finish](Cgroup::finish).
    pub(crate) fn is_unfinished(&self) -> bool {
        self.late.is_some()
    }

    fn make(
        spec: &Spec,
        id: &str,
        (driver, machine): (Driver, &Machine),
        rootless: bool,
        meanwhile: Option<&Meanwhile>,
    ) -> Result<Cgroup> {
        let wanted = wanted_path(spec);
        let none = LinuxResources::default();
        let resources = wanted_limits(spec).unwrap_or(&none);
        if driver == Driver::Systemd {
            return super::systemd::create(spec, id, wanted, rootless);
        }
        let path = CgroupPath::parse(wanted, id)?;
        let mut cgroup = Cgroup { rootless, ..Cgroup::default() };
        let mut made = Made::default();
        let filled = cgroup.fill(machine, &path, wanted.is_none(), resources, &mut made);
        let done = filled.and_then(|()| {
            let mut warnings = cgroup.limit(resources)?;
            // Without rules there are the usual ones, not none.
            warnings.extend(cgroup.apply_devices(wanted_rules(spec), meanwhile)?);
            super::owner::delegate(spec, &cgroup)?;
            Ok(warnings)
        });
        match done {
            Ok(warnings) => Ok(Cgroup { warnings, made: made.parents, ..cgroup }),
            Err(e) => {
                made.undo();
                Err(e)
            }
        }
    }

    fn fill(
        &mut self,
        machine: &Machine,
        path: &CgroupPath,
        may_lack: bool,
        resources: &LinuxResources,
        made: &mut Made,
    ) -> Result<()> {
        // Where no path was asked for, an ordinary user's container may do without a cgroup.
        let lenient = self.rootless && may_lack;
        if machine.is_v1() {
            return self.fill_v1(machine, path, lenient, made);
        }
        let unified = machine.unified()?;
        let dir = machine.v2(path)?;
        match self.fill_v2(&unified.mount, &dir, resources, made) {
            Err(e) if lenient && e.kind() == ErrorKind::Permission => Ok(()),
            filled => filled,
        }
    }

    fn fill_v1(
        &mut self,
        machine: &Machine,
        path: &CgroupPath,
        lenient: bool,
        made: &mut Made,
    ) -> Result<()> {
        let mut dirs = Vec::new();
        for place in machine.v1(path) {
            let mount = place.mount.clone();
            let dir = V1Dir::from(place);
            let cpuset = dir.controllers.iter().any(|c| c == "cpuset");
            // Nothing is limited in a unified hierarchy without controllers.
            let lenient = lenient || dir.is_unified();
            match make_v1(&mount, &dir.dir, cpuset, made) {
                Err(e) if lenient && file::is_refusal(&e) => continue,
                done => done.map_err(|e| cannot_make(&dir.dir, e))?,
            }
            made.check(&dir.dir)?;
            dirs.push(dir);
        }
        if !dirs.is_empty() {
            self.tree = Tree::V1(dirs);
        }
        Ok(())
    }

    fn fill_v2(
        &mut self,
        mount: &Path,
        dir: &Path,
        resources: &LinuxResources,
        made: &mut Made,
    ) -> Result<()> {
        let values = values::v2(resources, dir)?;
        make_v2(mount, dir, needs_domain(&values), made)?;
        made.check(dir)?;
        self.tree = Tree::V2(dir.to_owned());
        Ok(())
    }
}

/// The path that the configuration names.
fn wanted_path(spec: &Spec) -> Option<&Path> {
    let path = spec.linux().as_ref().and_then(|l| l.cgroups_path().as_deref());
    path.filter(|p| !p.as_os_str().is_empty())
}

fn wanted_limits(spec: &Spec) -> Option<&LinuxResources> {
    spec.linux().as_ref()?.resources().as_ref()
}

fn wanted_rules(spec: &Spec) -> &[LinuxDeviceCgroup] {
    wanted_limits(spec).and_then(|limits| limits.devices().as_deref()).unwrap_or_default()
}

/// Controllers that a threaded cgroup can't have are needed.
fn needs_domain(values: &values::Values) -> bool {
    ["memory", "io", "hugetlb"].iter().any(|c| values.uses(c))
}

/// So many processes must fit in: the helper that makes the first one, and hooks with programs of their own.
const START: i64 = 8;

/// A configuration whose limit of processes is lower than a start needs, without it; and that limit.
fn without_few_pids(spec: &Spec) -> Option<(Spec, LinuxResources)> {
    let linux = spec.linux().as_ref()?;
    let mut resources = linux.resources().clone()?;
    let pids = (*resources.pids()).filter(|pids| (0..START).contains(&pids.limit()))?;
    resources.set_pids(None);
    let (mut rest, mut linux) = (spec.clone(), linux.clone());
    linux.set_resources(Some(resources));
    rest.set_linux(Some(linux));
    let mut late = LinuxResources::default();
    late.set_devices(None).set_pids(Some(pids));
    Some((rest, late))
}

/// What was not there before.
#[derive(Default)]
pub(super) struct Made {
    leaves: Vec<PathBuf>,
    /// The deepest first.
    parents: Vec<PathBuf>,
}

impl Made {
    /// Makes a folder; whether it was not there.
    fn make(&mut self, dir: &Path, leaf: &Path) -> io::Result<bool> {
        match fs::create_dir(dir) {
            Ok(()) if dir == leaf => self.leaves.push(dir.to_owned()),
            Ok(()) => self.parents.insert(0, dir.to_owned()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(true)
    }

    /// Removes it. Folders that were there before are not ours to remove.
    fn undo(&self) {
        self.leaves.iter().chain(&self.parents).for_each(|dir| drop(fs::remove_dir(dir)));
    }

    /// Whether a folder may be used.
    fn check(&self, dir: &Path) -> Result<()> {
        if self.leaves.iter().any(|leaf| leaf == dir) { Ok(()) } else { check_unused(dir) }
    }
}

/// A cgroup that was there before must be empty and not frozen: processes of somebody else would count, and a
/// frozen one would never start.
pub(super) fn check_unused(dir: &Path) -> Result<()> {
    const FROZEN: [&str; 2] = ["freezer.self_freezing", "cgroup.freeze"];
    let text = file::get(dir, "cgroup.procs").map_err(|e| cannot_make(dir, e))?;
    let inside = super::kill::walk(dir).map_or(0, |pids| pids.len());
    let wrong = if !text.trim().is_empty() || inside > 0 {
        format!("container's cgroup is not empty: {} processes are in {}", inside.max(1), dir.display())
    } else if FROZEN.iter().any(|f| file::get(dir, f).is_ok_and(|v| v.trim() == "1")) {
        format!("container's cgroup unexpectedly frozen: {}", dir.display())
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InUse, wrong).with_context("field", FIELD))
}

pub(super) fn cannot_make(dir: &Path, e: io::Error) -> Error {
    let refused = file::is_refusal(&e);
    let text = match refused {
        true => {
            "the cgroup can't be made: this user has no rights there; have one delegated (systemd: \
                 Delegate=yes), or leave out the path and all limits"
        }
        false => "the cgroup can't be made",
    };
    let error = Error::io(text, e);
    error.with_context("field", FIELD).with_context("path", dir.display().to_string())
}

/// Folders from below `mount` down to `dir`.
fn steps<'a>(mount: &'a Path, dir: &'a Path) -> Vec<&'a Path> {
    let mut all: Vec<&Path> = dir.ancestors().take_while(|p| *p != mount && p.starts_with(mount)).collect();
    all.reverse();
    all
}

/// Somebody who removes an empty folder at the same time makes it vanish below us: the walk starts again.
fn retried(mut walk: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match walk() {
            Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 10 => tries += 1,
            walked => return walked,
        }
    }
}

pub(super) fn make_v1(mount: &Path, dir: &Path, cpuset: bool, made: &mut Made) -> io::Result<()> {
    retried(|| {
        for step in steps(mount, dir) {
            let fresh = made.make(step, dir)?;
            if cpuset {
                inherit_cpuset(step, fresh)?;
            }
        }
        Ok(())
    })
}

/// A fresh v1 cpuset has no processors and could hold no process: it takes those of its parent.
fn inherit_cpuset(dir: &Path, fresh: bool) -> io::Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if fresh || file::get(dir, name)?.trim().is_empty() {
            file::put(dir, name, file::get(parent, name)?.trim())?;
        }
    }
    Ok(())
}

/// Makes the folders on v2 and gives them the controllers of those above.
pub(super) fn make_v2(mount: &Path, dir: &Path, needs_domain: bool, made: &mut Made) -> Result<()> {
    let mut invalid = None;
    let walked = retried(|| {
        if dir != mount {
            enable(mount);
        }
        let root = hierarchy::is_root(mount);
        for step in steps(mount, dir) {
            let fresh = made.make(step, dir)?;
            // What is new below the root is a domain, whatever else is there.
            if !(root && fresh && step.parent() == Some(mount)) {
                invalid = invalid.take().or(threaded(step, needs_domain));
            }
            if step != dir {
                enable(step);
            }
        }
        Ok(())
    });
    walked.map_err(|e| cannot_make(dir, e))?;
    match invalid {
        None => Ok(()),
        Some(text) => Err(Error::new(ErrorKind::Conflict, text).with_context("field", FIELD)),
    }
}

/// Hands all controllers of a cgroup down. What can't be had shows where a limit is set.
fn enable(dir: &Path) {
    let words = |name: &str| file::get(dir, name).unwrap_or_default();
    let (have, given) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let given: Vec<&str> = given.split_ascii_whitespace().collect();
    let wanted: Vec<String> =
        have.split_ascii_whitespace().filter(|c| !given.contains(c)).map(|c| format!("+{c}")).collect();
    if !wanted.is_empty() && file::put(dir, "cgroup.subtree_control", &wanted.join(" ")).is_err() {
        for one in wanted {
            let _ = file::put(dir, "cgroup.subtree_control", &one);
        }
    }
}

/// Below a cgroup with processes there are only threaded ones, without memory, io and hugetlb.
fn threaded(dir: &Path, needs_domain: bool) -> Option<String> {
    let kind = file::get(dir, "cgroup.type").unwrap_or_default();
    let kind = kind.trim();
    if !matches!(kind, "domain invalid" | "domain threaded" | "threaded") {
        return None;
    }
    if needs_domain {
        return Some(format!(
            "the cgroup {} is of the type \"{kind}\": memory, I/O and huge pages can't be limited in it; choose a \
             path with no processes above it",
            dir.display()
        ));
    }
    if kind == "domain invalid" {
        let _ = file::put(dir, "cgroup.type", "threaded");
    }
    None
}
