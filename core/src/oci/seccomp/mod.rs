//! Seccomp filters of a configuration: `linux.seccomp`.
//!
//! The compiler is the library's own ([`crate::sandbox::seccomp`]); here are the notation, with the JSON path in
//! every error, and the process behind `listenerPath`.

pub(super) mod convert;
#[cfg(test)]
mod tests;

use crate::sandbox::seccomp::{ProfileError, Target, flags};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::LinuxSeccomp;

/// A compiled filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// An array of `struct sock_filter`.
    pub(crate) program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`; with `notify`, `NEW_LISTENER` is among them.
    pub(crate) flags: u32,
    /// Some calls are answered by a process behind `listenerPath`.
    pub(crate) notify: bool,
    /// What was passed over, a sentence each: names of system calls that nobody here knows, a listener that nobody asks.
    pub(crate) warnings: Vec<String>,
}

/// Compiles a filter for this machine.
pub(crate) fn compile(seccomp: &LinuxSeccomp) -> Result<Compiled> {
    // an OCI filter has no rules that depend on capabilities
    let target = Target::here(0).map_err(located)?;
    compile_for(seccomp, &target).map_err(located)
}

fn compile_for(seccomp: &LinuxSeccomp, target: &Target) -> std::result::Result<Compiled, ProfileError> {
    let profile = convert::profile(seccomp)?;
    let notify = profile.notifies();
    listener(seccomp, notify)?;
    let program = crate::sandbox::seccomp::compile(&profile, target)?;
    let unknown =
        |(path, name)| format!("linux.seccomp.{path}: no such system call: {name}; it is passed over");
    let unasked = (!notify && seccomp.listener_path().is_some()).then(|| {
        "linux.seccomp.listenerPath: no action is SCMP_ACT_NOTIFY, so nobody is asked there; it is passed over".to_owned()
    });
    Ok(Compiled {
        program,
        flags: flags_for(profile.flags, notify),
        notify,
        warnings: profile.unknown_names().map(unknown).chain(unasked).collect(),
    })
}

/// A process that decides about calls needs a way to it.
fn listener(seccomp: &LinuxSeccomp, notify: bool) -> std::result::Result<(), ProfileError> {
    match seccomp.listener_path() {
        None if notify => {
            let message = "SCMP_ACT_NOTIFY needs this field, the path of the socket of who decides";
            Err(ProfileError::invalid("listenerPath", message))
        }
        None if seccomp.listener_metadata().as_ref().is_some_and(|text| !text.is_empty()) => {
            Err(ProfileError::invalid("listenerMetadata", "it is for `listenerPath`, which is not set"))
        }
        Some(path) if notify && !path.is_absolute() => {
            Err(ProfileError::invalid("listenerPath", "an absolute path is needed here"))
        }
        _ => Ok(()),
    }
}

/// The kernel's flags: a process of one thread has none to synchronise, which a listener excludes, and only with one there
/// is a wait to be made killable.
fn flags_for(asked: u32, notify: bool) -> u32 {
    match notify {
        true => asked & !flags::TSYNC | flags::NEW_LISTENER,
        false => asked & !flags::TSYNC & !flags::WAIT_KILLABLE_RECV,
    }
}

fn located(e: ProfileError) -> Error {
    let path = match e.path.is_empty() {
        true => "linux.seccomp".to_owned(),
        false => format!("linux.seccomp.{}", e.path),
    };
    let kind = if e.unsupported { ErrorKind::Unsupported } else { ErrorKind::InvalidArgument };
    Error::new(kind, format!("{path}: {}", e.message)).with_context("field", path)
}
