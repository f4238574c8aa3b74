//! What a configuration must satisfy beyond its types. Every error names the JSON path (`field`).

/// An error unless something holds. What it would say is made only then.
macro_rules! ensure {
    ($holds:expr, $field:expr, $message:expr $(,)?) => {
        if $holds { Ok(()) } else { Err($crate::oci::validate::wrong($field, $message)) }
    };
}

mod ids;
mod linux;
mod mounts;
mod namespaces;
pub(crate) mod process;
mod scheduling;
mod sysctl;

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{Hook, Linux, Spec};
use std::path::{Component, Path, PathBuf};

/// A value that can never work.
fn wrong(field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_context("field", field)
}

/// Something that this machine, or this version, can't do.
fn unsupported(field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_context("field", field)
}

/// Checks a configuration.
pub(crate) fn check(spec: &Spec, bundle: &Path) -> Result<()> {
    version(spec)?;
    other_platforms(spec)?;
    rootfs(spec, bundle)?;
    let none = nothing();
    let linux = spec.linux().as_ref().unwrap_or(&none);
    let spaces = namespaces::check(linux)?;
    names(spec, &spaces)?;
    if let Some(process) = spec.process() {
        process::check(process)?;
    } else {
        return Err(wrong("process", "there is no process to run"));
    }
    mounts::check(spec, linux, &spaces)?;
    hooks(spec)?;
    linux::check(spec, linux, &spaces)?;
    annotations(spec)
}

/// A `linux` section that asks for nothing.
fn nothing() -> Linux {
    let mut linux = Linux::default();
    linux.set_resources(None).set_namespaces(None).set_masked_paths(None).set_readonly_paths(None);
    linux
}

/// `ociVersion` is a semantic version with major number 1.
fn version(spec: &Spec) -> Result<()> {
    let version = spec.version();
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u64>> =
        core.split('.').map(|n| n.parse().ok().filter(|_| n.bytes().all(|b| b.is_ascii_digit()))).collect();
    match numbers.as_slice() {
        [Some(1), Some(_), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => Err(unsupported(
            "ociVersion",
            format!("version {version} of the specification is not known: 1.x is"),
        )),
        _ => Err(wrong("ociVersion", format!("not a semantic version: {version:?}"))),
    }
}

fn other_platforms(spec: &Spec) -> Result<()> {
    let others = [
        ("solaris", spec.solaris().is_some()),
        ("windows", spec.windows().is_some()),
        ("vm", spec.vm().is_some()),
        ("zos", spec.zos().is_some()),
    ];
    match others.iter().find(|(_, there)| *there) {
        Some((name, _)) => Err(unsupported(*name, "the section is for another platform than linux")),
        None => Ok(()),
    }
}

/// Why a start failed that could not have succeeded: the kernel lacks a namespace.
pub(crate) fn explained(spec: &Spec, failed: Error) -> Error {
    let missing = spec.linux().as_ref().and_then(|linux| namespaces::missing(linux).err());
    missing.unwrap_or(failed)
}

/// The root file system of a bundle whose path is absolute and has no links in it.
pub(crate) fn rootfs_path(spec: &Spec, bundle: &Path) -> Result<PathBuf> {
    let root = spec.root().as_ref().ok_or_else(|| wrong("root", "there is no root file system"))?;
    ensure!(!root.path().as_os_str().is_empty(), "root.path", "the path is empty")?;
    Ok(bundle.join(root.path()))
}

fn rootfs(spec: &Spec, bundle: &Path) -> Result<()> {
    let path = rootfs_path(spec, bundle)?;
    let failed = |e| {
        Error::io("can't find the root file system", e)
            .with_context("field", "root.path")
            .with_context("path", path.display().to_string())
    };
    let real = crate::sys::canonicalize(&path).map_err(failed)?;
    ensure!(real == clean(&path), "root.path", "the root file system is reached over a symbolic link")?;
    ensure!(real.is_dir(), "root.path", "the root file system is not a directory")?;
    ensure!(real != Path::new("/"), "root.path", "the root file system is that of the machine")
}

/// A path without `.` and `..`, by its text.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Host and domain name need a namespace of their own.
fn names(spec: &Spec, spaces: &namespaces::Spaces) -> Result<()> {
    for (field, name) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let Some(name) = name.as_deref().filter(|n| !n.is_empty()) else { continue };
        ensure!(spaces.own(libc::CLONE_NEWUTS), field, "it needs a UTS namespace")?;
        ensure!(name.len() <= 64, field, "it is longer than 64 bytes")?;
    }
    Ok(())
}

fn hooks(spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    #[allow(deprecated, reason = "the specification still has them")]
    let all: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (kind, hooks) in all {
        for (index, hook) in hooks.iter().flatten().enumerate() {
            let field = |name: &str| format!("hooks.{kind}[{index}].{name}");
            ensure!(hook.path().is_absolute(), field("path"), "the path is not absolute")?;
            ensure!(
                hook.timeout().is_none_or(|t| t > 0),
                field("timeout"),
                "a timeout is greater than zero"
            )?;
            for (at, entry) in hook.env().iter().flatten().enumerate() {
                process::entry(entry, || field(&format!("env[{at}]")))?;
            }
        }
    }
    Ok(())
}

fn annotations(spec: &Spec) -> Result<()> {
    let empty = spec.annotations().iter().flatten().any(|(key, _)| key.is_empty());
    ensure!(!empty, "annotations", "a key is empty")
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
