//! `state`, `list` and `ps`.

use super::Engine;
use super::record::{Found, State};
use crate::{Error, ErrorKind, Result, accounts};

impl Engine {
    /// The state of a container.
    pub fn state(&self, id: &str) -> Result<State> {
        let found = self.find(id)?;
        Ok(found.record.state(&found.dir))
    }

    /// The states of all containers, by id.
    pub fn list(&self) -> Result<Vec<State>> {
        let state = |found: Found| {
            let mut state = found.record.state(&found.dir);
            state.owner = owner(&found.dir);
            state
        };
        Ok(self.all()?.into_iter().map(state).collect())
    }

    /// The processes of a container.
    pub fn pids(&self, id: &str) -> Result<Vec<i32>> {
        let found = self.find(id)?;
        if found.record.cgroup.exists() {
            return found.record.cgroup.pids();
        }
        match found.record.init.filter(|init| init.is_alive()) {
            Some(init) => Ok(vec![init.pid]),
            None => Err(Error::new(ErrorKind::NotRunning, "container not running")),
        }
    }
}

/// The name of who owns a container's folder.
fn owner(dir: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(dir) else { return String::new() };
    accounts::name_of(meta.uid()).unwrap_or_else(|| format!("#{}", meta.uid()))
}
