//! `exec`.

use super::folder::write_pid;
use super::handover::{paths, preserved, standard_streams};
use super::record::Found;
use super::session::{News, Session};
use super::{Engine, config, foreground, handover, translate, validate};
use crate::{Error, ErrorKind, Result};
use containers_protocol::oneshot::{Join, Request};
use oci_spec::runtime::{Capability, Process, Spec};
use rustix::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

/// A further process. What is not said is as for the container's command.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    /// A file with the process as the specification describes it; then only the streams are taken from here.
    pub process: Option<PathBuf>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// `KEY=value` entries in addition.
    pub env: Vec<String>,
    /// `uid` or `uid:gid`.
    pub user: Option<String>,
    /// Further groups.
    pub additional_gids: Vec<u32>,
    /// Capabilities in addition: `CAP_…`.
    pub caps: Vec<String>,
    /// Set `no_new_privs`.
    pub no_new_privs: Option<bool>,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// SELinux label.
    pub process_label: Option<String>,
    /// A terminal.
    pub tty: bool,
    /// Also in a paused container.
    pub ignore_paused: bool,
    /// Do not wait.
    pub detach: bool,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Where the master of the terminal is sent.
    pub console_socket: Option<PathBuf>,
    /// Where a descriptor of the process is sent.
    pub pidfd_socket: Option<PathBuf>,
    /// So many descriptors from 3 on are the command's.
    pub preserve_fds: u32,
    /// A cgroup below the container's.
    pub cgroup: Vec<String>,
}

impl Engine {
    /// Runs a further process in a container; unless detached, waits for its end. The exit code.
    pub fn exec(&self, id: &str, options: &ExecOptions) -> Result<i32> {
        let found = self.find(id)?;
        match found.status() {
            "stopped" => {
                let text = "cannot exec in a stopped container";
                return Err(Error::new(ErrorKind::NotRunning, text));
            }
            "paused" if !options.ignore_paused => {
                let text = "cannot exec in a paused container (use --ignore-paused)";
                return Err(Error::new(ErrorKind::NotRunning, text));
            }
            "creating" => {
                return Err(Error::new(ErrorKind::NotRunning, "the container is still being created"));
            }
            _ => {}
        }
        let spec = found.spec()?;
        let process = process_of(&spec, options, &*self.warn)?;
        validate::process::check(&process)?;
        let terminal = process.terminal() == Some(true);
        if terminal && options.detach && options.console_socket.is_none() {
            let text = "cannot allocate tty if containers-oci will detach without setting console socket";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let foreground = match options.detach {
            true => None,
            false => Some(foreground::Foreground::begin(terminal && options.console_socket.is_none())?),
        };
        let size = foreground.as_ref().and_then(foreground::Foreground::size);
        let (mut session, master) = self.join(&found, &spec, &process, options, size)?;
        let Some(foreground) = foreground else { return Ok(0) };
        let Some((pid, pidfd)) = session.born.take() else { return Ok(0) };
        foreground.serve(pid, &pidfd, master)
    }

    /// Makes the process, up to its running.
    fn join(
        &self,
        found: &Found,
        spec: &Spec,
        process: &Process,
        options: &ExecOptions,
        size: Option<(u16, u16)>,
    ) -> Result<(Session, Option<rustix::fd::OwnedFd>)> {
        let record = &found.record;
        let target = match &record.init {
            Some(init) => init.open()?,
            None => None,
        };
        let target = target.ok_or_else(|| Error::new(ErrorKind::NotRunning, "container not running"))?;
        let terminal = process.terminal() == Some(true);
        let configured = process.console_size().map(|s| (s.height() as u16, s.width() as u16));
        let setting = translate::Setting {
            id: &record.id,
            bundle: &record.bundle,
            rootfs: record.rootfs.clone(),
            no_pivot: false,
            no_new_keyring: record.no_new_keyring,
            rootless: self.rootless(),
            gate: 0,
            tty: terminal.then(|| configured.or(size).unwrap_or((0, 0))),
            hook_state: b"",
            warn: &*self.warn,
        };
        let mut plan = translate::process(process, spec, &setting)?;
        // Of a container that runs, nothing is made that is not asked for.
        plan.create_cwd = false;
        self.step_planned(&plan);
        let initial_cpus = plan.extra.as_ref().and_then(|extra| extra.initial_cpus.clone());
        let further = further_entrances(found, options)?;
        let mut session = Session::start(&found.dir, record.cgroup.birthplace())?;
        record.rdt.as_ref().map_or(Ok(()), |group| group.enter(session.helper()))?;
        let entrances = [record.cgroup.entrances(session.inside), further].concat();
        let request = Join {
            namespaces: record.namespaces,
            process: plan,
            preserved: options.preserve_fds,
            entrances: paths(entrances),
        };
        let (stdio, extra) = (standard_streams()?, preserved(options.preserve_fds)?);
        let mut fds: Vec<BorrowedFd<'_>> = vec![target.as_fd()];
        fds.extend(stdio.iter().chain(&extra).map(AsFd::as_fd));
        session.send(&Request::Join(Box::new(request)), &fds)?;
        drop((stdio, extra));
        let (mut master, mut executing) = (None, false);
        let followed = (|| {
            loop {
                match session.next(&mut executing)? {
                    News::Master(fd) => match &options.console_socket {
                        Some(path) => handover::send_master(path, &fd)?,
                        None => master = Some(foreground::relayed(fd)),
                    },
                    News::Closed if executing => break,
                    News::Closed => {
                        let text = "the process was killed before its command ran";
                        return Err(Error::new(ErrorKind::NotRunning, text));
                    }
                    News::Listener(listener) => {
                        let pid = session.born.as_ref().map_or(0, |(pid, _)| *pid);
                        let told = handover::send_listener(spec, record, ("running", pid), &listener);
                        session.answer("seccomp", told)?;
                    }
                    News::Hook(_) | News::Ready => {}
                }
            }
            self.step_joined(session.born.as_ref().map_or(0, |(pid, _)| *pid), initial_cpus.as_deref());
            handover::send_process(options.pidfd_socket.as_deref(), &session.born)?;
            match (&options.pid_file, &session.born) {
                (Some(path), Some((pid, _))) => write_pid(path, *pid),
                _ => Ok(()),
            }
        })();
        match followed {
            Ok(()) => Ok((session, master)),
            Err(e) => {
                session.abort();
                Err(e)
            }
        }
    }
}

/// What the process enters cgroups below the container's through.
fn further_entrances(found: &Found, options: &ExecOptions) -> Result<Vec<PathBuf>> {
    let cgroup = &found.record.cgroup;
    let mut all = Vec::new();
    for wanted in &options.cgroup {
        let (controllers, path) = wanted.split_once(':').unwrap_or(("", wanted));
        let wrong =
            |text: &str| Error::new(ErrorKind::InvalidArgument, text).with_context("field", "--cgroup");
        if path.split('/').any(|part| part == "..") {
            return Err(wrong("bad sub cgroup path: it must lie below the container's"));
        }
        let paths = cgroup.paths();
        // Without a controller it is the one of v2, or all of v1.
        let bases: Vec<(&str, &PathBuf)> = match controllers {
            "" => paths.iter().map(|(c, base)| (c.as_str(), base)).collect(),
            some => some
                .split(',')
                .map(|c| {
                    paths
                        .get(c)
                        .map(|base| (c, base))
                        .ok_or_else(|| wrong(&format!("unknown controller {c}")))
                })
                .collect::<Result<_>>()?,
        };
        for (controller, base) in bases {
            let file = if controller.is_empty() { "cgroup.procs" } else { "tasks" };
            let dir = base.join(path.trim_start_matches('/'));
            std::fs::metadata(&dir).map_err(|e| {
                let place = dir.display().to_string();
                Error::io("error adding pid to the cgroup", e).with_context("path", place)
            })?;
            all.push(dir.join(file));
        }
    }
    Ok(all)
}

/// The process as the specification describes it.
fn process_of(spec: &Spec, options: &ExecOptions, warn: &dyn Fn(&str)) -> Result<Process> {
    if let Some(path) = &options.process {
        let failed =
            |e| Error::io("the process can't be read", e).with_context("path", path.display().to_string());
        let text = std::fs::read(path).map_err(failed)?;
        return config::parse_process(&text, warn)
            .map_err(|e| e.with_context("path", path.display().to_string()));
    }
    let wrong = |field: &'static str, text: &str| {
        Error::new(ErrorKind::InvalidArgument, text).with_context("field", field)
    };
    let mut process =
        spec.process().clone().ok_or_else(|| wrong("process", "the container has no process"))?;
    process.set_args(Some(options.args.clone())).set_terminal(Some(options.tty));
    if let Some(cwd) = &options.cwd {
        process.set_cwd(cwd.into());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(options.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(user) = &options.user {
        let (uid, gid) = user.split_once(':').map_or((user.as_str(), None), |(u, g)| (u, Some(g)));
        let number = |text: &str| text.parse().map_err(|_| wrong("--user", "the user is no number"));
        let mut changed = process.user().clone();
        changed.set_uid(number(uid)?).set_additional_gids(None);
        if let Some(gid) = gid {
            changed.set_gid(number(gid)?);
        }
        process.set_user(changed);
    }
    if !options.additional_gids.is_empty() {
        let mut user = process.user().clone();
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        gids.extend(&options.additional_gids);
        user.set_additional_gids(Some(gids));
        process.set_user(user);
    }
    if let Some(on) = options.no_new_privs {
        process.set_no_new_privileges(Some(on));
    }
    if let Some(profile) = &options.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &options.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    add_caps(&mut process, &options.caps)?;
    Ok(process)
}

/// More capabilities, in every set but the inheritable one, which nothing needs; ambient where that one is used.
fn add_caps(process: &mut Process, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut caps = process.capabilities().clone().unwrap_or_default();
    for name in names {
        let upper = name.to_ascii_uppercase();
        let cap: Capability = upper.strip_prefix("CAP_").unwrap_or(&upper).parse().map_err(|_| {
            Error::new(ErrorKind::InvalidArgument, format!("unknown capability {name}"))
                .with_context("field", "--cap")
        })?;
        let with = |set: &Option<std::collections::HashSet<Capability>>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(cap);
            Some(set)
        };
        let (bounding, effective) = (with(caps.bounding()), with(caps.effective()));
        let permitted = with(caps.permitted());
        caps.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
        if caps.inheritable().is_some() {
            let ambient = with(caps.ambient());
            caps.set_ambient(ambient);
        }
    }
    process.set_capabilities(Some(caps));
    Ok(())
}
