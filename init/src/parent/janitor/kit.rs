//! What a container of the usual kind needs and nobody has used yet: a cgroup, namespaces, files.

use crate::cgroup::{Cgroup, CgroupFacts};
use crate::child::mounts::clone_tree;
use crate::child::root::attach;
use crate::child::{Ready, extra, own_cgroups};
use crate::failure::Context;
use crate::fs;
use crate::host::Host;
use crate::place::Base;
use crate::sys::mount;
use crate::sys::process::{self, Stack};
use containers_protocol::control::Failure;
use containers_protocol::meanwhile::loopback_up;
use containers_protocol::plan::{CgroupPlan, Plan, Step};
use containers_protocol::sysctl;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::CStr;

const NEWNET: u64 = libc::CLONE_NEWNET as u64;
const NEWIPC: u64 = libc::CLONE_NEWIPC as u64;

/// What makes one kit as good as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitKey {
    cgroup: Option<CgroupPlan>,
    /// `CLONE_NEWNET` (with its loopback interface up), `CLONE_NEWIPC`.
    namespaces: u64,
    /// A mount namespace with nothing but the launcher's corner.
    mounts: bool,
    /// Modes of the files of `File` steps, in order.
    files: Vec<u32>,
    /// A sysfs in that mount namespace.
    sys: Option<SysKey>,
    /// Sysctls of the network namespace.
    sysctls: Vec<(String, String)>,
}

/// What makes one sysfs as good as another: `MOUNT_ATTR_*` flags of it, and of the container's cgroups in it, if it
/// has them there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SysKey {
    attr: u64,
    cgroups: Option<u64>,
}

impl SysKey {
    /// For a plan with a network namespace and a mount namespace that are made ahead.
    fn of(plan: &Plan) -> Option<SysKey> {
        let attr = plan.steps.iter().find_map(|step| match step {
            Step::Mount(m) if m.fstype == "sysfs" && m.target.0 == b"/sys" => Some(m.attr),
            _ => None,
        });
        let cgroups = plan.steps.iter().find_map(|step| match step {
            Step::OwnCgroups { attr } => Some(*attr),
            _ => None,
        });
        Some(SysKey { attr: attr?, cgroups })
    }
}

impl KitKey {
    /// What can be ready for a plan; `None`: nothing. `base`: its mount namespace begins with the small one.
    pub fn of(plan: &Plan, base: bool) -> Option<KitKey> {
        let new = |flag: u64| plan.namespaces & flag != 0;
        let loopback = plan.steps.iter().any(|step| matches!(step, Step::Loopback));
        // What a container's own user namespace is to rule must be made inside it.
        let namespaces = match new(libc::CLONE_NEWUSER as u64) {
            true => 0,
            false if loopback => plan.namespaces & (NEWNET | NEWIPC),
            false => plan.namespaces & NEWIPC,
        };
        let modes = plan.steps.iter().filter_map(|step| match step {
            Step::File { mode, .. } => Some(*mode),
            _ => None,
        });
        let network = namespaces & NEWNET != 0;
        let sysctls = plan.steps.iter().filter(|_| network).filter_map(|step| match step {
            Step::DefaultSysctls(all) if all.iter().all(|(key, _)| key.starts_with("net.")) => Some(all),
            _ => None,
        });
        let key = KitKey {
            cgroup: plan.cgroup.clone(),
            namespaces,
            mounts: base,
            files: modes.filter(|_| base).collect(),
            sys: SysKey::of(plan).filter(|_| base && network),
            sysctls: sysctls.flatten().cloned().collect(),
        };
        (key.cgroup.is_some() || key.namespaces != 0 || key.mounts).then_some(key)
    }
}

/// A file of a tmpfs: open to be written, and as a tree to be attached.
pub struct ReadyFile {
    /// Empty.
    pub content: OwnedFd,
    /// The file alone.
    pub tree: OwnedFd,
}

/// Everything ready for one container.
#[derive(Default)]
pub struct Kit {
    /// Its cgroup, and which defaults can't be had.
    pub cgroup: Option<(Cgroup, Vec<String>)>,
    /// Namespaces to enter, with their `CLONE_NEW*` flags.
    pub namespaces: Vec<(u64, OwnedFd)>,
    /// Its mount namespace.
    pub mounts: Option<OwnedFd>,
    /// For its `File` steps, in order.
    pub files: Vec<ReadyFile>,
    /// What else is done.
    pub ready: Ready,
}

/// A kit on its way, without its descriptors.
#[derive(Serialize, Deserialize)]
pub struct KitFacts {
    cgroup: Option<(CgroupFacts, Vec<String>)>,
    namespaces: Vec<u64>,
    mounts: bool,
    files: usize,
    ready: Ready,
}

impl Kit {
    /// Makes one; the cgroup gets the name.
    pub fn make(key: &KitKey, name: &str, host: &Host, stack: &mut Stack) -> Result<Kit, Failure> {
        let cgroup = key.cgroup.as_ref().map(|plan| Cgroup::make(host.cgroups(), name, plan)).transpose()?;
        let mut kit = Kit { cgroup, ..Kit::default() };
        match (kit.fill(key, host, stack), &mut kit.cgroup) {
            (Ok(()), _) => Ok(kit),
            (Err(failed), None) => Err(failed),
            (Err(failed), Some((cgroup, _))) => {
                let _ = cgroup.remove();
                Err(failed)
            }
        }
    }

    /// Adds all but the cgroup.
    fn fill(&mut self, key: &KitKey, host: &Host, stack: &mut Stack) -> Result<(), Failure> {
        let files = files(&key.files).during("file")?;
        let base = host.base.as_ref().filter(|_| key.mounts);
        if key.namespaces == 0 && base.is_none() {
            return Ok(());
        }
        // What can't be had here, the container's first process mounts.
        let sys = key.sys.as_ref().and_then(|sys| match sys.cgroups {
            None => Some(ReadySys { attr: sys.attr, cgroups: None }),
            Some(attr) => Some(ReadySys { attr: sys.attr, cgroups: Some(self.own_cgroups(attr).ok()?) }),
        });
        let mut made = Err(Errno::IO);
        let flags = key.namespaces | libc::CLONE_FILES as u64;
        let (_, pidfd) = process::vfork(flags, None, stack, &mut || {
            made = self.gather(key, base, files.as_ref(), sys.as_ref());
            0
        })
        .during("clone")?;
        process::reap(&pidfd, false).during("clone")?;
        made.during("namespace")
    }

    /// The container's groups as they are to show in its `/sys/fs/cgroup`.
    fn own_cgroups(&self, attr: u64) -> Result<OwnCgroups, Errno> {
        let Some((cgroup, _)) = &self.cgroup else { return Err(Errno::NOENT) };
        let dirs: Vec<_> = cgroup.v1_dirs().collect();
        let wanted: Vec<&str> = dirs.iter().map(|(controller, _)| *controller).collect();
        let all = own_cgroups::read(extra::host_proc()?, &wanted)?;
        let mut trees = Vec::with_capacity(all.len());
        for together in all {
            let own = |(controller, _): &&(&str, Vec<u8>)| together.iter().any(|c| c == controller);
            let (_, dir) = dirs.iter().find(own).ok_or(Errno::NOENT)?;
            let tree = clone_tree(CWD, dir, false)?;
            mount::setattr(&tree, c"", 0, attr, 0, libc::MS_PRIVATE)?;
            trees.push((together, tree));
        }
        Ok(OwnCgroups { attr, trees })
    }

    /// Runs in a process that is in the new namespaces already, and shares memory and descriptors with us.
    fn gather(
        &mut self,
        key: &KitKey,
        base: Option<&Base>,
        tmpfs: Option<&(OwnedFd, Vec<OwnedFd>)>,
        sys: Option<&ReadySys>,
    ) -> Result<(), Errno> {
        let namespaces = key.namespaces;
        let how = OFlags::RDONLY | OFlags::CLOEXEC;
        let all = openat(CWD, c"/proc/self/ns", how | OFlags::DIRECTORY, Mode::empty())?;
        let own = |name: &CStr| openat(&all, name, how, Mode::empty());
        if namespaces & NEWNET != 0 {
            loopback_up()?;
            // Where it can't be done from here, the container's first process tries it.
            self.ready.sysctls = key.sysctls.iter().all(|(key, value)| set_sysctl(key, value).is_ok());
            self.namespaces.push((NEWNET, own(c"net")?));
        }
        if namespaces & NEWIPC != 0 {
            self.namespaces.push((NEWIPC, own(c"ipc")?));
        }
        let Some(base) = base else { return Ok(()) };
        process::setns(&base.small, libc::CLONE_NEWNS as u64)?;
        process::unshare(libc::CLONE_NEWNS as u64)?;
        self.mounts = Some(own(c"mnt")?);
        if let Some(sys) = sys {
            sys.attach(base)?;
            self.ready.sys = true;
        }
        let Some((tmpfs, contents)) = tmpfs else { return Ok(()) };
        // Attached, it goes with the namespace: no descriptor closes for good and waits for that.
        let at = openat(CWD, base.place.files_point(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attach(tmpfs, at)?;
        for (index, content) in contents.iter().enumerate() {
            let tree = clone_tree(tmpfs, index.to_string().as_bytes(), false)?;
            let content = rustix::io::fcntl_dupfd_cloexec(content, 3)?;
            self.files.push(ReadyFile { content, tree });
        }
        Ok(())
    }

    /// What to send.
    pub fn pack(&self) -> (KitFacts, Vec<BorrowedFd<'_>>) {
        let mut fds = Vec::new();
        let cgroup = self.cgroup.as_ref().map(|(cgroup, warnings)| (cgroup.pack(&mut fds), warnings.clone()));
        fds.extend(self.namespaces.iter().map(|(_, fd)| fd).chain(&self.mounts).map(AsFd::as_fd));
        fds.extend(self.files.iter().flat_map(|file| [file.content.as_fd(), file.tree.as_fd()]));
        let namespaces = self.namespaces.iter().map(|(flag, _)| *flag).collect();
        let (files, ready) = (self.files.len(), self.ready);
        (KitFacts { cgroup, namespaces, mounts: self.mounts.is_some(), files, ready }, fds)
    }

    /// What was received; `None`: descriptors are missing.
    pub fn unpack(facts: KitFacts, fds: Vec<OwnedFd>) -> Option<Kit> {
        let mut fds = fds.into_iter();
        let cgroup = match facts.cgroup {
            Some((cgroup, warnings)) => Some((Cgroup::unpack(cgroup, &mut fds)?, warnings)),
            None => None,
        };
        let namespaces = facts.namespaces.into_iter().map(|flag| Some((flag, fds.next()?)));
        let namespaces = namespaces.collect::<Option<_>>()?;
        let mounts = if facts.mounts { Some(fds.next()?) } else { None };
        let file = |_| Some(ReadyFile { content: fds.next()?, tree: fds.next()? });
        let files = (0..facts.files).map(file).collect::<Option<_>>()?;
        Some(Kit { cgroup, namespaces, mounts, files, ready: facts.ready })
    }

    /// Namespaces that need not be made.
    pub fn flags(&self) -> u64 {
        let mounts = if self.mounts.is_some() { libc::CLONE_NEWNS as u64 } else { 0 };
        self.namespaces.iter().fold(mounts, |all, (flag, _)| all | flag)
    }
}

/// A sysfs that is made ahead.
struct ReadySys {
    attr: u64,
    cgroups: Option<OwnCgroups>,
}

impl ReadySys {
    /// Mounts it for the current network namespace, in the corner of the current mount namespace.
    fn attach(&self, base: &Base) -> Result<(), Errno> {
        let sysfs = fs::new_mount("sysfs", &[], self.attr)?;
        let at = openat(CWD, base.place.sys_point(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attach(&sysfs, at)?;
        self.cgroups.as_ref().map_or(Ok(()), |cgroups| cgroups.attach(&sysfs))
    }
}

/// A container's cgroups, one mount for each v1 hierarchy.
struct OwnCgroups {
    attr: u64,
    trees: Vec<(Vec<String>, OwnedFd)>,
}

impl OwnCgroups {
    /// Attaches them in a sysfs.
    fn attach(&self, sysfs: &OwnedFd) -> Result<(), Errno> {
        let all: Vec<Vec<String>> = self.trees.iter().map(|(together, _)| together.clone()).collect();
        let folders = own_cgroups::folders(&all)?;
        let at = openat(sysfs, c"fs/cgroup", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attach(&folders, at)?;
        self.trees.iter().try_for_each(|(together, tree)| own_cgroups::put(&folders, together, tree))?;
        mount::setattr(&folders, c"", 0, self.attr, 0, 0)
    }
}

/// Writes a sysctl of the current network namespace through the launcher's procfs.
fn set_sysctl(key: &str, value: &str) -> Result<(), Errno> {
    let path = format!("/proc/sys/{}", sysctl::path(key));
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    rustix::io::write(file, value.as_bytes()).map(drop)
}

/// A tmpfs with empty files, detached; and the files, to be written.
fn files(modes: &[u32]) -> Result<Option<(OwnedFd, Vec<OwnedFd>)>, Errno> {
    if modes.is_empty() {
        return Ok(None);
    }
    let tmpfs = fs::tmpfs("755", "1m", mount::ATTR_NOSUID | mount::ATTR_NODEV | mount::ATTR_NOEXEC)?;
    let make = |(index, mode): (usize, &u32)| {
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&tmpfs, index.to_string(), how, Mode::from_raw_mode(*mode))
    };
    let contents = modes.iter().enumerate().map(make).collect::<Result<_, Errno>>()?;
    Ok(Some((tmpfs, contents)))
}
