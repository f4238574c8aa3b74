//! The processes in a cgroup, and signals for all of them.

use super::{Cgroup, Tree, file};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

impl Cgroup {
    /// All processes in it and below.
    pub(crate) fn pids(&self) -> Result<Vec<i32>> {
        let Some(dir) = self.members() else { return Ok(Vec::new()) };
        walk(dir).map(|pids| pids.into_iter().collect()).map_err(|e| {
            Error::io("the processes of the cgroup can't be listed", e)
                .with_context("path", dir.display().to_string())
        })
    }

    /// Sends a signal to every process, in sub-cgroups too. For `SIGKILL` nobody escapes: v2 has a file for it,
    /// on v1 all are stopped, signalled, and let go, until nobody is left.
    pub(crate) fn kill(&self, signal: i32) -> Result<()> {
        if signal == libc::SIGKILL
            && let Tree::V2(dir) = &self.tree
            && (file::put(dir, "cgroup.kill", "1").is_ok() || !dir.is_dir())
        {
            return Ok(());
        }
        if signal != libc::SIGKILL {
            return self.signal_frozen(signal).map(drop);
        }
        // Whoever is made between listing and signalling is seen in the next round.
        for _ in 0..100 {
            if self.signal_frozen(signal)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Signals all while they are stopped, so that none can fork away; how many.
    fn signal_frozen(&self, signal: i32) -> Result<usize> {
        let was_frozen = self.frozen().unwrap_or(false);
        // Where there is no freezer, or it fails, it goes without.
        let froze = !was_frozen && self.freeze().is_ok();
        let pids = self.pids();
        for pid in pids.iter().flatten() {
            // One that has just ended needs no signal any more.
            let _ = crate::sys::kill(*pid, signal);
        }
        if froze || (was_frozen && signal == libc::SIGKILL) {
            let _ = self.thaw();
        }
        pids.map(|pids| pids.len())
    }
}

/// The processes in a cgroup and below it. One that goes meanwhile is empty.
pub(super) fn walk(dir: &Path) -> io::Result<BTreeSet<i32>> {
    let mut pids = BTreeSet::new();
    collect(dir, &mut pids)?;
    Ok(pids)
}

fn collect(dir: &Path, pids: &mut BTreeSet<i32>) -> io::Result<()> {
    let list = match file::get(dir, "cgroup.procs") {
        // A threaded cgroup lists threads only.
        Err(e) if file::is(&e, libc::EOPNOTSUPP) => file::get(dir, "cgroup.threads"),
        list => list,
    };
    match list {
        Ok(list) => pids.extend(list.lines().filter_map(|l| l.trim().parse::<i32>().ok()).filter(|p| *p > 0)),
        Err(e) if is_gone(&e) => return Ok(()),
        Err(e) => return Err(e),
    }
    for child in children(dir)? {
        collect(&child, pids)?;
    }
    Ok(())
}

/// Cgroups right below one.
pub(super) fn children(dir: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    // Each directory has two links, and one for each directory in it: most have none, and many files.
    match std::fs::symlink_metadata(dir) {
        Ok(m) if std::os::unix::fs::MetadataExt::nlink(&m) == 2 => return Ok(Vec::new()),
        Ok(_) => {}
        Err(e) if is_gone(&e) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    }
    let list = match std::fs::read_dir(dir) {
        Err(e) if is_gone(&e) => return Ok(Vec::new()),
        list => list?,
    };
    let is_dir = |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
    Ok(list.flatten().filter(is_dir).map(|e| e.path()).collect())
}

/// Whether a cgroup went away below us.
pub(super) fn is_gone(e: &io::Error) -> bool {
    file::is(e, libc::ENOENT) || file::is(e, libc::ENODEV)
}
