//! Whether a tree is as it was: what nobody has changed can be used again.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags, openat, statx};
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// Trees with more entries are not looked through.
const MOST: usize = 64;

/// What changes when an inode is changed in any way. The time of change can't be set by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    links: u32,
    mode: u16,
    owner: (u32, u32),
    size: u64,
    attributes: u64,
    changed: (i64, u32),
    modified: (i64, u32),
}

impl Stamp {
    fn of(s: &Statx) -> Stamp {
        Stamp {
            inode: s.stx_ino,
            links: s.stx_nlink,
            mode: s.stx_mode,
            owner: (s.stx_uid, s.stx_gid),
            size: s.stx_size,
            attributes: s.stx_attributes.bits(),
            changed: (s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec),
            modified: (s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec),
        }
    }
}

/// Every inode of a small tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Stamp>);

impl Stamps {
    /// Looks through a tree. Fails for one that is too big.
    pub fn of(dir: impl AsFd) -> Result<Stamps, Errno> {
        let mut stamps = Vec::with_capacity(24);
        let root = statx(&dir, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        stamps.push(Stamp::of(&root));
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        walk(openat(dir, c".", how, Mode::empty())?, &mut stamps)?;
        Ok(Stamps(stamps))
    }
}

fn walk(dir: OwnedFd, stamps: &mut Vec<Stamp>) -> Result<(), Errno> {
    let mut folders = Vec::new();
    let mut buf = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&dir, &mut buf);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if stamps.len() == MOST {
            return Err(Errno::FBIG);
        }
        let stat = statx(&dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
        stamps.push(Stamp::of(&stat));
        if FileType::from_raw_mode(u32::from(stat.stx_mode)) == FileType::Directory {
            folders.push(name.to_owned());
        }
    }
    for name in folders {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        walk(openat(&dir, &name, how, Mode::empty())?, stamps)?;
    }
    Ok(())
}

/// Whether the kernel gives each change a time of its own (since 6.13), not that of the last tick.
pub fn times_are_fine() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    version >= (6, 13)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn changes_show() {
        let base = std::env::temp_dir().join(format!("containers-stamps-{}", std::process::id()));
        std::fs::create_dir_all(base.join("a")).unwrap();
        std::fs::write(base.join("a/file"), "text").unwrap();
        let pause = || std::thread::sleep(std::time::Duration::from_millis(30));
        let stamps = || Stamps::of(File::open(&base).unwrap()).unwrap();
        let before = stamps();
        assert_eq!(before, stamps());
        pause();
        std::fs::read(base.join("a/file")).unwrap();
        assert_eq!(before, stamps(), "reading changes nothing");
        std::fs::write(base.join("a/file"), "tex2").unwrap();
        let second = stamps();
        assert_ne!(before, second);
        pause();
        std::fs::set_permissions(base.join("a"), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::set_permissions(base.join("a"), PermissionsExt::from_mode(0o755)).unwrap();
        let third = stamps();
        assert_ne!(second, third);
        pause();
        std::fs::write(base.join("new"), "").unwrap();
        std::fs::remove_file(base.join("new")).unwrap();
        assert_ne!(third, stamps());
        for i in 0..100 {
            std::fs::write(base.join(i.to_string()), "").unwrap();
        }
        assert!(Stamps::of(File::open(&base).unwrap()).is_err());
        std::fs::remove_dir_all(base).unwrap();
    }
}
