//! The terminal of a container: from its own devpts, without a path that the image controls.

use super::mounts::clone_tree;
use super::root::{Root, attach};
use crate::failure::{Context, coded};
use crate::sys::tty;
use containers_protocol::control::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;

/// `DEVPTS_SUPER_MAGIC`.
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Both sides of a terminal.
pub struct Pty {
    /// The side of whoever uses the terminal.
    pub master: OwnedFd,
    /// The side of the program.
    pub slave: OwnedFd,
}

/// Opens a terminal of the devpts at `/dev/pts` of the root.
pub fn open(root: &Root, rows: u16, cols: u16) -> Result<Pty, Failure> {
    let how = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let master = root.open_real(b"/dev/pts/ptmx", how).at("tty", b"/dev/pts/ptmx")?;
    pair(master, rows, cols)
}

/// The same from inside the container's mount namespace.
pub fn open_inside(rows: u16, cols: u16) -> Result<Pty, Failure> {
    let how = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = openat(CWD, c"/dev/pts/ptmx", how, Mode::empty()).at("tty", b"/dev/pts/ptmx")?;
    pair(master, rows, cols)
}

fn pair(master: OwnedFd, rows: u16, cols: u16) -> Result<Pty, Failure> {
    let stat = fstat(&master).at("tty", b"/dev/pts/ptmx")?;
    let filesystem = fstatfs(&master).at("tty", b"/dev/pts/ptmx")?;
    let is_node = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_node || filesystem.f_type as u64 != DEVPTS_MAGIC {
        return Err(coded("", "tty", b"/dev/pts/ptmx", "it is not the kernel's pseudo-terminal device"));
    }
    // Non-blocking was for whatever else could have been there.
    rustix::io::ioctl_fionbio(&master, false).at("tty", b"/dev/pts/ptmx")?;
    tty::unlock(&master).at("tty", b"/dev/pts/ptmx")?;
    let slave = tty::peer(&master).at("tty", b"/dev/pts/ptmx")?;
    if (rows, cols) != (0, 0) {
        tty::resize(&master, rows, cols).at("tty", b"/dev/pts/ptmx")?;
    }
    Ok(Pty { master, slave })
}

/// Mounts the program's side over `/dev/console`.
pub fn console(root: &Root, pty: &Pty) -> Result<(), Failure> {
    let node = clone_tree(&pty.slave, b"", false).at("console", b"/dev/console")?;
    let target = match root.open_real(b"/dev/console", OFlags::PATH) {
        Err(Errno::NOENT) => {
            let dev = root.real_dir(b"/dev").at("console", b"/dev/console")?;
            let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let made = openat(dev, c"console", how, Mode::from_raw_mode(0o600));
            drop(made.at("console", b"/dev/console")?);
            root.open_real(b"/dev/console", OFlags::PATH)
        }
        there => there,
    };
    let target = target.at("console", b"/dev/console")?;
    attach(&node, &target).at("console", b"/dev/console")
}
