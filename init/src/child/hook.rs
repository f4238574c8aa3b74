//! Hooks in the namespaces of the container.

use crate::failure::{Context, coded, failure};
use crate::sys::process::{self, CStrings, Forked};
use containers_protocol::control::Failure;
use containers_protocol::plan::Hook;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// So much of what a hook that failed has said is passed on.
const MAX_SAID: usize = 4096;

/// Runs a hook to its end. One that fails is an error, as is one that takes too long: it is killed with all of its
/// process group, which is its own.
pub fn run(hook: &Hook) -> Result<(), Failure> {
    let at = &hook.path.0;
    let path = CString::new(at.as_slice()).map_err(|_| failure("hook", at, Errno::INVAL))?;
    let args = CStrings::new(hook.args.iter().map(|a| a.0.as_slice())).at("hook", at)?;
    let env = CStrings::new(hook.env.iter().map(|a| a.0.as_slice())).at("hook", at)?;
    let (stdin, feed) = pipe_with(PipeFlags::CLOEXEC).at("hook", at)?;
    let (listen, output) = pipe_with(PipeFlags::CLOEXEC).at("hook", at)?;
    match process::fork(0, None).at("hook", at)? {
        Forked::Child => {
            let _ = rustix::process::setpgid(None, None);
            let failed = become_hook(&path, &args, &env, &stdin, &output);
            let _ = rustix::io::write(rustix::stdio::stderr(), failed.to_string().as_bytes());
            process::exit(127)
        }
        Forked::Parent { pid: child, pidfd } => {
            drop((stdin, output));
            // It does the same: whoever comes first. Once it executes its program, it has done it.
            let group = rustix::process::Pid::from_raw(child);
            let _ = rustix::process::setpgid(group, group);
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            let mut watched = Watched { feed: Some(feed), listen: Some(listen), said: Vec::new() };
            let in_time = watched.serve(&pidfd, &hook.stdin_for(pid), hook.timeout_ms).at("hook", at)?;
            if !in_time {
                // Not reaped yet, so the id is still its own.
                let _ = process::kill(-child, libc::SIGKILL);
            }
            let ended = process::reap(&pidfd, false).at("hook", at)?;
            match ended {
                _ if !in_time => Err(coded("", "hook", at, "the hook took too long and was killed")),
                Some(ended) if ended.code == 0 => Ok(()),
                Some(ended) => Err(coded("", "hook", at, &watched.complaint(ended.code))),
                None => Err(failure("hook", at, Errno::CHILD)),
            }
        }
    }
}

/// Becomes the hook's program. Returns only on failure.
fn become_hook(path: &CString, args: &CStrings, env: &CStrings, stdin: &OwnedFd, output: &OwnedFd) -> Errno {
    let streams = [(stdin, 0), (output, 1), (output, 2)];
    for (fd, target) in streams {
        if let Err(e) = process::dup_to(fd.as_raw_fd(), target) {
            return e;
        }
    }
    process::default_signal(libc::SIGPIPE);
    match process::close_from(3, false) {
        Ok(()) => process::execve(path, args, env),
        Err(e) => e,
    }
}

/// A hook that runs.
struct Watched {
    feed: Option<OwnedFd>,
    listen: Option<OwnedFd>,
    said: Vec<u8>,
}

impl Watched {
    /// Feeds it and listens to it until it ends. `false`: it did not end in time.
    fn serve(&mut self, pidfd: &OwnedFd, mut input: &[u8], limit: Option<u64>) -> Result<bool, Errno> {
        let deadline = limit.map(|ms| Instant::now() + Duration::from_millis(ms));
        for fd in self.feed.iter().chain(&self.listen) {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        loop {
            if input.is_empty() {
                self.feed = None;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let left =
                left.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() });
            let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
            fds.extend(self.listen.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.feed.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
            match poll(&mut fds, left.as_ref()) {
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e),
                Ok(0) => return Ok(false),
                Ok(_) => {}
            }
            let ended = !fds[0].revents().is_empty();
            let open = self.listen.as_ref().is_none_or(|fd| listen_to(fd, &mut self.said));
            if !open {
                self.listen = None;
            }
            if ended {
                return Ok(true);
            }
            if let Some(feed) = &self.feed {
                match rustix::io::write(feed, input) {
                    Ok(n) => input = &input[n..],
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    // It does not want to know.
                    Err(_) => input = b"",
                }
            }
        }
    }

    fn complaint(&self, code: i32) -> String {
        let said = String::from_utf8_lossy(&self.said);
        format!("the hook ended with exit code {code}, output: {}", said.trim_end())
    }
}

/// Takes what there is; `false`: there will be no more.
fn listen_to(fd: &OwnedFd, said: &mut Vec<u8>) -> bool {
    let mut buf = [0u8; 1024];
    loop {
        match rustix::io::read(fd, &mut buf) {
            Ok(0) => return false,
            Ok(n) => {
                let room = MAX_SAID.saturating_sub(said.len());
                said.extend_from_slice(&buf[..n.min(room)]);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
}
