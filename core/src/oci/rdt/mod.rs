//! `linux.intelRdt`: groups of the kernel's resctrl file system, which share caches and memory bandwidth out
//! (Documentation/filesystems/resctrl.rst; Intel RDT, AMD QoS, Arm MPAM).

mod schemata;
mod stats;
#[cfg(test)]
mod tests;

use super::record::Record;
use crate::{Error, ErrorKind, Result};
use containers_protocol::mountinfo::unescape;
use oci_spec::runtime::{LinuxIntelRdt, Spec};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The JSON path of what this module reads.
pub(super) const FIELD: &str = "linux.intelRdt";

/// Where it is usually mounted.
const USUAL: &str = "/sys/fs/resctrl";

/// `RDTGROUP_SUPER_MAGIC`.
const MAGIC: u64 = 0x0765_5821;

/// The group of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Its class of service.
    dir: PathBuf,
    /// The folder was made for this container alone, and is removed with it.
    own: bool,
    /// Its monitoring group.
    monitor: Option<PathBuf>,
}

/// The mount point of resctrl.
pub(super) fn mounted() -> Result<PathBuf> {
    let usual = Path::new(USUAL);
    if rustix::fs::statfs(usual).is_ok_and(|stat| stat.f_type as u64 == MAGIC) {
        return Ok(usual.to_owned());
    }
    let mounts = crate::sys::read_kernel_file("/proc/self/mountinfo").unwrap_or_default();
    point_of(&mounts).ok_or_else(|| {
        let text = "no resctrl file system is mounted; mount -t resctrl resctrl /sys/fs/resctrl, if the machine's \
                    processor has Intel RDT or AMD QoS and the kernel knows it";
        Error::new(ErrorKind::Unsupported, text).with_context("field", FIELD)
    })
}

/// The mount point in a text of `/proc/self/mountinfo`.
fn point_of(mounts: &str) -> Option<PathBuf> {
    let point = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4).filter(|_| kind.starts_with("resctrl "))?;
        Some(PathBuf::from(OsString::from_vec(unescape(point))))
    };
    mounts.lines().find_map(point)
}

/// Makes the group that a configuration asks for, on record before, and puts the process in it that makes the container's: what
/// it makes is in there too.
pub(super) fn share_out(
    spec: &Spec,
    (record, dir): (&mut Record, &Path),
    maker: i32,
    warn: &dyn Fn(&str),
) -> Result<()> {
    let Some(rdt) = spec.linux().as_ref().and_then(|l| l.intel_rdt().as_ref()) else { return Ok(()) };
    if rdt.enable_cmt().is_some() || rdt.enable_mbm().is_some() {
        warn("linux.intelRdt: enableCMT and enableMBM mean nothing since version 1.3; use enableMonitoring");
    }
    let group = Group::planned(rdt, &record.id, &mounted()?);
    record.rdt = Some(group.clone());
    record.save(dir)?;
    group.make(rdt)?;
    group.enter(maker)
}

impl Group {
    /// What [`make`](Group::make) is about to make, for a record that outlives whoever makes it.
    pub(super) fn planned(rdt: &LinuxIntelRdt, id: &str, root: &Path) -> Group {
        let (dir, own) = match rdt.clos_id().as_deref() {
            Some("/") => (root.to_owned(), false),
            Some(class) => (root.join(class), false),
            // One that is there is somebody else's.
            None => (root.join(id), !root.join(id).exists()),
        };
        let monitor = rdt.enable_monitoring().unwrap_or(false).then(|| dir.join("mon_groups").join(id));
        Group { dir, own, monitor }
    }

    /// Makes what isn't there, and shares out what the configuration says.
    pub(super) fn make(&self, rdt: &LinuxIntelRdt) -> Result<()> {
        let lines = schemata::wanted(rdt);
        let there = self.dir.is_dir();
        if !there && rdt.clos_id().is_some() && lines.is_empty() {
            let text = "the class of service does not exist; make it, or say what it has (schemata)";
            return Err(Error::new(ErrorKind::PathNotFound, text)
                .with_context("field", "linux.intelRdt.closID")
                .with_context("path", self.dir.display().to_string()));
        }
        if !there {
            fs::create_dir(&self.dir).map_err(|e| self.failed("the resctrl group can't be made", e))?;
            return self.fill(&lines).inspect_err(|_| drop(fs::remove_dir(&self.dir)));
        }
        if rdt.clos_id().is_some() {
            schemata::compare(rdt, &self.read("schemata")?)?;
        }
        self.fill(&lines)
    }

    fn fill(&self, lines: &[&str]) -> Result<()> {
        self.change(lines)?;
        match &self.monitor {
            Some(monitor) => {
                fs::create_dir(monitor).map_err(|e| self.failed("the monitoring group can't be made", e))
            }
            None => Ok(()),
        }
    }

    /// Sets new lines of its schemata.
    pub(super) fn change(&self, lines: &[&str]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let text = lines.iter().flat_map(|line| [*line, "\n"]).collect::<String>();
        let written = fs::write(self.dir.join("schemata"), text);
        written.map_err(|e| self.failed("the schemata can't be set", e))
    }

    /// Puts a process in; those that it makes are in there too.
    pub(super) fn enter(&self, pid: i32) -> Result<()> {
        [Some(&self.dir), self.monitor.as_ref()].into_iter().flatten().try_for_each(|dir| {
            let entered = fs::write(dir.join("tasks"), pid.to_string());
            entered.map_err(|e| self.failed("the process can't be put in the resctrl group", e))
        })
    }

    /// Removes what is the container's own. The kernel does that with processes in there, too.
    pub(super) fn delete(&self) -> Result<()> {
        let own = self.own.then_some(&self.dir);
        for dir in [self.monitor.as_ref(), own].into_iter().flatten() {
            match fs::remove_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed("the resctrl group can't be removed", e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.dir.join(name)).map_err(|e| self.failed("the resctrl group can't be read", e))
    }

    /// An error, with what the kernel says about it.
    fn failed(&self, what: &str, e: io::Error) -> Error {
        let said = self.dir.ancestors().find_map(|above| {
            fs::read_to_string(above.join("info/last_cmd_status")).ok().filter(|said| said.trim() != "ok")
        });
        let what = match said {
            Some(said) => format!("{what} ({})", said.trim()),
            None => what.to_owned(),
        };
        Error::io(what, e).with_context("field", FIELD).with_context("path", self.dir.display().to_string())
    }
}
