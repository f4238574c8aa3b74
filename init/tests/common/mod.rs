//! Speaks to the helper as the library does.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod plans;

use containers_protocol::control::{self, Event, ExitRecord, Failure, Started};
use containers_protocol::launch::{CgroupBase, Ready, Request, Setup};
use containers_protocol::plan::{IdMaps, Plan};
use containers_protocol::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with, socketpair,
};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Cgroups that a launcher keeps ready at most, and one that is about to be used.
const MOST_READY: usize = 5;

/// How long anything may take before a test fails; slow machines included.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Whether the caller is root; says why a test is passed over otherwise.
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("passed over: needs root");
    }
    root
}

/// A folder that is deleted in the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("containers-init-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

pub fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Both ends of a pipe: to read, to write.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// All that arrives until the end.
pub fn read_all(fd: OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    std::fs::File::from(fd).read_to_end(&mut all).unwrap();
    all
}

/// Waits until something can be read.
pub fn readable(fd: impl AsFd, limit: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    poll(&mut fds, Some(&limit)).unwrap() > 0
}

/// Waits for a condition.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A control connection, or the answers to a request.
pub struct Connection(pub OwnedFd);

impl Connection {
    /// To a parent's socket.
    pub fn to(path: &Path, container: &str) -> Connection {
        let sock =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        connect(&sock, &SocketAddrUnix::new(path).unwrap()).unwrap();
        let connection = Connection(sock);
        let hello = control::Request::Hello { version: control::VERSION, container: container.into() };
        match connection.ask(&hello, &[]) {
            Event::Hello { .. } => connection,
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&self, request: &control::Request, fds: &[BorrowedFd<'_>]) {
        wire::send_json(&self.0, request, fds).unwrap();
    }

    pub fn ask(&self, request: &control::Request, fds: &[BorrowedFd<'_>]) -> Event {
        self.send(request, fds);
        self.event()
    }

    /// The next event, and what came along.
    pub fn next(&self) -> (Event, Vec<OwnedFd>) {
        assert!(readable(&self.0, LIMIT), "no event in time");
        let message = wire::recv(&self.0).unwrap().expect("the helper closed the connection");
        let event = wire::from_json(&message.payload).unwrap();
        if let Event::Started(started) = &event {
            let mut used = USED.lock().unwrap();
            used.extend(started.cgroups.iter().filter_map(|path| cgroup_key(Path::new(path))));
        }
        (event, message.fds)
    }

    pub fn event(&self) -> Event {
        self.next().0
    }

    pub fn started(&self) -> Started {
        match self.event() {
            Event::Started(started) => started,
            other => panic!("not started: {other:?}"),
        }
    }

    pub fn exited(&self) -> ExitRecord {
        match self.event() {
            Event::Exited(record) => record,
            other => panic!("not exited: {other:?}"),
        }
    }

    pub fn failed(&self) -> Failure {
        match self.event() {
            Event::Failed(failed) => failed,
            other => panic!("did not fail: {other:?}"),
        }
    }

    pub fn done(&self) {
        match self.event() {
            Event::Done => {}
            other => panic!("not done: {other:?}"),
        }
    }
}

/// cgroups that containers have used, as far as `started` told.
static USED: Mutex<BTreeSet<(OsString, OsString)>> = Mutex::new(BTreeSet::new());

/// The names of a container's cgroup and of the folder it is in, which are the same in all hierarchies.
fn cgroup_key(path: &Path) -> Option<(OsString, OsString)> {
    Some((path.parent()?.file_name()?.to_owned(), path.file_name()?.to_owned()))
}

/// cgroup folders of one test, removed in the end.
pub struct Cgroups(pub CgroupBase);

impl Cgroups {
    /// Below the test's own cgroups; v1 and v2.
    pub fn new() -> Cgroups {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("containers-init-{}-{n}", std::process::id());
        let mut found = Vec::new();
        for line in text.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controller), Some(own)) = (fields.next(), fields.next()) else { continue };
            if is_v2() {
                let folder = v2_folder(own, &name).expect("a test needs a cgroup of its own");
                return Cgroups(CgroupBase::V2(folder.as_path().into()));
            }
            if ["memory", "pids", "freezer"].contains(&controller) {
                let path = PathBuf::from(format!("/sys/fs/cgroup/{controller}{own}")).join(&name);
                if std::fs::create_dir(&path).is_ok() {
                    found.push((controller.to_owned(), path.as_path().into()));
                }
            }
        }
        Cgroups(if found.is_empty() { CgroupBase::None } else { CgroupBase::V1(found) })
    }

    /// The folders that tests and the helper make others in.
    fn folders(&self) -> Vec<&Path> {
        match &self.0 {
            CgroupBase::None => Vec::new(),
            CgroupBase::V1(found) => found.iter().map(|(_, path)| path.as_path()).collect(),
            CgroupBase::V2(folder) => vec![folder.as_path()],
        }
    }

    pub fn none() -> Cgroups {
        Cgroups(CgroupBase::None)
    }

    /// The folders in it that containers have or had: all but those that a launcher keeps ready, which are few.
    pub fn children(&self) -> Vec<PathBuf> {
        let used = USED.lock().unwrap();
        let is_used = |path: &PathBuf| cgroup_key(path).is_some_and(|key| used.contains(&key));
        let (children, ready): (Vec<_>, Vec<_>) = self.all().into_iter().partition(is_used);
        let names: BTreeSet<_> = ready.iter().map(|path| path.file_name()).collect();
        assert!(names.len() <= MOST_READY, "{ready:?}");
        children
    }

    /// All folders in it.
    pub fn all(&self) -> Vec<PathBuf> {
        let folders = self.folders();
        let entries = folders.iter().flat_map(|path| std::fs::read_dir(path).into_iter().flatten());
        entries.flatten().filter(|e| e.file_type().unwrap().is_dir()).map(|e| e.path()).collect()
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for child in self.all() {
            let _ = std::fs::remove_dir(child);
        }
        for folder in self.folders() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Whether the machine has cgroup v2 alone.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A group in the nearest one at or above `own` that can give it controllers, ready to give them on.
fn v2_folder(own: &str, name: &str) -> Option<PathBuf> {
    let own = PathBuf::from(format!("/sys/fs/cgroup{own}"));
    let give = |folder: &Path| std::fs::write(folder.join("cgroup.subtree_control"), "+memory +pids").is_ok();
    let parents = own.ancestors().take_while(|folder| folder.starts_with("/sys/fs/cgroup"));
    let folder = parents.filter(|folder| give(folder)).map(|folder| folder.join(name)).next()?;
    std::fs::create_dir(&folder).ok()?;
    give(&folder).then_some(folder)
}

/// A launcher.
pub struct Launcher {
    /// The library's end of the socket.
    pub main: Option<OwnedFd>,
    /// Its process id.
    pub pid: i32,
    pub scratch: Scratch,
    pub cgroups: Cgroups,
}

impl Launcher {
    pub fn new() -> Launcher {
        Launcher::with(Cgroups::new(), None, |_| {})
    }

    /// Started with cgroups, in a user namespace, by a changed command.
    pub fn with(cgroups: Cgroups, id_maps: Option<IdMaps>, change: impl FnOnce(&mut Command)) -> Launcher {
        Launcher::prepared(cgroups, id_maps, |_| {}, change)
    }

    /// The same, after its folders were prepared.
    pub fn prepared(
        cgroups: Cgroups,
        id_maps: Option<IdMaps>,
        prepare: impl FnOnce(&Launcher),
        change: impl FnOnce(&mut Command),
    ) -> Launcher {
        let scratch = Scratch::new();
        let mut first = Launcher { main: None, pid: 0, scratch, cgroups };
        let run = first.run_dir();
        std::fs::create_dir_all(&run).unwrap();
        prepare(&first);
        let me = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        match first.spawn(id_maps, me.unwrap(), change) {
            (Ready::Ready { pid }, main) => {
                first.pid = pid;
                first.main = Some(main);
                first
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Starts the helper; `host` is the process that it must not outlive.
    pub fn spawn(
        &self,
        id_maps: Option<IdMaps>,
        host: OwnedFd,
        change: impl FnOnce(&mut Command),
    ) -> (Ready, OwnedFd) {
        let (ours, theirs) = pair();
        // Another build of the helper can be tried.
        let built = std::env::var_os("CONTAINERS_TEST_HELPER");
        let path = built.unwrap_or(env!("CARGO_BIN_EXE_containers-init").into());
        // By a descriptor, above those that it is given: an ordinary user may not get to the folder.
        let program = rustix::io::fcntl_dupfd_cloexec(std::fs::File::open(path).unwrap(), 10).unwrap();
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.env_clear();
        pass_as_3(&mut command, &theirs);
        change(&mut command);
        let mut child = command.spawn().unwrap();
        drop(theirs);
        let lock = OwnedFd::from(std::fs::File::create(self.run_dir().join("lock")).unwrap());
        let listener = listener(&self.control());
        let setup =
            Setup { run_dir: self.run_dir().as_path().into(), id_maps, cgroup: Some(self.cgroups.0.clone()) };
        wire::send_postcard(&ours, &setup, &[lock.as_fd(), host.as_fd(), listener.as_fd()]).unwrap();
        assert!(readable(&ours, LIMIT));
        let message = wire::recv(&ours).unwrap().expect("the helper ended");
        let ready = wire::from_postcard(&message.payload).unwrap();
        assert_eq!(
            child.wait().unwrap().code(),
            Some(if matches!(ready, Ready::Ready { .. }) { 0 } else { 1 })
        );
        (ready, ours)
    }

    pub fn run_dir(&self) -> PathBuf {
        self.scratch.0.join("run")
    }

    pub fn control(&self) -> PathBuf {
        self.run_dir().join("ctl")
    }

    pub fn request(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Connection {
        let (ours, theirs) = pair();
        let mut all = vec![theirs.as_fd()];
        all.extend_from_slice(fds);
        wire::send_postcard(self.main.as_ref().unwrap(), request, &all).unwrap();
        Connection(ours)
    }

    pub fn start(&self, plan: &Plan, fds: &[BorrowedFd<'_>]) -> Connection {
        self.request(&Request::Start(Box::new(plan.clone())), fds)
    }

    pub fn settle(&self) {
        self.request(&Request::Settle, &[]).done();
    }

    /// Runs a plan with pipes for its output: exit, stdout, stderr.
    pub fn run(&self, plan: &Plan) -> Result<(ExitRecord, String, String), Failure> {
        let (out, out_w) = pipe();
        let (err, err_w) = pipe();
        let connection = self.start(plan, &[out_w.as_fd(), err_w.as_fd()]);
        drop((out_w, err_w));
        match connection.event() {
            Event::Started(_) => {}
            Event::Failed(failed) => return Err(failed),
            other => panic!("{other:?}"),
        }
        let errors = std::thread::spawn(move || read_all(err));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (out, err) = (text(read_all(out)), text(errors.join().unwrap()));
        Ok((connection.exited(), out, err))
    }

    /// The output of a shell script in the default container.
    pub fn shell(&self, script: &str) -> String {
        let rootfs = plans::busybox(&self.scratch.0.join("rootfs"));
        let plan = plans::shell(&rootfs, &self.scratch.0, script);
        let (record, out, err) = self.run(&plan).unwrap();
        assert_eq!(record.code, 0, "{out}{err}");
        out
    }

    pub fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }

    /// Its children in its own process namespace: the janitor, and whatever works on the side.
    pub fn helpers(&self) -> Vec<i32> {
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let here = namespace(self.pid);
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| parent_of(*pid) == Some(self.pid) && is_alive(*pid) && namespace(*pid) == here)
            .collect()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.main = None;
        let start = Instant::now();
        while is_alive(self.pid) && start.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The parent of a process.
pub fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

pub fn kill(pid: i32, signal: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::from_named_raw(signal).unwrap()).unwrap();
}

/// A listening socket.
pub fn listener(path: &Path) -> OwnedFd {
    let sock = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&sock, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&sock, 16).unwrap();
    sock
}

/// Leaves a descriptor open as number 3.
pub fn pass_as_3(command: &mut Command, fd: &OwnedFd) {
    let fd = fd.as_raw_fd();
    // SAFETY: dup2 and fcntl are async-signal-safe, and the descriptor outlives the spawn.
    unsafe {
        command.pre_exec(move || {
            if fd == 3 {
                libc::fcntl(3, libc::F_SETFD, 0);
            } else {
                libc::dup2(fd, 3);
            }
            Ok(())
        });
    }
}

/// A child that is killed in the end.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
