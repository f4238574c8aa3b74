//! Removing what an entry replaces.

use super::fault::{Fault, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::fs::{openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::CString;

/// What was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    Nothing,
    Whiteout,
    Folder,
    Other,
}

/// Removes `name` in a folder, whatever it is. Takes time in proportion to what is removed, and neither stack
/// nor descriptors for its depth: folders in folders are first moved up beside it.
pub(super) fn remove(parent: &OwnedFd, name: &[u8]) -> Result<Was> {
    let failed = |e| Fault::system("can't remove what it replaces", e);
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Was::Nothing),
        Err(e) => return Err(failed(e)),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {}
        kind => {
            unlinkat(parent, name, AtFlags::empty()).map_err(failed)?;
            let whiteout = kind == FileType::CharacterDevice && stat.st_rdev == 0;
            return Ok(if whiteout { Was::Whiteout } else { Was::Other });
        }
    }
    let mut moved = 0u64;
    // No entry can have these names: the reader takes them as belonging to aufs.
    let aside = |n: u64| format!(".wh..wh.removed-{n}");
    let first = aside(moved);
    renameat(parent, name, parent, first.as_str()).map_err(failed)?;
    let mut left = vec![first];
    while let Some(folder) = left.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(parent, folder.as_str(), flags, Mode::empty()).map_err(failed)?;
        for (entry, is_folder) in list(&fd).map_err(failed)? {
            if is_folder {
                moved += 1;
                let to = aside(moved);
                renameat(&fd, &entry, parent, to.as_str()).map_err(failed)?;
                left.push(to);
            } else {
                unlinkat(&fd, &entry, AtFlags::empty()).map_err(failed)?;
            }
        }
        unlinkat(parent, folder.as_str(), AtFlags::REMOVEDIR).map_err(failed)?;
    }
    Ok(Was::Folder)
}

fn list(fd: &OwnedFd) -> rustix::io::Result<Vec<(CString, bool)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Unknown => {
                let stat = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        found.push((name.to_owned(), is_folder));
    }
    Ok(found)
}
