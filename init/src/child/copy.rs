//! Copies what an image has below a mount point into a fresh tmpfs.

#[cfg(test)]
use rustix::fd::AsFd;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, chmodat, chownat, fstat, mkdirat, openat, readlinkat, statat,
    symlinkat,
};
use rustix::fs::{Gid, Uid, fchmod, fchown};
use rustix::io::Errno;
use std::fs::File;

/// Deeper trees are refused: each level holds two descriptors.
const MAX_DEPTH: usize = 100;

/// Copies the contents of one directory into another, with owners and modes. Files, directories and links
/// only: there is nothing else that belongs on a tmpfs volume.
pub fn contents(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    // A descriptor of a fresh mount is for paths alone.
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    copy_dir(from, &openat(to, c".", how, Mode::empty())?, 0)
}

fn copy_dir(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<(), Errno> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let stat = fstat(from)?;
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    if depth > 0 {
        fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, depth: usize) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, how, Mode::empty())?;
            let target = openat(to, name, how, Mode::empty())?;
            copy_dir(&source, &target, depth + 1)
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
        }
        FileType::RegularFile => {
            let how = OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, how | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
            let made = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
            let target = openat(to, name, how | made, Mode::from_raw_mode(0o600))?;
            copy_bytes(source, target)?;
            chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
            chmodat(to, name, mode, AtFlags::empty())
        }
        _ => Ok(()),
    }
}

fn copy_bytes(source: OwnedFd, target: OwnedFd) -> Result<(), Errno> {
    let (mut source, mut target) = (File::from(source), File::from(target));
    match std::io::copy(&mut source, &mut target) {
        Ok(_) => Ok(()),
        Err(e) => Err(Errno::from_raw_os_error(e.raw_os_error().unwrap_or(libc::EIO))),
    }
}

/// Whether a directory has no entries.
#[cfg(test)]
fn is_empty(dir: impl AsFd) -> bool {
    Dir::read_from(dir).is_ok_and(|d| d.flatten().all(|e| e.file_name() == c"." || e.file_name() == c".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied() {
        let base = std::env::temp_dir().join(format!("containers-copy-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(from.join("a/file"), "text").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.join("a/link")).unwrap();
        let open = |p: &std::path::Path| OwnedFd::from(File::open(p).unwrap());
        assert!(is_empty(open(&to)));
        contents(&open(&from), &open(&to)).unwrap();
        assert_eq!(std::fs::read(to.join("a/file")).unwrap(), b"text");
        assert_eq!(std::fs::read_link(to.join("a/link")).unwrap(), std::path::Path::new("/etc/passwd"));
        assert!(to.join("a/b").is_dir());
        std::fs::remove_dir_all(base).unwrap();
    }
}
