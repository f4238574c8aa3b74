//! The plan's steps.

use super::report::Reporter;
use super::root::{Root, attach};
use super::{Child, dev, entries, extra, hook, leave, mounts, network, own_cgroups};
use crate::failure::{Context, coded};
use crate::fs;
use crate::overlay::{self, Ids};
use crate::place::Place;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, RECURSIVE, setattr};
use crate::sys::process;
use containers_protocol::control::Failure;
use containers_protocol::meanwhile::loopback_up;
use containers_protocol::plan::{Rootfs, Step};
use containers_protocol::sysctl;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

/// What steps share.
struct Progress {
    root: Root,
    /// A procfs that nothing of the image is mounted on or below.
    proc: Option<OwnedFd>,
    /// The tmpfs of `File` steps, and how many there were.
    files: Option<(OwnedFd, usize)>,
    /// How many files that were ready have been used.
    ready: usize,
    /// Where nodes and links are being made.
    folder: dev::Folder,
    /// Volumes that are attached inside later mounts.
    volumes: Vec<(Vec<u8>, OwnedFd)>,
}

impl Child<'_> {
    /// Mounts the root and carries out the steps up to the gate; afterwards the root is `/`.
    pub(super) fn run_steps(&self, reporter: &mut Reporter) -> Result<Root, Failure> {
        let root = self.enter_root()?;
        let mut progress = Progress {
            root,
            proc: None,
            files: None,
            ready: 0,
            folder: dev::Folder::default(),
            volumes: Vec::new(),
        };
        for (at, step) in self.plan.steps.iter().enumerate() {
            if matches!(step, Step::Gate { .. }) {
                break;
            }
            if !network::is_apart(step) {
                self.network.enter()?;
            }
            if !self.covered.contains(&at) {
                self.step(at, step, &mut progress, reporter)?;
            }
        }
        self.network.enter()?;
        Ok(progress.root)
    }

    /// Whether it is in a network namespace that was made ready.
    fn has_network(&self) -> bool {
        self.network.is_up() || self.namespaces.iter().any(|(flag, _)| *flag == libc::CLONE_NEWNET as u64)
    }

    /// Attaches the root file system in this mount namespace and makes it the current directory.
    fn enter_root(&self) -> Result<Root, Failure> {
        if let (Some(extra), Rootfs::Dir { path }) = (&self.plan.extra, &self.plan.rootfs) {
            return leave::enter(self, extra, &path.0);
        }
        let made;
        let (fd, path) = match (self.root, &self.plan.rootfs) {
            (Some(fd), Rootfs::Dir { path }) => (fd, &path.0),
            (Some(fd), Rootfs::Overlay(o)) => (fd, &o.lower[0].0),
            (None, Rootfs::Dir { path }) => {
                made = mounts::clone_tree(CWD, &path.0, true).at("rootfs", &path.0)?;
                setattr(&made, c"", RECURSIVE, 0, 0, libc::MS_PRIVATE).at("rootfs", &path.0)?;
                (made.as_fd(), &path.0)
            }
            (None, Rootfs::Overlay(o)) => {
                made = overlay::mount(o, Ids { rootless: self.rootless, mapped: None })?;
                (made.as_fd(), &o.lower[0].0)
            }
        };
        let (folder, name) = self.corner.at(self.place.root_point());
        let at = openat(folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        attach(fd, at.at("rootfs", path)?).at("rootfs", path)?;
        fchdir(fd).at("rootfs", path)?;
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root::new(openat(fd, c".", how, Mode::empty()).at("rootfs", path)?))
    }

    fn step(&self, index: usize, step: &Step, p: &mut Progress, reporter: &Reporter) -> Result<(), Failure> {
        if !matches!(step, Step::Node(_) | Step::Link { .. }) {
            p.folder = dev::Folder::default();
        }
        match step {
            Step::Mount(m) if self.ready.sys && m.fstype == "sysfs" => self.attach_sys(&p.root, &m.target.0),
            Step::OwnCgroups { .. } if self.ready.sys => Ok(()),
            Step::OwnCgroups { attr } => own_cgroups::mount(self, &p.root, *attr),
            Step::Mount(m) => {
                let made = mounts::mount(self, &p.root, m)?;
                if m.fstype == "proc" {
                    p.proc = Some(made);
                }
                Ok(())
            }
            Step::Bind(b) => mounts::bind_mount(&p.root, b),
            Step::MountEntry(entry) => entries::mount(self, &p.root, (index, entry), reporter),
            Step::Overlay { target, overlay } => {
                let made;
                let ready = self.overlays.iter().find(|(step, _)| *step == index);
                let mount = match ready {
                    Some((_, mount)) => mount,
                    None => {
                        made = overlay::mount(overlay, Ids { rootless: self.rootless, mapped: None })?;
                        &made
                    }
                };
                let at = p.root.dir(&target.0).at("overlay", &target.0)?;
                attach(mount, at).at("overlay", &target.0)
            }
            Step::DefaultDev => dev::default_dev(self, &p.root),
            Step::Device(d) => dev::device(self, &p.root, d),
            Step::Node(d) => dev::node(self, &p.root, &mut p.folder, d),
            Step::Link { target, path } => dev::link(&p.root, &mut p.folder, &target.0, &path.0),
            Step::File { path, content, mode } => self.file(p, &path.0, &content.0, *mode),
            Step::Mask(paths) => match self.masks {
                Some(kernel) => kernel.iter().try_for_each(|path| mounts::mask_fast(self, path)),
                None => paths.iter().try_for_each(|path| mounts::mask(self, &p.root, &path.0)),
            },
            Step::ReadOnly(paths) => match self.read_only {
                Some(kernel) => kernel.iter().try_for_each(mounts::read_only_fast),
                None => paths.iter().try_for_each(|path| mounts::read_only(&p.root, &path.0)),
            },
            Step::PivotRoot { readonly, how, propagation } if self.plan.extra.is_some() => {
                if *readonly {
                    self.make_cwd(&p.root)?;
                }
                leave::leave(&p.root, *readonly, *how, *propagation)
            }
            Step::PivotRoot { readonly, .. } => self.pivot(&p.root, *readonly),
            Step::Hostname(name) => rustix::system::sethostname(&name.0).at("hostname", &name.0),
            Step::Domainname(name) => process::set_domain_name(&name.0).at("domainname", &name.0),
            Step::Sysctl { key, value } => sysctl(p, key, value).at("sysctl", key.as_bytes()),
            Step::DefaultSysctls(_) if self.ready.sysctls => Ok(()),
            Step::DefaultSysctls(all) => {
                all.iter().try_for_each(|(key, value)| match sysctl(p, key, value) {
                    Err(Errno::NOENT | Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(()),
                    other => other.at("sysctl", key.as_bytes()),
                })
            }
            Step::Volume { path, later } => volume(p, &path.0, *later),
            Step::AttachVolume(path) => attach_volume(p, &path.0),
            Step::Loopback if self.has_network() => Ok(()),
            Step::Loopback => loopback_up().during("loopback"),
            // The last steps: see `gate`.
            Step::Gate { .. } => Ok(()),
            Step::Hook(hook) if hook.in_container => hook::run(hook, None),
            Step::Hook(_) => reporter.run_hook(index),
        }
    }

    /// Moves the sysfs that is ready from the corner to its place.
    fn attach_sys(&self, root: &Root, target: &[u8]) -> Result<(), Failure> {
        let (folder, name) = self.corner.at(self.place.sys_point());
        let ready = openat(folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let at = mounts::mount_point(root, target, "sysfs");
        ready.and_then(|ready| attach(ready, at?)).at("mount", target)
    }

    /// A file of the container's own tmpfs, mounted at a path.
    fn file(&self, p: &mut Progress, path: &[u8], content: &[u8], mode: u32) -> Result<(), Failure> {
        if let Some(ready) = self.files.get(p.ready) {
            p.ready += 1;
            write_all(&ready.content, content).at("file", path)?;
            let target = p.root.file(path).at("file", path)?;
            return attach(&ready.tree, &target).at("file", path);
        }
        if p.files.is_none() {
            let attr = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;
            let tmpfs = fs::tmpfs("755", "1m", attr).at("file", path)?;
            // Attached where nobody sees it: kernels before 6.15 clone attached trees only.
            let how = OFlags::PATH | OFlags::CLOEXEC;
            let (folder, name) = self.corner.at(self.place.files_point());
            let at = openat(folder, name, how, Mode::empty()).at("file", path)?;
            attach(&tmpfs, at).at("file", path)?;
            p.files = Some((tmpfs, 0));
        }
        let Some((tmpfs, count)) = &mut p.files else { return Ok(()) };
        let name = format!("{count}");
        *count += 1;
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&*tmpfs, &name, how, Mode::from_raw_mode(mode)).at("file", path)?;
        write_all(&file, content).at("file", path)?;
        let tree = mounts::clone_tree(&*tmpfs, name.as_bytes(), false).at("file", path)?;
        let target = p.root.file(path).at("file", path)?;
        attach(&tree, &target).at("file", path)
    }

    /// Makes the working directory, before the root becomes read-only.
    fn make_cwd(&self, root: &Root) -> Result<(), Failure> {
        if self.process.create_cwd { super::make_cwd(root, &self.process.cwd.0) } else { Ok(()) }
    }

    /// Leaves the old root for the new one.
    fn pivot(&self, root: &Root, readonly: bool) -> Result<(), Failure> {
        if readonly {
            self.make_cwd(root)?;
            setattr(root.fd(), c"", 0, ATTR_RDONLY, 0, 0).during("pivot_root")?;
        }
        fchdir(root.fd()).during("pivot_root")?;
        match self.place {
            // Below the new root lies an empty read-only one and nothing else: there is nothing to leave.
            Place::Base(_) => chroot(c".").during("pivot_root")?,
            Place::Own(_) => {
                pivot_root(c".", c".").during("pivot_root")?;
                unmount(c".", UnmountFlags::DETACH).during("pivot_root")?;
            }
        }
        chdir(c"/").during("pivot_root")
    }
}

/// Writes a sysctl through a procfs of our own.
fn sysctl(p: &mut Progress, key: &str, value: &str) -> Result<(), Errno> {
    let path = format!("sys/{}", sysctl::path(key));
    let proc = private_proc(&mut p.proc)?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let file = openat2(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), how);
    write_all(&file?, value.as_bytes())
}

/// Makes a volume's folder, and a mount of its own for it that the root's becoming read-only leaves alone.
fn volume(p: &mut Progress, path: &[u8], later: bool) -> Result<(), Failure> {
    let folder = p.root.dir(path).at("volume", path)?;
    let (at, root) = (fstat(&folder).at("volume", path)?, fstat(p.root.fd()).at("volume", path)?);
    if (at.st_dev, at.st_ino) == (root.st_dev, root.st_ino) {
        let text = "a volume can't take the place of the root file system";
        return Err(coded("invalid_argument", "volume", path, text));
    }
    let tree = mounts::clone_tree(&folder, b"", false).at("volume", path)?;
    if later {
        p.volumes.push((path.to_vec(), tree));
        return Ok(());
    }
    attach(&tree, &folder).at("volume", path)
}

/// Attaches a volume inside a mount of the caller's, over no link that may be in it.
fn attach_volume(p: &Progress, path: &[u8]) -> Result<(), Failure> {
    let Some((_, tree)) = p.volumes.iter().find(|(at, _)| at == path) else {
        return Err(coded("internal", "volume", path, "the volume was not prepared"));
    };
    attach(tree, p.root.real_dir(path).at("volume", path)?).at("volume", path)
}

/// A procfs that nothing of the image is mounted on: the container's, until something is, or one attached
/// nowhere.
fn private_proc(slot: &mut Option<OwnedFd>) -> Result<&OwnedFd, Errno> {
    if slot.is_none() {
        *slot = Some(extra::procfs()?);
    }
    slot.as_ref().ok_or(Errno::BADF)
}

fn write_all(fd: impl AsFd, mut data: &[u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::write(&fd, data) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => data = &data[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
