//! `config.json`: read, parsed strictly, and turned into [`Spec`]. Errors name the JSON path (`field`) and,
//! where the text itself is broken, the byte `offset`.

mod process;
mod strict;

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{Process, Spec};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bigger files are refused.
const MAX_SIZE: u64 = 4 << 20;

/// The file's name in a bundle.
const NAME: &str = "config.json";

/// Reads the configuration of a bundle: its text, and what that says. What the specification wants warnings for goes to
/// `warn`.
pub(crate) fn load(bundle: &Path, warn: &dyn Fn(&str)) -> Result<(Vec<u8>, Spec)> {
    let path = bundle.join(NAME);
    let at = |e: Error| e.with_context("path", path.display().to_string());
    let text = read(&path).map_err(at)?;
    let spec = parse(&text, warn).map_err(at)?;
    Ok((text, spec))
}

/// Keeps the text of a configuration in a folder. Only the owner can read it: there may be secrets in it.
pub(crate) fn keep(text: &[u8], dir: &Path) -> Result<()> {
    let how = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(NAME));
    let kept = how.and_then(|mut file| file.write_all(text));
    kept.map_err(|e| Error::io("the configuration can't be kept", e))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    // A pipe by that name must not make us wait.
    let opened =
        std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::PathNotFound, "the bundle has no config.json"),
        _ => Error::io("can't open the bundle's config.json", e),
    })?;
    let failed = |e| Error::io("can't read config.json", e);
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::new(ErrorKind::InvalidArgument, "config.json is not a regular file"));
    }
    if meta.len() > MAX_SIZE {
        return Err(too_big());
    }
    let mut text = Vec::with_capacity(meta.len() as usize + 1);
    File::take(file, MAX_SIZE + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn too_big() -> Error {
    let message = format!("config.json is bigger than {} MiB", MAX_SIZE >> 20);
    Error::new(ErrorKind::LimitExceeded, message)
}

/// Parses the text of a `config.json`.
pub(crate) fn parse(text: &[u8], warn: &dyn Fn(&str)) -> Result<Spec> {
    let mut document = document(text)?;
    process::complete(document.get_mut("process"), warn);
    typed(document)
}

/// Parses the text of a single `process`, as `exec --process` has it.
pub(crate) fn parse_process(text: &[u8], warn: &dyn Fn(&str)) -> Result<Process> {
    let mut document = document(text)?;
    process::complete(Some(&mut document), warn);
    typed(document)
}

fn document(text: &[u8]) -> Result<Value> {
    if text.len() as u64 > MAX_SIZE {
        return Err(too_big());
    }
    strict::parse(text)
}

/// The document as the specification's types.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(mut document: Value) -> Result<T> {
    if !document.is_object() {
        let message = "the configuration is not valid: it is not an object";
        return Err(Error::new(ErrorKind::InvalidArgument, message).with_context("field", "(document)"));
    }
    rename_flags(&mut document);
    serde_path_to_error::deserialize(document).map_err(|e| {
        let field = e.path().to_string();
        let message = e.into_inner().to_string();
        let what = match field.as_str() {
            "linux.memoryPolicy" | "linux.memoryPolicy.mode" => {
                "the configuration has an invalid memory policy mode"
            }
            at if at.starts_with("linux.memoryPolicy.flags") => {
                "the configuration has an invalid memory policy flag"
            }
            _ => "the configuration is not valid",
        };
        Error::new(ErrorKind::InvalidArgument, format!("{what}: {message}"))
            .with_context("field", if field == "." { "(document)".to_owned() } else { field })
    })
}

/// `oci-spec` spells two flags of the scheduler differently from the specification.
fn rename_flags(document: &mut Value) {
    // Of a configuration, and of a process alone.
    for place in ["/process/scheduler/flags", "/scheduler/flags"] {
        let flags = document.pointer_mut(place).and_then(Value::as_array_mut);
        for flag in flags.into_iter().flatten() {
            match flag.as_str() {
                Some("SCHED_FLAG_DL_OVERRUN") => *flag = Value::from("SCHED_FLAG_D_L_OVERRUN"),
                Some("SCHED_FLAG_RESET_ON_FORK") => *flag = Value::from("SCHED_RESET_ON_FORK"),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
