//! Starting a container.

use super::Parent;
use super::container::{Container, Running, Starting, unix_nanos};
use super::janitor::Kit;
use super::poller::{IN, Source};
use super::spares;
use super::stdio::Ends;
use super::timers::Timer;
use crate::cgroup::Cgroup;
use crate::child::kernel_paths::PathKind;
use crate::child::network::Later;
use crate::child::report::{Report, Reporter};
use crate::child::{self, Child, Scratch, entries};
use crate::failure::{Context, coded, failure};
use crate::host::Host;
use crate::launcher::userns;
use crate::overlay::{self, Ids, Mapped};
use crate::place::Corner;
use crate::sys::process::{self, Forked};
use containers_protocol::control::{Event, Failure, Started};
use containers_protocol::plan::{CgroupPlan, IdMap, Plan, Restart, Rootfs, Stdio, Step};
use containers_protocol::wire;
use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::rc::Rc;
use std::time::Duration;

/// How long a start may take that waits for nobody.
const DEADLINE: Duration = Duration::from_secs(120);

const NEWNS: u64 = libc::CLONE_NEWNS as u64;
const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
const NEWPID: u64 = libc::CLONE_NEWPID as u64;
const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;

/// All `CLONE_NEW*` flags that a plan may have.
pub const NAMESPACES: u64 = NEWNS
    | NEWUSER
    | NEWPID
    | NEWCGROUP
    | (libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET) as u64;

/// How the child is made.
#[derive(Clone, Copy)]
struct Shape {
    /// It shares our memory, and we wait until it executes the command.
    shared: bool,
    /// It starts in the small mount namespace.
    base: bool,
}

impl Shape {
    /// The fastest that the plan allows. Whatever may wait for somebody else, or hang on a path of the
    /// host, must not stop the parent.
    fn of(plan: &Plan, host: &Host) -> Shape {
        let waits = |step: &Step| matches!(step, Step::Gate { .. } | Step::Hook(_) | Step::Bind(_));
        let by_path = |step: &Step| matches!(step, Step::Device(_));
        let shared = !plan.process.init
            && plan.namespaces & NEWUSER == 0
            && matches!(plan.rootfs, Rootfs::Overlay(_))
            && !plan.steps.iter().any(waits);
        let base = shared && host.base.is_some() && !plan.steps.iter().any(by_path);
        Shape { shared, base }
    }
}

/// A launcher's answer to a process whose filter has a listener.
pub(super) const NO_LISTENER: &str = "a launcher hands no listener out";

/// Answers a process that waits for what only `containers-oci` does.
pub(super) fn refuse_report(report: &OwnedFd, step: &str, detail: &str) {
    drop(wire::send_postcard(report, &coded("unsupported", step, b"", detail), &[]));
}

impl Parent {
    /// [`containers_protocol::launch::Request::Start`].
    pub(super) fn start_attached(&mut self, plan: Plan, sock: OwnedFd, fds: Vec<OwnedFd>) {
        let id = self.id();
        let owner = match self.connect(sock, Some(id), true) {
            Ok(owner) => owner,
            // Its answer socket closes, which is all that can be said.
            Err(_) => return,
        };
        if let Some(connection) = self.connections.get_mut(&owner) {
            connection.name.clone_from(&plan.id);
        }
        self.containers.insert(id, Container::new(Rc::new(plan), owner));
        self.first_start(id, fds);
    }

    /// The first start of a container that is registered.
    pub(super) fn first_start(&mut self, id: u64, fds: Vec<OwnedFd>) {
        let started = self.early_clients(id, &fds).and_then(|()| self.start(id, &fds));
        if let Err(failed) = started {
            return self.start_failed(id, failed);
        }
        if let Some(container) = self.containers.get_mut(&id)
            && container.plan.keep.restart != Restart::No
            && matches!(container.plan.stdio, Stdio::Direct(_))
        {
            container.fds = fds;
        }
    }

    /// Takes the descriptors of clients that attached before the start.
    fn early_clients(&mut self, id: u64, fds: &[OwnedFd]) -> Result<(), Failure> {
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        let plan = Rc::clone(&container.plan);
        let Stdio::Parent { attached, .. } = &plan.stdio else { return Ok(()) };
        for client in attached {
            let mut taken = [None, None, None];
            for (slot, index) in taken.iter_mut().zip(client) {
                if let Some(index) = index {
                    let fd = fds.get(*index as usize).ok_or_else(|| failure("attach", b"", Errno::BADF))?;
                    *slot = Some(rustix::io::fcntl_dupfd_cloexec(fd, 3).during("attach")?);
                }
            }
            container.early.push(taken);
        }
        Ok(())
    }

    /// Starts a container that is registered.
    pub(super) fn start(&mut self, id: u64, fds: &[OwnedFd]) -> Result<(), Failure> {
        let Some(container) = self.containers.get(&id) else { return Ok(()) };
        let plan = Rc::clone(&container.plan);
        check(&plan)?;
        let warnings = self.host.cgroup_warning().into_iter().collect();
        let mut started = Started { at: unix_nanos(), warnings, ..Started::default() };
        let mut kit = Kit::default();
        if container.cgroup.is_none() {
            kit = self.take_kit(&plan, Shape::of(&plan, &self.host).base);
            let (cgroup, warnings) = match (&plan.cgroup, kit.cgroup.take()) {
                (_, Some((cgroup, warnings))) => (Some(cgroup), warnings),
                (Some(wanted), None) => self.make_cgroup(&plan.id, wanted)?,
                (None, None) => (None, Vec::new()),
            };
            started.warnings.extend(warnings);
            if let Some(container) = self.containers.get_mut(&id) {
                container.cgroup = cgroup;
            }
        }
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        started.cgroups = container.cgroup.as_ref().map(Cgroup::paths).unwrap_or_default();
        container.started = Some(started);
        self.mount_overlays(id, &plan)?;
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if let (Stdio::Parent { stdin, .. }, None) = (&plan.stdio, plan.process.tty) {
            container.ends = Some(Ends::pipes(*stdin).during("stdio")?);
        }
        let spawned = self.spawn(id, &plan, fds, kit);
        if let Some(container) = self.containers.get_mut(&id)
            && let Some(ends) = &mut container.ends
        {
            ends.close_child();
        }
        spawned
    }

    /// Makes the cgroup of a container. Those of attached ones carry the launcher's name.
    fn make_cgroup(&mut self, id: &str, plan: &CgroupPlan) -> Result<(Option<Cgroup>, Vec<String>), Failure> {
        let name = if self.is_monitor() { id.to_owned() } else { self.cgroup_name() };
        // One that was here before, started again.
        self.cleanup.finish_cgroup(&name);
        Cgroup::make(self.host.cgroups(), &name, plan).map(|(cgroup, warnings)| (Some(cgroup), warnings))
    }

    /// Mounts the root and further overlays, attached nowhere.
    fn mount_overlays(&mut self, id: u64, plan: &Plan) -> Result<(), Failure> {
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        // A container with ids of its own sees the layers' owners through them.
        let userns = match (&plan.id_maps, plan.namespaces & NEWUSER != 0) {
            (Some(maps), true) if !self.host.rootless => Some(userns::namespace(maps)?),
            _ => None,
        };
        let ids = Ids {
            rootless: self.host.rootless,
            mapped: userns.as_ref().map(|ns| Mapped { userns: ns.as_fd(), root: root_of(plan) }),
        };
        if let Rootfs::Overlay(o) = &plan.rootfs {
            container.root = Some(match &o.pool {
                Some(pool) if ids.mapped.is_none() => self.spares.root(&pool.0, o, plan, &self.host)?,
                _ => self.spares.mapped_root(o, ids)?,
            });
        }
        for (index, step) in plan.steps.iter().enumerate() {
            if let Step::Overlay { overlay, .. } = step {
                container.overlays.push((index, overlay::mount(overlay, ids)?));
            }
        }
        if plan.extra.is_some() {
            container.overlays.extend(entries::prepare(plan)?);
        }
        Ok(())
    }

    /// Makes the child.
    fn spawn(&mut self, id: u64, plan: &Rc<Plan>, fds: &[OwnedFd], kit: Kit) -> Result<(), Failure> {
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        let shape = Shape::of(plan, &self.host);
        let host = Rc::clone(&self.host);
        let stack = &mut self.stack;
        let place = match (&host.base, shape.base) {
            (Some(base), true) => &base.place,
            _ => &host.place,
        };
        // Made by the parent, it would belong to the wrong user namespace.
        if shape.shared && !host.rootless {
            container.dev = self.spares.dev(plan);
        }
        let (args, env) = child::strings(&plan.process)?;
        let masks = self.kernel_paths.of(plan, PathKind::Mask);
        let read_only = self.kernel_paths.of(plan, PathKind::ReadOnly);
        let mut child = Child {
            plan,
            process: &plan.process,
            place,
            rootless: host.rootless || plan.namespaces & NEWUSER != 0,
            root: container.root.as_ref().map(|m| m.fd.as_fd()),
            dev: spares::borrow(container.dev.as_ref()),
            overlays: &container.overlays,
            covered: container.dev.as_ref().map_or(&[], |d| &d.covers),
            corner: Corner::Paths,
            // Quick ways that name the corner by its path.
            masks: masks.as_deref().filter(|_| plan.namespaces & NEWUSER == 0),
            read_only: read_only.as_deref(),
            stdio: stdio_of(plan, fds, container.ends.as_ref())?,
            fds,
            namespaces: &kit.namespaces,
            network: Later::default(),
            files: &kit.files,
            ready: kit.ready,
            tasks: container.cgroup.as_ref().map_or(&[], |c| &c.tasks),
            args: &args,
            parent: Some(self.me.as_fd()),
            preserved: 0,
            held: host.caps,
            nofile: host.nofile,
            cgroup_namespace: plan.namespaces & NEWCGROUP != 0,
        };
        let flags = plan.namespaces & NAMESPACES & !NEWCGROUP & !kit.flags();
        let into = container.cgroup.as_ref().and_then(Cgroup::clone_into);
        let mut scratch = Scratch::new(env);
        if shape.shared {
            let (mut reporter, report) = match plan.process.tty {
                Some(_) => Reporter::pair().map(|(r, sock)| (r, Some(sock))).during("tty")?,
                None => (Reporter::silent(), None),
            };
            let mut body = || {
                let failed = child.run(&mut scratch, &mut reporter);
                scratch.failure = Some(failed);
                127
            };
            let made = match (&host.base, shape.base) {
                (Some(base), true) => {
                    base.within(kit.mounts.as_ref(), || process::vfork(flags, into, stack, &mut body))
                }
                _ => process::vfork(flags, into, stack, &mut body),
            };
            let (pid, pidfd) = made.during("clone")?;
            drop(reporter);
            container.hold = kit.mounts;
            return self.spawned_shared(id, pid, pidfd, scratch, report);
        }
        let (mut reporter, report) = Reporter::pair().during("clone")?;
        match process::fork(flags, into).during("clone")? {
            Forked::Child => {
                let failed = forked_child(&mut child, &mut scratch, &mut reporter);
                reporter.send_failure(&failed);
                process::exit(127)
            }
            Forked::Parent { pid, pidfd } => {
                drop(reporter);
                self.spawned_apart(id, pid, pidfd, report)
            }
        }
    }

    /// The child has executed the command, or failed, already.
    fn spawned_shared(
        &mut self,
        id: u64,
        pid: i32,
        pidfd: OwnedFd,
        scratch: Scratch,
        report: Option<OwnedFd>,
    ) -> Result<(), Failure> {
        if scratch.failure.is_some() || !scratch.executing {
            let _ = process::reap(&pidfd, false);
            return Err(scratch.failure.unwrap_or_else(killed));
        }
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if let Some(report) = report {
            let message = wire::recv(&report).at("tty", b"")?;
            container.master = message.and_then(|m| m.fds.into_iter().next());
        }
        if container.hold.is_none() {
            container.hold = process::mount_namespace(&pidfd).ok();
        }
        let token = self.poller.add(&pidfd, Source::Exit(id), IN);
        if let Some(started) = &mut container.started {
            started.pid = pid;
        }
        match token {
            Ok(token) => container.process = Some(Running { pid, pidfd, token }),
            Err(e) => {
                let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
                let _ = process::reap(&pidfd, false);
                return Err(failure("start", b"", e));
            }
        }
        self.container_started(id);
        Ok(())
    }

    /// The child works on its own; it reports.
    fn spawned_apart(&mut self, id: u64, pid: i32, pidfd: OwnedFd, report: OwnedFd) -> Result<(), Failure> {
        let registered = (|| {
            rustix::io::ioctl_fionbio(&report, true)?;
            let exit = self.poller.add(&pidfd, Source::Exit(id), IN)?;
            let token = self.poller.add(&report, Source::Report(id), IN)?;
            Ok((exit, token))
        })();
        let (exit, token) = match registered {
            Ok(tokens) => tokens,
            Err(e) => {
                let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
                let _ = process::reap(&pidfd, false);
                return Err(failure("start", b"", e));
            }
        };
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        container.process = Some(Running { pid, pidfd, token: exit });
        container.starting = Some(Starting { report, token, failure: None, executing: false });
        if !container.plan.steps.iter().any(|s| matches!(s, Step::Gate { .. })) {
            self.timers.after(DEADLINE, Timer::StartDeadline(id));
        }
        Ok(())
    }

    /// Reads what a starting child reports.
    pub(super) fn report_ready(&mut self, id: u64) {
        while let Some(container) = self.containers.get_mut(&id) {
            let Some(starting) = &mut container.starting else { return };
            let message = match wire::recv(&starting.report) {
                Ok(Some(message)) => message,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => return self.report_closed(id),
            };
            match wire::from_postcard::<Report>(&message.payload) {
                Ok(Report::NeedMaps) => {
                    let pid = container.process.as_ref().map_or(0, |p| p.pid);
                    let maps = container.plan.id_maps.clone().unwrap_or_default();
                    match userns::write_maps(pid, &maps) {
                        Ok(()) => drop(wire::send(&starting.report, b"", &[])),
                        Err(failed) => {
                            starting.failure = Some(failed);
                            container.kill_all();
                        }
                    }
                }
                Ok(Report::Master) => container.master = message.fds.into_iter().next(),
                Ok(Report::Executing) => starting.executing = true,
                Ok(Report::Failed(failed)) => drop(starting.failure.get_or_insert(failed)),
                Ok(Report::Hook { .. }) => {
                    refuse_report(&starting.report, "hook", "a launcher runs no hooks")
                }
                Ok(Report::MapMount { .. }) => {
                    refuse_report(&starting.report, "idmap", "a launcher maps mounts before the start")
                }
                Ok(Report::Listener { .. }) => refuse_report(&starting.report, "seccomp", NO_LISTENER),
                Ok(Report::Joined { .. } | Report::Ready) | Err(_) => {}
            }
        }
    }

    /// The child has executed the command, or is gone.
    fn report_closed(&mut self, id: u64) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let Some(starting) = container.starting.take() else { return };
        self.poller.remove(starting.token, &starting.report);
        self.timers.cancel(Timer::StartDeadline(id));
        if starting.failure.is_none() && starting.executing {
            if let (Some(started), Some(process)) = (&mut container.started, &container.process) {
                started.pid = process.pid;
            }
            return self.container_started(id);
        }
        if let Some(process) = container.process.take() {
            self.poller.remove(process.token, &process.pidfd);
            let _ = process::pidfd_kill(&process.pidfd, libc::SIGKILL);
            let _ = process::reap(&process.pidfd, false);
        }
        self.start_failed(id, starting.failure.unwrap_or_else(killed));
    }

    /// Tells the owner that there is no container.
    pub(super) fn start_failed(&mut self, id: u64, failed: Failure) {
        if self.restart_failed(id, &failed) {
            return;
        }
        let Some(container) = self.containers.remove(&id) else { return };
        if let Some(owner) = container.owner {
            self.send(owner, &Event::Failed(failed), &[]);
            if let Some(connection) = self.connections.get_mut(&owner) {
                (connection.owner, connection.container) = (false, None);
            }
        }
        self.discard(container);
    }
}

fn killed() -> Failure {
    coded("", "start", b"", "the container was killed before its command ran")
}

/// The first things that a child does which does not share memory.
fn forked_child(child: &mut Child<'_>, scratch: &mut Scratch, reporter: &mut Reporter) -> Failure {
    if child.plan.namespaces & NEWUSER != 0 {
        match Corner::open(child.place) {
            Ok(corner) => child.corner = corner,
            Err(e) => return failure("userns", b"", e),
        }
        let entered = reporter.wait_for_maps().and_then(|()| userns::become_root());
        if let Err(failed) = entered {
            return failed;
        }
    }
    child.run(scratch, reporter)
}

/// What must be true of every plan, whoever made it.
fn check(plan: &Plan) -> Result<(), Failure> {
    let pivots = plan.steps.iter().any(|s| matches!(s, Step::PivotRoot { .. }));
    if plan.namespaces & NEWNS == 0 || !pivots {
        return Err(coded("internal", "plan", b"", "a container needs a mount namespace and pivot_root"));
    }
    if plan.namespaces & !NAMESPACES != 0 {
        return Err(coded("internal", "plan", b"", "unknown namespace flags"));
    }
    if let Rootfs::Overlay(o) = &plan.rootfs
        && o.lower.is_empty()
    {
        return Err(coded("internal", "plan", b"", "an overlay without layers"));
    }
    Ok(())
}

/// What the root of a plan's user namespace is in ours.
fn root_of(plan: &Plan) -> (u32, u32) {
    let outside = |map: &[IdMap]| map.iter().find(|m| m.inside == 0).map_or(0, |m| m.outside);
    plan.id_maps.as_ref().map_or((0, 0), |maps| (outside(&maps.uids), outside(&maps.gids)))
}

/// The descriptors of the child's streams.
fn stdio_of(plan: &Plan, fds: &[OwnedFd], ends: Option<&Ends>) -> Result<[RawFd; 3], Failure> {
    if let Stdio::Direct(indices) = &plan.stdio {
        return child::direct_streams(indices, fds);
    }
    let mut stdio = [-1; 3];
    for (slot, end) in stdio.iter_mut().zip(ends.iter().flat_map(|e| &e.child)) {
        *slot = end.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    }
    Ok(stdio)
}
