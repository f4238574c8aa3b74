//! The records of a root in SQLite, shared by any number of processes.
//!
//! One connection for each open runtime, behind a mutex. It is never used across a fork of the host: in a
//! child it is neither read nor closed, because closing would checkpoint and delete a log that is in use.

mod schema;

use crate::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(30);

/// The open database of a root.
pub(crate) struct Db {
    /// Set until closed.
    conn: Mutex<Option<Connection>>,
    path: PathBuf,
    pid: u32,
}

/// Why a transaction ended without a commit: SQLite, or the caller's own reason.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// SQLite failed.
    Sql(rusqlite::Error),
    /// The caller gave up.
    Own(Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(e: rusqlite::Error) -> Self {
        WriteError::Sql(e)
    }
}

impl From<Error> for WriteError {
    fn from(e: Error) -> Self {
        WriteError::Own(e)
    }
}

impl Db {
    /// Opens the database at `path`, makes it when missing, and brings its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Db> {
        make_private_file(path)?;
        let started = Instant::now();
        loop {
            match connect(path) {
                Ok(conn) => {
                    let mut conn = conn;
                    schema::migrate(&mut conn, path).map_err(|e| match e {
                        WriteError::Own(e) => e,
                        WriteError::Sql(e) => describe(path, e),
                    })?;
                    return Ok(Db {
                        conn: Mutex::new(Some(conn)),
                        path: path.to_path_buf(),
                        pid: std::process::id(),
                    });
                }
                // The switch to WAL does not wait for other openers by itself.
                Err(e) if is_busy(&e) && started.elapsed() < BUSY => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => return Err(describe(path, e)),
            }
        }
    }

    /// Runs queries that only read.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let conn = self.lock()?;
        let conn = conn.as_ref().ok_or_else(crate::runtime::closed)?;
        f(conn).map_err(|e| describe(&self.path, e))
    }

    /// Runs a write transaction: all of it happens, or, on an error, nothing.
    pub(crate) fn write<T>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>) -> Result<T> {
        let mut conn = self.lock()?;
        let conn = conn.as_mut().ok_or_else(crate::runtime::closed)?;
        let run = || -> Result<T, WriteError> {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            schema::check_version(&tx, &self.path)?;
            let value = f(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|e| match e {
            WriteError::Own(e) => e,
            WriteError::Sql(e) => describe(&self.path, e),
        })
    }

    /// A number that changes when another connection has written, for caches. Cheap.
    pub(crate) fn data_version(&self) -> Result<i64> {
        self.read(|c| c.prepare_cached("PRAGMA data_version")?.query_row([], |r| r.get(0)))
    }

    /// Gives the connection and its descriptors back, though handles live on. In a child of the process that
    /// opened it, nothing happens.
    pub(crate) fn close(&self) {
        if let Ok(mut conn) = self.lock() {
            *conn = None;
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Connection>>> {
        // Before the mutex: another thread may have held it when the host forked.
        if self.pid != std::process::id() {
            return Err(crate::runtime::forked());
        }
        Ok(self.conn.lock().unwrap_or_else(|e| e.into_inner()))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            let conn = self.conn.get_mut().unwrap_or_else(|e| e.into_inner());
            std::mem::forget(conn.take());
        }
    }
}

/// Whether an insert failed because a unique value is taken.
pub(crate) fn is_taken(e: &rusqlite::Error) -> bool {
    e.sqlite_error().is_some_and(|e| {
        e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
            || e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    })
}

fn is_busy(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// SQLite takes over the mode of the database for its side files, so that this is enough under any umask.
fn make_private_file(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(0o600)).map_err(|e| at(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(at(path, e)),
    }
}

fn at(path: &Path, e: std::io::Error) -> Error {
    Error::io("can't make the database", e).with_context("path", path.display().to_string())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    let mode: String = conn.query_row("PRAGMA journal_mode=WAL", [], |r| r.get(0))?;
    debug_assert_eq!(mode, "wal");
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(conn)
}

/// How many files a connection has open at most: the database, its log, its index and their folder.
const FILES: usize = 4;

/// Whether there are too few descriptors for a connection; one that failed has closed those it had.
fn too_few_descriptors() -> bool {
    let opened: std::io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    opened.is_err_and(|e| matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)))
}

/// The error of this library for one of SQLite.
fn describe(path: &Path, e: rusqlite::Error) -> Error {
    let (kind, message) = match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            "the database is damaged; move it away to start with empty records, layers are found again",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::InUse, "another process has held the database for too long")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            (ErrorKind::Permission, "the database can't be written")
        }
        // SQLite keeps the cause to itself.
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if too_few_descriptors() => {
            (ErrorKind::LimitExceeded, "the database can't be opened: there are too many open files")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
            (ErrorKind::Io, "the database can't be read or written")
        }
        _ => (ErrorKind::Internal, "a database query failed"),
    };
    Error::new(kind, message).with_context("path", path.display().to_string()).with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> tempdir::Dir {
        tempdir::Dir::new()
    }

    mod tempdir {
        pub(super) struct Dir(pub(super) std::path::PathBuf);
        impl Dir {
            pub(super) fn new() -> Dir {
                let mut bytes = [0u8; 8];
                getrandom::fill(&mut bytes).unwrap();
                let path =
                    std::env::temp_dir().join(format!("containers-db-{:x}", u64::from_ne_bytes(bytes)));
                std::fs::create_dir(&path).unwrap();
                Dir(path)
            }
        }
        impl Drop for Dir {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    #[test]
    fn reopens_and_keeps_what_was_written() {
        let d = dir();
        let path = d.0.join("db.sqlite");
        let insert =
            "INSERT INTO containers(id, name, image, image_id, config, created) VALUES (?1,?2,'','','{}',0)";
        let db = Db::open(&path).unwrap();
        db.write(|t| Ok(t.execute(insert, ["a", "one"])?)).unwrap();
        drop(db);
        let db = Db::open(&path).unwrap();
        let n: i64 = db.read(|c| c.query_row("SELECT count(*) FROM containers", [], |r| r.get(0))).unwrap();
        assert_eq!(n, 1);
        let taken = db.write(|t| {
            let e = t.execute(insert, ["b", "one"]).unwrap_err();
            assert!(is_taken(&e));
            Err::<(), _>(e.into())
        });
        assert!(taken.is_err());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn refuses_a_newer_schema() {
        let d = dir();
        let path = d.0.join("db.sqlite");
        let db = Db::open(&path).unwrap();
        db.read(|c| c.pragma_update(None, "user_version", 9999)).unwrap();
        assert_eq!(db.write(|_| Ok(())).unwrap_err().kind(), ErrorKind::Unsupported);
        drop(db);
        assert_eq!(Db::open(&path).err().unwrap().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn names_a_damaged_file() {
        let d = dir();
        let path = d.0.join("db.sqlite");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let e = Db::open(&path).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
        assert!(e.to_string().contains(path.to_str().unwrap()), "{e}");
    }

    #[test]
    fn many_openers_at_once() {
        let d = dir();
        let path = d.0.join("db.sqlite");
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| Db::open(&path).unwrap());
            }
        });
    }
}
