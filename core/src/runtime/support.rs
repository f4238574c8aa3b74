//! The open runtime as the image store sees it.

use super::launcher::Launcher;
use crate::Result;
use crate::container::events;
use crate::container::record::Record;
use crate::db::Db;
use crate::executor;
use crate::image::store::Support;
use containers_protocol::launch::Request;
use containers_protocol::plan::IdMaps;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the store needs of a runtime.
pub(super) struct Link {
    pub(super) launcher: Arc<Launcher>,
    pub(super) run_root: PathBuf,
    pub(super) db: Arc<Db>,
}

/// How long clean-up may take before what it holds counts as used.
const SETTLING: Duration = Duration::from_secs(10);

impl Link {
    /// Waits until the launcher has cleaned up after containers that ended.
    fn settle(&self) -> Result<()> {
        let answer = self.launcher.request_now(&Request::Settle, &[])?;
        let deadline = Some(Instant::now() + SETTLING);
        match executor::block_on(executor::timeout_at(deadline, events::next(&answer))) {
            Ok(settled) => settled.map(|_| ()),
            Err(executor::Timeout) => Ok(()),
        }
    }
}

impl Support for Link {
    fn request(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
        self.launcher.request_now(request, fds)
    }

    fn id_maps(&self) -> Option<&IdMaps> {
        self.launcher.id_maps.as_ref()
    }

    fn images_in_use(&self) -> Result<HashSet<String>> {
        let mut used: HashSet<String> = self.db.read(|c| {
            let mut rows = c.prepare_cached("SELECT image_id FROM containers")?;
            rows.query_map([], |r| r.get(0))?.collect()
        })?;
        let mut attached = Record::attached(&self.run_root)?;
        if attached.iter().any(|(launcher, _)| *launcher == self.launcher.name) {
            // Ours may have ended and only wait to be cleaned up: `run` answers before that.
            self.settle()?;
            attached = Record::attached(&self.run_root)?;
        }
        used.extend(attached.into_iter().map(|(_, record)| record.image_id));
        Ok(used)
    }

    fn check_open(&self) -> Result<()> {
        self.launcher.check_open()
    }
}
