//! The first process of a container.

use crate::child::kernel_paths::{KernelPaths, PathKind};
use crate::child::network::Later;
use crate::child::report::{Reporter, is_gone};
use crate::child::{self, Child, Ready, Scratch, entries, extra, leave, mounts, net_devices};
use crate::failure::{Context, coded, failure};
use crate::launcher::userns;
use crate::place::{self, Corner, Place};
use crate::sys::process::{self, CStrings, Forked};
use crate::sys::{sched, security};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::extra::Extra;
use containers_protocol::meanwhile::Meanwhile;
use containers_protocol::oneshot::{Create, First};
use containers_protocol::plan::{Plan, Rootfs, Stdio};
use rustix::fd::{AsFd, OwnedFd, RawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};

const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
const NEWNS: u64 = libc::CLONE_NEWNS as u64;
const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
const NEWTIME: u64 = libc::CLONE_NEWTIME as u64;

/// Becomes the first process of a container, in the memory of the runtime that made it. Comes back on a failure, which it has
/// said.
pub fn become_first(first: &'static First, inside: bool) {
    // Nobody who gets the same rights may look into memory that is a runtime's too, nor may it outlive that without a word.
    if security::set_dumpable(false).and_then(|()| security::parent_death_signal(libc::SIGKILL)).is_err() {
        return;
    }
    first.not_its.iter().copied().for_each(process::close_one);
    if is_gone(first) {
        return;
    }
    // Without a way to report nothing can be done; the runtime sees that this process is gone.
    let Ok(mut reporter) = Reporter::in_memory(first) else { return };
    let failed = match begin(&first.create, inside) {
        Ok((args, env)) => {
            let opened = Opened { entries: Vec::new(), root: None, network: first.meanwhile.as_ref() };
            let mut scratch = Scratch::new(env);
            become_container(&first.create, &mut reporter, &first.fds, None, &args, &opened, &mut scratch)
        }
        Err(failed) => failed,
    };
    reporter.send_failure(&failed);
}

/// Leaves what it inherited of the runtime but descriptors, and enters the cgroup.
fn begin(create: &Create, inside: bool) -> Result<(CStrings, CStrings), Failure> {
    process::reset_signals();
    process::ignore_signal(libc::SIGPIPE);
    rustix::process::umask(Mode::empty());
    enter_by(&create.entrances)?;
    match &create.unified {
        Some(unified) if !inside => move_to(&entrance_of(&unified.0))?,
        _ => {}
    }
    child::strings(&create.plan.process)
}

/// Becomes the process, or makes it.
pub fn create(create: &Create, reporter: &mut Reporter, fds: &[OwnedFd]) -> Result<(), Failure> {
    let plan = &create.plan;
    let (args, env) = child::strings(&plan.process)?;
    let opened = Opened { entries: entries::prepare(plan)?, root: root_of(plan)?, network: None };
    if let Some(score) = plan.process.oom_score_adj.filter(|_| in_userns(plan)) {
        extra::set_oom_score(score)?;
    }
    // With the rights of now: those in a user namespace are other ones.
    let cgroup = enter_cgroup(create)?;
    let mut gift = None;
    if let Some(extra) = &plan.extra {
        gift = net_devices::find(extra)?;
        enter(extra)?;
        set_time(plan, extra)?;
    }
    let maps = match plan.namespaces & NEWUSER != 0 || gift.is_some() {
        true => Some(pipe_with(PipeFlags::CLOEXEC).during("userns")?),
        false => None,
    };
    match born(plan.namespaces, cgroup.as_ref())? {
        Forked::Child => {
            let wait = maps.map(|(wait, _)| wait);
            let mut scratch = Scratch::new(env);
            let failed = become_container(create, reporter, fds, wait, &args, &opened, &mut scratch);
            reporter.send_failure(&failed);
            process::exit(127)
        }
        Forked::Parent { pid, pidfd } => {
            reporter.send_joined(pid, &pidfd)?;
            let Some((_, go)) = maps else { return Ok(()) };
            // On a failure, the process ends when it sees the pipe close.
            if plan.namespaces & NEWUSER != 0 {
                userns::write_maps(pid, &plan.id_maps.clone().unwrap_or_default())?;
            }
            if let Some(gift) = gift {
                let path = format!("/proc/{pid}/ns/net");
                let space = openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
                gift.give(&space.at("net_devices", path.as_bytes())?)?;
            }
            rustix::io::write(go, b"0").map(drop).during("userns")
        }
    }
}

/// A cgroup on v2: its folder, and its file to enter through.
struct Unified {
    dir: OwnedFd,
    file: Vec<u8>,
}

/// Enters the cgroup, unless the process is to be born in it.
fn enter_cgroup(create: &Create) -> Result<Option<Unified>, Failure> {
    enter_by(&create.entrances)?;
    let Some(path) = &create.unified else { return Ok(None) };
    if create.plan.namespaces & NEWUSER == 0 && in_userns(&create.plan) {
        return move_to(&entrance_of(&path.0)).map(|()| None);
    }
    open_unified(&path.0).map(Some)
}

/// Enters cgroups through their files.
fn enter_by(entrances: &[Bytes]) -> Result<(), Failure> {
    child::enter_cgroups(&super::open_entrances(entrances)?)?;
    // What a manager is bound to is not for its containers.
    sched::reset_affinity();
    Ok(())
}

fn open_unified(path: &[u8]) -> Result<Unified, Failure> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, path, how, Mode::empty()).map_err(|e| super::no_entrance(path, e))?;
    Ok(Unified { dir, file: entrance_of(path) })
}

fn entrance_of(unified: &[u8]) -> Vec<u8> {
    [unified, b"/cgroup.procs".as_slice()].concat()
}

fn move_to(file: &[u8]) -> Result<(), Failure> {
    let moved = rustix::io::write(super::open_entrance(file)?, b"0");
    moved.map(drop).map_err(|e| super::no_entrance(file, e))
}

/// Makes the process.
fn born(namespaces: u64, cgroup: Option<&Unified>) -> Result<Forked, Failure> {
    let flags = namespaces & !(NEWCGROUP | NEWTIME) | libc::CLONE_PARENT as u64;
    let Some(cgroup) = cgroup else { return process::fork(flags, None).during("clone") };
    match process::fork(flags, Some(cgroup.dir.as_fd())) {
        // What can't be born there may still move there, and if not, that says why.
        Err(e) if e != Errno::AGAIN && e != Errno::NOMEM => {
            move_to(&cgroup.file)?;
            process::fork(flags, None).during("clone")
        }
        done => done.during("clone"),
    }
}

/// What is opened for the process, with rights that the process itself may not have.
struct Opened<'a> {
    /// Mounts of entries, by their step.
    entries: Vec<(usize, OwnedFd)>,
    /// The root file system of a container in a user namespace.
    root: Option<OwnedFd>,
    /// Where its network namespace comes from, if it is born without one.
    network: Option<&'a Meanwhile>,
}

fn root_of(plan: &Plan) -> Result<Option<OwnedFd>, Failure> {
    match &plan.rootfs {
        Rootfs::Dir { path } if in_userns(plan) => {
            match mounts::clone_tree(CWD, &path.0, true) {
                // An ordinary user has rights over mounts only in the user namespace, and opens it there.
                Err(Errno::PERM) => Ok(None),
                opened => opened.at("rootfs", &path.0).map(Some),
            }
        }
        _ => Ok(None),
    }
}

/// Enters namespaces that exist. All are opened first: what a path leads to changes with the namespace.
fn enter(extra: &Extra) -> Result<(), Failure> {
    let how = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut opened = Vec::with_capacity(extra.join.len());
    for (kind, path) in &extra.join {
        let fd = openat(CWD, &*path.0, how, Mode::empty()).at("namespace", &path.0)?;
        opened.push((*kind, path, fd));
    }
    // Some belong to the machine, and rights over those end in a user namespace; for others the rights begin
    // there.
    opened.sort_by_key(|(kind, ..)| *kind == NEWUSER);
    let user = opened.pop_if(|(kind, ..)| *kind == NEWUSER);
    let mut later = Vec::new();
    for (kind, path, fd) in opened {
        match process::setns(&fd, kind) {
            Err(Errno::PERM) if user.is_some() => later.push((kind, path, fd)),
            done => done.at("namespace", &path.0)?,
        }
    }
    if let Some((kind, path, fd)) = user {
        process::setns(&fd, kind).at("namespace", &path.0)?;
        userns::become_root()?;
    }
    later.iter().try_for_each(|(kind, path, fd)| process::setns(fd, *kind).at("namespace", &path.0))
}

/// Leaves for a new time namespace; its clocks can be set until a process is born there.
fn set_time(plan: &Plan, extra: &Extra) -> Result<(), Failure> {
    if plan.namespaces & NEWTIME == 0 {
        return Ok(());
    }
    process::unshare(NEWTIME).during("time namespace")?;
    if extra.time_offsets.0.is_empty() {
        return Ok(());
    }
    let path = c"/proc/self/timens_offsets";
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let file = file.at("time namespace", path.to_bytes())?;
    rustix::io::write(file, &extra.time_offsets.0).map(drop).at("time namespace", path.to_bytes())
}

/// The life of the process. Returns only on failure.
fn become_container(
    create: &Create,
    reporter: &mut Reporter,
    fds: &[OwnedFd],
    wait: Option<OwnedFd>,
    args: &CStrings,
    opened: &Opened<'_>,
    scratch: &mut Scratch,
) -> Failure {
    let plan = &create.plan;
    let prepared = security::parent_death_signal(libc::SIGKILL)
        .during("pdeathsig")
        .and_then(|()| prepare(create, wait))
        .and_then(|prepared| Ok((prepared, stdio_of(plan, fds)?, security::caps().during("capabilities")?)));
    let ((place, corner), stdio, (_, permitted, _)) = match prepared {
        Ok(prepared) => prepared,
        Err(failed) => return failed,
    };
    let mut kernel = KernelPaths::default();
    let plain = plan.namespaces & NEWNS != 0 && !in_userns(plan);
    let masks = kernel.of(plan, PathKind::Mask).filter(|_| plain);
    let read_only = kernel.of(plan, PathKind::ReadOnly).filter(|_| plain);
    let child = Child {
        plan,
        process: &plan.process,
        place: &place,
        corner,
        rootless: create.mapped || in_userns(plan),
        root: opened.root.as_ref().map(AsFd::as_fd),
        dev: None,
        covered: &[],
        overlays: &opened.entries,
        masks: masks.as_deref(),
        read_only: read_only.as_deref(),
        stdio,
        fds,
        namespaces: &[],
        network: Later::new(opened.network),
        files: &[],
        ready: Ready::default(),
        tasks: &[],
        args,
        parent: None,
        held: (permitted, u64::MAX),
        nofile: None,
        cgroup_namespace: plan.namespaces & NEWCGROUP != 0,
        preserved: create.preserved,
    };
    child.run(scratch, reporter)
}

/// Whether the container has a mount namespace that is not the machine's.
fn has_own_mounts(plan: &Plan) -> bool {
    let joined = plan.extra.as_ref().is_some_and(|e| e.join.iter().any(|(kind, _)| *kind == NEWNS));
    joined || plan.namespaces & NEWNS != 0
}

/// Whether the container lives in a user namespace, its own or one that it joins.
fn in_userns(plan: &Plan) -> bool {
    let joined = plan.extra.as_ref().is_some_and(|e| e.join.iter().any(|(kind, _)| *kind == NEWUSER));
    joined || plan.namespaces & NEWUSER != 0
}

/// Becomes root of the user namespace, and sets up a corner in the mount namespace.
fn prepare(create: &Create, wait: Option<OwnedFd>) -> Result<(Place, Corner), Failure> {
    let at = &create.corner.0;
    // Now, as the owner of the folder: root of a user namespace is somebody else.
    let point = openat(CWD, &**at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let point = point.at("setup", at)?;
    if let Some(wait) = wait {
        match rustix::io::read(&wait, &mut [0u8; 1]) {
            Ok(1) => {}
            Ok(_) => return Err(coded("", "userns", b"", "the helper could not set up the namespaces")),
            Err(e) => return Err(failure("userns", b"", e)),
        }
        if create.plan.namespaces & NEWUSER != 0 {
            userns::become_root()?;
        }
    }
    if !has_own_mounts(&create.plan) {
        // Nothing of the machine's may be covered: the steps of such a plan need no corner.
        return Ok((Place::Own(place::unmade(at).at("setup", at)?), Corner::Paths));
    }
    let userns = create.mapped || in_userns(&create.plan);
    // What the host mounts later still arrives; nothing leaves.
    let downstream = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    match create.plan.extra.as_ref().is_some_and(|e| e.propagation & libc::MS_SHARED != 0) {
        true => leave::close_off(at).at("setup", at)?,
        false => mount_change(c"/", downstream).during("mount namespace")?,
    }
    let corner = place::make_at(&point, at, (userns, &place::FOLDERS[..2])).at("setup", at)?;
    let paths = place::finish_own(&corner, at, userns).at("setup", at)?;
    Ok((Place::Own(paths), Corner::Folder(corner)))
}

/// The descriptors of the standard streams.
fn stdio_of(plan: &Plan, fds: &[OwnedFd]) -> Result<[RawFd; 3], Failure> {
    let Stdio::Direct(indices) = &plan.stdio else {
        return Err(coded("internal", "stdio", b"", "there is no parent that the streams could go to"));
    };
    child::direct_streams(indices, fds)
}
