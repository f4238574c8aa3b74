//! From the library's spawn to a launcher that serves.

pub mod userns;

use crate::failure::{Context, failure};
use crate::host::Host;
use crate::parent::Parent;
use crate::place::{self, Base, Place};
use crate::sys::process::{self, Forked};
use crate::sys::security;
use containers_protocol::control::Failure;
use containers_protocol::launch::{CgroupBase, Ready, SOCKET, Setup};
use containers_protocol::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

/// How long the library may take to send its first message.
const SETUP_SECONDS: i64 = 30;

/// The program.
pub fn main() {
    if process::close_from(SOCKET as u32 + 1, false).is_err() || fill_standard().is_err() {
        process::exit(2);
    }
    let Some(sock) = crate::sys::process::adopt(SOCKET) else { process::exit(2) };
    process::reset_signals();
    process::ignore_signal(libc::SIGPIPE);
    rustix::process::umask(Mode::empty());
    let code = match receive(&sock) {
        Ok(None) => 0,
        Ok(Some((setup, fds))) => match detach(&setup, &sock) {
            Ok(Role::First) => 0,
            Ok(Role::Launcher) => serve(setup, fds, sock),
            Err(failed) => refuse(&sock, failed),
        },
        Err(failed) => refuse(&sock, failed),
    };
    process::exit(code)
}

/// Tells the library why there is no launcher.
fn refuse(sock: &OwnedFd, failed: Failure) -> i32 {
    let _ = wire::send_postcard(sock, &Ready::Failed(failed), &[]);
    1
}

/// Descriptors 0 to 2 lead nowhere, so that nothing of ours lands on them.
fn fill_standard() -> Result<(), Errno> {
    let null = openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for target in 0..3 {
        process::dup_to(rustix::fd::AsRawFd::as_raw_fd(&null), target)?;
    }
    if rustix::fd::AsRawFd::as_raw_fd(&null) < 3 {
        std::mem::forget(null);
    }
    Ok(())
}

/// What the library sends along with [`Setup`].
struct SetupFds {
    /// The lock that says that this launcher lives.
    _lock: OwnedFd,
    /// The library's process.
    host: OwnedFd,
    /// Where control connections arrive.
    listener: OwnedFd,
}

/// The library's next message; `None`: it has closed.
fn in_time(sock: &OwnedFd, step: &'static str) -> Result<Option<wire::Message>, Failure> {
    let mut polled = [PollFd::new(sock, PollFlags::IN)];
    let limit = Timespec { tv_sec: SETUP_SECONDS, tv_nsec: 0 };
    if poll(&mut polled, Some(&limit)).during(step)? == 0 {
        return Err(failure(step, b"", Errno::TIMEDOUT));
    }
    wire::recv(sock).during(step)
}

fn receive(sock: &OwnedFd) -> Result<Option<(Setup, SetupFds)>, Failure> {
    let Some(message) = in_time(sock, "setup")? else { return Ok(None) };
    let setup = wire::from_postcard(&message.payload).during("setup")?;
    let mut fds = message.fds.into_iter();
    match (fds.next(), fds.next(), fds.next()) {
        (Some(_lock), Some(host), Some(listener)) => Ok(Some((setup, SetupFds { _lock, host, listener }))),
        _ => Err(failure("setup", b"descriptors", Errno::BADF)),
    }
}

/// Which of the two processes the caller is.
enum Role {
    /// The one that the library spawned, and reaps.
    First,
    /// The one that stays, which is nobody's child that the host could wait for.
    Launcher,
}

/// Forks; the launcher is in a session and, when asked for, a user namespace of its own.
fn detach(setup: &Setup, sock: &OwnedFd) -> Result<Role, Failure> {
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .during("setup")?;
    match process::fork(0, None).during("fork")? {
        Forked::Child => {
            drop(ours);
            rustix::process::setsid().map(drop).during("setsid")?;
            if setup.id_maps.is_some() {
                let entered = userns::enter(&theirs);
                if let Err(failed) = entered {
                    refuse(sock, failed);
                    process::exit(1);
                }
            }
            Ok(Role::Launcher)
        }
        Forked::Parent { pid, .. } => {
            drop(theirs);
            match &setup.id_maps {
                Some(maps) => userns::serve(&ours, pid, maps).map(|()| Role::First),
                None => Ok(Role::First),
            }
        }
    }
}

/// The launcher's life.
fn serve(setup: Setup, fds: SetupFds, sock: OwnedFd) -> i32 {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let prepared = cgroup(setup.cgroup.clone(), pid, &sock).and_then(|base| prepare(&setup, base));
    let host = match prepared {
        Ok(host) => host,
        Err(failed) => return refuse(&sock, failed),
    };
    let base = host.cgroups.clone();
    let ready = Ready::Ready { pid };
    // Keep the owner lock for as long as this process lives.
    let SetupFds { _lock, host: library, listener } = fds;
    let mut parent = match Parent::launcher(host, sock, library, listener) {
        Ok(parent) => parent,
        // The library sees its socket close.
        Err(_) => return 1,
    };
    if !parent.announce(&ready) {
        return 1;
    }
    let clean = parent.run();
    crate::cgroup::release(&base);
    if !clean {
        // Whoever opens the root next finds by this folder what is left.
        return 0;
    }
    // Last, for the same reason.
    let _ = unmount([&setup.run_dir.0, &b"/ns"[..]].concat(), UnmountFlags::DETACH);
    let _ = crate::remove::tree(&setup.run_dir.0, &mut usize::MAX.clone());
    // The library may be gone without having closed.
    if let Some(run_root) = setup.run_dir.as_path().parent() {
        containers_protocol::run_folder::retire(run_root);
    }
    0
}

/// Where cgroups are made. The library may want to have one made for this process first.
fn cgroup(given: Option<CgroupBase>, pid: i32, sock: &OwnedFd) -> Result<CgroupBase, Failure> {
    if let Some(base) = given {
        return Ok(base);
    }
    wire::send_postcard(sock, &Ready::Born { pid }, &[]).during("cgroup")?;
    receive_cgroup(sock)
}

/// What the library says of the cgroup that it has made for this process.
pub fn receive_cgroup<T: serde::de::DeserializeOwned>(sock: &OwnedFd) -> Result<T, Failure> {
    let message = in_time(sock, "cgroup")?.ok_or_else(|| failure("cgroup", b"", Errno::PIPE))?;
    wire::from_postcard(&message.payload).during("cgroup")
}

/// Makes this process fit for starting containers.
fn prepare(setup: &Setup, cgroups: CgroupBase) -> Result<Host, Failure> {
    let rootless = setup.id_maps.is_some();
    // In all of its ids, and in no group of whoever started it; a rootless one is that already.
    userns::become_root()?;
    process::unshare(libc::CLONE_NEWNS as u64).during("mount namespace")?;
    // What the host mounts later still arrives; nothing leaves.
    rustix::mount::mount_change(
        c"/",
        rustix::mount::MountPropagationFlags::REC | rustix::mount::MountPropagationFlags::DOWNSTREAM,
    )
    .during("mount namespace")?;
    // Keys of whoever opened the runtime are not the containers'.
    let _ = security::new_session_keyring();
    let corner = place::make(rootless, &place::FOLDERS).at("setup", &setup.run_dir.0)?;
    let point = corner_point(&setup.run_dir.0).at("setup", &setup.run_dir.0)?;
    let paths = place::attach_own(&corner, &point, rootless).at("setup", &setup.run_dir.0)?;
    // Rootless, procfs and sysfs can only be mounted where they are visible already.
    let base = if rootless { None } else { Base::make(&point).ok() };
    let nofile = raise_nofile();
    let (_, permitted, _) = security::caps().during("capabilities")?;
    let caps = (permitted, security::bounding_set());
    security::set_dumpable(false).during("setup")?;
    Ok(Host {
        rootless,
        overflow_uid: overflow_uid(),
        cgroups,
        own_cgroups: Default::default(),
        cgroup_prefix: name_of(&setup.run_dir.0),
        place: Place::Own(paths),
        base,
        caps,
        nofile,
    })
}

/// The folder in the run folder that the corner is mounted on.
fn corner_point(run_dir: &[u8]) -> Result<Vec<u8>, Errno> {
    let point = [run_dir, b"/ns"].concat();
    match rustix::fs::mkdirat(CWD, &*point, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => Ok(point),
        Err(e) => Err(e),
    }
}

fn overflow_uid() -> u32 {
    const USUAL: u32 = 65_534;
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(USUAL)
}

/// The last component of a path.
fn name_of(path: &[u8]) -> String {
    let last = path.rsplit(|b| *b == b'/').find(|part| !part.is_empty()).unwrap_or_default();
    String::from_utf8_lossy(last).into_owned()
}

/// Allows ourselves as many descriptors as there may be; what it was before, if that was less.
fn raise_nofile() -> Option<(u64, u64)> {
    let (soft, hard) = process::rlimit(libc::RLIMIT_NOFILE).ok()?;
    if soft == hard {
        return None;
    }
    process::set_rlimit(libc::RLIMIT_NOFILE, hard, hard).ok()?;
    Some((soft, hard))
}
