//! What a container of the usual kind needs and nobody has used yet: a cgroup, a network namespace, files.

use crate::cgroup::{Cgroup, CgroupFacts};
use crate::child::mounts::clone_tree;
use crate::failure::Context;
use crate::fs;
use crate::host::Host;
use crate::sys::process::{self, Stack};
use crate::sys::{mount, net};
use containers_protocol::control::Failure;
use containers_protocol::plan::{CgroupPlan, Plan, Step};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What makes one kit as good as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitKey {
    cgroup: Option<CgroupPlan>,
    /// A network namespace with its loopback interface up.
    network: bool,
    /// Modes of the files of `File` steps, in order.
    files: Vec<u32>,
}

impl KitKey {
    /// What can be ready for a plan; `None`: nothing. `clones`: the kernel clones detached trees.
    pub fn of(plan: &Plan, clones: bool) -> Option<KitKey> {
        let new = |flag: libc::c_int| plan.namespaces & flag as u64 != 0;
        // What a container's own user namespace is to rule must be made inside it.
        let ours = !new(libc::CLONE_NEWUSER);
        let modes = plan.steps.iter().filter_map(|step| match step {
            Step::File { mode, .. } => Some(*mode),
            _ => None,
        });
        let loopback = plan.steps.iter().any(|step| matches!(step, Step::Loopback));
        let key = KitKey {
            cgroup: plan.cgroup.clone(),
            network: ours && loopback && new(libc::CLONE_NEWNET),
            files: modes.filter(|_| ours && clones).collect(),
        };
        (key.cgroup.is_some() || key.network || !key.files.is_empty()).then_some(key)
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
    /// Its network namespace.
    pub network: Option<OwnedFd>,
    /// For its `File` steps, in order.
    pub files: Vec<ReadyFile>,
}

/// A kit on its way, without its descriptors.
#[derive(Serialize, Deserialize)]
pub struct KitFacts {
    cgroup: Option<(CgroupFacts, Vec<String>)>,
    network: bool,
    files: usize,
}

impl Kit {
    /// Makes one; the cgroup gets the name.
    pub fn make(key: &KitKey, name: &str, host: &Host, stack: &mut Stack) -> Result<Kit, Failure> {
        let cgroup = key.cgroup.as_ref().map(|plan| Cgroup::make(&host.cgroups, name, plan)).transpose()?;
        let mut kit = Kit { cgroup, ..Kit::default() };
        let rest = (|| {
            if key.network {
                kit.network = Some(network(stack).during("network")?);
            }
            kit.files = files(&key.files).during("file")?;
            Ok(())
        })();
        match (rest, &mut kit.cgroup) {
            (Ok(()), _) => Ok(kit),
            (Err(failed), Some((cgroup, _))) => {
                let _ = cgroup.remove();
                Err(failed)
            }
            (Err(failed), None) => Err(failed),
        }
    }

    /// What to send.
    pub fn pack(&self) -> (KitFacts, Vec<BorrowedFd<'_>>) {
        let mut fds = Vec::new();
        let cgroup = self.cgroup.as_ref().map(|(cgroup, warnings)| (cgroup.pack(&mut fds), warnings.clone()));
        fds.extend(self.network.as_ref().map(AsFd::as_fd));
        fds.extend(self.files.iter().flat_map(|file| [file.content.as_fd(), file.tree.as_fd()]));
        (KitFacts { cgroup, network: self.network.is_some(), files: self.files.len() }, fds)
    }

    /// What was received; `None`: descriptors are missing.
    pub fn unpack(facts: KitFacts, fds: Vec<OwnedFd>) -> Option<Kit> {
        let mut fds = fds.into_iter();
        let cgroup = match facts.cgroup {
            Some((cgroup, warnings)) => Some((Cgroup::unpack(cgroup, &mut fds)?, warnings)),
            None => None,
        };
        let network = if facts.network { Some(fds.next()?) } else { None };
        let file = |_| Some(ReadyFile { content: fds.next()?, tree: fds.next()? });
        let files = (0..facts.files).map(file).collect::<Option<_>>()?;
        Some(Kit { cgroup, network, files })
    }
}

/// A network namespace that nobody is in, its loopback interface up.
fn network(stack: &mut Stack) -> Result<OwnedFd, Errno> {
    let mut made = Err(Errno::IO);
    let flags = (libc::CLONE_NEWNET | libc::CLONE_FILES) as u64;
    let (_, pidfd) = process::vfork(flags, None, stack, &mut || {
        let how = OFlags::RDONLY | OFlags::CLOEXEC;
        made = net::loopback_up().and_then(|()| openat(CWD, c"/proc/self/ns/net", how, Mode::empty()));
        0
    })?;
    process::reap(&pidfd, false)?;
    made
}

/// Empty files on a tmpfs of their own.
fn files(modes: &[u32]) -> Result<Vec<ReadyFile>, Errno> {
    if modes.is_empty() {
        return Ok(Vec::new());
    }
    let tmpfs = fs::tmpfs("755", "1m", mount::ATTR_NOSUID | mount::ATTR_NODEV | mount::ATTR_NOEXEC)?;
    let make = |(index, mode): (usize, &u32)| {
        let name = index.to_string();
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let content = openat(&tmpfs, &name, how, Mode::from_raw_mode(*mode))?;
        Ok(ReadyFile { content, tree: clone_tree(&tmpfs, name.as_bytes(), false)? })
    };
    modes.iter().enumerate().map(make).collect()
}
