//! Deletion of trees, by descriptors: no link is ever followed, and no mount entered.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// How far a deletion got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All is gone.
    Done,
    /// The budget of entries is used up; the rest is still there.
    Unfinished,
}

/// Deletes the tree at an absolute path, at most `budget` entries of it. What is missing is fine.
pub fn tree(path: &[u8], budget: &mut usize) -> Result<Progress, Errno> {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    let start = path[..end].iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    let (parent, name) = (&path[..start], &path[start..end]);
    if !parent.starts_with(b"/") || name.is_empty() || name == b"." || name == b".." {
        return Err(Errno::INVAL);
    }
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match openat(CWD, parent, how, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Progress::Done),
        other => other?,
    };
    let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    let stat = match statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Progress::Done),
        other => other?,
    };
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if !is_dir {
        return unlink(&parent, &name, AtFlags::empty()).map(|()| Progress::Done);
    }
    remove_dir(&parent, &name, stat.st_dev, budget)
}

/// One directory on the way down.
struct Level {
    fd: OwnedFd,
    name: std::ffi::CString,
}

/// Deletes a directory with a stack of open ones instead of recursion.
fn remove_dir(parent: &OwnedFd, name: &CStr, dev: u64, budget: &mut usize) -> Result<Progress, Errno> {
    let Some(fd) = open_dir(parent, name, dev)? else { return Ok(Progress::Done) };
    let mut levels = vec![Level { fd, name: name.to_owned() }];
    while let Some(level) = levels.last() {
        match empty(&level.fd, budget)? {
            Emptied::Unfinished => return Ok(Progress::Unfinished),
            Emptied::Holds(name) => {
                let Some(fd) = open_dir(&level.fd, &name, dev)? else { continue };
                if levels.len() >= MAX_DEPTH {
                    // Too deep to hold all: start from here, then again from the top.
                    return deep(parent, &levels, fd, name, budget);
                }
                levels.push(Level { fd, name });
            }
            Emptied::Empty => {
                let Some(done) = levels.pop() else { break };
                let above = levels.last().map_or(parent, |l| &l.fd);
                unlink(above, &done.name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(Progress::Done)
}

/// Open directories at most.
const MAX_DEPTH: usize = 200;

/// Moves a directory that lies too deep up to the top, from where it is within reach.
fn deep(
    parent: &OwnedFd,
    levels: &[Level],
    fd: OwnedFd,
    name: std::ffi::CString,
    budget: &mut usize,
) -> Result<Progress, Errno> {
    drop(fd);
    let (Some(top), Some(last)) = (levels.first(), levels.last()) else { return Err(Errno::INVAL) };
    let lifted = std::ffi::CString::new(format!(".deep-{}", *budget)).map_err(|_| Errno::INVAL)?;
    rustix::fs::renameat(&last.fd, &name, &top.fd, &lifted)?;
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return Ok(Progress::Unfinished);
    }
    let stat = statat(parent, &top.name, AtFlags::SYMLINK_NOFOLLOW)?;
    let top_name = top.name.clone();
    remove_dir(parent, &top_name, stat.st_dev, budget)
}

/// Opens a directory for deletion, also one without permissions (overlay makes such work folders). Another
/// file system is not entered. `None`: somebody else has just deleted it.
fn open_dir(parent: impl AsFd, name: &CStr, dev: u64) -> Result<Option<OwnedFd>, Errno> {
    let opened = match try_open_dir(&parent, name) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    if rustix::fs::fstat(&opened)?.st_dev != dev {
        return Err(Errno::XDEV);
    }
    Ok(Some(opened))
}

fn try_open_dir(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    match openat(&parent, name, DIR, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // A link swapped in meanwhile is not followed by this either: it has no mode of its own, and
            // the open refuses it.
            let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Errno::NOTDIR);
            }
            chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(&parent, name, DIR, Mode::empty())
        }
        other => other,
    }
}

enum Emptied {
    /// No entry is left.
    Empty,
    /// This entry is a directory with entries.
    Holds(std::ffi::CString),
    /// The budget is used up.
    Unfinished,
}

/// Deletes the entries of a directory up to the first one that is a full directory.
fn empty(dir: &OwnedFd, budget: &mut usize) -> Result<Emptied, Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = match entry {
            // Somebody else has just deleted it.
            Err(Errno::NOENT) => break,
            other => other?,
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if *budget == 0 {
            return Ok(Emptied::Unfinished);
        }
        *budget -= 1;
        let is_dir = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => {
                let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            _ => false,
        };
        if !is_dir {
            unlink_or_allow(dir, name)?;
            continue;
        }
        match unlink(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Emptied::Holds(name.to_owned())),
            Err(Errno::ACCESS) => {
                allow(dir)?;
                match unlink(dir, name, AtFlags::REMOVEDIR) {
                    Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Emptied::Holds(name.to_owned())),
                    other => other?,
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(Emptied::Empty)
}

fn unlink_or_allow(dir: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    match unlink(dir, name, AtFlags::empty()) {
        Err(Errno::ACCESS) => {
            allow(dir)?;
            unlink(dir, name, AtFlags::empty())
        }
        other => other,
    }
}

/// Makes a directory of ours writable for us.
fn allow(dir: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fchmod(dir, Mode::RWXU)
}

fn unlink(dir: impl AsFd, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(dir, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("containers-remove-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn remove(path: &std::path::Path, mut budget: usize) -> Result<Progress, Errno> {
        tree(path.as_os_str().as_bytes(), &mut budget)
    }

    #[test]
    fn links_are_not_followed() {
        let base = scratch("links");
        std::fs::create_dir_all(base.join("keep")).unwrap();
        std::fs::write(base.join("keep/file"), "").unwrap();
        std::fs::create_dir_all(base.join("gone/a/b/c")).unwrap();
        std::os::unix::fs::symlink(base.join("keep"), base.join("gone/a/link")).unwrap();
        std::fs::set_permissions(base.join("gone/a/b"), PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(remove(&base.join("gone"), 1000), Ok(Progress::Done));
        assert!(!base.join("gone").exists());
        std::os::unix::fs::symlink(base.join("keep"), base.join("link")).unwrap();
        assert_eq!(remove(&base.join("link"), 1000), Ok(Progress::Done));
        assert!(base.join("keep/file").exists());
        assert_eq!(remove(&base.join("missing/too"), 1000), Ok(Progress::Done));
        assert_eq!(remove(&base, 1000), Ok(Progress::Done));
    }

    #[test]
    fn a_budget_ends() {
        let base = scratch("budget");
        for i in 0..20 {
            std::fs::write(base.join(i.to_string()), "").unwrap();
        }
        assert_eq!(remove(&base, 5), Ok(Progress::Unfinished));
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 15);
        assert_eq!(remove(&base, 100), Ok(Progress::Done));
    }

    #[test]
    fn depth_is_no_obstacle() {
        let base = scratch("deep");
        let mut at = OwnedFd::from(std::fs::File::open(&base).unwrap());
        for _ in 0..1000 {
            rustix::fs::mkdirat(&at, "dir", Mode::RWXU).unwrap();
            at = openat(&at, "dir", DIR, Mode::empty()).unwrap();
        }
        assert_eq!(remove(&base, 100_000), Ok(Progress::Done));
        assert!(!base.exists());
    }

    #[test]
    fn several_may_delete_the_same_tree() {
        for round in 0..20 {
            let base = scratch(&format!("race-{round}"));
            for i in 0..40 {
                std::fs::create_dir_all(base.join(format!("{}/{i}/a/b/c", i % 4))).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert_eq!(remove(&base, 100_000), Ok(Progress::Done)));
                }
            });
            assert!(!base.exists());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(tree(b"relative", &mut 1), Err(Errno::INVAL));
        assert_eq!(tree(b"/", &mut 1), Err(Errno::INVAL));
        assert_eq!(tree(b"/tmp/..", &mut 1), Err(Errno::INVAL));
    }
}
