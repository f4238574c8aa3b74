//! Removing images, and what nothing refers to any more.

use super::records::{id_of, not_found};
use super::{Store, lock};
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::{Error, ErrorKind, Result};
use rusqlite::Transaction;
use std::collections::HashSet;
use std::path::PathBuf;

/// What [`Store::remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// References that are gone, canonical.
    pub(crate) untagged: Vec<String>,
    /// The image, when it is gone too.
    pub(crate) deleted: Option<String>,
}

impl Store {
    /// Removes a reference, and the image when it was the last one; by id, all references. Without `force`,
    /// `in_use` while a container needs the image. With it, an image that is needed loses its names, and its
    /// layers stay as long as a container needs them.
    pub(crate) fn remove(&self, name: &str, force: bool) -> Result<Removed> {
        let record = self.get(name)?;
        let id = record.id.as_str();
        let reference = Reference::parse(name).ok();
        let by_reference = match &reference {
            Some(r) => self.db().read(|c| id_of(c, r))?.is_some_and(|found| found == id),
            None => false,
        };
        let one = by_reference.then(|| reference.expect("it was found by it"));
        let names = record.tags.len() + if record.tags.is_empty() { record.digests.len() } else { 0 };
        let last = one.is_none() || names <= 1;
        if !last {
            return self.untag(id, &one.expect("it is not by id"));
        }
        if one.is_none() && record.tags.len() > 1 && !force {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the image has several references; remove them one by one, or force it",
            )
            .with_context("image", id)
            .with_context("refs", record.tags.join(", ")));
        }
        let needed = self.support().images_in_use()?.contains(id);
        if needed && !force {
            return Err(Error::new(
                ErrorKind::InUse,
                "a container needs the image; remove the container first",
            )
            .with_context("image", id)
            .with_context("ref", name));
        }
        self.change(|t| {
            t.execute("DELETE FROM tags WHERE image_id = ?1", [id])?;
            t.execute("DELETE FROM digests WHERE image_id = ?1", [id])?;
            match needed {
                true => t.execute("UPDATE images SET removed = 1 WHERE id = ?1", [id])?,
                false => t.execute("DELETE FROM images WHERE id = ?1", [id])?,
            };
            Ok(())
        })?;
        let untagged = record.tags.iter().chain(&record.digests).cloned().collect();
        Ok(Removed { untagged, deleted: (!needed).then(|| id.to_owned()) })
    }

    fn untag(&self, id: &str, reference: &Reference) -> Result<Removed> {
        let untagged = match reference.digest() {
            Some(digest) => format!("{}@{digest}", reference.name()),
            None => format!("{}:{}", reference.name(), reference.tag().unwrap_or("latest")),
        };
        self.change(|t| {
            let gone = t
                .execute("DELETE FROM tags WHERE reference = ?1 AND image_id = ?2", [&untagged, id])?
                + t.execute("DELETE FROM digests WHERE reference = ?1 AND image_id = ?2", [&untagged, id])?;
            if gone == 0 {
                return Err(not_found(&untagged).into());
            }
            Ok(())
        })?;
        Ok(Removed { untagged: vec![untagged], deleted: None })
    }

    /// Deletes what nothing refers to. While somebody brings something in, nothing is deleted: what is left
    /// over then goes with the next call, at the latest when the root is opened again. Layers are gone from their
    /// place when this returns; the launcher deletes them.
    pub(crate) fn collect(&self) -> Result<()> {
        let doomed = {
            let Some(_deleter) = lock::try_deleter(self.root())? else {
                return Ok(());
            };
            // Known only now that nothing can start: see `hold`.
            let used = self.support().images_in_use()?;
            let (layers, blobs) = self.change(|t| {
                for id in all(t, "SELECT id FROM images WHERE removed = 1")?.difference(&used) {
                    t.execute("DELETE FROM images WHERE id = ?1", [id])?;
                }
                t.execute("DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)", [])?;
                Ok((all(t, "SELECT diff_id FROM layers")?, all(t, "SELECT digest FROM image_blobs")?))
            })?;
            let temp = self.temp_dir()?;
            let mut doomed = Doomed { trash: temp.path().to_path_buf(), moved: 0, _temp: temp };
            self.sweep_skeletons()?;
            self.sweep_blobs(&blobs)?;
            self.sweep_layers(&layers, &mut doomed)?;
            doomed
        };
        self.delete_later(vec![doomed.trash.clone()]);
        Ok(())
    }

    fn sweep_blobs(&self, keep: &HashSet<String>) -> Result<()> {
        for algorithm in ["sha256", "sha512"] {
            for (path, name) in entries(&self.root().join("blobs").join(algorithm))? {
                if !keep.contains(&format!("{algorithm}:{name}")) {
                    std::fs::remove_file(&path).map_err(|e| {
                        Error::io("can't delete a blob", e).with_context("path", super::text(&path))
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Moves layers aside, so that they are gone at once; deleting them takes its time.
    fn sweep_layers(&self, keep: &HashSet<String>, doomed: &mut Doomed) -> Result<()> {
        for (path, name) in entries(&self.root().join("layers"))? {
            let Ok(diff_id) = Digest::from_sha256_hex(&name) else {
                continue;
            };
            if keep.contains(diff_id.as_str()) {
                continue;
            }
            let aside = doomed.trash.join(doomed.moved.to_string());
            doomed.moved += 1;
            std::fs::rename(&path, aside)
                .map_err(|e| Error::io("can't delete a layer", e).with_context("path", super::text(&path)))?;
        }
        Ok(())
    }

    /// Puts in order what a crash left: work whose owner died in it, and what was kept for containers that are
    /// gone. When there is nothing of that, it costs next to nothing.
    pub(super) fn tidy(&self) -> Result<()> {
        let abandoned = lock::abandoned(&self.tmp())?;
        let kept: bool = self.db().read(|c| {
            c.query_row("SELECT EXISTS (SELECT 1 FROM images WHERE removed = 1)", [], |r| r.get(0))
        })?;
        if !abandoned.is_empty() {
            self.delete_later(abandoned.iter().map(|(path, _)| path.clone()).collect());
        }
        if kept || !abandoned.is_empty() {
            self.collect()?;
        }
        Ok(())
    }
}

struct Doomed {
    trash: PathBuf,
    moved: usize,
    _temp: lock::TempDir,
}

fn all(t: &Transaction<'_>, sql: &str) -> rusqlite::Result<HashSet<String>> {
    t.prepare(sql)?.query_map([], |r| r.get(0))?.collect()
}

fn entries(dir: &std::path::Path) -> Result<Vec<(PathBuf, String)>> {
    let failed = |e| Error::io("can't list", e).with_context("path", super::text(dir));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}
