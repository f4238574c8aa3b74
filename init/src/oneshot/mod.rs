//! What becomes one process of a container: in the memory of the runtime, or a helper that becomes the process, or makes it as
//! its sibling and ends.

mod create;
mod join;

use crate::child::report::Reporter;
use crate::failure::{Context, failure};
use crate::sys::process;
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::launch::SOCKET;
use containers_protocol::oneshot::Request;
use containers_protocol::wire;
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

pub use create::become_first;

/// The program.
pub fn main() -> ! {
    let Some(sock) = begin() else { process::exit(2) };
    process::exit(serve(sock))
}

/// Makes this process independent of what it inherited; its socket.
fn begin() -> Option<OwnedFd> {
    let socket: RawFd = std::env::args().nth(2)?.parse().ok()?;
    process::reset_signals();
    process::dup_to(socket, SOCKET).ok()?;
    process::close_from(SOCKET as u32 + 1, false).ok()?;
    let sock = process::adopt(SOCKET)?;
    let null = openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    (0..SOCKET).try_for_each(|stream| process::dup_to(null.as_raw_fd(), stream)).ok()?;
    process::ignore_signal(libc::SIGPIPE);
    rustix::process::umask(Mode::empty());
    Some(sock)
}

/// Does what it is asked for; the exit code.
fn serve(sock: OwnedFd) -> i32 {
    let message = match wire::recv(&sock) {
        Ok(Some(message)) => message,
        Ok(None) => return 0,
        Err(_) => return 2,
    };
    match wire::from_postcard::<Request>(&message.payload).during("setup") {
        Ok(Request::Create(create)) => carry_out(sock, message.fds, create.preserved, |reporter, fds| {
            create::create(&create, reporter, fds)
        }),
        Ok(Request::Join(join)) => {
            carry_out(sock, message.fds, join.preserved, |reporter, fds| join::join(&join, reporter, fds))
        }
        Err(failed) => refuse(&Reporter::new(sock), &failed),
    }
}

/// Does one thing with the descriptors that came with it; the exit code.
fn carry_out(
    sock: OwnedFd,
    fds: Vec<OwnedFd>,
    preserved: u32,
    what: impl FnOnce(&mut Reporter, &[OwnedFd]) -> Result<(), Failure>,
) -> i32 {
    // Without the socket there is no way to say more.
    let Ok((sock, fds)) = arrange(sock, fds, preserved) else { return 2 };
    let mut reporter = Reporter::new(sock);
    match what(&mut reporter, &fds) {
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
