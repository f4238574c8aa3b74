//! Folders of the tree that is being made: resolved below its root, kept open, made where only implied.

use super::fault::{Fault, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::fs::{fstat, futimens, mkdirat, openat2, readlinkat, statat, unlinkat};
use rustix::io::Errno;

/// Folders kept open.
const OPEN: usize = 64;
/// Half of what is followed or replaced for one name; the kernel follows as many links.
const MAX_LINKS: usize = 40;
/// The longest name after following links that lead to what is not there.
const MAX_PATH: usize = 16 * 1024;

const RESOLVE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// An open folder. Its modification time is put right when it is given up, for each entry made in it
/// changes that time.
pub(super) struct Dir {
    pub(super) fd: OwnedFd,
    /// What is made in it takes over its group.
    pub(super) setgid: bool,
    inode: u64,
    mtime: Timespec,
}

impl Dir {
    /// Takes a folder over. `mtime`: the time it gets in the end; `None`: the one it has.
    pub(super) fn new(fd: OwnedFd, mtime: Option<Timespec>) -> Result<Dir> {
        let stat = fstat(&fd).map_err(|e| Fault::system("can't look at a folder", e))?;
        let own = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        Ok(Dir { fd, setgid: stat.st_mode & 0o2000 != 0, inode: stat.st_ino, mtime: mtime.unwrap_or(own) })
    }

    /// Gives it up.
    pub(super) fn settle(self) -> Result<()> {
        set_mtime(&self.fd, self.mtime)
    }
}

/// Sets the modification time of an open file; the access time is left.
pub(super) fn set_mtime(fd: impl AsFd, mtime: Timespec) -> Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: mtime,
    };
    futimens(fd, &times).map_err(|e| Fault::system("can't set a time", e))
}

struct Cached {
    path: Vec<u8>,
    used: u64,
    dir: Dir,
}

/// The folders of one tree.
pub(super) struct Dirs {
    root: OwnedFd,
    root_inode: u64,
    open: Vec<Cached>,
    clock: u64,
}

/// What [`Dirs::get`] has to make on the way is reported here.
pub(super) trait Implied {
    /// The folder `path` is made although no entry says so.
    fn implied(&mut self, path: &[u8]) -> Result<()>;

    /// A folder is made in the place of a whiteout: what the layers below have there stays hidden.
    fn uncovered(&mut self, folder: &OwnedFd) -> Result<()>;
}

impl Dirs {
    pub(super) fn new(root: OwnedFd) -> Result<Dirs> {
        let root_inode = fstat(&root).map_err(|e| Fault::system("can't look at the folder", e))?.st_ino;
        Ok(Dirs { root, root_inode, open: Vec::with_capacity(OPEN), clock: 0 })
    }

    /// Whether a path leads to the root, as far as it is known.
    pub(super) fn is_root(&self, path: &[u8]) -> bool {
        self.open.iter().any(|c| c.path == path && c.dir.inode == self.root_inode)
    }

    /// The folder that a path leads to; `None`: there is none.
    pub(super) fn existing(&mut self, path: &[u8]) -> Result<Option<&Dir>> {
        match self.find(path)? {
            Some(at) => Ok(Some(&self.open[at].dir)),
            None => Ok(None),
        }
    }

    /// The folder that a path leads to, made with all that is missing on the way.
    pub(super) fn get(&mut self, path: &[u8], implied: &mut dyn Implied) -> Result<&Dir> {
        let at = match self.find(path)? {
            Some(at) => at,
            None => {
                self.make(path, implied)?;
                self.find(path)?.ok_or_else(|| Fault::content("its folder can't be made"))?
            }
        };
        Ok(&self.open[at].dir)
    }

    /// As [`Dirs::get`], but takes the folder out and forgets all others: something in it is going to be
    /// removed, after which paths may lead elsewhere.
    pub(super) fn take_alone(&mut self, path: &[u8]) -> Result<Dir> {
        let at = self.find(path)?.ok_or_else(|| Fault::content("its folder vanished"))?;
        let taken = self.open.swap_remove(at);
        self.settle()?;
        Ok(taken.dir)
    }

    /// Keeps a folder that was just made or changed.
    pub(super) fn keep(&mut self, path: &[u8], dir: Dir) -> Result<()> {
        // What it is known as already has an outdated time.
        self.open.retain(|c| c.dir.inode != dir.inode);
        self.make_room()?;
        self.clock += 1;
        self.open.push(Cached { path: path.to_vec(), used: self.clock, dir });
        Ok(())
    }

    /// Gives all folders up.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.open.drain(..).try_for_each(|cached| cached.dir.settle())
    }

    fn make_room(&mut self) -> Result<()> {
        if self.open.len() < OPEN {
            return Ok(());
        }
        let oldest = self.open.iter().enumerate().min_by_key(|(_, c)| c.used).map(|(at, _)| at);
        match oldest {
            Some(at) => self.open.swap_remove(at).dir.settle(),
            None => Ok(()),
        }
    }

    fn find(&mut self, path: &[u8]) -> Result<Option<usize>> {
        self.clock += 1;
        if let Some(at) = self.open.iter().rposition(|c| c.path == path) {
            self.open[at].used = self.clock;
            return Ok(Some(at));
        }
        let Some(fd) = self.resolve(path, OFlags::RDONLY)? else {
            return Ok(None);
        };
        let inode = fstat(&fd).map_err(|e| Fault::system("can't look at a folder", e))?.st_ino;
        if let Some(at) = self.open.iter().position(|c| c.dir.inode == inode) {
            // Known under another name: its right time is the one kept there.
            self.open.swap_remove(at).dir.settle()?;
        }
        self.make_room()?;
        self.open.push(Cached { path: path.to_vec(), used: self.clock, dir: Dir::new(fd, None)? });
        Ok(Some(self.open.len() - 1))
    }

    /// Opens a folder below the root, links resolved as if the root were `/`; `None`: not there.
    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<Option<OwnedFd>> {
        let name: &[u8] = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // EAGAIN: something was renamed meanwhile, anywhere in the system.
        for _ in 0..1000 {
            match openat2(&self.root, name, flags, Mode::empty(), RESOLVE) {
                Ok(fd) => return Ok(Some(fd)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // A whiteout in the way is none for long; `make` says what else it may be.
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(Errno::LOOP) => return Err(Fault::content("links on the way to it lead in a circle")),
                Err(e) => return Err(Fault::system("can't open its folder", e)),
            }
        }
        Err(Fault::system("can't open its folder", Errno::AGAIN))
    }

    /// Makes a path of folders. A link on the way whose target is missing has its target made.
    fn make(&mut self, path: &[u8], implied: &mut dyn Implied) -> Result<()> {
        let mut path = path.to_vec();
        for _ in 0..2 * MAX_LINKS {
            let parts: Vec<&[u8]> =
                path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").collect();
            let there = self.deepest(&parts)?;
            if there == parts.len() {
                return Ok(());
            }
            let base = parts[..there].join(&b'/');
            let at = self.find(&base)?.ok_or_else(|| Fault::content("its folder vanished"))?;
            let parent = &self.open[at].dir.fd;
            if parts[there..].iter().any(|p| p.starts_with(b".wh.")) {
                // Only a link can lead here.
                return Err(Fault::content("a link on the way to it leads to the name of a whiteout"));
            }
            match mkdirat(parent, parts[there], Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    implied.implied(&parts[..=there].join(&b'/'))?;
                    return make_below(parent, &parts, there, implied);
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(Fault::system("can't make a folder", e)),
            }
            let stat = statat(parent, parts[there], AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| Fault::system("can't look at its folder", e))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {}
                FileType::CharacterDevice if stat.st_rdev == 0 => {
                    replace_whiteout(parent, parts[there], implied)?;
                    implied.implied(&parts[..=there].join(&b'/'))?;
                    continue;
                }
                _ => return Err(Fault::content("something on the way to it is no folder")),
            }
            let target = readlinkat(parent, parts[there], Vec::new())
                .map_err(|e| Fault::system("can't read a link", e))?
                .into_bytes();
            let rest = parts[there + 1..].join(&b'/');
            path = if target.starts_with(b"/") {
                [&target[..], &rest].join(&b'/')
            } else {
                [&base[..], &target, &rest].join(&b'/')
            };
            if path.len() > MAX_PATH {
                break;
            }
        }
        Err(Fault::content("links on the way to it lead in a circle"))
    }

    /// How many of the parts are there already, in linear time for any number of calls that make the rest.
    fn deepest(&self, parts: &[&[u8]]) -> Result<usize> {
        let (mut there, mut missing) = (0, parts.len() + 1);
        while missing - there > 1 {
            let middle = there + (missing - there) / 2;
            match self.resolve(&parts[..middle].join(&b'/'), OFlags::PATH)? {
                Some(_) => there = middle,
                None => missing = middle,
            }
        }
        Ok(there)
    }
}

fn replace_whiteout(parent: &OwnedFd, name: &[u8], implied: &mut dyn Implied) -> Result<()> {
    let failed = |e| Fault::system("can't make a folder", e);
    unlinkat(parent, name, AtFlags::empty()).map_err(failed)?;
    mkdirat(parent, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    implied.uncovered(&rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed)?)
}

/// Makes the parts after `there`, each in the one before, which has just been made.
fn make_below(parent: &OwnedFd, parts: &[&[u8]], there: usize, implied: &mut dyn Implied) -> Result<()> {
    let open = |fd: &OwnedFd, name: &[u8]| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(fd, name, flags, Mode::empty())
            .map_err(|e| Fault::system("can't open a folder", e))
    };
    let mut current = open(parent, parts[there])?;
    for (i, part) in parts.iter().enumerate().skip(there + 1) {
        if *part == b".." {
            return Err(Fault::content("a link on the way to it leads through what is not there"));
        }
        mkdirat(&current, *part, Mode::from_raw_mode(0o755))
            .map_err(|e| Fault::system("can't make a folder", e))?;
        implied.implied(&parts[..=i].join(&b'/'))?;
        current = open(&current, part)?;
    }
    Ok(())
}
