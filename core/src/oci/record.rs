//! What is kept of a container: `state.json` in its folder. Each time a record is saved it becomes one more line, in one write, and
//! the last line that is whole counts: nothing is renamed. As long as the first one isn't whole there is no container.

use super::cgroup::Cgroup;
use super::identity::Identity;
use super::{Engine, config, rdt};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{Hook, Spec};
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file's name in a container's folder.
pub(crate) const NAME: &str = "state.json";

/// The gate's.
pub(crate) const FIFO: &str = "exec.fifo";

/// The version of the specification that states and features name.
pub(crate) const VERSION: &str = "1.3.0";

/// The record of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// RFC 3339.
    pub(crate) created: String,
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its first process; `None`: there is none yet.
    pub(crate) init: Option<Identity>,
    /// The start has come as far as the gate.
    pub(crate) made: bool,
    pub(crate) cgroup: Cgroup,
    /// Its group of caches and memory bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rdt: Option<rdt::Group>,
    /// `CLONE_NEW*` flags of what a further process enters.
    pub(crate) namespaces: u64,
    /// It is process 1 of a pid namespace of its own.
    pub(crate) own_pids: bool,
    pub(crate) no_new_keyring: bool,
    /// There are `poststart` hooks. Records of versions that did not say may have some.
    #[serde(default = "yes")]
    pub(crate) start_hooks: bool,
    /// There are `poststop` hooks.
    pub(crate) stop_hooks: bool,
}

/// The state of a container, as `state` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// Id.
    pub id: String,
    /// Process id; 0 when it is stopped.
    pub pid: i32,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'static str,
    /// Bundle.
    pub bundle: PathBuf,
    /// Root file system.
    pub rootfs: PathBuf,
    /// When it was created.
    pub created: String,
    /// Annotations of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the owner.
    pub owner: String,
}

impl Record {
    /// That of a container of which nothing is made yet.
    pub(crate) fn new(id: &str, spec: &Spec, bundle: PathBuf, rootfs: PathBuf) -> Record {
        let hooks = spec.hooks().as_ref();
        let some = |hooks: Option<&Vec<Hook>>| hooks.is_some_and(|hooks| !hooks.is_empty());
        Record {
            oci_version: spec.version().clone(),
            id: id.to_owned(),
            bundle,
            rootfs,
            created: jiff::Timestamp::now().to_string(),
            owner: String::new(),
            annotations: spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            init: None,
            made: false,
            cgroup: Cgroup::default(),
            rdt: None,
            namespaces: 0,
            own_pids: false,
            no_new_keyring: false,
            start_hooks: some(hooks.and_then(|h| h.poststart().as_ref())),
            stop_hooks: some(hooks.and_then(|h| h.poststop().as_ref())),
        }
    }

    /// Where the container is in its life. Only the kernel is asked.
    pub(crate) fn status(&self, dir: &Path) -> &'static str {
        let Some(init) = &self.init else { return "creating" };
        if !init.is_alive() {
            "stopped"
        } else if !self.made {
            "creating"
        } else if fifo(dir).exists() {
            "created"
        } else if self.cgroup.frozen().unwrap_or(false) {
            "paused"
        } else {
            "running"
        }
    }

    /// Its state.
    pub(crate) fn state(&self, dir: &Path) -> State {
        let status = self.status(dir);
        let pid = self.init.as_ref().map_or(0, |init| init.pid);
        State {
            oci_version: self.oci_version.clone(),
            id: self.id.clone(),
            pid: if status == "stopped" { 0 } else { pid },
            status,
            bundle: self.bundle.clone(),
            rootfs: self.rootfs.clone(),
            created: self.created.clone(),
            annotations: self.annotations.clone(),
            owner: self.owner.clone(),
        }
    }

    /// The state document for hooks.
    pub(crate) fn hook_state(&self, status: &str, pid: i32) -> Vec<u8> {
        self.hook_document(status, pid).to_string().into_bytes()
    }

    /// The same before it is text.
    pub(crate) fn hook_document(&self, status: &str, pid: i32) -> serde_json::Value {
        let mut document = serde_json::json!({
            "ociVersion": self.oci_version,
            "id": self.id,
            "status": status,
            "pid": pid,
            "bundle": self.bundle,
        });
        if !self.annotations.is_empty() {
            document["annotations"] = serde_json::json!(self.annotations);
        }
        document
    }

    /// Saves it in the container's folder.
    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_vec(self).map_err(|e| unwritten(dir, e.into()))?;
        text.push(b'\n');
        let file = std::fs::OpenOptions::new().append(true).create(true).open(dir.join(NAME));
        file.and_then(|mut file| file.write_all(&text)).map_err(|e| unwritten(dir, e))
    }
}

fn yes() -> bool {
    true
}

fn unwritten(dir: &Path, e: std::io::Error) -> Error {
    Error::io("the container's state can't be written", e).with_context("path", dir.display().to_string())
}

/// The fifo of a container that waits for its start.
pub(crate) fn fifo(dir: &Path) -> PathBuf {
    dir.join(FIFO)
}

/// A container found by its id.
pub(crate) struct Found {
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// Its record.
    pub(crate) record: Record,
}

impl Found {
    /// Where it is in its life.
    pub(crate) fn status(&self) -> &'static str {
        self.record.status(&self.dir)
    }

    /// The configuration it was created with.
    pub(crate) fn spec(&self) -> Result<Spec> {
        // Its warnings were given when it was created.
        config::load(&self.dir, &|_| {}).map(|(_, spec)| spec)
    }
}

impl Engine {
    /// Finds a container.
    pub(crate) fn find(&self, id: &str) -> Result<Found> {
        let dir = self.dir(id)?;
        let missing = || Error::new(ErrorKind::ContainerNotFound, "container does not exist");
        match std::fs::read(dir.join(NAME)) {
            Ok(text) => match newest(&text) {
                Ok(Some(record)) => Ok(Found { record, dir }),
                // It is being written, or whoever wrote was killed.
                Ok(None) => Err(missing()),
                Err(e) => Err(damaged(&dir, e)),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(missing()),
            Err(e) => Err(Error::io("the container's state can't be read", e)),
        }
    }

    /// Finds a container and keeps others from changing it while the descriptor is open.
    pub(crate) fn lock(&self, id: &str) -> Result<(Found, OwnedFd)> {
        let dir = self.dir(id)?;
        let held = match lock_dir(&dir) {
            Err(e) if e.kind() == ErrorKind::PathNotFound => {
                return Err(Error::new(ErrorKind::ContainerNotFound, "container does not exist"));
            }
            other => other?,
        };
        Ok((self.find(id)?, held))
    }

    /// All containers, by id.
    pub(crate) fn all(&self) -> Result<Vec<Found>> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("the root can't be read", e)),
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        // One that goes away meanwhile, or is not there yet, is no container.
        Ok(names.iter().filter_map(|id| self.find(id).ok()).collect())
    }
}

/// Locks a container's folder.
pub(crate) fn lock_dir(dir: &Path) -> Result<OwnedFd> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    loop {
        let fd = open(dir, how, Mode::empty()).map_err(not_locked)?;
        if lock_again(&fd, dir)? {
            return Ok(fd);
        }
    }
}

/// Locks a folder that is open; whether it is still the one at its path: somebody may have removed it meanwhile, and made another
/// one of that name.
pub(crate) fn lock_again(fd: &OwnedFd, dir: &Path) -> Result<bool> {
    loop {
        match flock(fd, FlockOperation::LockExclusive) {
            Err(rustix::io::Errno::INTR) => continue,
            other => break other.map_err(not_locked)?,
        }
    }
    let ours = fstat(fd).map_err(not_locked)?;
    Ok(stat(dir).is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)))
}

/// Lets others lock a folder that stays open.
pub(crate) fn unlock(fd: &OwnedFd) -> Result<()> {
    flock(fd, FlockOperation::Unlock).map_err(not_locked)
}

fn not_locked(e: rustix::io::Errno) -> Error {
    Error::io("the container's folder can't be locked", e.into())
}

fn damaged(dir: &Path, e: serde_json::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "the container's state is damaged; delete it with --force")
        .with_context("path", dir.join(NAME).display().to_string())
        .with_source(e)
}

/// The record of the last line that is one. Earlier versions wrote a single line without an end. `None`: not even the first
/// line is whole.
fn newest<R: DeserializeOwned>(text: &[u8]) -> std::result::Result<Option<R>, serde_json::Error> {
    let mut failed = None;
    for line in text.trim_ascii_end().rsplit(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(record) => return Ok(Some(record)),
            Err(e) => failed = Some(e),
        }
    }
    failed.map_or(Ok(None), |e| if e.is_eof() { Ok(None) } else { Err(e) })
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_last_line_that_is_whole_counts() {
        for (text, wanted) in [
            ("[1]", Some(1)),
            ("[1]\n", Some(1)),
            ("[1]\n[2]\n", Some(2)),
            ("[1]\n[2", Some(1)),
            ("[1]\n[2]\n[", Some(2)),
            ("[1]\nnonsense\n", Some(1)),
            ("", None),
            ("[1", None),
        ] {
            let found: Option<[u8; 1]> = newest(text.as_bytes()).expect("a record or none");
            assert_eq!(found.map(|[n]| n), wanted, "{text:?}");
        }
        assert!(newest::<[u8; 1]>(b"nonsense\n").is_err());
    }
}
