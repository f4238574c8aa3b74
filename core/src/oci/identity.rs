//! A process that is told from a later one with the same id: by the inode of its descriptors, which names one process for as long
//! as the machine runs, or on kernels before 6.9 by its start time; and the boot.

use crate::sys::boot_id;
use crate::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A process of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    /// Its id in our pid namespace.
    pub(crate) pid: i32,
    /// The inode of its descriptors, which no other process ever has in this boot; 0: not known, as in earlier versions.
    #[serde(default)]
    pub(crate) inode: u64,
    /// When it was started, in ticks since the boot; 0: that need not be known.
    pub(crate) start_time: u64,
    /// Which boot; empty where the record does not outlive one.
    pub(crate) boot_id: String,
}

impl Identity {
    /// The identity of a process that can't go away meanwhile, for a record in a folder; one with a descriptor of it.
    pub(crate) fn of(pid: i32, process: BorrowedFd<'_>, dir: &Path) -> Result<Identity> {
        let failed = |e| Error::io(format!("can't look at process {pid}"), e);
        let (inode, start_time) = match inode(process) {
            Some(inode) => (inode, 0),
            None => (0, stat(pid).map_err(failed)?.1),
        };
        let boot_id = if is_memory(dir) { String::new() } else { boot_id() };
        Ok(Identity { pid, inode, start_time, boot_id })
    }

    /// Whether it still runs; one that ended and waits for its parent does not.
    pub(crate) fn is_alive(&self) -> bool {
        self.open().is_ok_and(|process| process.is_some())
    }

    /// A descriptor of it; `None`: it has ended.
    pub(crate) fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Looked at after it was opened: the descriptor is of the process that was seen.
            Ok(process) => Ok(self.is_it(process.as_fd()).then_some(process)),
            // Nobody has this id, or a thread has it.
            Err(Errno::SRCH | Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(e) => Err(Error::io("can't open the container's process", e.into())),
        }
    }

    /// Whether a descriptor is of this process, which still runs.
    fn is_it(&self, process: BorrowedFd<'_>) -> bool {
        let same = match self.inode {
            0 => stat(self.pid)
                .is_ok_and(|(state, start)| start == self.start_time && !matches!(state, b'Z' | b'X')),
            own => inode(process) == Some(own) && !has_ended(process),
        };
        same && (self.boot_id.is_empty() || self.boot_id == boot_id())
    }
}

/// The inode of a process's descriptors, if it is the process's own (since Linux 6.9; of 32 bits it may come again).
fn inode(process: BorrowedFd<'_>) -> Option<u64> {
    /// `PID_FS_MAGIC`.
    const PROCESSES: u64 = 0x5049_4446;
    let own = cfg!(target_pointer_width = "64")
        && rustix::fs::fstatfs(process).is_ok_and(|found| found.f_type as u64 == PROCESSES);
    if own { rustix::fs::fstat(process).ok().map(|found| found.st_ino) } else { None }
}

/// Whether a process has ended, though its parent may not know yet.
fn has_ended(process: BorrowedFd<'_>) -> bool {
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&AT_ONCE)) {
            // A handler of the program's ran.
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
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

    /// A descriptor of this process.
    fn own() -> (i32, OwnedFd) {
        let pid = std::process::id() as i32;
        (pid, pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap())
    }

    #[test]
    fn a_process_is_told_from_another_with_its_id() {
        let (pid, fd) = own();
        // Of a folder that outlives a boot, which the other kind of file system does not.
        let known = Identity { boot_id: boot_id(), ..Identity::of(pid, fd.as_fd(), Path::new("/")).unwrap() };
        let start_time = stat(pid).unwrap().1;
        let by_time = Identity { inode: 0, start_time, ..known.clone() };
        for own in [known.clone(), by_time.clone()] {
            assert!(own.is_alive() && own.open().unwrap().is_some());
            assert!(!Identity { boot_id: "another".into(), ..own }.is_alive());
        }
        let others = [
            Identity { inode: known.inode + 1, start_time: start_time + 1, ..known.clone() },
            Identity { start_time: start_time + 1, ..by_time },
            // No process has this id; this is no id.
            Identity { pid: i32::MAX, ..known.clone() },
            Identity { pid: 0, ..known },
        ];
        for other in others {
            assert!(!other.is_alive() && other.open().unwrap().is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_thread_is_no_process() {
        let (asked, ask) = std::sync::mpsc::channel::<()>();
        let (told, tell) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            told.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let _ = ask.recv();
        });
        let other = Identity { pid: tell.recv().unwrap(), inode: 1, ..Identity::default() };
        assert!(!other.is_alive() && other.open().unwrap().is_none());
        drop(asked);
        thread.join().unwrap();
    }

    #[test]
    fn one_that_has_ended_is_not_alive_before_its_parent_knows() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let fd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let known = Identity::of(pid, fd.as_fd(), Path::new("/")).unwrap();
        let by_time = Identity { inode: 0, start_time: stat(pid).unwrap().1, ..known.clone() };
        assert!(known.is_alive() && by_time.is_alive());
        child.kill().unwrap();
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
        assert!(!known.is_alive() && !by_time.is_alive());
        child.wait().unwrap();
        assert!(!known.is_alive() && !by_time.is_alive());
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let old = r#"{"pid":1,"startTime":5,"bootId":""}"#;
        let read: Identity = serde_json::from_str(old).unwrap();
        assert_eq!((read.inode, read.start_time), (0, 5));
    }

    #[test]
    fn what_lies_in_memory_needs_no_boot() {
        let (pid, fd) = own();
        let memory = Identity::of(pid, fd.as_fd(), Path::new("/dev/shm")).unwrap();
        assert!(is_memory(Path::new("/dev/shm")) && memory.boot_id.is_empty() && memory.is_alive());
        assert!(!is_memory(Path::new("/proc")) && !is_memory(Path::new("/nonexistent")));
        assert_eq!(Identity::of(pid, fd.as_fd(), Path::new("/proc")).unwrap().boot_id, boot_id());
    }
}
