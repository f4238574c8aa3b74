//! `state`, `list` and `ps`.

use super::Engine;
use super::record::{Found, State};
use crate::{Error, ErrorKind, Result};

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
    let users = std::fs::read("/etc/passwd").unwrap_or_default();
    name_of(meta.uid(), &String::from_utf8_lossy(&users))
        .map_or_else(|| format!("#{}", meta.uid()), str::to_owned)
}

/// A user's name in the text of `/etc/passwd`: as runc, without the services that a machine may ask besides (nsswitch.conf), which
/// would be libraries.
fn name_of(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':').map(str::trim);
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n:x:5:\nbroken\n somebody:x: 1000:1000::/:\n";
        assert_eq!(name_of(0, users), Some("root"));
        assert_eq!(name_of(1000, users), Some("somebody"));
        assert_eq!([name_of(5, users), name_of(7, users)], [None, None]);
    }
}
