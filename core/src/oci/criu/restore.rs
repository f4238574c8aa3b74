//! Making a container from an image of its processes.

use super::rpc::{CgroupRoot, InheritFd, Opts, Stage, Worker, inherited, kind};
use super::{
    CgroupsMode, LOG_LEVEL, MOUNTS, Mounts, STREAMS, binds, check_cgroups, describe, folder, mounts, program,
    shared_namespaces, targets, utf8,
};
use crate::oci::cgroup::{Cgroup, Machine};
use crate::oci::config;
use crate::oci::create::{check_terminal, entered};
use crate::oci::folder::{Bundle, make_dir, write_pid};
use crate::oci::foreground::{self, Foreground};
use crate::oci::handover::{send_master, standard_streams};
use crate::oci::hooks::Hook;
use crate::oci::identity::Identity;
use crate::oci::rdt;
use crate::oci::record::{Found, Record, lock_dir};
use crate::oci::{Engine, translate};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::Spec;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How a container is restored.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// Where the image is.
    pub image_path: PathBuf,
    /// Where CRIU works and logs; empty: the image's folder.
    pub work_path: PathBuf,
    /// The bundle; empty: the current folder.
    pub bundle: PathBuf,
    /// Do not wait.
    pub detach: bool,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Where the master of the terminal is sent.
    pub console_socket: Option<PathBuf>,
    /// With open TCP connections.
    pub tcp_established: bool,
    /// With external Unix sockets.
    pub ext_unix_sk: bool,
    /// Of a container with a terminal that is not its own.
    pub shell_job: bool,
    /// With file locks.
    pub file_locks: bool,
    /// Remove from the image what has been read.
    pub auto_dedup: bool,
    /// What is done with cgroups.
    pub cgroups: CgroupsMode,
    /// The image has nothing of the network namespace.
    pub empty_network: bool,
    /// Another profile of AppArmor or label of SELinux: `apparmor:NAME` or `selinux:LABEL`.
    pub lsm_profile: Option<String>,
}

/// A container on its way.
struct Restoring<'a> {
    engine: &'a Engine,
    options: &'a RestoreOptions,
    spec: Spec,
    /// The configuration's text.
    text: Vec<u8>,
    found: Found,
    /// Those that the image had.
    mounts: Mounts,
    master: Option<OwnedFd>,
}

impl Engine {
    /// Makes a container from an image of its processes; unless detached, waits for its end and passes signals and
    /// the terminal on. The exit code.
    pub fn restore(&self, id: &str, options: &RestoreOptions) -> Result<i32> {
        let dir = self.dir(id)?;
        folder(&options.image_path)?;
        let criu = program()?;
        let (Bundle { path, text, spec, rootfs }, ()) = self.read_bundle(&options.bundle, |_| ())?;
        let terminal = spec.process().as_ref().is_some_and(|p| p.terminal() == Some(true));
        check_terminal(terminal, options.console_socket.is_some(), options.detach)?;
        let relayed = terminal && options.console_socket.is_none();
        let foreground = if options.detach { None } else { Some(Foreground::begin(relayed)?) };
        make_dir(&self.root, &dir)?;
        let record = Record::new(id, &spec, path, rootfs);
        let mut restoring = Restoring {
            engine: self,
            options,
            spec,
            text,
            found: Found { dir, record },
            mounts: Mounts::new(),
            master: None,
        };
        let pid = restoring.fill(&criu).inspect_err(|_| drop(self.destroy(&restoring.found)))?;
        let Some(foreground) = foreground else { return Ok(0) };
        let child = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let child = child.ok_or_else(|| Error::new(ErrorKind::NotRunning, "the restored process is gone"))?;
        let code = foreground.serve(pid, &child, restoring.master.take())?;
        let found = &restoring.found;
        if found.dir.exists() {
            let _held = lock_dir(&found.dir)?;
            self.destroy(found)?;
        }
        Ok(code)
    }
}

impl Restoring<'_> {
    fn fill(&mut self, criu: &Path) -> Result<i32> {
        let (options, engine) = (self.options, self.engine);
        let work_path = super::work_path(&options.image_path, &options.work_path);
        std::fs::create_dir_all(work_path)
            .map_err(|e| Error::io("the folder for criu's work can't be made", e))?;
        let record = &mut self.found.record;
        config::keep(&self.text, &self.found.dir)?;
        targets::make(&self.spec, &record.rootfs, &record.bundle)?;
        record.cgroup = Cgroup::create(
            &self.spec,
            &record.id,
            (engine.driver(), &Machine::look()),
            engine.rootless(),
            None,
        )?;
        record.cgroup.warnings().iter().for_each(|warning| (engine.warn)(warning));
        check_cgroups(&record.cgroup)?;
        let (namespaces, own_pids) = self.namespaces()?;
        (self.found.record.namespaces, self.found.record.own_pids) = (namespaces, own_pids);
        let root = self.found.dir.join("criu-root");
        std::fs::create_dir(&root).map_err(|e| Error::io("the place of the root can't be made", e))?;
        self.mounts = mounts::wanted(self.read(MOUNTS)?, &self.spec);
        let mut opts = self.opts(&root)?;
        let streams = standard_streams()?;
        opts.inherit_fd = self.streams(&streams)?;
        let spaces = self.shared(&mut opts)?;
        // Opened where CRIU is, which makes mounts in the folder of its work.
        let (worker, images, work) = in_private(&self.found.record.rootfs, &root, || {
            Ok((Worker::start(criu, |_| ())?, folder(&options.image_path)?, folder(work_path)?))
        })?;
        drop((streams, spaces));
        (opts.images_dir_fd, opts.work_dir_fd) = (images.as_raw_fd(), Some(work.as_raw_fd()));
        opts.cg_root = self.enter(worker.pid())?;
        let done = worker.ask(kind::RESTORE, opts, |stage| self.reached(stage));
        let pid = done.map_err(|e| describe(criu, e, &work_path.join("restore.log")))?;
        let _ = std::fs::remove_dir(&root);
        let known = self.found.record.init.as_ref().map(|init| init.pid);
        pid.or(known).ok_or_else(|| Error::new(ErrorKind::Internal, "criu does not say what it has restored"))
    }

    /// Namespaces that a further process enters, and whether it has a pid namespace of its own.
    fn namespaces(&self) -> Result<(u64, bool)> {
        let record = &self.found.record;
        let setting = translate::Setting {
            id: &record.id,
            bundle: &record.bundle,
            rootfs: record.rootfs.clone(),
            no_pivot: false,
            no_new_keyring: false,
            rootless: self.engine.rootless(),
            gate: 0,
            tty: None,
            hook_state: b"{}",
            warn: &*self.engine.warn,
        };
        let plan = translate::plan(&self.spec, &setting)?;
        Ok((entered(&plan), plan.namespaces & libc::CLONE_NEWPID as u64 != 0))
    }

    fn opts(&self, root: &Path) -> Result<Opts> {
        let options = self.options;
        let mut external = Vec::new();
        for (at, source) in binds(&self.spec, &self.found.record.bundle) {
            external.push(format!("mnt[{}]:{}", utf8(at)?, utf8(&source)?));
        }
        for (at, mounted) in &self.mounts {
            let source = match mounted.mask {
                Some(true) => self.empty_folder()?,
                Some(false) => "/dev/null".to_owned(),
                None => continue,
            };
            external.push(format!("mnt[{}]:{source}", utf8(at)?));
        }
        Ok(Opts {
            root: Some(utf8(root)?),
            external,
            evasive_devices: Some(true),
            rst_sibling: Some(true),
            notify_scripts: Some(true),
            orphan_pts_master: Some(true),
            tcp_established: Some(options.tcp_established),
            ext_unix_sk: Some(options.ext_unix_sk),
            shell_job: Some(options.shell_job),
            file_locks: Some(options.file_locks),
            auto_dedup: Some(options.auto_dedup),
            manage_cgroups: Some(true),
            manage_cgroups_mode: Some(options.cgroups.number()),
            empty_ns: options.empty_network.then_some(libc::CLONE_NEWNET as u32),
            lsm_profile: options.lsm_profile.clone(),
            log_level: Some(LOG_LEVEL),
            log_file: Some("restore.log".to_owned()),
            ..Opts::default()
        })
    }

    /// What masked paths show when they are folders.
    fn empty_folder(&self) -> Result<String> {
        let path = self.found.dir.join("empty");
        match std::fs::DirBuilder::new().mode(0o555).create(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::io("a folder can't be made", e))
            }
            _ => utf8(&path),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.options.image_path.join(name);
        let damaged = |e: serde_json::Error| {
            Error::new(ErrorKind::Corrupt, "the image is damaged")
                .with_context("path", path.display().to_string())
                .with_source(e)
        };
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(damaged),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => {
                Err(Error::io("the image can't be read", e).with_context("path", path.display().to_string()))
            }
        }
    }

    /// Our streams for those of the machine that the image had.
    fn streams(&self, ours: &[OwnedFd]) -> Result<Vec<InheritFd>> {
        let links = self.read::<Vec<String>>(STREAMS)?.unwrap_or_default();
        let mut all: Vec<InheritFd> = Vec::new();
        for (key, fd) in links.into_iter().zip(ours) {
            let outside = key.starts_with("pipe:") || key.starts_with("file[");
            // Two streams that were one file are one again.
            if outside && all.iter().all(|other| other.key != key) {
                inherited(fd)?;
                all.push(InheritFd { key, fd: fd.as_raw_fd() });
            }
        }
        Ok(all)
    }

    /// Namespaces of others that the container is in again.
    fn shared(&self, opts: &mut Opts) -> Result<Vec<OwnedFd>> {
        let mut fds = Vec::new();
        for (_, key, path) in shared_namespaces(&self.spec) {
            let fd = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| {
                Error::io("a namespace can't be found", e.into())
                    .with_context("path", path.display().to_string())
            })?;
            inherited(&fd)?;
            opts.inherit_fd.push(InheritFd { key: key.to_owned(), fd: fd.as_raw_fd() });
            fds.push(fd);
        }
        Ok(fds)
    }

    /// Puts CRIU, and with it what it restores, into the container's cgroup and its group of caches.
    fn enter(&mut self, pid: i32) -> Result<Vec<CgroupRoot>> {
        let Found { dir, record } = &mut self.found;
        rdt::share_out(&self.spec, (record, dir), pid, &*self.engine.warn)?;
        let failed = |e| Error::io("criu can't be put into the container's cgroup", e);
        let cgroup = &self.found.record.cgroup;
        cgroup.start_unit(pid)?;
        for dir in cgroup.paths().values() {
            std::fs::write(dir.join("cgroup.procs"), pid.to_string()).map_err(failed)?;
        }
        let text = crate::sys::read_kernel_file(format!("/proc/{pid}/cgroup")).map_err(failed)?;
        let lines = text.lines().filter_map(|line| {
            let (controller, path) = line.split_once(':')?.1.split_once(':')?;
            Some(CgroupRoot { ctrl: Some(controller.to_owned()), path: path.to_owned() })
        });
        Ok(lines.collect())
    }

    /// What has to be done at a stage that CRIU waits at.
    fn reached(&mut self, stage: Stage<'_>) -> Result<()> {
        match (stage.name, stage.pid, stage.fd) {
            ("setup-namespaces", Some(pid), _) => self.run_hooks(pid),
            ("orphan-pts-master", _, Some(fd)) => match &self.options.console_socket {
                Some(path) => send_master(path, &fd),
                None => {
                    self.master = Some(foreground::relayed(fd));
                    Ok(())
                }
            },
            // The processes are made, and stand still.
            ("post-restore", Some(pid), _) => {
                mounts::put_right(pid, &self.mounts)?;
                let Found { dir, record } = &mut self.found;
                record.cgroup.finish()?;
                let failed = |e: Errno| Error::io("can't open the restored process", e.into());
                let process = Pid::from_raw(pid).ok_or(Errno::SRCH);
                let process = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())).map_err(failed)?;
                record.init = Some(Identity::of(pid, process.as_fd(), dir)?);
                record.made = true;
                record.save(dir)?;
                self.options.pid_file.as_ref().map_or(Ok(()), |path| write_pid(path, pid))
            }
            _ => Ok(()),
        }
    }

    fn run_hooks(&self, pid: i32) -> Result<()> {
        let Some(hooks) = self.spec.hooks() else { return Ok(()) };
        let state = self.found.record.hook_state("creating", pid);
        #[allow(deprecated, reason = "the specification still has them")]
        let before = hooks.prestart().iter().flatten().enumerate().map(|(n, hook)| ("prestart", n, hook));
        let runtime =
            hooks.create_runtime().iter().flatten().enumerate().map(|(n, hook)| ("createRuntime", n, hook));
        before.chain(runtime).try_for_each(|(kind, n, hook)| Hook::of(kind, n, hook).run(&state))
    }
}

/// Has a program started where `rootfs` is mounted on `at`, which CRIU needs, and where nothing of that is left when the
/// program is gone.
fn in_private<T: Send>(rootfs: &Path, at: &Path, start: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = |e: std::io::Error| Error::io("the root file system can't be mounted for criu", e);
    let prepared = move || {
        // Of this thread and of what it starts.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|e| failed(e.into()))?;
        let apart = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", apart).map_err(|e| failed(e.into()))?;
        mount_bind_recursive(rootfs, at).map_err(|e| failed(e.into()))?;
        start()
    };
    super::on_thread(prepared)
}
