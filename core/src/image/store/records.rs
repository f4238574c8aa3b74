//! Images, tags and layers in the database.

use super::{LayerInfo, NewImage, Store};
use crate::db::WriteError;
use crate::image::ImageConfig;
use crate::image::digest::{Digest, quoted};
use crate::image::manifest::ConfigFile;
use crate::image::reference::Reference;
use crate::image::time;
use crate::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// An image as the database has it.
#[derive(Debug)]
pub(crate) struct ImageRecord {
    /// Digest of the configuration.
    pub(crate) id: Digest,
    /// Digest of the manifest.
    pub(crate) manifest: Digest,
    /// The configuration, as received.
    pub(crate) document: String,
    /// The configuration.
    pub(crate) file: ConfigFile,
    /// What containers take over.
    pub(crate) config: ImageConfig,
    /// Unix time in nanoseconds.
    pub(crate) created: i64,
    /// Unpacked bytes.
    pub(crate) size: u64,
    /// References with tags, canonical, sorted.
    pub(crate) tags: Vec<String>,
    /// References with digests, canonical, sorted.
    pub(crate) digests: Vec<String>,
    /// Trees of the root file system, lowest first.
    pub(crate) stack: Vec<LayerRecord>,
}

/// One tree of an image's root file system.
#[derive(Clone, Debug)]
pub(crate) struct LayerRecord {
    /// Name in the store.
    pub(crate) diff_id: Digest,
    /// Unpacked bytes.
    pub(crate) size: u64,
    /// Made here, to give folders that the layer below it only implies their attributes; not in the
    /// configuration.
    pub(crate) inherits: bool,
    /// A layer above hides all of it.
    pub(crate) hidden: bool,
}

/// What was found by name, until anybody writes.
#[derive(Default)]
pub(super) struct Cache(Mutex<(i64, HashMap<String, Arc<ImageRecord>>)>);

impl Cache {
    fn forget(&self) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).1.clear();
    }
}

impl Store {
    /// Finds an image by reference, id or unique beginning of an id.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Arc<ImageRecord>>> {
        let version = self.db.data_version()?;
        {
            let mut cache = self.cache.0.lock().unwrap_or_else(|e| e.into_inner());
            if cache.0 != version {
                *cache = (version, HashMap::new());
            }
            if let Some(found) = cache.1.get(name) {
                return Ok(Some(found.clone()));
            }
        }
        let Some(id) = self.find_id(name)? else {
            return Ok(None);
        };
        let record = Arc::new(self.record(&id)?);
        let mut cache = self.cache.0.lock().unwrap_or_else(|e| e.into_inner());
        if cache.0 == version {
            if cache.1.len() > 1000 {
                cache.1.clear();
            }
            cache.1.insert(name.to_owned(), record.clone());
        }
        Ok(Some(record))
    }

    /// As [`Store::find`]; `image_not_found` when there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<ImageRecord>> {
        self.find(name)?.ok_or_else(|| not_found(name))
    }

    fn find_id(&self, name: &str) -> Result<Option<String>> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let looks_like_id = !hex.is_empty() && hex.len() <= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let whole = looks_like_id && hex.len() == 64;
        let reference =
            if whole || name.starts_with("sha256:") { None } else { Some(Reference::parse(name)) };
        if let Some(Ok(reference)) = &reference
            && let Some(id) = self.db.read(|c| id_of(c, reference))?
        {
            return Ok(Some(id));
        }
        if looks_like_id {
            let low = format!("sha256:{}", hex.to_ascii_lowercase());
            let found = self.db.read(|c| beginning_with(c, &low))?;
            if found.len() > 1 {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "several images have an id that begins so",
                )
                .with_context("ref", quoted(name)));
            }
            return Ok(found.into_iter().next());
        }
        match reference {
            Some(Err(e)) => Err(e),
            _ => Ok(None),
        }
    }

    /// The whole record of an image.
    pub(crate) fn record(&self, id: &str) -> Result<ImageRecord> {
        type Row = (String, String, i64, i64);
        let (row, tags, digests, stack) = self.db.read(|c| {
            let row: Option<Row> = c
                .prepare_cached("SELECT manifest_digest, config, created, size FROM images WHERE id = ?1")?
                .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
                .optional()?;
            let tags = strings(c, "SELECT reference FROM tags WHERE image_id = ?1 ORDER BY 1", id)?;
            let digests = strings(c, "SELECT reference FROM digests WHERE image_id = ?1 ORDER BY 1", id)?;
            Ok((row, tags, digests, stack_of(c, id)?))
        })?;
        let (manifest, config, created, size) = row.ok_or_else(|| not_found(id))?;
        let damaged = |what: &str| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the record of an image has a damaged {what}; pull it again"),
            )
            .with_context("image", id)
        };
        let layers = stack.iter().filter(|(_, _, inherits, _)| !inherits).count();
        let file = ConfigFile::parse(config.as_bytes(), layers)
            .map_err(|e| damaged("configuration").with_source(e))?;
        let stack = stack
            .into_iter()
            .map(|(diff_id, size, inherits, hidden)| {
                let diff_id = Digest::parse(&diff_id).ok()?;
                Some(LayerRecord { diff_id, size, inherits, hidden })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged("layer list"))?;
        Ok(ImageRecord {
            id: Digest::parse(id).map_err(|_| damaged("id"))?,
            manifest: Digest::parse(&manifest).map_err(|_| damaged("manifest digest"))?,
            config: take_over(&file),
            document: config,
            file,
            created,
            size: size.max(0) as u64,
            tags,
            digests,
            stack,
        })
    }

    /// Ids of all images, newest first.
    pub(crate) fn image_ids(&self) -> Result<Vec<String>> {
        self.db.read(|c| {
            let mut q =
                c.prepare_cached("SELECT id FROM images WHERE removed = 0 ORDER BY created DESC, id")?;
            q.query_map([], |r| r.get(0))?.collect()
        })
    }

    /// Gives an image one more reference; one that another image has moves over.
    pub(crate) fn tag(&self, id: &Digest, reference: &str) -> Result<()> {
        self.db.write(|t| {
            let there: i64 = t.query_row(
                "SELECT count(*) FROM images WHERE id = ?1 AND removed = 0",
                [id.as_str()],
                |r| r.get(0),
            )?;
            if there == 0 {
                return Err(not_found(id.as_str()).into());
            }
            set_tag(t, reference, id)?;
            Ok(())
        })?;
        self.cache.forget();
        Ok(())
    }

    /// Runs a write transaction on the records of images.
    pub(super) fn change<T>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>) -> Result<T> {
        let result = self.db.write(f);
        self.cache.forget();
        result
    }

    /// Writes everything about an image in one transaction. `fixes`: layers made here, each above the layer
    /// with that position.
    pub(super) fn insert(
        &self,
        image: &NewImage,
        id: &Digest,
        infos: &[LayerInfo],
        fixes: &[(usize, Digest)],
    ) -> Result<ImageRecord> {
        let text = std::str::from_utf8(&image.config)
            .map_err(|_| Error::new(ErrorKind::Registry, "the image configuration is not UTF-8"))?;
        let file = ConfigFile::parse(&image.config, image.layers.len())
            .map_err(|e| e.into_error(ErrorKind::Registry))?;
        let created = time::parse(file.created.as_deref());
        let size: u64 = infos.iter().map(|i| i.bytes).sum();
        self.change(|t| {
            t.prepare_cached(
                "INSERT INTO images(id, manifest_digest, config, created, size) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT(id) DO UPDATE SET manifest_digest = ?2, removed = 0",
            )?
            .execute(params![id.as_str(), image.digest.as_str(), text, created, size as i64])?;
            t.execute("DELETE FROM image_layers WHERE image_id = ?1", [id.as_str()])?;
            let mut position = 0;
            let opaque = infos.iter().rposition(|i| i.opaque_root).unwrap_or(0);
            let mut push = |diff_id: &Digest, size: u64, inherits: bool, hidden: bool| -> Result<(), WriteError> {
                t.prepare_cached("INSERT INTO layers(diff_id, size) VALUES (?1, ?2) ON CONFLICT(diff_id) DO NOTHING")?
                    .execute(params![diff_id.as_str(), size as i64])?;
                t.prepare_cached(
                    "INSERT INTO image_layers(image_id, position, diff_id, inherits, hidden) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![id.as_str(), position, diff_id.as_str(), inherits, hidden])?;
                position += 1;
                Ok(())
            };
            for (i, (layer, info)) in image.layers.iter().zip(infos).enumerate() {
                push(&layer.diff_id, info.bytes, false, i < opaque)?;
                for (_, fix) in fixes.iter().filter(|(above, _)| *above == i) {
                    push(fix, 0, true, i < opaque)?;
                }
            }
            let blobs = image.layers.iter().map(|l| &l.blob).chain([&image.digest, id]);
            for blob in blobs {
                t.prepare_cached("INSERT OR IGNORE INTO image_blobs(image_id, digest) VALUES (?1, ?2)")?
                    .execute([id.as_str(), blob.as_str()])?;
            }
            for tag in &image.tags {
                set_tag(t, tag, id)?;
            }
            for digest in &image.digests {
                t.prepare_cached("INSERT OR REPLACE INTO digests(reference, image_id) VALUES (?1, ?2)")?
                    .execute([digest.as_str(), id.as_str()])?;
            }
            Ok(())
        })?;
        self.record(id.as_str())
    }

    /// Whether some image has this layer.
    pub(super) fn is_recorded(&self, diff_id: &Digest) -> Result<bool> {
        self.db.read(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?1)")?
                .query_row([diff_id.as_str()], |r| r.get(0))
        })
    }
}

fn take_over(file: &ConfigFile) -> ImageConfig {
    let c = file.config.clone();
    ImageConfig {
        env: c.env,
        entrypoint: c.entrypoint,
        cmd: c.cmd,
        working_dir: c.working_dir,
        user: c.user,
        labels: c.labels,
        exposed_ports: c.exposed_ports,
        volumes: c.volumes,
        stop_signal: c.stop_signal,
        healthcheck: c.healthcheck.check(),
    }
}

pub(super) fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::ImageNotFound, "no such image; pull, load or import it first")
        .with_context("ref", name)
}

fn set_tag(t: &Transaction<'_>, reference: &str, id: &Digest) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT OR REPLACE INTO tags(reference, image_id) VALUES (?1, ?2)")?
        .execute([reference, id.as_str()])?;
    Ok(())
}

/// The id that a reference stands for. A digest decides where there is one.
pub(super) fn id_of(c: &Connection, reference: &Reference) -> rusqlite::Result<Option<String>> {
    let lookup = |sql: &str, key: String| c.prepare_cached(sql)?.query_row([key], |r| r.get(0)).optional();
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => lookup(
            "SELECT image_id FROM digests WHERE reference = ?1",
            format!("{}@{digest}", reference.name()),
        ),
        (None, tag) => lookup(
            "SELECT image_id FROM tags WHERE reference = ?1",
            format!("{}:{}", reference.name(), tag.unwrap_or("latest")),
        ),
    }
}

/// At most two ids that begin so.
fn beginning_with(c: &Connection, low: &str) -> rusqlite::Result<Vec<String>> {
    // `g` comes after every hexadecimal digit.
    let mut q =
        c.prepare_cached("SELECT id FROM images WHERE id >= ?1 AND id < ?1 || 'g' AND removed = 0 LIMIT 2")?;
    q.query_map([low], |r| r.get(0))?.collect()
}

fn strings(c: &Connection, sql: &str, id: &str) -> rusqlite::Result<Vec<String>> {
    c.prepare_cached(sql)?.query_map([id], |r| r.get(0))?.collect()
}

fn stack_of(c: &Connection, id: &str) -> rusqlite::Result<Vec<(String, u64, bool, bool)>> {
    let mut q = c.prepare_cached(
        "SELECT l.diff_id, l.size, i.inherits, i.hidden FROM image_layers i JOIN layers l USING (diff_id)
         WHERE i.image_id = ?1 ORDER BY i.position",
    )?;
    q.query_map([id], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?.max(0) as u64, r.get(2)?, r.get(3)?)))?.collect()
}
