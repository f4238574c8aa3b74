//! Unpacking of layers, in a process of its own inside the launcher's user namespace.

use super::cleanup::Worker;
use super::poller::{IN, NOTHING, Source};
use super::{Parent, refuse};
use crate::child::confine::die_with;
use crate::failure::failure;
use crate::sys::process::{self, Forked};
use containers_protocol::unpack::Unpack;
use containers_protocol::wire;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;

impl Parent {
    /// [`containers_protocol::launch::Request::Unpack`].
    pub(super) fn unpack(&mut self, request: Unpack, answer: OwnedFd, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        let (Some(dir), Some(stream)) = (fds.next(), fds.next()) else {
            return refuse(&answer, failure("unpack", b"descriptors", Errno::BADF));
        };
        // It makes threads, of which libc has to know.
        match process::fork_for_threads() {
            Ok(Forked::Child) => {
                let me = self.me.as_raw_fd();
                let mut keep = vec![0, 1, 2, me, answer.as_raw_fd(), dir.as_raw_fd(), stream.as_raw_fd()];
                if process::close_all_but(&mut keep).is_err() || die_with(self.me.as_fd()).is_err() {
                    process::exit(1);
                }
                process::exit(work(request, &answer, dir, stream))
            }
            Ok(Forked::Parent { pidfd, .. }) => self.watch(pidfd, answer),
            Err(e) => refuse(&answer, failure("unpack", b"", e)),
        }
    }

    /// Waits for a worker, and for the end of whoever waits for it.
    fn watch(&mut self, pidfd: OwnedFd, answer: OwnedFd) {
        let id = self.id();
        let Ok(token) = self.poller.add(&pidfd, Source::Worker(id), IN) else {
            let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
            let _ = process::reap(&pidfd, false);
            return refuse(&answer, failure("unpack", b"", Errno::NOMEM));
        };
        let client = self.poller.add(&answer, Source::WorkerClient(id), NOTHING).ok();
        self.cleanup.add_worker(Worker { id, pidfd, token, answer: Some(answer), client });
    }
}

/// The work of the process; its exit code.
fn work(request: Unpack, answer: &OwnedFd, dir: OwnedFd, stream: OwnedFd) -> i32 {
    match crate::unpack::run(&request, dir, stream) {
        Ok(unpacked) => i32::from(wire::send_json(answer, &unpacked, &[]).is_err()),
        Err(failed) => {
            refuse(answer, failed);
            1
        }
    }
}
