//! Hooks in the namespaces of the container.

use super::confine;
use crate::failure::{Context, coded, failure};
use crate::sys::process::{self, CStrings, Forked};
use containers_protocol::control::Failure;
use containers_protocol::hook::Talk;
use containers_protocol::plan::{Hook, ProcessPlan};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::CString;
use std::time::Duration;

/// Runs a hook to its end. One that fails is an error, as is one that takes too long: it is killed with all of its
/// process group, which is its own.
pub fn run(hook: &Hook, command: Option<(&CStrings, &ProcessPlan)>) -> Result<(), Failure> {
    let at = &hook.path.0;
    let path = CString::new(at.as_slice()).map_err(|_| failure("hook", at, Errno::INVAL))?;
    let args = CStrings::new(hook.args.iter().map(|a| a.0.as_slice())).at("hook", at)?;
    let own = CStrings::new(hook.env.iter().map(|a| a.0.as_slice())).at("hook", at)?;
    let env = command.map(|(env, _)| env).filter(|_| hook.inherits).unwrap_or(&own);
    let (stdin, feed) = pipe_with(PipeFlags::CLOEXEC).at("hook", at)?;
    let (listen, output) = pipe_with(PipeFlags::CLOEXEC).at("hook", at)?;
    match process::fork(0, None).at("hook", at)? {
        Forked::Child => {
            let _ = rustix::process::setpgid(None, None);
            let failed =
                become_hook((&path, &args, env), &stdin, &output, command.map(|(_, process)| process));
            let _ = rustix::io::write(rustix::stdio::stderr(), failed.to_string().as_bytes());
            process::exit(127)
        }
        Forked::Parent { pid: child, pidfd } => {
            drop((stdin, output));
            // It does the same: whoever comes first. Once it executes its program, it has done it.
            let group = rustix::process::Pid::from_raw(child);
            let _ = rustix::process::setpgid(group, group);
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            let mut talk = Talk::new(Some(feed), Some(listen)).at("hook", at)?;
            let limit = hook.timeout_ms.map(Duration::from_millis);
            let in_time = talk.serve(&pidfd, &hook.stdin_for(pid), limit).at("hook", at)?;
            if !in_time {
                // Not reaped yet, so the id is still its own.
                let _ = process::kill(-child, libc::SIGKILL);
            }
            let failed = |why: &str| format!("error running {}: {why}", hook.name);
            let ended = process::reap(&pidfd, false).at("hook", at)?;
            match ended {
                _ if !in_time => Err(coded("", "hook", at, &failed("it took too long and was killed"))),
                Some(ended) if ended.code == 0 => Ok(()),
                Some(ended) => {
                    let said = talk.said();
                    let how = match ended.signal {
                        0 => format!("exit status: {}", ended.code),
                        libc::SIGSYS => "signal: bad system call".to_owned(),
                        signal => format!("signal: {signal}"),
                    };
                    let why = format!("{how}, output: {said}");
                    Err(coded("", "hook", at, &failed(&why)))
                }
                None => Err(failure("hook", at, Errno::CHILD)),
            }
        }
    }
}

/// Becomes the hook's program. Returns only on failure.
fn become_hook(
    (path, args, env): (&CString, &CStrings, &CStrings),
    stdin: &OwnedFd,
    output: &OwnedFd,
    command: Option<&ProcessPlan>,
) -> Errno {
    let streams = [(stdin, 0), (output, 1), (output, 2)];
    for (fd, target) in streams {
        if let Err(e) = process::dup_to(fd.as_raw_fd(), target) {
            return e;
        }
    }
    process::default_signal(libc::SIGPIPE);
    let filtered = command.map_or(Ok(()), confine::hook_filter);
    match filtered.and_then(|()| process::close_from(3, false)) {
        Ok(()) => process::execve(path, args, env),
        Err(e) => e,
    }
}
