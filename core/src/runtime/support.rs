//! The open runtime as the image store sees it.

use super::launcher::Launcher;
use crate::Result;
use crate::container::record::Record;
use crate::db::Db;
use crate::image::store::Support;
use containers_protocol::launch::Request;
use containers_protocol::plan::IdMaps;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What the store needs of a runtime.
pub(super) struct Link {
    pub(super) launcher: Arc<Launcher>,
    pub(super) run_root: PathBuf,
    pub(super) db: Arc<Db>,
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
        used.extend(Record::attached(&self.run_root)?.into_iter().map(|(_, record)| record.image_id));
        Ok(used)
    }

    fn check_open(&self) -> Result<()> {
        self.launcher.check_open()
    }
}
