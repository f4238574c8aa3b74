//! The host's end of the launcher: a warm helper process that starts containers.

use super::paths::{self, at};
use crate::cgroup::Cgroups;
use crate::executor::{readable, timeout_at, writable};
use crate::sandbox::helper;
use crate::{Error, ErrorKind, Result};
use containers_protocol::launch::{Ready, Request, SOCKET, Setup};
use containers_protocol::plan::IdMaps;
use containers_protocol::wire;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

/// How long a helper may take until it serves.
const START: Duration = Duration::from_secs(20);

/// How long a launcher may take to kill and clean up at a close.
const END: Duration = Duration::from_secs(20);

/// A running launcher.
pub(crate) struct Launcher {
    /// `l-` and 8 hexadecimal digits: the name of its folder in the run folder.
    pub(crate) name: String,
    /// Its folder: lock, control socket, records of attached containers.
    pub(crate) dir: PathBuf,
    /// Maps of its own user namespace.
    pub(crate) id_maps: Option<IdMaps>,
    /// The root it works for.
    pub(super) root: PathBuf,
    /// Where it accounts containers.
    pub(super) cgroups: Cgroups,
    /// Set until its end was waited for.
    pub(super) process: Mutex<Option<OwnedFd>>,
    pub(super) socket: RwLock<Option<OwnedFd>>,
    /// Somebody starts another one in its place.
    pub(super) replacing: AtomicBool,
    pid: u32,
}

/// What a request came to.
enum Sent {
    Done,
    /// The socket is full.
    Later,
    /// Nobody is there any more.
    Lost(io::Error),
}

impl Launcher {
    /// Starts one. `run_root` and `root` exist.
    pub(super) async fn start(
        root: &Path,
        run_root: &Path,
        id_maps: Option<IdMaps>,
        cgroups: &mut Cgroups,
    ) -> Result<Launcher> {
        let place = Place::new(run_root)?;
        let (process, ours) = begin(root, &place, id_maps.clone(), cgroups).await?;
        let (name, dir) = place.keep();
        Ok(Launcher {
            name,
            dir,
            id_maps,
            root: root.to_owned(),
            cgroups: cgroups.clone(),
            process: Mutex::new(Some(process)),
            socket: RwLock::new(Some(ours)),
            replacing: AtomicBool::new(false),
            pid: std::process::id(),
        })
    }

    /// `handle_closed` after a release, or in a child of the process that started it.
    pub(crate) fn check_open(&self) -> Result<()> {
        if !self.is_own_process() {
            return Err(super::forked());
        }
        match *self.socket.read().unwrap_or_else(|e| e.into_inner()) {
            Some(_) => Ok(()),
            None => Err(super::closed()),
        }
    }

    /// Whether this is the process that started it.
    pub(crate) fn is_own_process(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Sends a request; the returned socket, non-blocking, gets its answers, and is the container's owner
    /// where that matters.
    pub(crate) async fn request(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
        self.check_open()?;
        let prepared = Prepared::new(request)?;
        let mut replaced = false;
        loop {
            match self.try_send(&prepared, fds)? {
                Sent::Done => return Ok(prepared.ours),
                Sent::Later => writable(&self.own_socket()?).await.map_err(lost)?,
                // It was killed, and has not heard of this.
                Sent::Lost(_) if !replaced => {
                    replaced = true;
                    self.replace().await?;
                }
                Sent::Lost(e) => return Err(lost(e)),
            }
        }
    }

    /// [`Launcher::request`], waiting on this thread.
    pub(crate) fn request_now(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
        crate::executor::block_on(self.request(request, fds))
    }

    fn try_send(&self, prepared: &Prepared, fds: &[BorrowedFd<'_>]) -> Result<Sent> {
        let socket = self.socket.read().unwrap_or_else(|e| e.into_inner());
        let socket = socket.as_ref().ok_or_else(super::closed)?;
        let mut all = Vec::with_capacity(fds.len() + 1);
        all.push(prepared.theirs.as_fd());
        all.extend_from_slice(fds);
        match wire::send(socket, &prepared.message, &all) {
            Ok(()) => Ok(Sent::Done),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Later),
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                Ok(Sent::Lost(e))
            }
            Err(e) => Err(lost(e)),
        }
    }

    pub(super) fn own_socket(&self) -> Result<OwnedFd> {
        let socket = self.socket.read().unwrap_or_else(|e| e.into_inner());
        let socket = socket.as_ref().ok_or_else(super::closed)?;
        socket.try_clone().map_err(|e| Error::io("can't duplicate a socket", e))
    }

    /// Lets it go: it kills attached containers, cleans up and ends. Whether it was open until now. In a child
    /// of the process that started it, nothing happens.
    pub(super) fn release(&self) -> Result<bool> {
        if !self.is_own_process() {
            return Err(super::forked());
        }
        let socket = self.socket.write().unwrap_or_else(|e| e.into_inner()).take();
        let Some(socket) = socket else { return Ok(false) };
        // A child of the host may hold the same socket after a fork.
        let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
        Ok(true)
    }

    /// Waits for its end after a release; kills it when it takes too long.
    pub(super) async fn ended(&self) -> Result<()> {
        let process = self.process.lock().unwrap_or_else(|e| e.into_inner()).take();
        let Some(process) = process else { return Ok(()) };
        let deadline = Instant::now() + END;
        if let Ok(done) = timeout_at(Some(deadline), readable(&process)).await {
            return done.map_err(|e| Error::io("can't wait for the launcher", e));
        }
        let _ = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL);
        Err(Error::new(ErrorKind::Internal, "the launcher did not end in time and was killed"))
    }
}

/// Starts a helper in a place: its process, and the socket it serves.
pub(super) async fn begin(
    root: &Path,
    place: &Place,
    id_maps: Option<IdMaps>,
    cgroups: &mut Cgroups,
) -> Result<(OwnedFd, OwnedFd)> {
    let exe = helper::executable(root)?;
    let flags = SocketFlags::CLOEXEC;
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let (ours, theirs) = pair.map_err(|e| Error::io("can't make a socket", e.into()))?;
    let first = crate::sys::spawn::spawn(exe.as_fd(), &["containers", "launcher"], theirs.as_fd(), SOCKET);
    let first = first.map_err(spawn_failed)?;
    drop((theirs, exe));
    let cgroup = (!cgroups.wants_scope()).then(|| cgroups.base.clone());
    let setup = Setup { run_dir: place.dir.clone().into(), id_maps, cgroup };
    let ready = set_up(&ours, &setup, place, cgroups).await;
    crate::sys::spawn::reap(first);
    let pid = ready?;
    let process = open_process(pid)?;
    rustix::io::ioctl_fionbio(&ours, true).map_err(|e| Error::io("can't set up a socket", e.into()))?;
    Ok((process, ours))
}

/// A request encoded, with the pair its answers come on.
struct Prepared {
    message: Vec<u8>,
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Prepared {
    fn new(request: &Request) -> Result<Prepared> {
        let message = postcard_bytes(request)?;
        let (ours, theirs) = connection()?;
        Ok(Prepared { message, ours, theirs })
    }
}

/// A pair for the answers to one request; ours is non-blocking.
fn connection() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let make = || {
        let (a, b) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&a, true)?;
        Ok((a, b))
    };
    make().map_err(|e: rustix::io::Errno| Error::io("can't make a socket", e.into()))
}

fn postcard_bytes(request: &Request) -> Result<Vec<u8>> {
    wire::to_postcard(request)
        .map_err(|e| Error::new(ErrorKind::Internal, "can't encode a request").with_source(e))
}

fn lost(e: io::Error) -> Error {
    Error::io("the launcher of this runtime is gone; open the runtime again", e)
}

fn spawn_failed(e: io::Error) -> Error {
    match e.raw_os_error() {
        Some(libc::ENOENT) => Error::new(
            ErrorKind::Unsupported,
            "the helper program can't be executed by way of /proc; mount /proc and /dev",
        ),
        Some(libc::EACCES) => Error::new(
            ErrorKind::Unsupported,
            "the helper program may not be executed; set the sysctl vm.memfd_noexec to 0 or 1, or put the root \
             folder on a file system mounted without noexec",
        ),
        _ => return Error::io("the helper program can't be started", e),
    }
    .with_source(e)
}

fn open_process(pid: i32) -> Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the launcher reported no process id"))?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .map_err(|e| Error::io("can't watch the launcher", e.into()))
}

/// Sends [`Setup`] and waits for [`Ready`]; the launcher's process id.
async fn set_up(socket: &OwnedFd, setup: &Setup, place: &Place, cgroups: &mut Cgroups) -> Result<i32> {
    let host = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())
        .map_err(|e| Error::io("can't open a descriptor of this process", e.into()))?;
    let fds = [place.lock.as_fd(), host.as_fd(), place.listener.as_fd()];
    let early = |e| Error::io("the helper program ended early", e);
    wire::send_postcard(socket, setup, &fds).map_err(early)?;
    loop {
        match answer(socket).await? {
            Ready::Born { pid } => {
                cgroups.adopt(pid, &place.name);
                wire::send_postcard(socket, &cgroups.base, &[]).map_err(early)?;
            }
            Ready::Ready { pid } => return Ok(pid),
            Ready::Failed(failure) => return Err(crate::sandbox::failure::describe_setup(failure)),
        }
    }
}

/// One answer of a fresh helper.
async fn answer(socket: &OwnedFd) -> Result<Ready> {
    let deadline = Instant::now() + START;
    match timeout_at(Some(deadline), readable(socket)).await {
        Ok(done) => done.map_err(|e| Error::io("can't wait for the helper program", e))?,
        Err(_) => return Err(Error::new(ErrorKind::Io, "the helper program did not start in time")),
    }
    let message = wire::recv(socket).map_err(|e| Error::io("can't hear the helper program", e))?;
    let Some(message) = message else {
        return Err(Error::new(ErrorKind::Internal, "the helper program ended before it was ready"));
    };
    wire::from_postcard(&message.payload)
        .map_err(|e| Error::new(ErrorKind::Internal, "the helper program answered nonsense").with_source(e))
}

/// A launcher's folder with its lock and control socket; removed again unless kept.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    lock: OwnedFd,
    listener: OwnedFd,
    keep: bool,
}

impl Place {
    fn new(run_root: &Path) -> Result<Place> {
        // Nobody may take a folder for a dead launcher's before its lock is had.
        let _creating = paths::creation_lock(run_root)?;
        let name = format!("l-{}", crate::sys::random_hex::<4>()?);
        let dir = run_root.join(&name);
        paths::private_dir(&dir)?;
        let made = (|| {
            let lock = paths::lock_file(&dir.join("lock"), false)?;
            let lock = lock.ok_or_else(|| Error::new(ErrorKind::Internal, "a new lock is taken already"))?;
            Ok((lock, listen(&dir)?))
        })();
        match made {
            Ok((lock, listener)) => Ok(Place { name, dir, lock, listener, keep: false }),
            Err(e) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(e)
            }
        }
    }

    /// That of a launcher that was killed; it stays whatever happens.
    pub(super) fn again(name: &str, dir: &Path) -> Result<Place> {
        let _creating = match dir.parent() {
            Some(run_root) => paths::creation_lock(run_root)?,
            None => None,
        };
        // Another process that opened the root may have found it dead, and removed it.
        paths::private_dir(dir)?;
        let lock = paths::lock_file(&dir.join("lock"), false)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Io,
                "the launcher of this runtime is gone and not cleaned up yet; try again",
            )
        })?;
        let _ = std::fs::remove_file(dir.join("ctl"));
        let listener = listen(dir)?;
        Ok(Place { name: name.to_owned(), dir: dir.to_owned(), lock, listener, keep: true })
    }

    fn keep(mut self) -> (String, PathBuf) {
        self.keep = true;
        (std::mem::take(&mut self.name), std::mem::take(&mut self.dir))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Listens on `ctl` in a folder. The folder's path may be longer than a socket address can hold.
pub(crate) fn listen(dir: &Path) -> Result<OwnedFd> {
    let make = || -> rustix::io::Result<OwnedFd> {
        let folder =
            rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::bind(&socket, &address(&folder)?)?;
        rustix::fs::chmodat(&folder, "ctl", Mode::from_raw_mode(0o600), AtFlags::empty())?;
        rustix::net::listen(&socket, 128)?;
        Ok(socket)
    };
    make().map_err(|e| at("can't listen on the control socket in", dir, e.into()))
}

/// Connects to the parent that listens in a folder; `None`: nobody does (any more). Waits while too many others do
/// the same.
pub(crate) async fn connect(dir: &Path) -> Result<Option<OwnedFd>> {
    let deadline = Instant::now() + START;
    loop {
        match try_connect(dir) {
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => return Ok(None),
            // The queue of the listener is full, and there is nothing to wait on.
            Err(Errno::AGAIN) if Instant::now() < deadline => {
                crate::executor::sleep(Duration::from_millis(2)).await;
            }
            done => {
                let failed = |e: Errno| at("can't reach the container's parent in", dir, e.into());
                return done.map(Some).map_err(failed);
            }
        }
    }
}

fn try_connect(dir: &Path) -> rustix::io::Result<OwnedFd> {
    let folder = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::connect(&socket, &address(&folder)?)?;
    Ok(socket)
}

fn address(folder: &OwnedFd) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/ctl", folder.as_raw_fd()))
}
