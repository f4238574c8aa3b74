//! cgroups of containers, v1 and v2.

use crate::failure::{Context, failure};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::launch::CgroupBase;
use containers_protocol::plan::{CgroupPlan, CgroupWrite};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One directory of a container's cgroup.
struct Dir {
    /// v1 controller; empty on v2.
    controller: String,
    /// Where children are made.
    parent: Vec<u8>,
    /// The directory.
    fd: OwnedFd,
}

/// The cgroup of one container: one directory on v2, one for each controller used on v1.
pub struct Cgroup {
    name: String,
    dirs: Vec<Dir>,
    /// v1: files through which the first process enters.
    pub tasks: Vec<OwnedFd>,
    /// Counts of OOM kills.
    oom: Option<OwnedFd>,
    v2: bool,
}

/// A cgroup on its way to another process, without its descriptors.
#[derive(Serialize, Deserialize)]
pub struct CgroupFacts {
    name: String,
    /// Controllers and parents of the directories.
    dirs: Vec<(String, Bytes)>,
    tasks: usize,
    oom: bool,
    v2: bool,
}

/// The v1 controller that freezes. A container gets a directory of it when it is first paused.
const FREEZER: &str = "freezer";

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Cgroup {
    /// Makes the directories and writes the values. Also returns warnings: defaults that can't be had.
    pub fn make(base: &CgroupBase, name: &str, plan: &CgroupPlan) -> Result<(Cgroup, Vec<String>), Failure> {
        let mut warnings = Vec::new();
        let mut cgroup = Cgroup { name: name.to_owned(), dirs: vec![], tasks: vec![], oom: None, v2: false };
        let made = cgroup.fill(base, plan, &mut warnings);
        if let Err(e) = made {
            let _ = cgroup.remove();
            return Err(e);
        }
        Ok((cgroup, warnings))
    }

    /// What to send: this, and descriptors.
    pub fn pack<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) -> CgroupFacts {
        let facts = self.pack_dirs(fds);
        fds.extend(self.tasks.iter().chain(&self.oom).map(AsFd::as_fd));
        CgroupFacts { tasks: self.tasks.len(), oom: self.oom.is_some(), ..facts }
    }

    /// As [`Cgroup::pack`], but only what removing it needs.
    pub fn pack_dirs<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) -> CgroupFacts {
        fds.extend(self.dirs.iter().map(|d| d.fd.as_fd()));
        let dirs = self.dirs.iter().map(|d| (d.controller.clone(), Bytes(d.parent.clone())));
        CgroupFacts { name: self.name.clone(), dirs: dirs.collect(), tasks: 0, oom: false, v2: self.v2 }
    }

    /// What was received; `None`: descriptors are missing.
    pub fn unpack(facts: CgroupFacts, fds: &mut impl Iterator<Item = OwnedFd>) -> Option<Cgroup> {
        let dirs = facts.dirs.into_iter();
        let dir = |(controller, parent): (String, Bytes)| {
            Some(Dir { controller, parent: parent.0, fd: fds.next()? })
        };
        let dirs: Vec<Dir> = dirs.map(dir).collect::<Option<_>>()?;
        let tasks = (0..facts.tasks).map(|_| fds.next()).collect::<Option<_>>()?;
        let oom = if facts.oom { Some(fds.next()?) } else { None };
        Some(Cgroup { name: facts.name, dirs, tasks, oom, v2: facts.v2 })
    }

    /// Its name below the folders of the runtime.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn fill(
        &mut self,
        base: &CgroupBase,
        plan: &CgroupPlan,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        match base {
            CgroupBase::None => {}
            CgroupBase::V2(parent) => {
                self.v2 = true;
                self.add("", &parent.0)?;
            }
            CgroupBase::V1(controllers) => {
                for (controller, parent) in controllers {
                    if plan.writes.iter().any(|w| w.controller == *controller) {
                        self.add(controller, &parent.0)?;
                    }
                }
            }
        }
        for write in &plan.writes {
            if let Err(failed) = self.write(write) {
                match &write.option {
                    Some(option) => return Err(refused(option, write, failed)),
                    None => warnings.push(format!("{} can't be set: {failed}", write.file)),
                }
            }
        }
        for dir in &self.dirs {
            if !self.v2 {
                let how = OFlags::WRONLY | OFlags::CLOEXEC;
                self.tasks.push(openat(&dir.fd, c"tasks", how, Mode::empty()).at("cgroup", b"tasks")?);
            }
        }
        if plan.watch_oom {
            self.oom = self.open_oom();
        }
        Ok(())
    }

    fn add(&mut self, controller: &str, parent: &[u8]) -> Result<(), Failure> {
        let mut made = self.try_add(controller, parent);
        // Whoever closes a root removes the folder when nothing is in it, so it may have gone meanwhile.
        for _ in 0..20 {
            if made != Err(Errno::NOENT) {
                break;
            }
            made = remake(controller, parent).and_then(|()| self.try_add(controller, parent));
        }
        made.at("cgroup", parent)
    }

    fn try_add(&mut self, controller: &str, parent: &[u8]) -> Result<(), Errno> {
        let parent_fd = openat(CWD, parent, DIR, Mode::empty())?;
        mkdirat(&parent_fd, self.name.as_str(), Mode::from_raw_mode(0o755))?;
        let fd = openat(&parent_fd, self.name.as_str(), DIR | OFlags::NOFOLLOW, Mode::empty())?;
        if controller == "cpuset" {
            inherit_cpuset(&parent_fd, &fd);
        }
        self.dirs.push(Dir { controller: controller.to_owned(), parent: parent.to_vec(), fd });
        Ok(())
    }

    /// v1: controllers and their directories.
    pub fn v1_dirs(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let dirs = self.dirs.iter().filter(|_| !self.v2);
        dirs.map(|d| (d.controller.as_str(), [&d.parent, &b"/"[..], self.name.as_bytes()].concat()))
    }

    fn dir(&self, controller: &str) -> Option<&Dir> {
        self.dirs.iter().find(|d| d.controller == controller)
    }

    fn write(&self, write: &CgroupWrite) -> Result<(), Errno> {
        let dir = self.dir(&write.controller).ok_or(Errno::NOENT)?;
        put(&dir.fd, &write.file, &write.value)
    }

    /// Sets a value of a running container.
    pub fn update(&self, controller: &str, file: &str, value: &str) -> Result<(), Failure> {
        let bad = file.contains('/') || file.starts_with('.');
        let dir = self.dir(controller).filter(|_| !bad);
        let result = dir.ok_or(Errno::NOENT).and_then(|d| put(&d.fd, file, value));
        result.at("cgroup", file.as_bytes())
    }

    /// v2: the directory that `clone3` puts the first process in.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        if self.v2 { self.dirs.first().map(|d| d.fd.as_fd()) } else { None }
    }

    /// Files through which a further process enters by writing `0`.
    pub fn entrances(&self) -> Result<Vec<OwnedFd>, Errno> {
        let file = if self.v2 { c"cgroup.procs" } else { c"tasks" };
        let how = OFlags::WRONLY | OFlags::CLOEXEC;
        self.dirs.iter().map(|d| openat(&d.fd, file, how, Mode::empty())).collect()
    }

    /// The directories, for `started`.
    pub fn paths(&self) -> Vec<String> {
        let path = |d: &Dir| format!("{}/{}", String::from_utf8_lossy(&d.parent), self.name);
        self.dirs.iter().map(path).collect()
    }

    /// Kills all processes in it.
    pub fn kill(&self) {
        let Some(dir) = self.dirs.first() else { return };
        if self.v2 && put(&dir.fd, "cgroup.kill", "1").is_ok() {
            return;
        }
        self.signal_all(dir);
        // v1: a frozen process does not even die.
        if let Some(freezer) = self.dir(FREEZER) {
            let _ = put(&freezer.fd, "freezer.state", "THAWED");
        }
    }

    /// The slow way: until nobody new is seen.
    fn signal_all(&self, dir: &Dir) {
        for _ in 0..100 {
            let Ok(list) = get(&dir.fd, "cgroup.procs") else { return };
            let mut any = false;
            for pid in list.lines().filter_map(|l| l.trim().parse::<i32>().ok()).filter(|p| *p > 1) {
                any = true;
                self.kill_member(dir, pid);
            }
            if !any {
                return;
            }
        }
    }

    /// Kills a process of it. The id may belong to somebody else by now: what is killed is looked at again through a
    /// descriptor that can't change its meaning.
    fn kill_member(&self, dir: &Dir, pid: i32) {
        let Some(id) = Pid::from_raw(pid) else { return };
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { return };
        let still = get(&dir.fd, "cgroup.procs").unwrap_or_default();
        if still.lines().any(|l| l.trim().parse() == Ok(pid)) {
            let _ = crate::sys::process::pidfd_kill(&process, libc::SIGKILL);
        }
    }

    /// Freezes or thaws all processes.
    pub fn freeze(&mut self, base: &CgroupBase, frozen: bool) -> Result<(), Errno> {
        if self.v2 {
            let dir = self.dirs.first().ok_or(Errno::NOENT)?;
            return put(&dir.fd, "cgroup.freeze", if frozen { "1" } else { "0" });
        }
        let CgroupBase::V1(controllers) = base else { return Err(Errno::OPNOTSUPP) };
        let (_, parent) = controllers.iter().find(|(c, _)| c == FREEZER).ok_or(Errno::OPNOTSUPP)?;
        let parent_fd = match openat(CWD, parent.0.as_slice(), DIR, Mode::empty()) {
            Err(Errno::NOENT) => {
                remake(FREEZER, &parent.0)?;
                openat(CWD, parent.0.as_slice(), DIR, Mode::empty())?
            }
            opened => opened?,
        };
        match mkdirat(&parent_fd, self.name.as_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        let freezer = openat(&parent_fd, self.name.as_str(), DIR | OFlags::NOFOLLOW, Mode::empty())?;
        if !frozen {
            put(&freezer, "freezer.state", "THAWED")?;
            return self.empty_freezer(&parent_fd, &freezer);
        }
        if self.dir(FREEZER).is_none() {
            // From now on it is removed like the others.
            let fd = rustix::io::fcntl_dupfd_cloexec(&freezer, 3)?;
            self.dirs.push(Dir { controller: FREEZER.to_owned(), parent: parent.0.clone(), fd });
        }
        let dir = self.dirs.first().ok_or(Errno::OPNOTSUPP)?;
        put(&freezer, "freezer.state", "FROZEN")?;
        // Those that enter freeze at once, so nobody can fork away for ever.
        for _ in 0..100 {
            let mut moved = false;
            for pid in get(&dir.fd, "cgroup.procs")?.lines() {
                if !get(&freezer, "cgroup.procs")?.lines().any(|p| p == pid) {
                    moved |= put(&freezer, "cgroup.procs", pid).is_ok();
                }
            }
            if !moved {
                break;
            }
        }
        wait_frozen(&freezer)
    }

    /// Moves thawed processes back and removes the freezer's directory.
    fn empty_freezer(&mut self, parent: &OwnedFd, freezer: &OwnedFd) -> Result<(), Errno> {
        for pid in get(freezer, "cgroup.procs")?.lines() {
            let _ = put(parent, "cgroup.procs", pid);
        }
        match unlinkat(parent, self.name.as_str(), AtFlags::REMOVEDIR) {
            // Somebody forked meanwhile: it goes with the container.
            Err(Errno::BUSY) => Ok(()),
            Err(Errno::NOENT) | Ok(()) => {
                self.dirs.retain(|dir| dir.controller != FREEZER);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn open_oom(&self) -> Option<OwnedFd> {
        let (controller, file) =
            if self.v2 { ("", "memory.events") } else { ("memory", "memory.oom_control") };
        let dir = self.dir(controller)?;
        openat(&dir.fd, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    /// Whether the kernel has killed a process of it for want of memory.
    pub fn oom_killed(&self) -> bool {
        let Some(file) = &self.oom else { return false };
        let mut buf = [0u8; 512];
        let Ok(n) = rustix::io::pread(file, &mut buf, 0) else { return false };
        let text = String::from_utf8_lossy(&buf[..n]);
        let count = text.lines().find_map(|l| l.strip_prefix("oom_kill "));
        count.and_then(|n| n.trim().parse::<u64>().ok()).is_some_and(|n| n > 0)
    }

    /// Removes the directories. `EBUSY`: somebody is still in them.
    pub fn remove(&mut self) -> Result<(), Errno> {
        let mut result = Ok(());
        let name = self.name.clone();
        self.dirs.retain(|dir| {
            let parent = openat(CWD, dir.parent.as_slice(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let removed = parent.and_then(|parent| unlinkat(parent, name.as_str(), AtFlags::REMOVEDIR));
            match removed {
                Ok(()) | Err(Errno::NOENT) => false,
                Err(e) => {
                    result = Err(e);
                    true
                }
            }
        });
        result
    }

    /// All whose names begin with a prefix, as far as they are to be killed and removed.
    pub fn find(base: &CgroupBase, prefix: &str) -> Vec<Cgroup> {
        let mut found: BTreeMap<String, Vec<Dir>> = BTreeMap::new();
        for (controller, parent) in base.folders() {
            let names = std::fs::read_dir(OsStr::from_bytes(&parent.0)).into_iter().flatten().flatten();
            for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
                let path = [&parent.0, &b"/"[..], name.as_bytes()].concat();
                if name.starts_with(prefix)
                    && let Ok(fd) = openat(CWD, path, DIR | OFlags::NOFOLLOW, Mode::empty())
                {
                    let dir = Dir { controller: controller.to_owned(), parent: parent.0.clone(), fd };
                    found.entry(name).or_default().push(dir);
                }
            }
        }
        let v2 = matches!(base, CgroupBase::V2(_));
        let make = |(name, dirs)| Cgroup { name, dirs, tasks: Vec::new(), oom: None, v2 };
        found.into_iter().map(make).collect()
    }
}

fn refused(option: &str, write: &CgroupWrite, errno: Errno) -> Failure {
    let mut f = failure("cgroup", option.as_bytes(), errno);
    f.code = match errno {
        Errno::INVAL | Errno::RANGE | Errno::BUSY => "invalid_argument".into(),
        Errno::NOENT | Errno::OPNOTSUPP | Errno::ROFS => "unsupported".into(),
        _ => String::new(),
    };
    let value: String = write.value.chars().take(100).collect();
    f.detail = format!("the kernel refuses {value} for {}", write.file);
    f
}

/// Makes the folder of a root again, and the one above it, which is ours too.
fn remake(controller: &str, folder: &[u8]) -> Result<(), Errno> {
    let folder = Path::new(OsStr::from_bytes(folder));
    let ours = folder.parent().ok_or(Errno::NOENT)?;
    let above = ours.parent().ok_or(Errno::NOENT)?;
    let mut parent = openat(CWD, above, DIR, Mode::empty())?;
    for name in [ours, folder].into_iter().filter_map(Path::file_name) {
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        let dir = openat(&parent, name, DIR | OFlags::NOFOLLOW, Mode::empty())?;
        match controller {
            "" => give_controllers(&dir),
            "cpuset" => inherit_cpuset(&parent, &dir),
            _ => {}
        }
        parent = dir;
    }
    Ok(())
}

/// v2: lets the groups below use what this one has. What can't be had shows when a limit is set.
fn give_controllers(dir: &OwnedFd) {
    for controller in get(dir, "cgroup.controllers").unwrap_or_default().split_ascii_whitespace() {
        let _ = put(dir, "cgroup.subtree_control", &format!("+{controller}"));
    }
}

/// Removes the folders of a root when nothing is in them any more.
pub fn release(base: &CgroupBase) {
    for (_, folder) in base.folders() {
        let folder = Path::new(OsStr::from_bytes(&folder.0));
        for dir in folder.ancestors().take(2) {
            if unlinkat(CWD, dir, AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
    }
}

/// A fresh v1 cpuset has no processors: it takes those of its parent.
fn inherit_cpuset(parent: &OwnedFd, dir: &OwnedFd) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = get(parent, file) {
            let _ = put(dir, file, value.trim());
        }
    }
}

/// Waits, for a short time, until a v1 freezer has frozen everybody.
fn wait_frozen(freezer: &OwnedFd) -> Result<(), Errno> {
    for _ in 0..200 {
        if get(freezer, "freezer.state")?.trim() == "FROZEN" {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(Errno::TIMEDOUT)
}

fn put(dir: &OwnedFd, file: &str, value: &str) -> Result<(), Errno> {
    let fd = openat(dir, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        match rustix::io::write(&fd, value.as_bytes()) {
            Err(Errno::INTR) => continue,
            other => return other.map(drop),
        }
    }
}

fn get(dir: &OwnedFd, file: &str) -> Result<String, Errno> {
    use std::io::Read;
    let fd = openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    match std::fs::File::from(fd).take(1 << 20).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(e) => Err(Errno::from_raw_os_error(e.raw_os_error().unwrap_or(libc::EIO))),
    }
}
