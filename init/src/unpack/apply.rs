//! Entries become files.

use super::dirs::{Dir, Dirs, Implied, set_mtime};
use super::fault::{Fault, Result};
use super::tar::{Archive, Entry, Kind};
use super::{names, remove};
use containers_protocol::Bytes;
use containers_protocol::unpack::{Unpack, Unpacked};
use names::Meaning;
use remove::Was;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::fs::{fchmod, fchown, fsetxattr, linkat, lsetxattr, mkdirat, mknodat, openat, statat, symlinkat};
use rustix::io::Errno;
use std::collections::BTreeSet;

/// Bytes of names of implied folders that are kept; what is beyond keeps made-up attributes.
const MAX_IMPLIED: usize = 4 << 20;

/// Writes the entries of one archive.
pub(super) struct Applier<'a> {
    request: &'a Unpack,
    dirs: Dirs,
    state: State,
}

struct State {
    rootless: bool,
    max_entries: u64,
    unpacked: Unpacked,
    implied: BTreeSet<Vec<u8>>,
    implied_bytes: usize,
}

impl Implied for State {
    fn implied(&mut self, path: &[u8]) -> Result<()> {
        self.count()?;
        self.remember(path);
        Ok(())
    }

    fn uncovered(&mut self, folder: &OwnedFd) -> Result<()> {
        set_opaque(folder, self.rootless)
    }
}

impl State {
    fn count(&mut self) -> Result<()> {
        self.unpacked.entries += 1;
        if self.unpacked.entries > self.max_entries {
            return Err(Fault::limit(format!("the archive has more than {} entries", self.max_entries)));
        }
        Ok(())
    }

    fn remember(&mut self, path: &[u8]) {
        if self.implied_bytes + path.len() <= MAX_IMPLIED && self.implied.insert(path.to_vec()) {
            self.implied_bytes += path.len();
        }
    }

    /// What lay below `path` is gone.
    fn forget_below(&mut self, path: &[u8]) {
        let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
        let gone: Vec<Vec<u8>> = self.implied.range(from..to).cloned().collect();
        for path in gone {
            self.implied.remove(&path);
        }
    }
}

impl<'a> Applier<'a> {
    pub(super) fn new(request: &'a Unpack, root: OwnedFd) -> Result<Applier<'a>> {
        // What a root that the archive does not mention looks like.
        fchmod(&root, Mode::from_raw_mode(0o755)).map_err(|e| Fault::system("can't set up the folder", e))?;
        let mut state = State {
            rootless: request.rootless,
            max_entries: request.max_entries,
            unpacked: Unpacked::default(),
            implied: BTreeSet::new(),
            implied_bytes: 0,
        };
        state.remember(b"");
        Ok(Applier { request, dirs: Dirs::new(root)?, state })
    }

    /// What came of it; the digest is added by the caller.
    pub(super) fn finish(mut self) -> Result<Unpacked> {
        self.dirs.settle()?;
        let mut unpacked = self.state.unpacked;
        unpacked.implied = self.state.implied.into_iter().map(Bytes).collect();
        Ok(unpacked)
    }

    /// Makes one entry. Its data, if any, is read from the archive.
    pub(super) fn entry(&mut self, entry: &Entry, archive: &mut Archive) -> Result<()> {
        self.state.count()?;
        let path = names::normalise(&entry.name)?;
        match names::meaning(&path)? {
            Meaning::Entry(parent, name) => self.make(entry, archive, parent, name, &path),
            Meaning::Root => self.root(entry),
            Meaning::Ignored => {
                self.state.unpacked.skipped += 1;
                Ok(())
            }
            _ if !self.request.whiteouts => Err(Fault::content(
                "names that begin with .wh. mean whiteouts, which a root file system can't have",
            )),
            _ if !matches!(entry.kind, Kind::File | Kind::HardLink) => {
                Err(Fault::content("a whiteout is not an empty file"))
            }
            Meaning::Whiteout(parent, name) => self.whiteout(parent, name),
            Meaning::Opaque(parent) => self.opaque(parent),
        }
    }

    fn make(
        &mut self,
        entry: &Entry,
        archive: &mut Archive,
        parent: &[u8],
        name: &[u8],
        path: &[u8],
    ) -> Result<()> {
        match entry.kind {
            Kind::File => self.file(entry, archive, parent, name),
            Kind::Directory => self.directory(entry, parent, name, path),
            Kind::HardLink => self.hard_link(entry, parent, name, path),
            Kind::Symlink => {
                if entry.link.is_empty() {
                    return Err(Fault::content("a symbolic link has no target"));
                }
                self.place(parent, name, |dir| symlinkat(&entry.link[..], &dir.fd, name))?;
                self.by_name(entry, parent, name, false)
            }
            Kind::Fifo => self.node(entry, parent, name, FileType::Fifo, 0),
            Kind::Char | Kind::Block => self.device(entry, parent, name),
        }
    }

    /// Makes something with `make`, after removing what is in its place.
    fn place<T>(
        &mut self,
        parent: &[u8],
        name: &[u8],
        make: impl Fn(&Dir) -> rustix::io::Result<T>,
    ) -> Result<(T, Was)> {
        let failed = |e| match e {
            Errno::NAMETOOLONG => {
                Fault::content("its name or the target of its link is too long for the kernel")
            }
            e => Fault::system("can't make it", e),
        };
        match make(self.dirs.get(parent, &mut self.state)?) {
            Ok(made) => return Ok((made, Was::Nothing)),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
        let dir = self.dirs.take_alone(parent)?;
        let was = remove::remove(&dir.fd, name)?;
        if was == Was::Folder {
            let path = if parent.is_empty() { name.to_vec() } else { [parent, name].join(&b'/') };
            self.state.forget_below(&path);
            self.state.implied.remove(&path);
        }
        let made = make(&dir).map_err(failed);
        dir.settle()?;
        Ok((made?, was))
    }

    fn file(&mut self, entry: &Entry, archive: &mut Archive, parent: &[u8], name: &[u8]) -> Result<()> {
        let left = self.request.max_bytes.saturating_sub(self.state.unpacked.bytes);
        if entry.size > left {
            let max = self.request.max_bytes;
            return Err(Fault::limit(format!("the archive has more than {max} bytes of files")));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let (fd, _) = self.place(parent, name, |dir| openat(&dir.fd, name, flags, mode))?;
        let setgid = self.dirs.existing(parent)?.is_some_and(|d| d.setgid);
        match &entry.sparse {
            None => write_data(&fd, archive)?,
            Some((length, map)) => {
                for segment in map {
                    write_segment(&fd, archive, segment.offset, segment.length)?;
                }
                rustix::fs::ftruncate(&fd, *length).map_err(|e| Fault::system("can't set its length", e))?;
            }
        }
        self.state.unpacked.bytes += entry.size;
        self.own(&fd, entry, setgid)?;
        // Not before: a change of the owner takes set-id bits away.
        if entry.mode & 0o7000 != 0 {
            fchmod(&fd, Mode::from_raw_mode(entry.mode))
                .map_err(|e| Fault::system("can't set its mode", e))?;
        }
        self.attributes(&fd, entry)?;
        set_mtime(&fd, time(entry))
    }

    fn directory(&mut self, entry: &Entry, parent: &[u8], name: &[u8], path: &[u8]) -> Result<()> {
        let open = |dir: &Dir| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(&dir.fd, name, flags, Mode::empty())
        };
        let make = |dir: &Dir| match mkdirat(&dir.fd, name, Mode::from_raw_mode(entry.mode & 0o777)) {
            Ok(()) => open(dir).map(|fd| (fd, false)),
            // One that is there already stays, with what is in it.
            Err(Errno::EXIST) => open(dir).map(|fd| (fd, true)).map_err(|_| Errno::EXIST),
            Err(e) => Err(e),
        };
        let ((fd, existed), was) = self.place(parent, name, make)?;
        let setgid = self.dirs.existing(parent)?.is_some_and(|d| d.setgid);
        self.own(&fd, entry, setgid || existed)?;
        if existed || setgid || entry.mode & 0o7000 != 0 {
            fchmod(&fd, Mode::from_raw_mode(entry.mode))
                .map_err(|e| Fault::system("can't set its mode", e))?;
        }
        self.attributes(&fd, entry)?;
        if was == Was::Whiteout {
            // The folder below stays hidden although there is one of this name again.
            set_opaque(&fd, self.request.rootless)?;
        }
        self.state.implied.remove(path);
        let dir = Dir::new(fd, Some(time(entry)))?;
        self.dirs.keep(path, dir)
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Fault::content("the root folder can't be anything else"));
        }
        let dir = self.dirs.take_alone(b"")?;
        self.own(&dir.fd, entry, true)?;
        fchmod(&dir.fd, Mode::from_raw_mode(entry.mode))
            .map_err(|e| Fault::system("can't set its mode", e))?;
        self.attributes(&dir.fd, entry)?;
        self.state.implied.remove(&b""[..]);
        let dir = Dir::new(dir.fd, Some(time(entry)))?;
        self.dirs.keep(b"", dir)
    }

    fn hard_link(&mut self, entry: &Entry, parent: &[u8], name: &[u8], path: &[u8]) -> Result<()> {
        let missing = || Fault::content("the target of a hard link is not in the archive before it");
        let target = names::normalise(&entry.link)?;
        let (target_parent, target_name) = names::split(&target).ok_or_else(missing)?;
        let from = match self.dirs.existing(target_parent)? {
            Some(dir) => dir.fd.try_clone().map_err(|e| Fault::io("can't copy a descriptor", &e))?,
            None => return Err(missing()),
        };
        let stat = match statat(&from, target_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(missing()),
            Err(e) => return Err(Fault::system("can't look at the target of a hard link", e)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return Err(Fault::content("the target of a hard link is a folder")),
            FileType::CharacterDevice if stat.st_rdev == 0 => return Err(missing()),
            _ if target == path => return Ok(()),
            _ => {}
        }
        let link = |dir: &Dir| {
            // Already the same file, under a name that leads through links.
            let there = statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW);
            if there.is_ok_and(|t| t.st_ino == stat.st_ino && t.st_dev == stat.st_dev) {
                return Ok(());
            }
            linkat(&from, target_name, &dir.fd, name, AtFlags::empty())
        };
        self.place(parent, name, link)?;
        Ok(())
    }

    fn device(&mut self, entry: &Entry, parent: &[u8], name: &[u8]) -> Result<()> {
        let (major, minor) = entry.device;
        if entry.kind == Kind::Char && (major, minor) == (0, 0) {
            return Err(Fault::content(
                "a character device 0:0 means a whiteout; archives say so by a .wh. name",
            ));
        }
        if self.request.rootless {
            self.state.unpacked.skipped += 1;
            return Ok(());
        }
        let kind = if entry.kind == Kind::Char { FileType::CharacterDevice } else { FileType::BlockDevice };
        self.node(entry, parent, name, kind, rustix::fs::makedev(major, minor))
    }

    fn node(&mut self, entry: &Entry, parent: &[u8], name: &[u8], kind: FileType, device: u64) -> Result<()> {
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let made = self.place(parent, name, |dir| match mknodat(&dir.fd, name, kind, mode, device) {
            // Root without the right to make devices: as a rootless user.
            Err(Errno::PERM) if kind != FileType::Fifo => Ok(false),
            result => result.map(|()| true),
        })?;
        if !made.0 {
            self.state.unpacked.skipped += 1;
            return Ok(());
        }
        self.by_name(entry, parent, name, true)
    }

    /// Owner, mode, attributes and time of what can't be opened without side effects. Its name was made just
    /// now, and nobody else changes the folder.
    fn by_name(&mut self, entry: &Entry, parent: &[u8], name: &[u8], mode: bool) -> Result<()> {
        let rootless = self.request.rootless;
        let owner = self.owner(entry);
        let dir = self.dirs.get(parent, &mut self.state)?;
        if owner != (0, 0) || dir.setgid {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::chownat(&dir.fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| not_owned(owner, e))?;
        }
        if mode && entry.mode & 0o7000 != 0 {
            rustix::fs::chmodat(&dir.fd, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
                .map_err(|e| Fault::system("can't set its mode", e))?;
        }
        if !entry.xattrs.is_empty() {
            let path = [format!("/proc/self/fd/{}/", dir.fd.as_raw_fd()).as_bytes(), name].concat();
            set_xattrs(entry, rootless, |key, value| lsetxattr(&path[..], key, value, XattrFlags::empty()))?;
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            last_modification: time(entry),
        };
        rustix::fs::utimensat(&dir.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Fault::system("can't set its time", e))
    }

    fn owner(&self, entry: &Entry) -> (u32, u32) {
        if self.request.single_id { (0, 0) } else { (entry.uid, entry.gid) }
    }

    /// Sets the owner where it is not the one that new files have.
    fn own(&self, fd: &OwnedFd, entry: &Entry, always: bool) -> Result<()> {
        let owner = self.owner(entry);
        if owner == (0, 0) && !always {
            return Ok(());
        }
        fchown(fd, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))
            .map_err(|e| not_owned(owner, e))
    }

    fn attributes(&self, fd: &OwnedFd, entry: &Entry) -> Result<()> {
        set_xattrs(entry, self.request.rootless, |key, value| fsetxattr(fd, key, value, XattrFlags::empty()))
    }

    fn whiteout(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let dir = self.dirs.get(parent, &mut self.state)?;
        match mknodat(&dir.fd, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(Fault::system("can't make a whiteout", e)),
        }
        // What this layer itself has is not hidden; a folder of it does not show what is below any more.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&dir.fd, name, flags, Mode::empty()) {
            Ok(fd) => set_opaque(&fd, self.request.rootless),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(e) => Err(Fault::system("can't open a folder", e)),
        }
    }

    fn opaque(&mut self, parent: &[u8]) -> Result<()> {
        let dir = self.dirs.get(parent, &mut self.state)?;
        let fd = dir.fd.try_clone().map_err(|e| Fault::io("can't copy a descriptor", &e))?;
        if self.dirs.is_root(parent) {
            // An overlay does not look at the mark there.
            self.state.unpacked.opaque_root = true;
            return Ok(());
        }
        set_opaque(&fd, self.request.rootless)
    }
}

fn set_opaque(fd: &OwnedFd, rootless: bool) -> Result<()> {
    let name = if rootless { c"user.overlay.opaque" } else { c"trusted.overlay.opaque" };
    fsetxattr(fd, name, b"y", XattrFlags::empty()).map_err(|e| {
        Fault::system("can't mark a folder as opaque: the file system needs extended attributes", e)
    })
}

fn time(entry: &Entry) -> Timespec {
    Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1.into() }
}

fn not_owned((uid, gid): (u32, u32), e: Errno) -> Fault {
    match e {
        Errno::INVAL | Errno::OVERFLOW => Fault::unsupported(format!(
            "its owner {uid}:{gid} has no place in the user namespace; give the user more ids in /etc/subuid and \
             /etc/subgid"
        )),
        e => Fault::system("can't set its owner", e),
    }
}

/// Sets the extended attributes that mean something in a container. Those of the overlay are refused; access
/// lists, labels of security modules, and what the file system or a user namespace can't have, are passed over.
fn set_xattrs(
    entry: &Entry,
    rootless: bool,
    set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>,
) -> Result<()> {
    for (key, value) in &entry.xattrs {
        if key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.") {
            let key = super::fault::shown(key);
            return Err(Fault::content(format!("the attribute {key} would control the overlay file system")));
        }
        let wanted = key.starts_with(b"user.")
            || key == b"security.capability"
            || (key.starts_with(b"trusted.") && !rootless);
        if !wanted {
            continue;
        }
        match set(key, value) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(Errno::INVAL) if key == b"security.capability" => {
                return Err(Fault::content("its file capabilities are malformed"));
            }
            Err(e) => {
                let key = super::fault::shown(key);
                return Err(Fault::system(&format!("can't set the attribute {key}"), e));
            }
        }
    }
    Ok(())
}

fn write_data(fd: impl AsFd, archive: &mut Archive) -> Result<()> {
    loop {
        let part = archive.peek()?;
        if part.is_empty() {
            return Ok(());
        }
        let n = retry(|| rustix::io::write(&fd, part))?;
        archive.consume(n);
    }
}

fn write_segment(fd: &OwnedFd, archive: &mut Archive, mut offset: u64, mut left: u64) -> Result<()> {
    while left > 0 {
        let part = archive.peek()?;
        let part = &part[..part.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        if part.is_empty() {
            return Err(Fault::content("a sparse map is longer than the data"));
        }
        let n = retry(|| rustix::io::pwrite(fd, part, offset))?;
        archive.consume(n);
        (offset, left) = (offset + n as u64, left - n as u64);
    }
    Ok(())
}

fn retry(write: impl Fn() -> rustix::io::Result<usize>) -> Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(Fault::system("can't write", Errno::IO)),
            Ok(n) => return Ok(n),
            Err(Errno::INTR) => {}
            Err(e) => return Err(Fault::system("can't write", e)),
        }
    }
}
