//! The helper for one process: it becomes the process, or makes it as its sibling and ends.

mod create;
mod join;

use crate::child::report::Reporter;
use crate::failure::{Context, failure};
use crate::sys::process;
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::launch::SOCKET;
use containers_protocol::oneshot::Request;
use containers_protocol::wire::{self, Message};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// The program.
pub fn main() -> ! {
    if process::close_from(SOCKET as u32 + 1, false).is_err() {
        process::exit(2);
    }
    let Some(sock) = process::adopt(SOCKET) else { process::exit(2) };
    process::ignore_signal(libc::SIGPIPE);
    rustix::process::umask(Mode::empty());
    let code = match wire::recv(&sock) {
        Ok(Some(message)) => answer(sock, message),
        Ok(None) => 0,
        Err(_) => 2,
    };
    process::exit(code)
}

fn answer(sock: OwnedFd, message: Message) -> i32 {
    let request = match wire::from_postcard::<Request>(&message.payload).during("setup") {
        Ok(request) => request,
        Err(failed) => return refuse(&Reporter::new(sock), &failed),
    };
    let preserved = match &request {
        Request::Create(create) => create.preserved,
        Request::Join(join) => join.preserved,
    };
    let (sock, fds) = match arrange(sock, message.fds, preserved) {
        Ok(arranged) => arranged,
        // Without the socket there is no way to say more.
        Err(_) => return 2,
    };
    let mut reporter = Reporter::new(sock);
    let done = match request {
        Request::Create(create) => create::create(&create, &mut reporter, &fds),
        Request::Join(join) => join::join(&join, &mut reporter, &fds),
    };
    match done {
        Ok(()) => 0,
        Err(failed) => refuse(&reporter, &failed),
    }
}

/// Opens the files that cgroups are entered through.
fn open_entrances(paths: &[Bytes]) -> Result<Vec<OwnedFd>, Failure> {
    paths.iter().map(|path| open_entrance(&path.0)).collect()
}

fn open_entrance(path: &[u8]) -> Result<OwnedFd, Failure> {
    let how = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, how, Mode::empty()).map_err(|e| no_entrance(path, e))
}

fn no_entrance(path: &[u8], e: Errno) -> Failure {
    Failure { detail: "the cgroup can't be entered".into(), ..failure("cgroup", path, e) }
}

fn refuse(reporter: &Reporter, failed: &Failure) -> i32 {
    reporter.send_failure(failed);
    1
}

/// Puts the last `preserved` descriptors at 3 and on, to stay there for the command, and everything else above.
fn arrange(sock: OwnedFd, fds: Vec<OwnedFd>, preserved: u32) -> Result<(OwnedFd, Vec<OwnedFd>), Errno> {
    if preserved == 0 {
        return Ok((sock, fds));
    }
    let first_free = SOCKET + preserved as i32;
    let move_up = |fd: OwnedFd| fcntl_dupfd_cloexec(&fd, first_free);
    // Those that are still to be moved keep their numbers until then.
    let moved: Vec<OwnedFd> =
        fds.iter().map(|fd| fcntl_dupfd_cloexec(fd, first_free)).collect::<Result<_, _>>()?;
    let sock = move_up(sock)?;
    drop(fds);
    let mut moved = moved;
    let at = moved.len().checked_sub(preserved as usize).ok_or(Errno::BADF)?;
    for (target, fd) in (SOCKET..).zip(moved.split_off(at)) {
        process::dup_to(fd.as_raw_fd(), target)?;
    }
    Ok((sock, moved))
}
