//! What all handles of an open runtime share.

use super::launcher::Launcher;
use super::support::Link;
use crate::cgroup::Cgroups;
use crate::container::Shared;
use crate::db::Db;
use crate::image::store::Store;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

/// The state of an open root. Handles hold it in an `Arc`.
pub(crate) struct RuntimeInner {
    /// Images, containers and records.
    pub(crate) root: PathBuf,
    /// Volatile state of this root: sockets, locks, records of attached containers.
    pub(crate) run_root: PathBuf,
    /// Containers live in a user namespace of the launcher's.
    pub(crate) rootless: bool,
    /// Records.
    pub(crate) db: Arc<Db>,
    /// Starts containers.
    pub(crate) launcher: Arc<Launcher>,
    /// Images.
    pub(crate) store: Arc<Store>,
    /// Where containers are accounted.
    pub(crate) cgroups: Cgroups,
    /// What can't be had here.
    pub(crate) warnings: Vec<String>,
    /// Attached containers of this process, by id.
    pub(crate) attached: Mutex<HashMap<String, Weak<Shared>>>,
    /// What is worth keeping between starts.
    pub(crate) cache: crate::sandbox::Cache,
}

/// The parts of a [`RuntimeInner`] that opening finds out.
pub(super) struct Parts {
    pub(super) root: PathBuf,
    pub(super) run_root: PathBuf,
    pub(super) rootless: bool,
    pub(super) db: Arc<Db>,
    pub(super) launcher: Launcher,
    pub(super) cgroups: Cgroups,
    pub(super) warnings: Vec<String>,
    pub(super) cache: crate::sandbox::Cache,
}

impl RuntimeInner {
    pub(super) fn new(parts: Parts) -> Result<RuntimeInner> {
        let Parts { root, run_root, rootless, db, launcher, cgroups, warnings, cache } = parts;
        let launcher = Arc::new(launcher);
        let link = Link { launcher: launcher.clone(), run_root: run_root.clone(), db: db.clone() };
        let store = Store::open(&root, db.clone(), Arc::new(link))?;
        let attached = Mutex::default();
        Ok(RuntimeInner { root, run_root, rootless, db, launcher, store, cgroups, warnings, attached, cache })
    }

    /// `handle_closed` when the runtime was closed, or opened by the process before a fork. Every operation
    /// starts with this.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.launcher.check_open()
    }

    /// Whether this is the process that opened it. Drops do nothing elsewhere.
    pub(crate) fn is_own_process(&self) -> bool {
        self.launcher.is_own_process()
    }

    /// Ends the launcher and with it all attached containers, and gives back what is open. Idempotent.
    pub(super) async fn close(&self) -> Result<()> {
        if !self.launcher.release()? {
            return Ok(());
        }
        let ended = self.launcher.ended().await;
        self.sweep();
        self.db.close();
        ended
    }

    /// Removes what the launcher may have left.
    fn sweep(&self) {
        let name = &self.launcher.name;
        let prefix = format!("{name}-");
        self.cgroups.clear(|cgroup| cgroup.starts_with(&prefix));
        // Rootless, some files belong to ids that only a launcher can act for: the next open has one.
        let containers = self.root.join("containers");
        for folder in super::repair::folders_of(&containers, name, &self.launcher.dir) {
            let _ = std::fs::remove_dir_all(folder);
        }
        let _ = std::fs::remove_dir_all(&self.launcher.dir);
        self.cgroups.release();
        containers_protocol::run_folder::retire(&self.run_root);
    }

    /// The state of an attached container of this runtime.
    pub(crate) fn registered(&self, id: &str) -> Option<Arc<Shared>> {
        self.attached.lock().unwrap_or_else(|e| e.into_inner()).get(id)?.upgrade()
    }

    /// Writable layers and logs.
    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// Where the launcher keeps throw-away writable layers ready. It makes the folder, and deletes it.
    pub(crate) fn pool_dir(&self) -> PathBuf {
        self.root.join("containers").join(format!("pool-{}", self.launcher.name))
    }

    /// The folder of a detached container's monitor.
    pub(crate) fn monitor_dir(&self, id: &str) -> PathBuf {
        self.run_root.join(format!("c-{}", &id[..12]))
    }
}

impl Drop for RuntimeInner {
    fn drop(&mut self) {
        // The launcher does the rest by itself.
        let _ = self.launcher.release();
    }
}

/// Adds to an error which root it was about.
pub(super) fn in_root(root: &std::path::Path) -> impl Fn(Error) -> Error {
    let root = root.display().to_string();
    move |e| e.with_operation("runtime.open").with_context("root", root.clone())
}
