//! Tests of the unpacker: what archives may say, and what must not come of it.

mod breakouts;
mod build;
mod contents;
mod formats;
mod malformed;
mod peers;
mod random;

use super::run;
use containers_protocol::control::Failure;
use containers_protocol::unpack::{Compression, Unpack, Unpacked};
use rustix::fd::{AsRawFd, OwnedFd};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder with an empty `tree` to unpack into and a `canary` beside it, removed in the end.
pub(super) struct Place {
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Place {
        let mut random = [0u8; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).unwrap();
        let path = std::env::temp_dir().join(format!("containers-unpack-{:x}", u64::from_ne_bytes(random)));
        std::fs::create_dir_all(path.join("tree")).unwrap();
        std::fs::create_dir_all(path.join("canary/folder")).unwrap();
        std::fs::write(path.join("canary/file"), "untouched").unwrap();
        std::os::unix::fs::symlink("file", path.join("canary/link")).unwrap();
        Place { path }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    pub(super) fn unpack(&self, request: &Unpack, stream: &[u8]) -> Result<Unpacked, Failure> {
        let fd = rustix::fs::memfd_create("stream", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(fd);
        file.write_all(stream).unwrap();
        file.rewind().unwrap();
        self.unpack_fd(request, file.into())
    }

    pub(super) fn unpack_fd(&self, request: &Unpack, stream: OwnedFd) -> Result<Unpacked, Failure> {
        run(request, File::open(self.tree()).unwrap().into(), stream)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::process::Command::new("rm").arg("-rf").arg(&self.path).status();
    }
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A layer, for whoever runs the tests.
pub(super) fn request() -> Unpack {
    Unpack {
        compression: Compression::None,
        diff_id: None,
        whiteouts: true,
        rootless: !is_root(),
        single_id: !is_root(),
        max_bytes: 1 << 30,
        max_entries: 100_000,
    }
}

/// Everything below a folder, in a form that can be compared: type, mode, owner, time, content or target.
pub(super) fn snapshot(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    // By a descriptor: the longest path that an archive may have leaves no room for a long one before it.
    let dir = File::open(root).unwrap();
    let root = &PathBuf::from(format!("/proc/self/fd/{}/.", dir.as_raw_fd()));
    let mut left = vec![root.to_path_buf()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().unwrap();
        let kind = meta.file_type();
        let content = if kind.is_file() {
            let data = std::fs::read(&path).unwrap();
            if data.len() > 200 {
                format!("{} bytes {:x}", data.len(), sum(&data))
            } else {
                format!("{data:?}")
            }
        } else if kind.is_symlink() {
            format!("-> {:?}", std::fs::read_link(&path).unwrap())
        } else {
            format!("device {}", meta.rdev())
        };
        let line = format!(
            "{:o} {}:{} {}.{:09} {content}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        all.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), line);
        if kind.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    all
}

fn sum(data: &[u8]) -> u64 {
    data.iter().fold(0, |s: u64, b| s.wrapping_mul(31).wrapping_add((*b).into()))
}

/// Names below a folder.
pub(super) fn names(root: &Path) -> Vec<String> {
    let all = snapshot(root);
    all.keys().filter(|k| !k.is_empty()).map(|k| String::from_utf8_lossy(k).into_owned()).collect()
}
