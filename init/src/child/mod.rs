//! What a container's first process, or a further one, does between its birth and its command.
//!
//! A first process may share the memory of its parent, which is stopped meanwhile: whatever it allocates it
//! must free again or leave in [`Scratch`], which the parent drops.

mod cgroup_mount;
pub mod confine;
mod copy;
pub mod dev;
pub mod entries;
pub mod exec;
pub mod extra;
mod gate;
mod hook;
pub mod join;
pub mod kernel_paths;
pub mod leave;
mod locked;
pub mod mounts;
pub mod net_devices;
pub mod network;
pub mod own_cgroups;
mod pid1;
pub mod report;
pub mod root;
mod steps;
pub mod tty;
pub mod user;

use crate::failure::{Context, failure};
use crate::parent::ReadyFile;
use crate::place::{Corner, Place};
use crate::sys::{process, security};
use containers_protocol::control::Failure;
use containers_protocol::plan::{Plan, ProcessPlan};
use process::CStrings;
use report::Reporter;
use root::Root;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::CString;

/// `CLONE_NEWUSER`.
const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;

/// All that a container's first process is given.
pub struct Child<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The plan's process.
    pub process: &'a ProcessPlan,
    /// Where the mount namespace's own things are.
    pub place: &'a Place,
    /// The way to them.
    pub corner: Corner,
    /// Inside the launcher's user namespace.
    pub rootless: bool,
    /// The root file system, mounted but attached nowhere; `None`: the child mounts it.
    pub root: Option<BorrowedFd<'a>>,
    /// A prepared `/dev`.
    pub dev: Option<BorrowedFd<'a>>,
    /// Steps that it makes superfluous.
    pub covered: &'a [usize],
    /// Mounts of `Overlay` steps, by their index.
    pub overlays: &'a [(usize, OwnedFd)],
    /// Paths of the `Mask` step, when all of them are the kernel's.
    pub masks: Option<&'a [KernelPath]>,
    /// Paths of the `ReadOnly` step, when all of them are the kernel's.
    pub read_only: Option<&'a [KernelPath]>,
    /// Standard streams; -1: `/dev/null`.
    pub stdio: [RawFd; 3],
    /// Descriptors of the start message that gates wait on.
    pub fds: &'a [OwnedFd],
    /// Namespaces that are ready, with their flags; a network namespace has its loopback interface up.
    pub namespaces: &'a [(u64, OwnedFd)],
    /// Its network namespace, if it is still outside.
    pub network: network::Later<'a>,
    /// What is ready for `File` steps, in order.
    pub files: &'a [ReadyFile],
    /// What else is ready.
    pub ready: Ready,
    /// v1: `tasks` files to enter.
    pub tasks: &'a [OwnedFd],
    /// Program and arguments.
    pub args: &'a CStrings,
    /// pidfd of the process that this one must not outlive, if there is one.
    pub parent: Option<BorrowedFd<'a>>,
    /// Capabilities that the parent has: permitted, and bounding.
    pub held: (u64, u64),
    /// Soft limit of open files that the helper was started with.
    pub nofile: Option<(u64, u64)>,
    /// Enters a new cgroup namespace.
    pub cgroup_namespace: bool,
    /// How many descriptors from 3 on the command keeps.
    pub preserved: u32,
}

/// Further steps that somebody has done already for a container that is still to come.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Ready {
    /// sysfs, with the container's cgroups in it if the plan wants them, lies in the corner.
    pub sys: bool,
    /// `DefaultSysctls` are written.
    pub sysctls: bool,
}

/// A path in a file system of the kernel, relative to the root: nobody can put a link there.
pub struct KernelPath {
    /// The path.
    pub path: CString,
    /// Whether it was a folder when last seen.
    pub dir: std::cell::Cell<Option<bool>>,
}

/// What a child leaves behind for its parent when it shares memory with it.
pub struct Scratch {
    /// The environment, to which `HOME` is added.
    pub env: CStrings,
    /// In which folder of `PATH` the command was found.
    pub found: usize,
    /// Why it failed; `None`: it has not.
    pub failure: Option<Failure>,
    /// It has come as far as executing the command.
    pub executing: bool,
}

impl Scratch {
    /// For a child with this environment.
    pub fn new(env: CStrings) -> Scratch {
        Scratch { env, found: 0, failure: None, executing: false }
    }
}

impl Child<'_> {
    /// Becomes the command. Returns only on failure.
    pub fn run(&self, scratch: &mut Scratch, reporter: &mut Reporter) -> Failure {
        match self.prepare(scratch, reporter) {
            Ok(()) => {
                scratch.executing = true;
                reporter.send_executing();
                let failed = exec::exec(self.args, &scratch.env, scratch.found);
                scratch.executing = false;
                failed
            }
            Err(failed) => failed,
        }
    }

    fn prepare(&self, scratch: &mut Scratch, reporter: &mut Reporter) -> Result<(), Failure> {
        enter_cgroups(self.tasks)?;
        for (flag, namespace) in self.namespaces {
            process::setns(namespace, *flag).during("namespace")?;
        }
        if self.cgroup_namespace {
            process::unshare(libc::CLONE_NEWCGROUP as u64).during("cgroup")?;
        }
        let gate = self.gate_step();
        let root = self.run_steps(reporter)?;
        // In a user namespace, the file is another user's: the parent has done it. The hooks of a runtime that shares its
        // memory had the same score.
        if let Some(score) = self.process.oom_score_adj.filter(|_| self.plan.namespaces & NEWUSER == 0) {
            extra::set_oom_score(score)?;
        }
        let pty = match self.process.tty {
            Some((rows, cols)) => Some(tty::open(&root, rows, cols)?),
            None => None,
        };
        if let Some(pty) = &pty {
            tty::console(&root, pty)?;
            reporter.send_master(&pty.master)?;
        }
        let mut stdio = self.stdio;
        if let Some(pty) = &pty {
            stdio = [pty.slave.as_raw_fd(); 3];
        }
        let kept = gate.map(|at| self.kept_at_gate(at, reporter)).transpose()?;
        let gated = kept.is_some();
        finish(
            &Finish {
                process: self.process,
                root: Some(&root),
                stdio,
                parent: self.parent,
                held: self.held,
                nofile: self.nofile,
                pid1: self.process.init,
                preserved: self.preserved,
                gate: kept,
            },
            scratch,
            reporter,
        )?;
        if gated {
            // Their descriptors are closed.
            std::mem::forget((root, pty));
        } else {
            drop((root, pty));
        }
        match gate {
            Some(at) => self.pass_gate(at, scratch, reporter),
            None => Ok(()),
        }
    }
}

/// The arguments and the environment of a process, as `execve` wants them.
pub fn strings(process: &ProcessPlan) -> Result<(CStrings, CStrings), Failure> {
    let args = CStrings::new(process.args.iter().map(|a| a.0.as_slice())).at("exec", b"arguments")?;
    let env = CStrings::new(process.env.iter().map(|a| a.0.as_slice())).at("exec", b"environment")?;
    Ok((args, env))
}

/// The standard streams that are descriptors of the start message; -1: `/dev/null`.
pub fn direct_streams(indices: &[Option<u32>; 3], fds: &[OwnedFd]) -> Result<[RawFd; 3], Failure> {
    let mut stdio = [-1; 3];
    for (slot, index) in stdio.iter_mut().zip(indices) {
        if let Some(index) = index {
            let fd = fds.get(*index as usize).ok_or_else(|| failure("stdio", b"", Errno::BADF))?;
            *slot = fd.as_raw_fd();
        }
    }
    Ok(stdio)
}

/// Moves the calling process into v1 cgroups.
pub fn enter_cgroups(tasks: &[OwnedFd]) -> Result<(), Failure> {
    for file in tasks {
        loop {
            match rustix::io::write(file, b"0") {
                Err(Errno::INTR) => continue,
                other => break other.map(drop).during("cgroup")?,
            }
        }
    }
    Ok(())
}

/// What the last part of a start needs, for first and further processes alike.
pub struct Finish<'a> {
    /// Identity and limits.
    pub process: &'a ProcessPlan,
    /// The root, to resolve the working directory in; `None`: `/`.
    pub root: Option<&'a Root>,
    /// Standard streams; -1: `/dev/null`.
    pub stdio: [RawFd; 3],
    /// pidfd of the process that this one must not outlive, if there is one.
    pub parent: Option<BorrowedFd<'a>>,
    /// Capabilities: permitted, bounding.
    pub held: (u64, u64),
    /// Limit of open files, if it is to be set back.
    pub nofile: Option<(u64, u64)>,
    /// Stay behind as process 1 and let a child become the command.
    pub pid1: bool,
    /// How many descriptors from 3 on the command keeps.
    pub preserved: u32,
    /// A gate and further steps come before the command: the descriptors that are needed until then. All others are
    /// closed, whoever owns them.
    pub gate: Option<Vec<RawFd>>,
}

/// Streams, session, working directory, limits, identity: everything after the mounts.
pub fn finish(f: &Finish<'_>, scratch: &mut Scratch, reporter: &Reporter) -> Result<(), Failure> {
    redirect(f.stdio)?;
    process::close_from(3 + f.preserved, true).during("close_range")?;
    // A session of its own: a terminal becomes the controlling one, and no signal of a terminal outside
    // arrives.
    rustix::process::setsid().map(drop).during("setsid")?;
    let terminal = f.process.tty.is_some();
    if terminal {
        // Descriptor 0 is the terminal, since `redirect`.
        crate::sys::tty::control(rustix::stdio::stdin()).during("tty")?;
    }
    let need_home = scratch.env.get(b"HOME").is_none();
    let who = user::resolve(f.process, need_home)?;
    if need_home {
        add_home(scratch, &who)?;
    }
    if terminal && who.uid != 0 {
        let owner = Some(rustix::fs::Uid::from_raw(who.uid));
        rustix::fs::fchown(rustix::stdio::stdin(), owner, None).during("tty")?;
    }
    if f.process.extra.is_some() {
        own_streams(who.uid).during("stdio")?;
    }
    enter_cwd(f)?;
    limits(f)?;
    // Ignored by the helper, and inherited.
    process::default_signal(libc::SIGPIPE);
    let held_process;
    let process = if f.process.caps.permitted & !f.held.0 == 0 {
        f.process
    } else {
        held_process = only_held(f.process, f.held.0);
        &held_process
    };
    if let Some(kept) = &f.gate {
        // Before a filter that may forbid it. Nothing of the host may stay within reach of those who can look into
        // a process that waits.
        process::close_all_but(&mut kept.clone()).during("gate")?;
    }
    confine::confine(process, &who, f.held.1, f.parent, f.gate.is_some(), reporter)?;
    if f.pid1 { pid1::stay() } else { Ok(()) }
}

/// The plan without the capabilities that nobody here has.
fn only_held(process: &ProcessPlan, held: u64) -> ProcessPlan {
    let mut process = process.clone();
    let caps = &mut process.caps;
    for set in [&mut caps.effective, &mut caps.permitted, &mut caps.inheritable, &mut caps.ambient] {
        *set &= held;
    }
    process
}

fn add_home(scratch: &mut Scratch, who: &user::Identity) -> Result<(), Failure> {
    let mut entry = b"HOME=".to_vec();
    match &who.home {
        Some(home) => entry.extend_from_slice(home),
        None if who.uid == 0 => entry.extend_from_slice(b"/root"),
        None => entry.push(b'/'),
    }
    let entry = CString::new(entry).map_err(|_| failure("user", b"HOME", Errno::INVAL))?;
    scratch.env.push(entry);
    Ok(())
}

/// Puts the streams on descriptors 0 to 2.
fn redirect(stdio: [RawFd; 3]) -> Result<(), Failure> {
    let mut null = None;
    if stdio.contains(&-1) {
        let how = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        null = Some(openat(CWD, c"/dev/null", how, Mode::empty()).at("stdio", b"/dev/null")?);
    }
    for (target, fd) in stdio.into_iter().enumerate() {
        let source = match &null {
            Some(null) if fd == -1 => null.as_raw_fd(),
            _ => fd,
        };
        process::dup_to(source, target as RawFd).during("stdio")?;
    }
    Ok(())
}

/// Gives the standard streams to the user, as OCI runtimes do, so that `/dev/stdout` can be opened. Those of the
/// machine stay whose they are.
fn own_streams(uid: u32) -> Result<(), Errno> {
    use rustix::fs::{Uid, fchown, fstat};
    let null = rustix::fs::makedev(1, 3);
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for stream in streams {
        let stat = fstat(stream)?;
        if stat.st_uid == uid || stat.st_rdev == null {
            continue;
        }
        match fchown(stream, Some(Uid::from_raw(uid)), None) {
            // Another user's, an id that is not mapped here, or a file system that does not know owners.
            Err(Errno::PERM | Errno::INVAL | Errno::ROFS | Errno::OPNOTSUPP) | Ok(()) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Enters the working directory: inside the root, over no magic link, and really reachable.
fn enter_cwd(f: &Finish<'_>) -> Result<(), Failure> {
    let cwd = if f.process.cwd.0.is_empty() { b"/" } else { f.process.cwd.0.as_slice() };
    let opened;
    let root = match f.root {
        Some(root) => root,
        None => {
            let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            opened = Root::new(openat(CWD, c"/", how, Mode::empty()).at("cwd", b"/")?);
            &opened
        }
    };
    let how = OFlags::PATH | OFlags::DIRECTORY;
    let dir = if f.process.create_cwd { root.dir(cwd) } else { root.open(cwd, how) };
    let dir = dir.map_err(|e| bad_cwd(cwd, e))?;
    rustix::process::fchdir(&dir).map_err(|e| bad_cwd(cwd, e))?;
    let mut buf = Vec::with_capacity(256);
    let reached = rustix::process::getcwd(std::mem::take(&mut buf)).at("cwd", cwd)?;
    if !reached.to_bytes().starts_with(b"/") {
        return Err(bad_cwd(cwd, Errno::NOENT));
    }
    Ok(())
}

/// Makes the working directory while that can still be done.
fn make_cwd(root: &Root, cwd: &[u8]) -> Result<(), Failure> {
    match root.dir(cwd) {
        // What is wrong with it is said when it is entered.
        Ok(_) | Err(Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV | Errno::ROFS) => Ok(()),
        Err(e) => Err(bad_cwd(cwd, e)),
    }
}

fn bad_cwd(cwd: &[u8], errno: Errno) -> Failure {
    let mut f = failure("cwd", cwd, errno);
    f.code = match errno {
        Errno::NOENT | Errno::ROFS => "path_not_found".into(),
        Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV => "invalid_argument".into(),
        _ => String::new(),
    };
    f.detail = "the working directory can't be entered".into();
    f
}

fn limits(f: &Finish<'_>) -> Result<(), Failure> {
    if let Some((soft, hard)) = f.nofile {
        process::set_rlimit(libc::RLIMIT_NOFILE, soft, hard).at("rlimit", b"nofile")?;
    }
    for &(resource, soft, hard) in &f.process.rlimits {
        process::set_rlimit(resource, soft, hard).at("rlimit", resource.to_string().as_bytes())?;
    }
    // The helper's own is 0.
    rustix::process::umask(Mode::from_raw_mode(f.process.umask.unwrap_or(0o022)));
    if let Some(extra) = &f.process.extra {
        extra::schedule(extra)?;
        if extra.keep_keyring {
            return Ok(());
        }
    }
    match security::new_session_keyring() {
        // No keys in this kernel, or no room for one more: the launcher's own ring, which is empty, stays.
        Err(Errno::NOSYS | Errno::DQUOT | Errno::PERM) | Ok(()) => Ok(()),
        Err(e) => Err(failure("keyring", b"", e)),
    }
}
