//! Entries of `mounts` of an OCI configuration.

use super::mounts::{clone_tree, host_sysfs, is_kernel, mount_point};
use super::report::Reporter;
use super::root::{Root, attach};
use super::{Child, cgroup_mount, copy, locked};
use crate::failure::{Context, coded, failure};
use crate::fs;
use crate::launcher::userns;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, RECURSIVE, idmap, setattr};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::extra::{IdMapping, MountEntry, MountWhat};
use containers_protocol::plan::{Plan, Rootfs, Step};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `PROC_SUPER_MAGIC`.
const PROC_MAGIC: u64 = 0x9fa0;

const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;

/// Opens the binds that a container in a user namespace could not open itself, and gives mounts their id maps,
/// which takes the rights of whoever mounted them. For an id-mapped bind of something in the root file system, which
/// shows what is mounted there by then, the user namespace with its maps. By the index of their step.
pub fn prepare(plan: &Plan) -> Result<Vec<(usize, OwnedFd)>, Failure> {
    let joined = plan.extra.iter().flat_map(|e| &e.join).any(|(flag, _)| *flag == NEWUSER);
    let apart = plan.namespaces & NEWUSER != 0 || joined;
    let mut ready = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let Step::MountEntry(entry) = step else { continue };
        let MountWhat::Bind { source, recursive } = &entry.what else { continue };
        if let Some(map) = entry.idmap.as_ref().filter(|_| mapped_later(plan, source)) {
            ready.push((index, space_of(map, plan, source)?));
            continue;
        }
        if !apart && entry.idmap.is_none() || entry.idmap.is_none() && inside(plan, source).is_some() {
            continue;
        }
        if entry.idmap.is_none() {
            locked::check(entry, source)?;
        }
        match open_entry(plan, entry, source, *recursive) {
            // An ordinary user has rights over mounts only in the user namespace.
            Err(e) if e.errno == libc::EPERM && entry.idmap.is_none() => {}
            opened => ready.push((index, opened?)),
        }
    }
    Ok(ready)
}

/// What a bind shows, with the owners that it is to show.
fn open_entry(plan: &Plan, entry: &MountEntry, source: &Bytes, recursive: bool) -> Result<OwnedFd, Failure> {
    let tree = open_bind(plan, source, recursive)?;
    if let Some(map) = &entry.idmap {
        let space = space_of(map, plan, source)?;
        idmap(&tree, &space, map.recursive).map_err(|e| not_mapped(source, e))?;
    }
    Ok(tree)
}

/// The path from the root file system to a source that lies in it.
fn inside<'a>(plan: &Plan, source: &'a Bytes) -> Option<&'a Path> {
    let Rootfs::Dir { path } = &plan.rootfs else { return None };
    source.as_path().strip_prefix(path.as_path()).ok()
}

/// Whether a bind with an id map shows what is mounted in the root file system: then it is mapped when it is made.
fn mapped_later(plan: &Plan, source: &Bytes) -> bool {
    plan.extra.is_some() && inside(plan, source).is_some()
}

/// The same of a source in the root file system: what earlier entries mounted there belongs to it.
fn open_inside(plan: &Plan, root: &Root, source: &Bytes, recursive: bool) -> Result<OwnedFd, Failure> {
    let Some(path) = inside(plan, source) else { return open_bind(plan, source, recursive) };
    let there =
        root.open(path.as_os_str().as_bytes(), OFlags::PATH | OFlags::CLOEXEC).at("bind", &source.0)?;
    let tree = clone_tree(&there, b"", recursive).at("bind", &source.0)?;
    slave(plan, &tree, source).map(|()| tree)
}

/// A detached copy of what a bind shows. It gets nothing back from the container's side unless the
/// configuration keeps the machine's mounts shared.
fn open_bind(plan: &Plan, source: &Bytes, recursive: bool) -> Result<OwnedFd, Failure> {
    let tree = clone_tree(CWD, &source.0, recursive).at("bind", &source.0)?;
    slave(plan, &tree, source).map(|()| tree)
}

fn slave(plan: &Plan, tree: &OwnedFd, source: &Bytes) -> Result<(), Failure> {
    let wanted = plan.extra.as_ref().map_or(0, |e| e.propagation) & !libc::MS_REC;
    let propagation = if wanted == libc::MS_PRIVATE { libc::MS_PRIVATE } else { libc::MS_SLAVE };
    if wanted & (libc::MS_SHARED | libc::MS_UNBINDABLE) == 0 {
        setattr(tree, c"", RECURSIVE, 0, 0, propagation).at("bind", &source.0)?;
    }
    Ok(())
}

/// The user namespace whose maps a mount is to show.
fn space_of(map: &IdMapping, plan: &Plan, source: &Bytes) -> Result<OwnedFd, Failure> {
    let joined = plan.extra.iter().flat_map(|e| &e.join).find(|(flag, _)| *flag == NEWUSER);
    match (&map.maps, &plan.id_maps, joined) {
        (Some(maps), _, _) | (None, Some(maps), _) => userns::namespace(maps),
        (None, None, Some((_, path))) => {
            openat(CWD, &*path.0, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("idmap", &path.0)
        }
        (None, None, None) => Err(coded("invalid_argument", "idmap", &source.0, "there are no mappings")),
    }
}

fn not_mapped(source: &Bytes, e: Errno) -> Failure {
    match e {
        Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS => {
            let detail = "the kernel or the file system has no id-mapped mounts here";
            Failure { code: "unsupported".into(), detail: detail.into(), ..failure("idmap", &source.0, e) }
        }
        e => failure("idmap", &source.0, e),
    }
}

/// One entry.
pub fn mount(
    child: &Child<'_>,
    root: &Root,
    (index, entry): (usize, &MountEntry),
    reporter: &Reporter,
) -> Result<(), Failure> {
    let target = &entry.target.0;
    let prepared = child.overlays.iter().find(|(step, _)| *step == index).map(|(_, tree)| tree);
    match &entry.what {
        MountWhat::New { fstype, source, options } => new(child, root, entry, (fstype, source, options)),
        MountWhat::Bind { source, recursive } => {
            let made;
            let tree = match (prepared, &entry.idmap) {
                (Some(space), Some(map)) if mapped_later(child.plan, source) => {
                    made = open_inside(child.plan, root, source, *recursive)?;
                    reporter.map_mount(&made, space, map.recursive)?;
                    &made
                }
                (Some(tree), _) => tree,
                (None, _) => {
                    // From here, another process namespace, the maps can't be written.
                    if entry.idmap.is_some() {
                        let detail = "only who may mount on the machine can have id-mapped mounts";
                        return Err(coded("unsupported", "idmap", target, detail));
                    }
                    made = open_inside(child.plan, root, source, *recursive)?;
                    &made
                }
            };
            bind(root, entry, tree, source)
        }
        MountWhat::Cgroup => cgroup_mount::mount(child, root, entry),
        MountWhat::Remount => {
            let there = root.open(target, OFlags::PATH).at("remount", target)?;
            set_flags(&there, entry, entry.set, entry.clear)
        }
    }
}

/// A new instance of a file system.
fn new(
    child: &Child<'_>,
    root: &Root,
    entry: &MountEntry,
    (fstype, source, options): (&str, &Bytes, &[(String, Option<String>)]),
) -> Result<(), Failure> {
    let at = &entry.target.0;
    let inherited = if fstype == "tmpfs" { covered_mode(root, at, options) } else { None };
    let mut with_mode;
    let options = match inherited {
        None => options,
        Some(mode) => {
            with_mode = options.to_vec();
            with_mode.push(("mode".to_owned(), Some(format!("{mode:o}"))));
            &with_mode
        }
    };
    let target = match mount_point(root, at, fstype) {
        Err(Errno::LOOP) if matches!(fstype, "proc" | "sysfs") => {
            let text = format!("{fstype} must be mounted on ordinary directory, not over a link");
            return Err(coded("invalid_argument", "mount", at, &text));
        }
        found => found.at("mount", at)?,
    };
    if let Some(flags) = at_once(fstype, entry, options) {
        // The other way has the file system's own words for what is wrong.
        if classic(root, &target, (fstype, source, options), flags).is_ok() {
            return Ok(());
        }
    }
    if options.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() >= 256)) {
        classic(root, &target, (fstype, source, options), MountFlags::empty()).at("mount", at)?;
        let made = root.open(at, OFlags::PATH | OFlags::DIRECTORY).at("mount", at)?;
        return set_flags(&made, entry, entry.set, entry.clear);
    }
    // A read-only file system can't be filled.
    let attr = if entry.copy_up { entry.set & !ATTR_RDONLY } else { entry.set };
    let made = fs::new_mount_from(&source.0, fstype, options, attr);
    let made = match made {
        Err((Errno::PERM, _)) if child.rootless && fstype == "sysfs" => host_sysfs(attr).at("mount", at)?,
        Err((e, said)) => return Err(Failure { detail: said, ..failure("mount", at, e) }),
        Ok(made) => made,
    };
    if entry.copy_up {
        let from = root.open(at, OFlags::RDONLY | OFlags::DIRECTORY).at("copy_up", at)?;
        copy::contents(&from, &made).at("copy_up", at)?;
        setattr(&made, c"", 0, entry.set, 0, 0).at("mount", at)?;
    }
    set_flags(&made, entry, 0, 0)?;
    attach(&made, &target).at("mount", at)
}

/// The mode of the folder that a tmpfs covers, which it takes over unless its options say another one.
fn covered_mode(root: &Root, at: &[u8], options: &[(String, Option<String>)]) -> Option<u32> {
    if options.iter().any(|(key, _)| key == "mode") {
        return None;
    }
    let folder = root.open(at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).ok()?;
    Some(fstat(&folder).ok()?.st_mode & 0o7777)
}

/// The flags with which `mount(2)` does all that an entry asks for: one call, where the other way takes six.
fn at_once(fstype: &str, entry: &MountEntry, options: &[(String, Option<String>)]) -> Option<MountFlags> {
    const KNOWN: [&str; 4] = ["proc", "tmpfs", "devpts", "mqueue"];
    const FLAGS: [(u64, MountFlags); 6] = [
        (ATTR_NOSUID, MountFlags::NOSUID),
        (ATTR_NODEV, MountFlags::NODEV),
        (ATTR_NOEXEC, MountFlags::NOEXEC),
        (libc::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
        (libc::MOUNT_ATTR_STRICTATIME, MountFlags::STRICTATIME),
        (libc::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
    ];
    let more = entry.copy_up
        || (entry.set_recursive, entry.clear_recursive) != (0, 0)
        || !entry.propagation.is_empty();
    // That is where one option ends and the next begins.
    let is_split = |(key, value): &(String, Option<String>)| {
        key.is_empty() || key.contains(',') || value.iter().any(|v| v.contains(','))
    };
    // A read-only mount is one thing, a file system that is read-only for all another.
    let known = FLAGS.iter().fold(0, |all, (attr, _)| all | attr);
    if more || !KNOWN.contains(&fstype) || entry.set & !known != 0 || options.iter().any(is_split) {
        return None;
    }
    let flags = FLAGS.iter().filter(|(attr, _)| entry.set & attr != 0);
    Some(flags.fold(MountFlags::empty(), |all, (_, flag)| all | *flag))
}

/// `mount(2)`. The current directory is the root, and is so again.
fn classic(
    root: &Root,
    target: &OwnedFd,
    (fstype, source, options): (&str, &Bytes, &[(String, Option<String>)]),
    flags: MountFlags,
) -> Result<(), Errno> {
    let mut data = String::with_capacity(64);
    for (key, value) in options {
        data.extend([if data.is_empty() { "" } else { "," }, key]);
        data.extend(value.iter().flat_map(|value| ["=", value]));
    }
    // The kernel reads a page, and cuts off what is behind it.
    if data.len() >= 4096 {
        return Err(Errno::INVAL);
    }
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    rustix::process::fchdir(target)?;
    let made = rustix::mount::mount(&*source.0, c".", fstype, flags, &*data);
    rustix::process::fchdir(root.fd())?;
    made
}

fn bind(root: &Root, entry: &MountEntry, tree: &OwnedFd, source: &Bytes) -> Result<(), Failure> {
    let at = &entry.target.0;
    let stat = fstat(tree).at("bind", &source.0)?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = if is_kernel(at) {
        if super::root::relative(at).strip_suffix(b"/").unwrap_or(super::root::relative(at)) == b"proc"
            && fstatfs(tree).at("bind", &source.0)?.f_type as u64 != PROC_MAGIC
        {
            return Err(coded("invalid_argument", "bind", at, "only a procfs goes on /proc"));
        }
        match root.open_real(at, OFlags::PATH) {
            Err(Errno::NOENT) if is_dir => root.real_dir(at),
            done => done,
        }
    } else if is_dir {
        root.dir(at)
    } else {
        root.file(at)
    };
    let target = target.at("bind", at)?;
    let (set, clear) = (entry.set, entry.clear);
    match setattr(tree, c"", 0, set, clear | entry.unasked, 0) {
        // Some are locked; those that were named say so themselves.
        Err(Errno::PERM) if entry.unasked != 0 => set_flags(tree, entry, set, clear)?,
        done => {
            done.at("mount", at)?;
            set_flags(tree, entry, 0, 0)?;
        }
    }
    attach(tree, target).at("bind", at)
}

/// Attributes and propagation of a mount.
pub(super) fn set_flags(mount: &OwnedFd, entry: &MountEntry, set: u64, clear: u64) -> Result<(), Failure> {
    let at = &entry.target.0;
    if (set, clear) != (0, 0) {
        setattr(mount, c"", 0, set, clear, 0).at("mount", at)?;
    }
    if (entry.set_recursive, entry.clear_recursive) != (0, 0) {
        setattr(mount, c"", RECURSIVE, entry.set_recursive, entry.clear_recursive, 0).at("mount", at)?;
    }
    for propagation in &entry.propagation {
        let deep = if propagation & libc::MS_REC != 0 { RECURSIVE } else { 0 };
        setattr(mount, c"", deep, 0, 0, propagation & !libc::MS_REC).at("propagation", at)?;
    }
    Ok(())
}
