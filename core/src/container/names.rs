//! Names: one winner among all processes that use a root.
//!
//! A detached container's name is a unique column of the database. An attached one never touches the
//! database to hold its name: it has a file in the run folder, which is void when its launcher is dead. Whoever
//! wants a name takes the file first and then looks into the database, so that both kinds meet in the file.

use crate::runtime::{RuntimeInner, paths};
use crate::{Error, ErrorKind, Result};
use rusqlite::OptionalExtension;
use rustix::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A name that is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    id: String,
    pid: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.pid == std::process::id() && holder(&self.path).is_some_and(|(_, id)| id == self.id) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes a name for a container; `None` for an empty name. `already_exists` when somebody else has it.
pub(crate) fn claim(rt: &Arc<RuntimeInner>, name: &str, id: &str) -> Result<Option<Claim>> {
    if name.is_empty() {
        return Ok(None);
    }
    let folder = rt.run_root.join("names");
    paths::private_dir(&folder)?;
    let path = folder.join(name);
    let failed = |e| paths::at("can't take the name", &path, e);
    {
        let _one_at_a_time: Option<OwnedFd> = paths::lock_file(&rt.run_root.join("names.lock"), true)?;
        if let Some((launcher, holder)) = holder(&path)
            && is_alive(&rt.run_root, &launcher)
        {
            return Err(taken(name, &holder));
        }
        let fresh = folder.join(format!(".{id}"));
        std::fs::write(&fresh, format!("{} {id}", rt.launcher.name)).map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)?;
    }
    let claim = Claim { path, id: id.to_owned(), pid: std::process::id() };
    match in_database(rt, name)? {
        Some(holder) if holder != id => match super::list::get(rt, &holder) {
            // It was to remove itself at its end, and has done so just now.
            Err(e) if e.kind() == ErrorKind::ContainerNotFound => Ok(Some(claim)),
            _ => Err(taken(name, &holder)),
        },
        _ => Ok(Some(claim)),
    }
}

fn in_database(rt: &RuntimeInner, name: &str) -> Result<Option<String>> {
    rt.db.read(|c| {
        c.prepare_cached("SELECT id FROM containers WHERE name = ?1")?
            .query_row([name], |r| r.get(0))
            .optional()
    })
}

/// Launcher and container that a name's file tells of.
fn holder(path: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(path).ok()?;
    let (launcher, id) = text.split_once(' ')?;
    Some((launcher.to_owned(), id.to_owned()))
}

/// Whether a launcher lives: it holds its lock.
pub(crate) fn is_alive(run_root: &Path, launcher: &str) -> bool {
    let lock = run_root.join(launcher).join("lock");
    lock.exists() && matches!(paths::lock_file(&lock, false), Ok(None))
}

/// Removes the files of names whose launcher is dead, and those that never came to be one. Nobody can take a name
/// meanwhile: what is there is not just being made, or replaced.
pub(crate) fn remove_void(run_root: &Path) {
    let folder = run_root.join("names");
    let there = || std::fs::read_dir(&folder).into_iter().flatten().flatten();
    if there().next().is_none() {
        return;
    }
    let Ok(_one_at_a_time) = paths::lock_file(&run_root.join("names.lock"), true) else { return };
    for entry in there() {
        let unfinished = entry.file_name().as_encoded_bytes().starts_with(b".");
        let held = || holder(&entry.path()).is_some_and(|(launcher, _)| is_alive(run_root, &launcher));
        if unfinished || !held() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn taken(name: &str, holder: &str) -> Error {
    let text = format!("the name is taken by the container {}", &holder[..holder.len().min(12)]);
    Error::new(ErrorKind::AlreadyExists, text).with_context("name", name)
}

/// Two words for a detached container without a name, as docker makes them up.
pub(crate) fn made_up() -> Result<String> {
    const HOW: &[&str] = &[
        "brave", "bright", "calm", "clever", "eager", "fair", "fancy", "gentle", "happy", "keen", "kind",
        "lively", "lucky", "merry", "mighty", "noble", "patient", "polite", "proud", "quick", "quiet",
        "shiny", "swift", "warm", "wise", "witty",
    ];
    const WHAT: &[&str] = &[
        "acorn", "badger", "beaver", "comet", "condor", "dolphin", "falcon", "fern", "heron", "island",
        "juniper", "lantern", "lynx", "maple", "marten", "meadow", "orchid", "otter", "pebble", "plover",
        "river", "sparrow", "thistle", "tulip", "walnut", "willow",
    ];
    let random = crate::sys::random_hex::<8>()?;
    let number = u64::from_str_radix(&random, 16).unwrap_or_default();
    let how = HOW[(number % HOW.len() as u64) as usize];
    let what = WHAT[(number / 97 % WHAT.len() as u64) as usize];
    Ok(format!("{how}_{what}_{}", &random[..4]))
}
