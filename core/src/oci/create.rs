//! `create`, `start` and `run`.

mod follow;
mod share;

use super::cgroup::{Cgroup, Machine};
use super::folder::{Bundle, make_dir, make_fifo, pipe};
use super::handover::{paths, preserved, standard_streams};
use super::hooks::Hook;
use super::record::{Found, Record, VERSION, fifo, lock_again, lock_dir, unlock};
use super::session::Session;
use super::{Engine, config, foreground, rdt, translate, validate};
use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::oneshot::{Create, Request};
use containers_protocol::plan::{Plan, Step};
use oci_spec::runtime::Spec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::path::PathBuf;

/// How a container is created.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The bundle; empty: the current folder.
    pub bundle: PathBuf,
    /// Where the master of the terminal is sent.
    pub console_socket: Option<PathBuf>,
    /// Where a descriptor of the process is sent.
    pub pidfd_socket: Option<PathBuf>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Leave the old root without `pivot_root`.
    pub no_pivot: bool,
    /// Keep the session keyring.
    pub no_new_keyring: bool,
    /// So many descriptors from 3 on are the command's.
    pub preserve_fds: u32,
    /// The first of them are sockets that systemd opened: the command is told how many.
    pub listen_fds: u32,
    /// `run`: do not wait.
    pub detach: bool,
    /// `run`: keep the container when it has ended.
    pub keep: bool,
}

/// A container on its way.
struct Making<'a> {
    engine: &'a Engine,
    options: &'a CreateOptions,
    spec: Spec,
    dir: PathBuf,
    record: Record,
    gate: OwnedFd,
    /// Writes to it open the gate of a `run`.
    opener: Option<OwnedFd>,
    session: Option<Session>,
    /// Until it is made, nobody else deletes or starts it.
    held: OwnedFd,
    machine: Machine,
    /// Descriptors of the caller that are the command's.
    preserved: Vec<OwnedFd>,
    /// What is made of it by somebody else.
    meanwhile: Option<Meanwhile>,
}

/// A container at its gate, or that runs.
struct Made {
    session: Session,
    master: Option<OwnedFd>,
}

impl Engine {
    /// Creates a container, up to its gate.
    pub fn create(&self, id: &str, options: &CreateOptions) -> Result<()> {
        let making = self.begin(id, options, false)?;
        making.check_terminal(true)?;
        let (_, _, _, held) = making.make(None)?;
        // Until this process has ended: the one that waits may go on in its memory.
        std::mem::forget(held);
        Ok(())
    }

    /// Creates and starts a container; unless detached, waits for its end and passes signals and the terminal
    /// on. The exit code.
    pub fn run(&self, id: &str, options: &CreateOptions) -> Result<i32> {
        let making = self.begin(id, options, true)?;
        making.check_terminal(options.detach)?;
        let foreground = match options.detach {
            true => None,
            false => {
                Some(foreground::Foreground::begin(making.terminal() && options.console_socket.is_none())?)
            }
        };
        let size = foreground.as_ref().and_then(|f| f.size());
        let (mut made, found, spec, held) = making.make(size)?;
        self.step(|| format!("{id}: init: closing the pipe to signal completion: its command runs"));
        unlock(&held)?;
        self.run_post_start(&found, &spec)?;
        let Some(foreground) = foreground else { return Ok(0) };
        let Some((pid, pidfd)) = made.session.born.take() else { return Ok(0) };
        let Made { session, master } = made;
        // Its helper is not left to be reaped until the container ends.
        drop(session);
        let code = foreground.serve(pid, &pidfd, master)?;
        if !options.keep && lock_again(&held, &found.dir)? {
            self.destroy(&found)?;
        }
        Ok(code)
    }

    /// Lets a created container go on.
    pub fn start(&self, id: &str) -> Result<()> {
        let (found, _held) = self.lock(id)?;
        let path = fifo(&found.dir);
        let how = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let gate = match open(&path, how, Mode::empty()) {
            // Somebody has the other end, and that is the process.
            Ok(gate) if found.record.made => gate,
            opened => return Err(not_started(found.status(), opened.err())),
        };
        self.step(|| format!("{id}: lets its process go on"));
        rustix::io::write(&gate, b"0").map_err(|e| not_started("created", Some(e)))?;
        let _ = std::fs::remove_file(&path);
        wait_for_command(&gate);
        if found.record.start_hooks { self.post_start(&found) } else { Ok(()) }
    }

    /// The poststart hooks of a container that was found. Apart: a configuration is large, and few have any.
    #[inline(never)]
    fn post_start(&self, found: &Found) -> Result<()> {
        found.spec().map_or(Ok(()), |spec| self.run_post_start(found, &spec))
    }

    /// The poststart hooks. One that fails is the end of the container.
    fn run_post_start(&self, found: &Found, spec: &Spec) -> Result<()> {
        let hooks = spec.hooks().iter().flat_map(|h| h.poststart().iter().flatten()).enumerate();
        let pid = found.record.init.as_ref().map_or(0, |init| init.pid);
        for (index, hook) in hooks {
            let ran = Hook::of("poststart", index, hook).run(&found.record.hook_state("running", pid));
            ran.inspect_err(|_| drop(self.destroy(found)))?;
        }
        Ok(())
    }

    /// Everything before anything is made that has to be undone by [`Engine::destroy`].
    fn begin<'a>(&'a self, id: &str, options: &'a CreateOptions, run: bool) -> Result<Making<'a>> {
        let dir = self.dir(id)?;
        let begin = |spec: &Spec| {
            let machine = Machine::look();
            let meanwhile = self.meanwhile(spec, &machine, options);
            (machine, meanwhile)
        };
        let (Bundle { path: bundle, text, spec, rootfs }, (machine, meanwhile)) =
            self.read_bundle(&options.bundle, begin)?;
        let preserved = preserved(options.preserve_fds)?;
        make_dir(&self.root, &dir)?;
        let made: Result<_> = (|| {
            let held = lock_dir(&dir)?;
            config::keep(&text, &dir)?;
            let (gate, opener) = if run { pipe()? } else { (make_fifo(&dir)?, None) };
            Ok((held, gate, opener))
        })();
        let (held, gate, opener) = made.inspect_err(|_| drop(std::fs::remove_dir_all(&dir)))?;
        let record =
            Record { no_new_keyring: options.no_new_keyring, ..Record::new(id, &spec, bundle, rootfs) };
        Ok(Making {
            engine: self,
            options,
            spec,
            dir,
            record,
            gate,
            opener,
            session: None,
            held,
            machine,
            preserved,
            meanwhile,
        })
    }
}

impl Making<'_> {
    fn terminal(&self) -> bool {
        self.spec.process().as_ref().is_some_and(|p| p.terminal() == Some(true))
    }

    /// [`check_terminal`], before anything but the folder is made.
    fn check_terminal(&self, detached: bool) -> Result<()> {
        check_terminal(self.terminal(), self.options.console_socket.is_some(), detached)
            .inspect_err(|_| drop(std::fs::remove_dir_all(&self.dir)))
    }

    /// Makes the container, or leaves nothing behind.
    fn make(mut self, size: Option<(u16, u16)>) -> Result<(Made, Found, Spec, OwnedFd)> {
        let done = self.fill(size);
        let found = Found { dir: self.dir.clone(), record: self.record.clone() };
        match (done, self.session.take()) {
            (Ok(master), Some(session)) => Ok((Made { session, master }, found, self.spec, self.held)),
            (done, session) => {
                if let Some(session) = session {
                    session.abort();
                }
                let _ = self.engine.destroy(&found);
                Err(validate::explained(&self.spec, done.err().unwrap_or_else(internal)))
            }
        }
    }

    fn fill(&mut self, size: Option<(u16, u16)>) -> Result<Option<OwnedFd>> {
        let plan = self.plan(size)?;
        self.engine.step_planned(&plan.process);
        self.record.namespaces = entered(&plan);
        self.record.own_pids = plan.namespaces & libc::CLONE_NEWPID as u64 != 0;
        let hooks: Vec<Option<containers_protocol::plan::Hook>> = plan
            .steps
            .iter()
            .map(|step| match step {
                Step::Hook(hook) if !hook.in_container => Some(hook.clone()),
                _ => None,
            })
            .collect();
        let speaks = self.terminal() || hooks.iter().any(Option::is_some);
        let run = self.engine.first.filter(|_| self.may_share(&plan));
        // Somebody else's cgroup may have little memory left.
        let planned = if run.is_some() { self.plan_cgroup()? } else { None };
        match run.filter(|_| planned.is_some_and(|cgroup| share::has_room(&cgroup, &self.machine))) {
            Some(run) => {
                self.engine.step(|| "its process is made in this program's memory".to_owned());
                let create = self.prepare(plan, true)?;
                let open = !speaks && self.opens_ahead()?;
                let fds = self.descriptors()?;
                let (how, held) = ((speaks, open), self.held.as_raw_fd());
                let meanwhile = self.meanwhile.take();
                self.session = Some(Session::bear(run, create, fds, meanwhile, how, held)?);
            }
            None => {
                self.meanwhile = None;
                self.ask_helper(plan)?;
            }
        }
        self.follow(&hooks)
    }

    /// Makes the cgroup, which is [on record](Self::plan_cgroup) if `planned`, and says what the process does.
    fn prepare(&mut self, mut plan: Plan, planned: bool) -> Result<Create> {
        let (engine, id) = (self.engine, self.record.id.clone());
        self.record.cgroup = self.make_cgroup(planned)?;
        for warning in self.record.cgroup.warnings() {
            (engine.warn)(warning);
        }
        engine.step(|| format!("{id}: its cgroups are {:?}", self.record.cgroup.paths()));
        let cgroup = &self.record.cgroup;
        if let Some(extra) = &mut plan.extra {
            extra.hierarchies = cgroup.hierarchies(&self.machine, &self.record.rootfs);
        }
        let unified = cgroup.birthplace().map(Bytes::from);
        let entrances = paths(cgroup.entrances(unified.is_some()));
        let (preserved, mapped) = (self.options.preserve_fds, engine.mapped());
        Ok(Create { plan, corner: self.dir.as_path().into(), preserved, entrances, unified, mapped })
    }

    /// The descriptors of the process: what a plan counts, then those that are passed on.
    fn descriptors(&mut self) -> Result<Vec<OwnedFd>> {
        let gate = self.gate.try_clone().map_err(|e| Error::io("can't start the process", e))?;
        let stdio = standard_streams()?.into_iter().chain([gate]);
        Ok(stdio.chain(self.preserved.drain(..)).collect())
    }

    /// Has a helper make the process.
    fn ask_helper(&mut self, plan: Plan) -> Result<()> {
        self.engine.step(|| "its process is made by a helper".to_owned());
        let helper = self.session.insert(Session::start(&self.dir, None)?).helper();
        rdt::share_out(&self.spec, (&mut self.record, &self.dir), helper, &*self.engine.warn)?;
        let planned = self.plan_cgroup()?.is_some();
        let create = self.prepare(plan, planned)?;
        self.record.cgroup.start_unit(helper)?;
        let fds = self.descriptors()?;
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let session = self.session.as_mut().ok_or_else(internal)?;
        session.send(&Request::Create(Box::new(create)), &fds)
    }

    /// Has it on record which cgroup is about to be made, so that a [`delete`](Engine::delete) finds it when this process
    /// is killed. Not if some of it is there: that may be somebody else's.
    fn plan_cgroup(&self) -> Result<Option<Cgroup>> {
        let by = (self.engine.driver(), &self.machine);
        let planned = Cgroup::planned(&self.spec, &self.record.id, by, self.engine.rootless())?;
        planned.as_ref().map_or(Ok(()), |cgroup| self.save_cgroup(cgroup))?;
        Ok(planned)
    }

    fn save_cgroup(&self, cgroup: &Cgroup) -> Result<()> {
        Record { cgroup: cgroup.clone(), ..self.record.clone() }.save(&self.dir)
    }

    /// Makes the cgroup. One that was not planned is on record before a process is in there.
    fn make_cgroup(&self, planned: bool) -> Result<Cgroup> {
        let (engine, by) = (self.engine, (self.engine.driver(), &self.machine));
        // One that could not be made may be somebody else's.
        let meanwhile = self.meanwhile.as_ref();
        let made = Cgroup::create(&self.spec, &self.record.id, by, engine.rootless(), meanwhile)?;
        if !planned {
            self.save_cgroup(&made).inspect_err(|_| drop(made.delete()))?;
        }
        Ok(made)
    }

    fn plan(&self, size: Option<(u16, u16)>) -> Result<Plan> {
        let configured = self.spec.process().as_ref().and_then(|p| p.console_size());
        let configured = configured.map(|s| (s.height() as u16, s.width() as u16));
        let hooked = self.spec.hooks().as_ref().map(|_| self.record.hook_state("created", 0));
        let setting = translate::Setting {
            id: &self.record.id,
            bundle: &self.record.bundle,
            rootfs: self.record.rootfs.clone(),
            no_pivot: self.options.no_pivot,
            no_new_keyring: self.options.no_new_keyring,
            rootless: self.engine.rootless(),
            gate: 3,
            tty: self.terminal().then(|| configured.or(size).unwrap_or((0, 0))),
            hook_state: &hooked.unwrap_or_default(),
            warn: &*self.engine.warn,
        };
        let mut plan = translate::plan(&self.spec, &setting)?;
        if self.options.listen_fds > 0 {
            let told = [format!("LISTEN_FDS={}", self.options.listen_fds), "LISTEN_PID=1".to_owned()];
            plan.process.env.extend(told.map(Bytes::from));
        }
        Ok(plan)
    }
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, format!("the helper program answered nonsense ({VERSION})"))
}

/// Why there is nothing to start.
fn not_started(status: &str, e: Option<rustix::io::Errno>) -> Error {
    match (status, e) {
        ("stopped", _) => Error::new(ErrorKind::NotRunning, "cannot start a container that has stopped"),
        ("created", Some(e)) => Error::io("the container's process does not wait for its start", e.into()),
        _ => Error::new(ErrorKind::Conflict, "cannot start an already running container"),
    }
}

/// Waits until a process that was let go executes its command, and so closes its end of the gate; not for long, since hooks may
/// come before.
fn wait_for_command(gate: &OwnedFd) {
    const MOST: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // Told in any case: that nobody reads it.
    let _ = poll(&mut [PollFd::new(gate, PollFlags::empty())], Some(&MOST));
}

/// A terminal needs somebody who has its other side.
pub(super) fn check_terminal(terminal: bool, socket: bool, detached: bool) -> Result<()> {
    let text = match (terminal, socket) {
        (true, false) if detached => {
            "cannot allocate tty if containers-oci will detach without setting console socket"
        }
        (false, true) => "cannot use console socket if containers-oci will not detach or allocate tty",
        (true, true) if !detached => {
            "cannot use console socket if containers-oci will not detach or allocate tty"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidArgument, text).with_context("field", "process.terminal"))
}

/// Namespaces that a further process enters.
pub(super) fn entered(plan: &Plan) -> u64 {
    let joined = plan.extra.iter().flat_map(|e| &e.join).map(|(kind, _)| *kind);
    joined.fold(plan.namespaces, |all, kind| all | kind)
}
