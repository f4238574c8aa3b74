//! Reading and writing the files of a cgroup. Nothing is ever created here: a file that the kernel does not
//! offer is `NotFound`.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// No file of a cgroup that we read is longer.
const MOST: u64 = 16 << 20;

/// Most are shorter: then one call reads them.
const USUAL: usize = 4096;

/// Writes a value in one call, as the kernel wants it.
pub(super) fn put(dir: &Path, file: &str, value: &str) -> io::Result<()> {
    Writer::open(dir, file)?.put(value)
}

/// A file that takes one value for each write.
pub(super) struct Writer(OwnedFd);

impl Writer {
    pub(super) fn open(dir: &Path, file: &str) -> io::Result<Writer> {
        let how = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Writer(open(dir.join(file), how, Mode::empty())?))
    }

    pub(super) fn put(&self, value: &str) -> io::Result<()> {
        loop {
            match rustix::io::write(&self.0, value.as_bytes()) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

/// The whole of a file.
pub(super) fn get(dir: &Path, file: &str) -> io::Result<String> {
    let fd = open(dir.join(file), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let mut text = String::with_capacity(USUAL);
    File::from(fd).take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// A file that holds one number; `max` and v1's "no limit" are [`u64::MAX`].
pub(super) fn number(dir: &Path, file: &str) -> io::Result<u64> {
    let text = get(dir, file)?;
    parse_number(text.trim()).ok_or_else(|| {
        let what = format!("{}: not a number: {:?}", dir.join(file).display(), text.trim());
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// A number as the kernel writes it. Negative ones, which it reports for counters that were reset, are 0.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    if text == "max" {
        return Some(u64::MAX);
    }
    match text.parse::<u64>() {
        Ok(n) => Some(n),
        Err(_) => text.parse::<i64>().is_ok_and(|n| n < 0).then_some(0),
    }
}

/// `key value` lines.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, parse_number(value.trim())?))
    })
}

/// Whether an I/O error has this number.
pub(super) fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}

/// Whether the kernel or the file system refuses it to this user.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::EROFS))
}
