//! Removing the folders.

use super::kill::{children, is_gone};
use super::{Cgroup, file};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long processes that were killed may need to go.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Removes it if nothing is in it, which costs less than to look; whether it is gone.
    pub(crate) fn delete_empty(&self) -> bool {
        let gone = self.unit.is_none() && self.dirs().iter().all(|dir| std::fs::remove_dir(dir).is_ok());
        if gone {
            self.delete_parents();
        }
        gone
    }

    /// Removes it, its unit, and what is below it; nothing may be in it any more, though those that are about to end are
    /// waited for. One that is gone is fine. All that can go goes, the first failure is returned.
    pub(crate) fn delete(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut result = self.stop_unit();
        for dir in self.dirs() {
            if let Err(e) = remove(dir, end) {
                result = result.and(Err(left(dir, e)));
            }
        }
        self.delete_parents();
        result
    }

    /// Those above it that were made for it, unless others use them.
    fn delete_parents(&self) {
        for dir in &self.made {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

fn left(dir: &Path, e: io::Error) -> Error {
    let error = if file::is(&e, libc::EBUSY) {
        let inside = super::kill::walk(dir).unwrap_or_default();
        let text = format!("the cgroup can't be removed: processes are still in it: {inside:?}");
        Error::new(ErrorKind::InUse, text).with_source(e)
    } else {
        Error::io("the cgroup can't be removed", e)
    };
    error.with_context("path", dir.display().to_string())
}

/// Removes a cgroup and those below it, the deepest first.
fn remove(dir: &Path, end: Instant) -> io::Result<()> {
    let mut pause = Duration::from_millis(1);
    loop {
        let failed = match std::fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if is_gone(&e) => return Ok(()),
            Err(e) => e,
        };
        if !file::is(&failed, libc::EBUSY) {
            return Err(failed);
        }
        let below = children(dir)?;
        if below.is_empty() {
            if Instant::now() > end {
                return Err(failed);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        for child in below {
            remove(&child, end)?;
        }
    }
}
