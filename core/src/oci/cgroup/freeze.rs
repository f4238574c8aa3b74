//! Stopping and continuing all processes.

use super::{Cgroup, Tree, file};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the kernel may need to stop everybody.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Stops all processes. They are left running when that fails.
    pub(crate) fn freeze(&self) -> Result<()> {
        let frozen = match &self.tree {
            Tree::V2(dir) => freeze_v2(dir),
            _ => freeze_v1(self.freezer()?),
        };
        frozen.map_err(|e| {
            let _ = self.thaw();
            self.failed("the processes can't be stopped", e)
        })
    }

    /// Lets all processes go on.
    pub(crate) fn thaw(&self) -> Result<()> {
        let thawed = match &self.tree {
            Tree::V2(dir) => file::put(dir, "cgroup.freeze", "0"),
            _ => file::put(self.freezer()?, "freezer.state", "THAWED"),
        };
        thawed.map_err(|e| self.failed("the processes can't be continued", e))
    }

    /// Lets processes end that were told to: on v2 they do while they are stopped (cgroup-v2.rst, `cgroup.freeze`).
    pub(crate) fn let_end(&self) {
        if self.unified().is_none() {
            let _ = self.thaw();
        }
    }

    /// Whether its processes are stopped, or about to be.
    pub(crate) fn frozen(&self) -> Result<bool> {
        let (dir, file) = match &self.tree {
            Tree::V2(dir) => (dir.as_path(), "cgroup.freeze"),
            Tree::V1(_) => match self.v1("freezer") {
                Some(dir) => (dir, "freezer.self_freezing"),
                None => return Ok(false),
            },
            Tree::None => return Ok(false),
        };
        match file::get(dir, file) {
            Ok(text) => Ok(text.trim() == "1"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("it is not known whether the processes are stopped", e)),
        }
    }

    fn freezer(&self) -> Result<&Path> {
        self.v1("freezer").ok_or_else(|| {
            let text = match self.tree {
                Tree::None => "the container has no cgroup, so its processes can't be stopped",
                _ => "the freezer controller of cgroup v1 is not mounted, so processes can't be stopped",
            };
            Error::new(ErrorKind::Unsupported, text)
        })
    }

    fn failed(&self, text: &str, e: io::Error) -> Error {
        let path = self.members().map(|p| p.display().to_string()).unwrap_or_default();
        Error::io(text, e).with_context("path", path)
    }
}

fn freeze_v2(dir: &Path) -> io::Result<()> {
    file::put(dir, "cgroup.freeze", "1")?;
    let is_frozen = || Ok(file::pairs(&file::get(dir, "cgroup.events")?).any(|p| p == ("frozen", 1)));
    wait(is_frozen, || Ok(()))
}

/// While processes are being made, v1 can stay at `FREEZING` until it is told again.
fn freeze_v1(dir: &Path) -> io::Result<()> {
    file::put(dir, "freezer.state", "FROZEN")?;
    let mut round = 0;
    let is_frozen = || Ok(file::get(dir, "freezer.state")?.trim() == "FROZEN");
    wait(is_frozen, || {
        round += 1;
        if round % 50 == 0 {
            file::put(dir, "freezer.state", "THAWED")?;
        }
        file::put(dir, "freezer.state", "FROZEN")
    })
}

fn wait(
    mut done: impl FnMut() -> io::Result<bool>,
    mut nudge: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    while !done()? {
        if Instant::now() > end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
        nudge()?;
    }
    Ok(())
}
