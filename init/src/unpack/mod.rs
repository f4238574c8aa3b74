//! The unpacker: one archive stream into one folder, in a process of its own.
//!
//! The stream is decompressed and hashed on one thread, read and written out on another. What the archive
//! says is data: every name is resolved below the folder's descriptor with `RESOLVE_IN_ROOT`, so that a link
//! in the archive leads where it would lead in a container, and never outside. The process works in constant
//! memory and in time linear in the stream.
//!
//! Failures carry the code `corrupt` for content that is not what it should be, `limit_exceeded` for too much
//! of it, `unsupported` for a kind that can't be read, and an errno for what the system refused.

mod apply;
mod dirs;
mod fault;
mod names;
mod remove;
mod stream;
mod tar;
#[cfg(test)]
mod tests;

use containers_protocol::control::Failure;
use containers_protocol::unpack::{Unpack, Unpacked};
use rustix::fd::OwnedFd;

/// Unpacks `stream` (a pipe or a file) into `dir`, which is empty. Ends at the end of the stream, or at the
/// first error; what is in `dir` then is for the caller to delete.
pub(crate) fn run(request: &Unpack, dir: OwnedFd, stream: OwnedFd) -> Result<Unpacked, Failure> {
    // Files get the modes that the archive gives them.
    rustix::process::umask(rustix::fs::Mode::empty());
    unpack(request, dir, stream).map_err(|fault| fault.into_failure())
}

fn unpack(request: &Unpack, dir: OwnedFd, input: OwnedFd) -> fault::Result<Unpacked> {
    let source = stream::Source::start(input, request.compression)?;
    let mut applier = apply::Applier::new(request, dir)?;
    let mut archive = tar::Archive::new(source);
    while let Some(entry) = archive.next()? {
        applier.entry(&entry, &mut archive).map_err(|fault| fault.at(&entry.name, entry.offset))?;
    }
    let mut unpacked = applier.finish()?;
    unpacked.diff_id = archive.finish()?;
    if let Some(expected) = &request.diff_id
        && *expected != unpacked.diff_id
    {
        return Err(fault::Fault::content(format!(
            "the layer's content has the digest sha256:{}, its configuration says sha256:{expected}",
            unpacked.diff_id
        )));
    }
    Ok(unpacked)
}
