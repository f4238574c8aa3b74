//! The new root file system: every path inside it is resolved through its descriptor.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2, readlinkat, statat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};

/// How often links to missing files are followed before it is a loop.
const MAX_LINKS: usize = 10;

/// The root directory of a file system that nobody but us is in.
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// A root that is reached through `fd`, a descriptor of its directory.
    pub fn new(fd: OwnedFd) -> Root {
        Root { fd }
    }

    /// Its directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a path, links being resolved inside the root.
    pub fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.resolve(path, flags, ResolveFlags::empty())
    }

    /// Opens a path that has no link in it.
    pub fn open_real(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.resolve(path, flags, ResolveFlags::NO_SYMLINKS)
    }

    fn resolve(&self, path: &[u8], flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let path = relative(path);
        // EAGAIN: something was renamed at the same time, anywhere on the machine.
        for _ in 0..1000 {
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
                Err(Errno::AGAIN | Errno::INTR) => continue,
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// A directory to mount on, made when it is missing.
    pub fn dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.ensure(path, true, MAX_LINKS)
    }

    /// A file to mount on, made empty when it is missing.
    pub fn file(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.ensure(path, false, MAX_LINKS)
    }

    /// A directory to mount a file system of the kernel on: no link may be in the way.
    pub fn real_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        match self.open_real(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                self.make(path, true, 0)?;
                self.open_real(path, OFlags::PATH | OFlags::DIRECTORY)
            }
            done => done,
        }
    }

    fn ensure(&self, path: &[u8], dir: bool, links: usize) -> Result<OwnedFd, Errno> {
        let flags = if dir { OFlags::PATH | OFlags::DIRECTORY } else { OFlags::PATH };
        match self.open(path, flags) {
            Err(Errno::NOENT) => {}
            done => return done,
        }
        self.make(path, dir, links)?;
        self.open(path, flags)
    }

    /// Makes what is missing at a path.
    fn make(&self, path: &[u8], dir: bool, links: usize) -> Result<(), Errno> {
        let (parent, name) = split(path).ok_or(Errno::NOENT)?;
        if name == b".." {
            return Err(Errno::NOENT);
        }
        let parent_fd = self.ensure(parent, true, links)?;
        let made = if dir {
            mkdirat(&parent_fd, name, Mode::from_raw_mode(0o755))
        } else {
            let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&parent_fd, name, how, Mode::from_raw_mode(0o644)).map(drop)
        };
        match made {
            Err(Errno::EXIST) => {}
            made => return made,
        }
        let Some(target) = link_at(&parent_fd, name)? else { return Ok(()) };
        // It leads to something missing: make that, wherever it is inside the root.
        let links = links.checked_sub(1).ok_or(Errno::LOOP)?;
        let target = if target.starts_with(b"/") { target } else { [parent, b"/", &target].concat() };
        self.ensure(&target, dir, links).map(drop)
    }
}

/// Attaches a detached mount to a directory or file.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let how = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", target, c"", how)
}

/// Attaches a detached mount to a file or directory of a folder, which may be no link.
pub fn attach_at(mount: impl AsFd, folder: impl AsFd, name: &str) -> Result<(), Errno> {
    move_mount(mount, c"", folder, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Where a link in a directory leads; `None`: it is no link, or is missing.
fn link_at(dir: &OwnedFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
            Ok(Some(readlinkat(dir, name, Vec::new())?.into_bytes()))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The path without leading slashes; the root itself is `.`.
pub fn relative(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    if start == path.len() { b"." } else { &path[start..] }
}

/// Parent and last component. `None`: the root itself.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|b| *b != b'/')? + 1;
    let start = path[..end].iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    Some((&path[..start], &path[start..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split() {
        assert_eq!(split(b"/a/b//"), Some((&b"/a/"[..], &b"b"[..])));
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split(b"//"), None);
        assert_eq!(relative(b"//a/b"), b"a/b");
        assert_eq!(relative(b"/"), b".");
        assert_eq!(relative(b""), b".");
    }
}
