//! The log of a container.

use containers_protocol::log::head;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::io::IoSlice;

/// An open log file.
pub struct Log {
    path: Vec<u8>,
    file: OwnedFd,
    size: u64,
    max: u64,
}

impl Log {
    /// Opens or makes the file; it is rotated above `max` bytes (0: never).
    pub fn open(path: &[u8], max: u64) -> Result<Log, Errno> {
        let file = open(path)?;
        let size = fstat(&file)?.st_size as u64;
        Ok(Log { path: path.to_vec(), file, size, max })
    }

    /// Appends what was read from a stream. A full disk loses output, but never stops the workload.
    pub fn append(&mut self, stream: u8, nanos: i64, data: &[u8]) {
        let head = head(stream, nanos, data.len() as u32);
        if self.max > 0 && self.size > 0 && self.size + (head.len() + data.len()) as u64 > self.max {
            self.rotate();
        }
        let wanted = head.len() + data.len();
        match rustix::io::writev(&self.file, &[IoSlice::new(&head), IoSlice::new(data)]) {
            Ok(n) if n == wanted => self.size += n as u64,
            // Half a record would make the rest unreadable: take it back.
            Ok(_) | Err(_) => drop(rustix::fs::ftruncate(&self.file, self.size)),
        }
    }

    /// Moves the file aside and begins a new one.
    fn rotate(&mut self) {
        let old = [self.path.as_slice(), b".1"].concat();
        if rustix::fs::rename(&*self.path, &*old).is_err() {
            return;
        }
        if let Ok(file) = open(&self.path) {
            self.file = file;
            self.size = 0;
        }
    }
}

fn open(path: &[u8]) -> Result<OwnedFd, Errno> {
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, how, Mode::from_raw_mode(0o600))
}
