//! What is kept ready for containers to come: root file systems and `/dev`.
//!
//! A mount is used again only when nothing of one container can be seen by the next: all its processes are
//! gone, and no inode of what it could write has changed. Everything else is made anew, after an answer when
//! there is time, else when it is needed.

use super::stamps::{Stamps, times_are_fine};
use crate::child::dev;
use crate::child::mounts::clone_tree;
use crate::child::root::{Root, attach};
use crate::failure::Context;
use crate::fs;
use crate::host::Host;
use crate::overlay::{self, Ids};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::plan::{Overlay, Plan, Step};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Roots that are kept at most.
const MOST_ROOTS: usize = 4;

/// `/dev` trees that are kept at most.
const MOST_DEVS: usize = 4;

/// On kernels where changes within one tick look alike, what is younger can't be trusted to be unchanged.
const TICK: Duration = Duration::from_millis(25);

/// A mount that can be lent again and again.
struct Kept {
    mount: OwnedFd,
    stamps: Stamps,
    made: Instant,
    /// It was lent within a tick of being made.
    doubtful: bool,
}

impl Kept {
    fn new(mount: OwnedFd, stamps: Stamps) -> Kept {
        Kept { mount, stamps, made: Instant::now(), doubtful: false }
    }

    /// A clone for one container.
    fn lend(&mut self, fine_times: bool) -> Result<OwnedFd, Errno> {
        self.doubtful |= !fine_times && self.made.elapsed() < TICK;
        clone_tree(&self.mount, b"", true)
    }

    fn is_unchanged(&self, now: Result<Stamps, Errno>) -> bool {
        !self.doubtful && now.as_ref() == Ok(&self.stamps)
    }
}

/// What makes one root as good as another.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey {
    overlay: Overlay,
    /// Device and inode of each layer: a path may have come to name another one, when an image was removed
    /// and fetched again. What is mounted can't be given to another inode.
    layers: Vec<Option<(u64, u64)>>,
    /// Mount points that are made in it, and whether they are folders.
    points: Vec<(Bytes, bool)>,
}

impl RootKey {
    fn of(overlay: &Overlay, plan: &Plan) -> RootKey {
        let points = plan.steps.iter().filter_map(|step| match step {
            Step::Mount(m) => Some((m.target.clone(), true)),
            Step::DefaultDev => Some((Bytes::from("/dev"), true)),
            Step::File { path, .. } => Some((path.clone(), false)),
            _ => None,
        });
        // What lies in /dev or /sys is made in the file system that is mounted there.
        let inside = |p: &Bytes| [&b"/dev/"[..], b"/sys/", b"/proc/"].iter().any(|d| p.0.starts_with(d));
        let layers = overlay.lower.iter().map(|p| rustix::fs::stat(&*p.0).ok().map(|s| (s.st_dev, s.st_ino)));
        RootKey {
            overlay: overlay.clone(),
            layers: layers.collect(),
            points: points.filter(|(p, _)| !inside(p)).collect(),
        }
    }
}

/// A root in the launcher's pool.
struct SpareRoot {
    key: Rc<RootKey>,
    /// Its folder, to be deleted in the end.
    folder: Vec<u8>,
    upper: OwnedFd,
    kept: Kept,
}

/// A root that a container uses.
pub struct RootMount {
    /// The mount for this container.
    pub fd: OwnedFd,
    spare: Option<Box<SpareRoot>>,
    /// The folder of a layer that is never used again.
    folder: Option<Vec<u8>>,
}

impl RootMount {
    /// A root that is never used again.
    pub fn single(fd: OwnedFd) -> RootMount {
        RootMount { fd, spare: None, folder: None }
    }
}

/// Options of the file systems below `/dev`.
#[derive(Clone, PartialEq, Eq)]
struct DevKey {
    pts: Option<Rc<MountKey>>,
    shm: Option<Rc<MountKey>>,
}

/// What makes one mount as good as another.
type MountKey = (u64, Vec<(String, Option<String>)>);

/// A `/dev` that a container uses.
pub struct DevMount {
    /// The mount for this container.
    pub fd: OwnedFd,
    spare: SpareDev,
    /// Steps that it makes superfluous.
    pub covers: Vec<usize>,
}

struct SpareDev {
    key: DevKey,
    kept: Kept,
}

/// The spares.
pub struct Spares {
    roots: Vec<SpareRoot>,
    devs: Vec<SpareDev>,
    /// What the last container had, and is not there again yet.
    wanted_root: Option<Rc<RootKey>>,
    /// Folders of our own, to be deleted at the end.
    pools: Vec<Vec<u8>>,
    count: u64,
    fine_times: bool,
    /// This kernel clones detached trees (6.15).
    clones: bool,
}

impl Spares {
    /// None yet.
    pub fn new() -> Spares {
        Spares {
            roots: Vec::new(),
            devs: Vec::new(),
            wanted_root: None,
            pools: Vec::new(),
            count: 0,
            fine_times: times_are_fine(),
            clones: can_clone_detached(),
        }
    }

    /// A root over a layer of the pool.
    pub fn root(
        &mut self,
        pool: &[u8],
        overlay: &Overlay,
        plan: &Plan,
        host: &Host,
    ) -> Result<RootMount, Failure> {
        let key = RootKey::of(overlay, plan);
        let found = self.roots.iter().rposition(|r| *r.key == key);
        let spare = match found {
            Some(at) => self.roots.swap_remove(at),
            None => self.make_root(pool, Rc::new(key), host)?,
        };
        self.lend_root(spare).at("overlay", pool)
    }

    fn lend_root(&mut self, mut spare: SpareRoot) -> Result<RootMount, Errno> {
        let fd = if self.clones {
            spare.kept.lend(self.fine_times)?
        } else {
            spare.kept.doubtful = true;
            spare.kept.mount.try_clone().map_err(|_| Errno::MFILE)?
        };
        Ok(RootMount { fd, spare: Some(Box::new(spare)), folder: None })
    }

    /// A root over a layer of the pool, seen through the ids of a container's own user namespace.
    pub fn mapped_root(&mut self, overlay: &Overlay, ids: Ids<'_>) -> Result<RootMount, Failure> {
        let Some(pool) = &overlay.pool else { return overlay::mount(overlay, ids).map(RootMount::single) };
        let folder = self.make_folder(&pool.0)?;
        let writable = Overlay { writable: Some(Bytes(folder.clone())), pool: None, ..overlay.clone() };
        match overlay::mount(&writable, ids) {
            Ok(fd) => Ok(RootMount { fd, spare: None, folder: Some(folder) }),
            Err(failed) => {
                let _ = crate::remove::tree(&folder, &mut { 1000 });
                Err(failed)
            }
        }
    }

    /// A new folder of the pool.
    fn make_folder(&mut self, pool: &[u8]) -> Result<Vec<u8>, Failure> {
        if !self.pools.iter().any(|p| p == pool) {
            make_dir(pool).at("overlay", pool)?;
            self.pools.push(pool.to_vec());
        }
        self.count += 1;
        let folder = [pool, format!("/{}", self.count).as_bytes()].concat();
        make_dir(&folder).at("overlay", &folder)?;
        Ok(folder)
    }

    fn make_root(&mut self, pool: &[u8], key: Rc<RootKey>, host: &Host) -> Result<SpareRoot, Failure> {
        let folder = self.make_folder(pool)?;
        let writable = Overlay { writable: Some(Bytes(folder.clone())), pool: None, ..key.overlay.clone() };
        let made =
            overlay::mount(&writable, Ids { rootless: host.rootless, mapped: None }).and_then(|mount| {
                make_points(&mount, &key.points).at("overlay", &folder)?;
                let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                let upper = openat(CWD, &*[&folder, &b"/upper"[..]].concat(), how, Mode::empty());
                let upper = upper.at("overlay", &folder)?;
                let stamps = Stamps::of(&upper).at("overlay", &folder)?;
                Ok((upper, Kept::new(mount, stamps)))
            });
        match made {
            Ok((upper, kept)) => Ok(SpareRoot { key, folder, upper, kept }),
            Err(failed) => {
                let _ = crate::remove::tree(&folder, &mut { 1000 });
                Err(failed)
            }
        }
    }

    /// Takes a root back when its container is gone. Returns the folder that is to be deleted, if any.
    pub fn take_back(&mut self, root: RootMount) -> Option<Vec<u8>> {
        let RootMount { fd, spare, folder } = root;
        drop(fd);
        let Some(spare) = spare else { return folder };
        let spare = *spare;
        if self.roots.len() < MOST_ROOTS && spare.kept.is_unchanged(Stamps::of(&spare.upper)) {
            self.roots.push(spare);
            return None;
        }
        if !self.roots.iter().any(|r| r.key == spare.key) {
            self.wanted_root = Some(spare.key);
        }
        Some(spare.folder)
    }

    /// A `/dev` with what the plan mounts in it. `None`: the plan is not of the usual kind.
    pub fn dev(&mut self, plan: &Plan) -> Option<DevMount> {
        if !self.clones || plan.process.tty.is_some() {
            return None;
        }
        let (key, covers) = dev_key(plan)?;
        let found = self.devs.iter().rposition(|d| d.key == key);
        let mut spare = match found {
            Some(at) => self.devs.swap_remove(at),
            None => make_dev(key).ok()?,
        };
        let fd = spare.kept.lend(self.fine_times).ok()?;
        Some(DevMount { fd, spare, covers })
    }

    /// Takes a `/dev` back when its container is gone.
    pub fn take_back_dev(&mut self, dev: DevMount) {
        let DevMount { fd, spare, .. } = dev;
        drop(fd);
        if self.devs.len() < MOST_DEVS && spare.kept.is_unchanged(Stamps::of(&spare.kept.mount)) {
            self.devs.push(spare);
        }
    }

    /// Whether there is something to prepare.
    pub fn has_work(&self) -> bool {
        self.wanted_root.is_some()
    }

    /// Prepares what the last container had.
    pub fn prepare(&mut self, host: &Host) {
        if let Some(key) = self.wanted_root.take()
            && let Some(pool) = key.overlay.pool.clone()
            && let Ok(spare) = self.make_root(&pool.0, key, host)
        {
            self.roots.push(spare);
        }
    }

    /// Gives everything up. Returns the folders to delete.
    pub fn give_up(&mut self) -> Vec<Vec<u8>> {
        self.roots.clear();
        self.devs.clear();
        self.wanted_root = None;
        std::mem::take(&mut self.pools)
    }
}

/// Whether this kernel clones trees that are attached nowhere.
fn can_clone_detached() -> bool {
    fs::tmpfs("755", "4k", 0).and_then(|tmpfs| clone_tree(&tmpfs, b"", true)).is_ok()
}

fn make_dir(path: &[u8]) -> Result<(), Errno> {
    match mkdirat(CWD, path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Makes mount points that the image lacks.
fn make_points(mount: &OwnedFd, points: &[(Bytes, bool)]) -> Result<(), Errno> {
    let root = Root::new(openat(mount, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    for (path, is_dir) in points {
        // What fails here fails, with its step, in the container that needs it.
        let _ = if *is_dir { root.dir(&path.0) } else { root.file(&path.0) };
    }
    Ok(())
}

/// The key of a plan's `/dev`, and the steps it covers. `None`: something is special about it.
fn dev_key(plan: &Plan) -> Option<(DevKey, Vec<usize>)> {
    let mut key = DevKey { pts: None, shm: None };
    let mut covers = Vec::new();
    let mut seen = false;
    for (at, step) in plan.steps.iter().enumerate() {
        match step {
            Step::DefaultDev if seen => return None,
            Step::DefaultDev => seen = true,
            Step::Mount(m) if seen => {
                let slot = match (m.target.0.as_slice(), m.fstype.as_str()) {
                    (b"/dev/pts", "devpts") => &mut key.pts,
                    (b"/dev/shm", "tmpfs") if !m.copy_up => &mut key.shm,
                    _ => continue,
                };
                if slot.is_none() {
                    *slot = Some(Rc::new((m.attr, m.options.clone())));
                    covers.push(at);
                }
            }
            _ => {}
        }
    }
    seen.then_some((key, covers))
}

fn make_dev(key: DevKey) -> Result<SpareDev, Errno> {
    let tree = dev::tree(false)?;
    for (name, fstype, mount) in [("pts", "devpts", &key.pts), ("shm", "tmpfs", &key.shm)] {
        let Some(mount) = mount else { continue };
        let made = fs::new_mount(fstype, &mount.1, mount.0)?;
        let at = openat(&tree, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attach(&made, &at)?;
    }
    let stamps = Stamps::of(&tree)?;
    Ok(SpareDev { key, kept: Kept::new(tree, stamps) })
}

/// For borrowing where there is one.
pub fn borrow(dev: Option<&DevMount>) -> Option<BorrowedFd<'_>> {
    dev.map(|d| d.fd.as_fd())
}
