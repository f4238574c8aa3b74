//! `checkpoint` and `restore`, by CRIU.

use super::Engine;
use crate::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a container is checkpointed.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// Where the image goes.
    pub image_path: PathBuf,
    /// Where CRIU works and logs; empty: the image's folder.
    pub work_path: PathBuf,
    /// Let the container run on.
    pub leave_running: bool,
    /// With open TCP connections.
    pub tcp_established: bool,
    /// With external Unix sockets.
    pub ext_unix_sk: bool,
    /// Of a container with a terminal.
    pub shell_job: bool,
    /// With file locks.
    pub file_locks: bool,
    /// Without TCP connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// Unlinked files are linked again.
    pub link_remap: bool,
    /// Pages of earlier images are thrown away when newer ones are there.
    pub auto_dedup: bool,
    /// How CRIU treats cgroups: `soft`, `full`, `strict`, `ignore` (the default).
    pub manage_cgroups: Option<String>,
}

/// How a container is restored.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// Where the image is.
    pub image_path: PathBuf,
}

/// A mode of CRIU's for cgroups.
fn manage_cgroups(options: &CheckpointOptions) -> Result<&str> {
    match options.manage_cgroups.as_deref() {
        None => Ok("ignore"),
        Some(mode @ ("soft" | "full" | "strict" | "ignore")) => Ok(mode),
        Some(other) => {
            let text = format!(
                "Invalid manage-cgroups-mode value {other:?}: soft, full, strict and ignore are known"
            );
            Err(Error::new(ErrorKind::InvalidArgument, text).with_context("field", "--manage-cgroups-mode"))
        }
    }
}

/// Finds CRIU, and asks it whether it can work with this kernel.
fn criu() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("criu")).find(|file| file.is_file());
    let found = found.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "checkpoint and restore need the program criu; install the package criu",
        )
    })?;
    let checked = Command::new(&found).arg("check").output();
    let checked = checked.map_err(|e| Error::io("criu can't be run", e))?;
    if !checked.status.success() {
        let said = String::from_utf8_lossy(&checked.stderr);
        let last = said.lines().last().unwrap_or_default().to_owned();
        let text = format!("criu can't work with this kernel: {last}");
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    Ok(found)
}

impl Engine {
    /// Writes a container's processes to an image, and ends them unless told otherwise.
    pub fn checkpoint(&self, id: &str, options: &CheckpointOptions) -> Result<()> {
        let (found, _held) = self.lock(id)?;
        let init = match (found.status(), &found.record.init) {
            ("running" | "paused", Some(init)) => init,
            _ => return Err(Error::new(ErrorKind::NotRunning, "container not running")),
        };
        manage_cgroups(options)?;
        let criu = criu()?;
        let work =
            if options.work_path.as_os_str().is_empty() { &options.image_path } else { &options.work_path };
        for dir in [&options.image_path, work] {
            std::fs::create_dir_all(dir).map_err(|e| {
                Error::io("the image's folder can't be made", e)
                    .with_context("path", dir.display().to_string())
            })?;
        }
        let mut command = Command::new(criu);
        command.arg("dump").arg("--tree").arg(init.pid.to_string());
        command.arg("--images-dir").arg(&options.image_path).arg("--work-dir").arg(work);
        command.arg("--root").arg(&found.record.rootfs).args(["--log-file", "dump.log"]);
        command.arg(format!("--manage-cgroups={}", manage_cgroups(options)?));
        let flags = [
            (options.leave_running, "--leave-running"),
            (options.tcp_established, "--tcp-established"),
            (options.ext_unix_sk, "--ext-unix-sk"),
            (options.shell_job, "--shell-job"),
            (options.file_locks, "--file-locks"),
            (options.tcp_skip_in_flight, "--skip-in-flight"),
            (options.link_remap, "--link-remap"),
            (options.auto_dedup, "--auto-dedup"),
        ];
        command.args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        for mount in found.spec()?.mounts().iter().flatten() {
            let at = mount.destination().display();
            if super::translate::options(mount).bind.is_some() {
                command.arg("--external").arg(format!("mnt[{at}]:{at}"));
            }
        }
        let ended = command.output().map_err(|e| Error::io("criu can't be run", e))?;
        if !ended.status.success() {
            let log = work.join("dump.log");
            let text = format!("criu failed: {}", last_error(&log));
            return Err(
                Error::new(ErrorKind::Unsupported, text).with_context("log", log.display().to_string())
            );
        }
        Ok(())
    }

    /// Makes a container from an image of its processes.
    pub fn restore(&self, id: &str, options: &RestoreOptions) -> Result<()> {
        self.dir(id)?;
        let meta = std::fs::metadata(&options.image_path).map_err(|e| {
            Error::io("the image can't be found", e)
                .with_context("path", options.image_path.display().to_string())
        })?;
        if !meta.is_dir() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the image is no folder"));
        }
        criu()?;
        Err(Error::new(
            ErrorKind::Unsupported,
            "this version restores no containers; their images are criu's own",
        ))
    }
}

fn last_error(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| line.contains("Error")).unwrap_or("see its log").to_owned()
}
