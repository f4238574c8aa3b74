//! A process that is told from a later one with the same id: pid, start time and boot.

use crate::sys::boot_id;
use crate::{Error, Result};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A process of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    /// Its id in our pid namespace.
    pub(crate) pid: i32,
    /// When it was started, in ticks since the boot.
    pub(crate) start_time: u64,
    /// Which boot; empty where the record does not outlive one.
    pub(crate) boot_id: String,
}

impl Identity {
    /// The identity of a process that can't go away meanwhile, for a record in a folder.
    pub(crate) fn of(pid: i32, dir: &Path) -> Result<Identity> {
        let failed = |e| Error::io(format!("can't look at process {pid}"), e);
        let (_, start_time) = stat(pid).map_err(failed)?;
        let boot_id = if is_memory(dir) { String::new() } else { boot_id() };
        Ok(Identity { pid, start_time, boot_id })
    }

    /// Whether it still runs; one that ended and waits for its parent does not.
    pub(crate) fn is_alive(&self) -> bool {
        let found = stat(self.pid);
        let same =
            found.is_ok_and(|(state, start)| start == self.start_time && !matches!(state, b'Z' | b'X'));
        same && (self.boot_id.is_empty() || self.boot_id == boot_id())
    }

    /// A descriptor of it; `None`: it has ended.
    pub(crate) fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Looked at after it was opened: the descriptor is of the process that was seen.
            Ok(fd) => Ok(self.is_alive().then_some(fd)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(e) => Err(Error::io("can't open the container's process", e.into())),
        }
    }
}

/// Whether a folder lies in memory, as those below `/run` do: a boot leaves nothing of it.
fn is_memory(dir: &Path) -> bool {
    /// `TMPFS_MAGIC`, `RAMFS_MAGIC`.
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|found| MEMORY.contains(&(found.f_type as u64)))
}

fn read_stat(pid: i32) -> std::io::Result<Vec<u8>> {
    /// It is shorter.
    const MOST: usize = 4096;
    let mut text = vec![0; MOST];
    let n = std::io::Read::read(&mut std::fs::File::open(format!("/proc/{pid}/stat"))?, &mut text)?;
    text.truncate(n);
    Ok(text)
}

/// State letter and start time.
fn stat(pid: i32) -> std::io::Result<(u8, u64)> {
    let text = read_stat(pid)?;
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    // The name, in parentheses, may hold anything.
    let end = text.iter().rposition(|b| *b == b')').ok_or_else(bad)?;
    let rest = std::str::from_utf8(&text[end + 1..]).map_err(|_| bad())?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    /// `starttime` is field 22, and the state is field 3, the first after the name.
    const START: usize = 22 - 3;
    let state = fields.first().and_then(|s| s.bytes().next()).ok_or_else(bad)?;
    let start = fields.get(START).and_then(|s| s.parse().ok()).ok_or_else(bad)?;
    Ok((state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_with_its_id() {
        let pid = std::process::id() as i32;
        // Of a folder that outlives a boot, which the other kind of file system does not.
        let own = Identity { boot_id: boot_id(), ..Identity::of(pid, Path::new("/")).unwrap() };
        assert!(own.is_alive() && own.open().unwrap().is_some());
        let other = Identity { start_time: own.start_time + 1, ..own.clone() };
        assert!(!other.is_alive() && other.open().unwrap().is_none());
        assert!(!Identity { boot_id: "another".into(), ..own }.is_alive());
    }

    #[test]
    fn what_lies_in_memory_needs_no_boot() {
        let pid = std::process::id() as i32;
        let memory = Identity::of(pid, Path::new("/dev/shm")).unwrap();
        assert!(is_memory(Path::new("/dev/shm")) && memory.boot_id.is_empty() && memory.is_alive());
        assert!(!is_memory(Path::new("/proc")) && !is_memory(Path::new("/nonexistent")));
        assert_eq!(Identity::of(pid, Path::new("/proc")).unwrap().boot_id, boot_id());
    }
}
