//! `checkpoint` and `restore`, by CRIU, whose files the images are. Besides those there are, as runc has it,
//! `descriptors.json` with what the standard streams were, and `mounts.json` of our own.

mod checkpoint;
mod mounts;
mod restore;
mod rpc;
mod targets;

pub use checkpoint::CheckpointOptions;
pub use restore::RestoreOptions;

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the standard streams were: a list of the links in `/proc/PID/fd`.
const STREAMS: &str = "descriptors.json";
/// How the container's mounts were, by where they were.
const MOUNTS: &str = "mounts.json";
/// Everything that CRIU tells.
const LOG_LEVEL: i32 = 4;

/// A mount of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mounted {
    /// As in mountinfo: `ro,nosuid`.
    attributes: String,
    /// It masks a path: whether that is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<bool>,
}

type Mounts = BTreeMap<PathBuf, Mounted>;

/// How CRIU treats cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupsMode {
    /// Not at all.
    Ignore,
    /// Makes those that are missing, and sets what it has made.
    #[default]
    Soft,
    /// Sets all.
    Full,
    /// Makes all; it is an error when one is there.
    Strict,
}

impl CgroupsMode {
    /// By its name: `ignore`, `soft`, `full` or `strict`.
    pub fn parse(name: &str) -> Result<CgroupsMode> {
        Ok(match name {
            "ignore" => CgroupsMode::Ignore,
            "soft" => CgroupsMode::Soft,
            "full" => CgroupsMode::Full,
            "strict" => CgroupsMode::Strict,
            _ => {
                let text =
                    format!("unknown mode of cgroups {name:?}; there are ignore, soft, full and strict");
                return Err(
                    Error::new(ErrorKind::InvalidArgument, text).with_context("field", "manage-cgroups-mode")
                );
            }
        })
    }

    /// As `criu_cg_mode`.
    fn number(self) -> i32 {
        match self {
            CgroupsMode::Ignore => 0,
            CgroupsMode::Soft => 3,
            CgroupsMode::Full => 4,
            CgroupsMode::Strict => 5,
        }
    }
}

/// Does something on a thread that changes what of the process it sees, and ends.
fn on_thread<T: Send>(what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(what).join())
        .map_err(|_| Error::new(ErrorKind::Internal, "a thread has failed"))?
}

/// Finds CRIU.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("criu")).find(|file| file.is_file());
    found.ok_or_else(|| {
        let text = "checkpoint and restore need the program criu; install the package criu";
        Error::new(ErrorKind::Unsupported, text)
    })
}

/// The error for what CRIU did not do: where it can't work with this kernel at all, that is why.
fn describe(program: &Path, failed: rpc::Failed, log: &Path) -> Error {
    let said = match failed {
        rpc::Failed::Own(e) => return e,
        rpc::Failed::Criu(said) => said,
    };
    if let Ok(checked) = Command::new(program).arg("check").output()
        && !checked.status.success()
    {
        let text = String::from_utf8_lossy(&checked.stderr);
        let last = text.lines().last().unwrap_or_default();
        return Error::new(ErrorKind::Unsupported, format!("criu can't work with this kernel: {last}"));
    }
    let logged = std::fs::read_to_string(log).unwrap_or_default();
    let line = logged.lines().find(|line| line.contains("Error")).map(str::to_owned);
    let why = line.or(said).unwrap_or_else(|| "it does not say why".to_owned());
    Error::new(ErrorKind::Io, format!("criu failed: {why}")).with_context("log", log.display().to_string())
}

/// A folder of images, or for CRIU's work.
fn folder(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| {
        Error::io("the image can't be found", e.into()).with_context("path", path.display().to_string())
    })
}

/// Where CRIU works and logs: unless another folder is named, that of the image.
fn work_path<'a>(image: &'a Path, work: &'a Path) -> &'a Path {
    if work.as_os_str().is_empty() { image } else { work }
}

/// Binds of a configuration: where they are, and what of the machine is there.
fn binds<'a>(spec: &'a Spec, bundle: &'a Path) -> impl Iterator<Item = (&'a Path, PathBuf)> {
    spec.mounts().iter().flatten().filter_map(move |mount| {
        let bind = super::translate::options(mount).bind.is_some() || mount.typ().as_deref() == Some("bind");
        let source = mount.source().as_ref().filter(|_| bind)?;
        Some((mount.destination().as_path(), bundle.join(source)))
    })
}

/// Namespaces that the container shares with others by their path: CRIU's key of each. It knows these two.
fn shared_namespaces(spec: &Spec) -> impl Iterator<Item = (&'static str, &'static str, &Path)> {
    let all = spec.linux().iter().flat_map(|l| l.namespaces().iter().flatten());
    all.filter_map(|space| {
        let (name, key) = match space.typ() {
            LinuxNamespaceType::Network => ("net", "extRootNetNS"),
            LinuxNamespaceType::Pid => ("pid", "extRootPidNS"),
            _ => return None,
        };
        space.path().as_deref().map(|path| (name, key, path))
    })
}

/// CRIU has no mounts of cgroup v1 put back by this version.
fn check_cgroups(cgroup: &super::cgroup::Cgroup) -> Result<()> {
    if cgroup.unified().is_some() || !cgroup.exists() {
        return Ok(());
    }
    let text = "checkpoint and restore need cgroup v2; boot with systemd.unified_cgroup_hierarchy=1";
    Err(Error::new(ErrorKind::Unsupported, text))
}

fn utf8(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "criu knows paths in UTF-8 only")
            .with_context("path", path.display().to_string())
    })
}
