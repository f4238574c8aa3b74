//! The run folder of a root: volatile state that both sides make and remove.
//!
//! It holds a folder for each launcher (`l-…`) and monitor (`c-…`), claims of names (`names`, `names.lock`), and
//! `lock`, which whoever makes a folder in it holds meanwhile.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Removes the run folder when nothing is in it but locks that nobody holds: the last launcher of the root has
/// ended, and no detached container lives. Whoever waits for the lock sees that its file is gone, and makes
/// the folder anew.
pub fn retire(run_root: &Path) {
    let lock = run_root.join("lock");
    let Ok(held) = open(&lock, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) else {
        return;
    };
    if flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    let same = |file: std::fs::Metadata| {
        fstat(&held).is_ok_and(|s| (s.st_dev, s.st_ino) == (file.dev(), file.ino()))
    };
    if !std::fs::metadata(&lock).is_ok_and(same) {
        return;
    }
    let Ok(list) = std::fs::read_dir(run_root) else { return };
    let known = ["lock", "names.lock", "names"];
    if !list.flatten().all(|e| known.iter().any(|k| e.file_name() == *k)) {
        return;
    }
    let names = run_root.join("names");
    // A name that is held keeps its folder, and that keeps the rest.
    if names.exists() && std::fs::remove_dir(&names).is_err() {
        return;
    }
    for file in ["names.lock", "lock"] {
        let _ = std::fs::remove_file(run_root.join(file));
    }
    let _ = std::fs::remove_dir(run_root);
}
