//! Masked and read-only paths that lie in the kernel's own file systems, prepared once for all containers
//! that have the same ones.

use super::KernelPath;
use containers_protocol::Bytes;
use containers_protocol::extra::MountWhat;
use containers_protocol::plan::{Plan, Step};
use std::cell::Cell;
use std::ffi::CString;
use std::rc::Rc;

/// Which step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// `Mask`.
    Mask,
    /// `ReadOnly`.
    ReadOnly,
}

/// A list as it came, and prepared.
struct Known {
    kind: PathKind,
    paths: Vec<Bytes>,
    prepared: Rc<[KernelPath]>,
}

/// The last list of each kind.
#[derive(Default)]
pub struct KernelPaths {
    known: Vec<Known>,
}

impl KernelPaths {
    /// The plan's list. `None`: it has another number of such steps than one, or a path that is not in a
    /// file system of the kernel which the plan mounts at its usual place.
    pub fn of(&mut self, plan: &Plan, kind: PathKind) -> Option<Rc<[KernelPath]>> {
        let mut lists = plan.steps.iter().filter_map(|step| match (step, kind) {
            (Step::Mask(paths), PathKind::Mask) | (Step::ReadOnly(paths), PathKind::ReadOnly) => Some(paths),
            _ => None,
        });
        let paths = lists.next()?;
        if lists.next().is_some() || !mounts(plan, "proc", b"/proc") || !mounts(plan, "sysfs", b"/sys") {
            return None;
        }
        if let Some(known) = self.known.iter().find(|k| k.kind == kind && k.paths == *paths) {
            return Some(Rc::clone(&known.prepared));
        }
        let prepared: Rc<[KernelPath]> = paths.iter().map(prepare).collect::<Option<_>>()?;
        self.known.retain(|k| k.kind != kind);
        self.known.push(Known { kind, paths: paths.clone(), prepared: Rc::clone(&prepared) });
        Some(prepared)
    }
}

fn prepare(path: &Bytes) -> Option<KernelPath> {
    let inside = path.0.strip_prefix(b"/")?;
    let kernel = inside.starts_with(b"proc/") || inside.starts_with(b"sys/");
    let plain = inside.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
    if !kernel || !plain {
        return None;
    }
    Some(KernelPath { path: CString::new(inside).ok()?, dir: Cell::new(None) })
}

/// Whether the plan mounts a file system of the kernel at its usual place, and nothing else in it that could
/// hold links.
fn mounts(plan: &Plan, fstype: &str, target: &[u8]) -> bool {
    let is_kernel = |fstype: &str| matches!(fstype, "proc" | "sysfs" | "cgroup2" | "cgroup");
    let mut found = false;
    for step in &plan.steps {
        let (path, new) = match step {
            Step::Mount(m) => (&m.target.0, Some(m.fstype.as_str())),
            Step::MountEntry(entry) => match &entry.what {
                MountWhat::New { fstype, .. } => (&entry.target.0, Some(fstype.as_str())),
                MountWhat::Cgroup => (&entry.target.0, Some("cgroup")),
                MountWhat::Bind { .. } => (&entry.target.0, None),
                MountWhat::Remount => continue,
            },
            Step::Bind(b) => (&b.target.0, None),
            Step::Overlay { target, .. } => (&target.0, None),
            _ => continue,
        };
        found |= path == target && new == Some(fstype);
        if path.starts_with(target) && !new.is_some_and(is_kernel) {
            return false;
        }
    }
    found
}
