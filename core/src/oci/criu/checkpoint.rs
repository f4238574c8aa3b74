//! Writing a container's processes to an image.

use super::rpc::{Opts, PageServer, Worker, kind};
use super::{
    CgroupsMode, LOG_LEVEL, MOUNTS, Mounted, Mounts, STREAMS, binds, check_cgroups, describe, folder, mounts,
    program, utf8,
};
use crate::oci::Engine;
use crate::oci::identity::Identity;
use crate::oci::record::Found;
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::Spec;
use rustix::fd::{AsRawFd, OwnedFd};
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

/// How a container is checkpointed.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// Where the image goes; made when it is missing.
    pub image_path: PathBuf,
    /// Where CRIU works and logs; empty: the image's folder.
    pub work_path: PathBuf,
    /// The image of a checkpoint before, relative to this one: only what has changed since is written.
    pub parent_path: Option<String>,
    /// Only memory, while the container runs on: for a checkpoint to come.
    pub pre_dump: bool,
    /// Let the container run on.
    pub leave_running: bool,
    /// With open TCP connections.
    pub tcp_established: bool,
    /// With external Unix sockets.
    pub ext_unix_sk: bool,
    /// Of a container with a terminal that is not its own.
    pub shell_job: bool,
    /// With file locks.
    pub file_locks: bool,
    /// Without TCP connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// With files that are open and removed but have another name.
    pub link_remap: bool,
    /// Remove from the image before what is written anew.
    pub auto_dedup: bool,
    /// What is done with cgroups.
    pub cgroups: CgroupsMode,
    /// Leave out what is in the network namespace.
    pub empty_network: bool,
    /// Address and port of a `criu page-server` that memory is sent to.
    pub page_server: Option<(String, u16)>,
}

impl Engine {
    /// Writes a container's processes to an image, and ends them unless told otherwise.
    pub fn checkpoint(&self, id: &str, options: &CheckpointOptions) -> Result<()> {
        let (found, _held) = self.lock(id)?;
        let init = match (found.status(), &found.record.init) {
            ("running" | "paused", Some(init)) => init,
            _ => return Err(Error::new(ErrorKind::NotRunning, "container not running")),
        };
        check_parent(options)?;
        let criu = program()?;
        check_cgroups(&found.record.cgroup)?;
        let work = super::work_path(&options.image_path, &options.work_path);
        for dir in [&*options.image_path, work] {
            std::fs::create_dir_all(dir).map_err(|e| {
                Error::io("the image's folder can't be made", e)
                    .with_context("path", dir.display().to_string())
            })?;
        }
        let (images, works) = (folder(&options.image_path)?, folder(work)?);
        let mut opts = flags(options, &images, &works);
        about(&found, init, options, &mut opts)?;
        let worker = Worker::start(&criu, |command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        })?;
        let what = if options.pre_dump { kind::PRE_DUMP } else { kind::DUMP };
        let done = worker.ask(what, opts, |_| Ok(()));
        done.map(drop).map_err(|e| describe(&criu, e, &work.join("dump.log")))
    }
}

/// Where the image before is, also while the folder of this one is still to be made.
fn before(image: &Path, parent: &str) -> PathBuf {
    if image.is_dir() {
        return image.join(parent);
    }
    let mut at = image.to_owned();
    for part in Path::new(parent).components() {
        match part {
            Component::ParentDir => _ = at.pop(),
            part => at.push(part),
        }
    }
    at
}

/// An image before is one that is there, named by its way from this one, as it will be when both are moved.
fn check_parent(options: &CheckpointOptions) -> Result<()> {
    let Some(parent) = &options.parent_path else { return Ok(()) };
    let wrong = |text: &str| {
        let error = Error::new(ErrorKind::InvalidArgument, text).with_context("path", parent);
        Err(error.with_context("field", "--parent-path"))
    };
    match Path::new(parent).is_absolute() {
        true => wrong("the image before is named relative to the image"),
        false if !before(&options.image_path, parent).is_dir() => wrong("the image before is not there"),
        false => Ok(()),
    }
}

/// What is asked for.
fn flags(options: &CheckpointOptions, images: &OwnedFd, work: &OwnedFd) -> Opts {
    Opts {
        images_dir_fd: images.as_raw_fd(),
        work_dir_fd: Some(work.as_raw_fd()),
        leave_running: Some(options.leave_running || options.pre_dump),
        tcp_established: Some(options.tcp_established),
        ext_unix_sk: Some(options.ext_unix_sk),
        shell_job: Some(options.shell_job),
        file_locks: Some(options.file_locks),
        tcp_skip_in_flight: Some(options.tcp_skip_in_flight),
        link_remap: Some(options.link_remap),
        auto_dedup: Some(options.auto_dedup),
        parent_img: options.parent_path.clone(),
        // Memory that changes is followed only when that is of use to a checkpoint to come.
        track_mem: Some(options.pre_dump || options.parent_path.is_some()),
        manage_cgroups: Some(true),
        manage_cgroups_mode: Some(options.cgroups.number()),
        empty_ns: options.empty_network.then_some(libc::CLONE_NEWNET as u32),
        ps: options.page_server.as_ref().map(|(address, port)| PageServer {
            address: Some(address.clone()),
            port: Some(i32::from(*port)),
        }),
        log_level: Some(LOG_LEVEL),
        log_file: Some("dump.log".to_owned()),
        orphan_pts_master: Some(true),
        ..Opts::default()
    }
}

/// What there is to say about the container.
fn about(found: &Found, init: &Identity, options: &CheckpointOptions, opts: &mut Opts) -> Result<()> {
    let spec = found.spec()?;
    opts.pid = Some(init.pid);
    opts.root = Some(utf8(&found.record.rootfs)?);
    opts.freeze_cgroup = found.record.cgroup.unified().map(utf8).transpose()?;
    for (at, _) in binds(&spec, &found.record.bundle) {
        let at = utf8(at)?;
        opts.external.push(format!("mnt[{at}]:{at}"));
    }
    for (name, key, path) in super::shared_namespaces(&spec) {
        let failed =
            |e| Error::io("a namespace can't be found", e).with_context("path", path.display().to_string());
        let inode = std::fs::metadata(path).map_err(failed)?.ino();
        opts.external.push(format!("{name}[{inode}]:{key}"));
    }
    let mounts = mounts_of(&spec, init.pid)?;
    for (at, _) in mounts.iter().filter(|(_, mounted)| mounted.mask.is_some()) {
        let at = utf8(at)?;
        opts.external.push(format!("mnt[{at}]:{at}"));
    }
    let streams: Vec<Stream> = (0..3).map(|fd| stream(init.pid, fd)).collect();
    opts.external.extend(streams.iter().filter_map(|s| s.external.clone()));
    let links: Vec<&str> = streams.iter().map(|s| s.link.as_str()).collect();
    if !options.pre_dump {
        write(&options.image_path.join(STREAMS), &serde_json::json!(links))?;
        write(&options.image_path.join(MOUNTS), &serde_json::json!(mounts))?;
    }
    Ok(())
}

fn write(path: &Path, value: &serde_json::Value) -> Result<()> {
    std::fs::write(path, value.to_string()).map_err(|e| {
        Error::io("the image can't be written", e).with_context("path", path.display().to_string())
    })
}

/// The mounts of the container.
fn mounts_of(spec: &Spec, pid: i32) -> Result<Mounts> {
    let masked: HashSet<PathBuf> =
        spec.linux().iter().flat_map(|l| l.masked_paths().iter().flatten()).map(PathBuf::from).collect();
    let all = mounts::attributes(pid)?.into_iter().map(|(path, attributes)| {
        let inside = PathBuf::from(format!("/proc/{pid}/root{}", path.display()));
        let mask = masked.contains(&path).then(|| inside.is_dir());
        (path, Mounted { attributes, mask })
    });
    Ok(all.collect())
}

/// A standard stream.
struct Stream {
    /// By what a restore knows it.
    link: String,
    /// For CRIU, where it is a file of the machine.
    external: Option<String>,
}

fn stream(pid: i32, fd: i32) -> Stream {
    let at = format!("/proc/{pid}/fd/{fd}");
    let link = std::fs::read_link(&at).map(|l| l.display().to_string()).unwrap_or_default();
    match outside(pid, fd, &at) {
        Some(key) => Stream { external: Some(key.clone()), link: key },
        None => Stream { link, external: None },
    }
}

/// CRIU's key of a file that is on no mount of the container.
fn outside(pid: i32, fd: i32, at: &str) -> Option<String> {
    let meta = std::fs::metadata(at).ok()?;
    let file_type = meta.mode() & libc::S_IFMT;
    if ![libc::S_IFREG, libc::S_IFCHR, libc::S_IFIFO].contains(&file_type)
        || !std::fs::read_link(at).ok()?.is_absolute()
    {
        return None;
    }
    let info = crate::sys::read_kernel_file(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse::<u32>().ok()?;
    let mounts = crate::sys::read_kernel_file(format!("/proc/{pid}/mountinfo")).ok()?;
    let own = mounts.lines().any(|line| line.split(' ').next() == Some(&mount.to_string()));
    (!own).then(|| format!("file[{mount:x}:{:x}]", meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::before;
    use std::path::Path;

    #[test]
    fn the_image_before_is_found_from_a_folder_that_is_not_there_yet() {
        assert_eq!(before(Path::new("/not/there"), "../before"), Path::new("/not/before"));
        assert_eq!(before(Path::new("there"), "./../before/it"), Path::new("before/it"));
        // From one that is there, its own way counts.
        assert_eq!(before(Path::new("/usr"), "../before"), Path::new("/usr/../before"));
    }
}
