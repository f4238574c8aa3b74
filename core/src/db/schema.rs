//! Tables, and how older ones become the current ones.

use super::WriteError;
use crate::{Error, ErrorKind};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

/// Entry n brings schema n to n + 1. Released entries are never edited; changes are appended.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE images (
        id              TEXT PRIMARY KEY,              -- sha256:… of the configuration
        manifest_digest TEXT NOT NULL,
        config          TEXT NOT NULL,                 -- the image configuration, JSON, as received
        created         INTEGER NOT NULL,              -- Unix time in nanoseconds
        size            INTEGER NOT NULL,              -- unpacked bytes
        removed         INTEGER NOT NULL DEFAULT 0     -- by force, but containers still need its layers
    );
    CREATE TABLE layers (
        diff_id         TEXT PRIMARY KEY,              -- names its folder; once here, it has been flushed
        size            INTEGER NOT NULL               -- unpacked bytes
    );
    CREATE TABLE image_layers (
        image_id        TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
        position        INTEGER NOT NULL,              -- 0: lowest
        diff_id         TEXT NOT NULL REFERENCES layers(diff_id),
        inherits        INTEGER NOT NULL DEFAULT 0,    -- made here, see image::snapshot::inherit
        hidden          INTEGER NOT NULL DEFAULT 0,    -- below a layer with an opaque root
        PRIMARY KEY (image_id, position)
    );
    CREATE INDEX image_layers_layer ON image_layers(diff_id);
    CREATE TABLE image_blobs (
        image_id        TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
        digest          TEXT NOT NULL,                 -- manifest, configuration, layers as received
        PRIMARY KEY (image_id, digest)
    );
    CREATE TABLE tags (
        reference       TEXT PRIMARY KEY,
        image_id        TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
    );
    CREATE TABLE digests (
        reference       TEXT PRIMARY KEY,              -- name@sha256:…
        image_id        TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
    );
    CREATE INDEX tags_image ON tags(image_id);
    CREATE INDEX digests_image ON digests(image_id);
    -- Detached containers; attached ones are files in the run folder.
    CREATE TABLE containers (
        id              TEXT PRIMARY KEY,
        name            TEXT NOT NULL UNIQUE,
        image           TEXT NOT NULL,                 -- as it was named
        image_id        TEXT NOT NULL,
        config          TEXT NOT NULL,                 -- container::record, JSON
        created         INTEGER NOT NULL               -- Unix time in nanoseconds
    );
    CREATE INDEX containers_image ON containers(image_id);
"];

/// Brings the schema up to date; refuses a newer one.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), WriteError> {
    if version(conn)? == MIGRATIONS.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let current = version(&tx)?;
    if current > MIGRATIONS.len() {
        return Err(newer(path, current).into());
    }
    for step in &MIGRATIONS[current..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    tx.commit()?;
    Ok(())
}

/// Refuses to write when a newer version has migrated the root meanwhile.
pub(super) fn check_version(tx: &Transaction<'_>, path: &Path) -> Result<(), WriteError> {
    let current = version(tx)?;
    if current > MIGRATIONS.len() {
        return Err(newer(path, current).into());
    }
    Ok(())
}

fn version(conn: &Connection) -> rusqlite::Result<usize> {
    conn.prepare_cached("PRAGMA user_version")?.query_row([], |r| r.get::<_, i64>(0)).map(|v| v as usize)
}

fn newer(path: &Path, current: usize) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the root was written by a newer version of this library (schema {current}, this one knows {}); \
             upgrade the library or open another root",
            MIGRATIONS.len()
        ),
    )
    .with_context("path", path.display().to_string())
}
