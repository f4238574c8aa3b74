//! What a crash left is put in order when a root is opened. Only what has no live owner is touched: a launcher
//! and a monitor hold the lock in their folder for as long as they live.

use super::paths;
use crate::Result;
use crate::cgroup::Cgroups;
use crate::container::record::Record;
use crate::container::{lost, names};
use crate::db::Db;
use rustix::fd::OwnedFd;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Puts a root in order. Returns folders that are to be deleted by the launcher, because their files may
/// belong to ids that only it can act for.
pub(super) fn repair(root: &Path, run_root: &Path, db: &Db, cgroups: &Cgroups) -> Result<Vec<PathBuf>> {
    // Whoever starts a launcher or a monitor holds this until the lock in its folder is had.
    let _creating = paths::creation_lock(run_root)?;
    let mut repair = Repair { root, run_root, db, cgroups, trash: Vec::new() };
    for name in entries(run_root) {
        if name.starts_with("l-") {
            repair.launcher(&name);
        } else if name.starts_with("c-") {
            repair.monitor(&name)?;
        }
    }
    names::remove_void(run_root);
    repair.folders()?;
    Ok(repair.trash)
}

struct Repair<'a> {
    root: &'a Path,
    run_root: &'a Path,
    db: &'a Db,
    cgroups: &'a Cgroups,
    trash: Vec<PathBuf>,
}

impl Repair<'_> {
    /// The lock of a folder whose owner is dead.
    fn dead(&self, name: &str) -> Option<Option<OwnedFd>> {
        let lock = self.run_root.join(name).join("lock");
        if !lock.exists() {
            // It died before it had one: nothing else is in it.
            return Some(None);
        }
        paths::lock_file(&lock, false).ok().flatten().map(Some)
    }

    fn launcher(&mut self, name: &str) {
        let Some(_lock) = self.dead(name) else { return };
        let dir = self.run_root.join(name);
        let prefix = format!("{name}-");
        self.cgroups.clear(|cgroup| cgroup.starts_with(&prefix));
        self.trash.extend(folders_of(&self.root.join("containers"), name, &dir));
        let _ = fs::remove_dir_all(&dir);
    }

    /// A monitor that was killed left its container's end unwritten.
    fn monitor(&mut self, name: &str) -> Result<()> {
        let Some(_lock) = self.dead(name) else { return Ok(()) };
        let wanted = name.trim_start_matches("c-").to_owned();
        let row = self.detached()?.into_iter().find(|record| record.id.starts_with(&wanted));
        self.cgroups.clear(|cgroup| cgroup.starts_with(&wanted) && cgroup.len() == 64);
        if let Some(record) = row {
            let dir = self.root.join("containers").join(&record.id);
            let exit = dir.join("exit.json");
            if dir.join("log").exists() && !exit.exists() {
                let text = serde_json::to_string(&lost()).unwrap_or_default();
                let _ = fs::write(&exit, text);
            }
        }
        let _ = fs::remove_dir_all(self.run_root.join(name));
        Ok(())
    }

    /// Folders of containers that nobody knows: the machine went down, and the run folder with it.
    fn folders(&mut self) -> Result<()> {
        // Listed before the records are: what is made meanwhile has its record first.
        let folder = self.root.join("containers");
        let found = entries(&folder);
        let mut known: HashSet<String> = self.detached()?.into_iter().map(|record| record.id).collect();
        known.extend(Record::attached(self.run_root)?.into_iter().map(|(_, record)| record.id));
        for name in found {
            let alive = match launcher_of(&name) {
                Some(launcher) => names::is_alive(self.run_root, launcher),
                None => known.contains(&name),
            };
            if !alive {
                self.trash.push(folder.join(name));
            }
        }
        Ok(())
    }

    fn detached(&self) -> Result<Vec<Record>> {
        let rows: Vec<String> = self.db.read(|c| {
            let mut query = c.prepare_cached("SELECT config FROM containers")?;
            query.query_map([], |r| r.get(0))?.collect()
        })?;
        // One damaged row blocks nothing else; whoever names its container is told.
        Ok(rows.iter().filter_map(|row| Record::from_json(row).ok()).collect())
    }
}

/// Folders of the containers of a launcher, whose own folder is `dir`.
pub(super) fn folders_of(containers: &Path, launcher: &str, dir: &Path) -> Vec<PathBuf> {
    let records = entries(dir);
    let ids = records.iter().filter_map(|file| file.strip_suffix(".json")).map(str::to_owned);
    let own = |name: &String| launcher_of(name) == Some(launcher);
    ids.chain(entries(containers).into_iter().filter(own)).map(|name| containers.join(name)).collect()
}

/// The launcher that a folder of a container is named by.
fn launcher_of(name: &str) -> Option<&str> {
    name.strip_prefix("pool-").or_else(|| name.strip_prefix("run-")?.rsplit_once('-').map(|p| p.0))
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(list) = fs::read_dir(dir) else { return Vec::new() };
    list.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()
}
