//! The helper program, as something that can be executed and that nobody can change.

use crate::{Error, ErrorKind, Result};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;

/// The embedded helper.
#[cfg(feature = "engine")]
pub(crate) fn executable(private: &Path) -> Result<OwnedFd> {
    use crate::sys::{HELPER, forget_helper};
    use std::io::Write;
    /// So much of it is in this process's memory at once.
    const CHUNK: usize = 256 << 10;
    sealed_copy(private, |file| {
        let mut written = 0;
        HELPER.chunks(CHUNK).try_for_each(|part| {
            file.write_all(part)?;
            written += part.len();
            forget_helper(written);
            Ok(())
        })
    })
}

/// What `write` writes, in a sealed memory file, which nobody can overwrite, nor look up, nor put another one in its
/// place. Where memory files may not be executed: a file without a name in `private`.
pub(crate) fn sealed_copy(private: &Path, write: impl Fn(&mut File) -> io::Result<()>) -> Result<OwnedFd> {
    match sealed(&write) {
        // `vm.memfd_noexec` is 2, here or in a process namespace above.
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => private_file(private, write),
        made => made.map_err(|e| Error::io("can't make a memory file for the helper program", e)),
    }
}

fn sealed(write: impl Fn(&mut File) -> io::Result<()>) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match memfd_create("containers-init", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag, and all memory files may be executed.
        Err(Errno::INVAL) => memfd_create("containers-init", flags)?,
        other => other?,
    };
    let mut file = File::from(fd);
    write(&mut file)?;
    let fd = OwnedFd::from(file);
    fcntl_add_seals(&fd, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(fd)
}

fn private_file(dir: &Path, write: impl Fn(&mut File) -> io::Result<()>) -> Result<OwnedFd> {
    let make = || -> io::Result<OwnedFd> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(dir, flags, Mode::from_raw_mode(0o500))?);
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o500))?;
        write(&mut file)?;
        // Only a file that nobody has open for writing can be executed.
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::open(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    };
    make().map_err(|e| {
        let fix = "this machine forbids executable memory files (sysctl vm.memfd_noexec=2), and the root folder \
                   can't hold a private file instead; set vm.memfd_noexec to 0 or 1";
        Error::new(ErrorKind::Unsupported, fix).with_context("path", dir.display().to_string()).with_source(e)
    })
}
