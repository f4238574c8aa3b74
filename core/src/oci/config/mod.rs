//! `config.json`: read, parsed strictly, and turned into [`Spec`]. Errors name the JSON path (`field`) and,
//! where the text itself is broken, the byte `offset`.

mod document;
mod process;
mod strict;
mod typed;

use crate::{Error, ErrorKind, Result};
use document::Node;
use oci_spec::runtime::{LinuxResources, Process, Spec};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bigger files are refused.
const MAX_SIZE: u64 = 4 << 20;

/// The file's name in a bundle.
pub(crate) const NAME: &str = "config.json";

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
    if let Some(process) = document.member("process") {
        process::complete(process, warn);
    }
    specification(&document)
}

/// Parses the text of a single `process`, as `exec --process` has it.
pub(crate) fn parse_process(text: &[u8], warn: &dyn Fn(&str)) -> Result<Process> {
    let mut document = document(text)?;
    process::complete(&mut document, warn);
    specification(&document)
}

/// Parses the text of `linux.resources` alone, as `update` has it.
pub(crate) fn parse_resources(text: &[u8]) -> Result<LinuxResources> {
    specification(&document(text)?)
}

/// `linux.resources` from a document that was read already.
pub(crate) fn typed(document: serde_json::Value) -> Result<LinuxResources> {
    parse_resources(document.to_string().as_bytes())
}

/// The document, which is an object.
fn document(text: &[u8]) -> Result<Node<'_>> {
    if text.len() as u64 > MAX_SIZE {
        return Err(too_big());
    }
    let document = strict::parse(text)?;
    if !matches!(document, Node::Object(_)) {
        let message = "the configuration is not valid: it is not an object";
        return Err(Error::new(ErrorKind::InvalidArgument, message).with_context("field", "(document)"));
    }
    Ok(document)
}

/// The document as the specification's types.
fn specification<'d, T: serde::de::Deserialize<'d>>(document: &'d Node<'_>) -> Result<T> {
    typed::read(document).map_err(|e| {
        let field = e.place().to_string();
        let what = match field.as_str() {
            "linux.memoryPolicy" | "linux.memoryPolicy.mode" => {
                "the configuration has an invalid memory policy mode"
            }
            at if at.starts_with("linux.memoryPolicy.flags") => {
                "the configuration has an invalid memory policy flag"
            }
            _ => "the configuration is not valid",
        };
        Error::new(ErrorKind::InvalidArgument, format!("{what}: {e}")).with_context("field", field)
    })
}

#[cfg(test)]
mod tests;
