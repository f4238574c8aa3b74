//! Docker's credential helpers: `docker-credential-NAME get`.
//!
//! The child is one of the host process, which may reap it before us or ignore SIGCHLD: its output counts, its
//! exit code only when it is known. It is waited for by its pid alone.

use super::{Credentials, Secret};
use crate::executor;
use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Deserialize;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest answer that is read.
const MAX_ANSWER: u64 = 1 << 20;
/// What helpers say when they have nothing; a part of the protocol.
const NOT_FOUND: [&str; 2] = ["credentials not found in native keychain", "no credentials server URL"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper for the credentials of a server; `None`: it has none. The error is a few words without
/// secrets.
pub(super) async fn get(
    name: &str,
    server: &str,
    search: &OsStr,
    timeout: Duration,
) -> Result<Option<Credentials>, String> {
    let named = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && name.len() <= 100;
    if !named || name.starts_with('.') {
        return Err("a credential helper's name has other than letters, digits, `.`, `_`, `-`".into());
    }
    let program = format!("docker-credential-{name}");
    let path = find(&program, search).ok_or_else(|| format!("{program} is not in PATH"))?;
    let failed = |what: String| format!("{program}: {what}");
    let mut child = Child::spawn(&path, &program, server).map_err(|e| failed(e.to_string()))?;
    let deadline = Instant::now() + timeout;
    let output = match executor::timeout_at(Some(deadline), child.read()).await {
        Ok(output) => output.map_err(|e| failed(e.to_string()))?,
        Err(_) => return Err(failed(format!("no answer within {} seconds", timeout.as_secs_f32()))),
    };
    let code = child.finish(deadline).await;
    interpret(&output, code).map_err(failed)
}

fn interpret(output: &[u8], code: Option<i32>) -> Result<Option<Credentials>, String> {
    let text = String::from_utf8_lossy(output);
    if NOT_FOUND.iter().any(|n| text.trim().eq_ignore_ascii_case(n)) {
        return Ok(None);
    }
    if let Some(code) = code.filter(|c| *c != 0) {
        // Its output is a message then, and not known to be free of secrets.
        return Err(format!("exit code {code}"));
    }
    let answer: Answer =
        serde_json::from_slice(output).map_err(|_| "an answer that is not understood".to_owned())?;
    Ok(match answer {
        a if a.secret.is_empty() => None,
        a if a.username == "<token>" => Some(Credentials::IdentityToken(Secret::new(a.secret))),
        a if a.username.is_empty() => None,
        a => Some(Credentials::Password { username: a.username, password: Secret::new(a.secret) }),
    })
}

/// Looks for a program in the absolute folders of a search path.
fn find(program: &str, search: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(search).filter(|p| p.is_absolute());
    folders.map(|dir| dir.join(program)).find(|candidate| {
        candidate.is_file() && nix::unistd::access(candidate, nix::unistd::AccessFlags::X_OK).is_ok()
    })
}

struct Child {
    pid: Pid,
    output: PipeReader,
    reaped: bool,
}

impl Child {
    fn spawn(path: &std::path::Path, program: &str, server: &str) -> std::io::Result<Child> {
        let (output, child_output) = std::io::pipe()?;
        let (child_input, mut input) = std::io::pipe()?;
        let null = File::options().write(true).open("/dev/null")?;
        // A server's name is far shorter than what a pipe holds, so this can't block.
        input.write_all(server.as_bytes())?;
        drop(input);
        let mut actions = PosixSpawnFileActions::init()?;
        let mut attributes = PosixSpawnAttr::init()?;
        // First away from the low numbers, so that no source is overwritten by an earlier target.
        let sources = [OwnedFd::from(child_input), child_output.into(), null.into()];
        let high: Vec<OwnedFd> = sources.iter().map(above_stdio).collect::<std::io::Result<_>>()?;
        for (target, source) in high.iter().enumerate() {
            actions.add_dup2(source.as_raw_fd(), target as i32)?;
        }
        // Our I/O thread blocks every signal; a program expects none blocked and the usual reactions.
        attributes
            .set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        attributes.set_sigmask(&SigSet::empty())?;
        let mut defaults = SigSet::all();
        defaults.remove(Signal::SIGKILL);
        defaults.remove(Signal::SIGSTOP);
        attributes.set_sigdefault(&defaults)?;
        let arguments = [c_string(program.as_bytes())?, c"get".to_owned()];
        let environment = environment()?;
        let file = c_string(path.as_os_str().as_bytes())?;
        let pid = posix_spawn(file.as_c_str(), &actions, &attributes, &arguments, &environment)?;
        Ok(Child { pid, output, reaped: false })
    }

    async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let flags = rustix::fs::fcntl_getfl(&self.output)?;
        rustix::fs::fcntl_setfl(&self.output, flags | rustix::fs::OFlags::NONBLOCK)?;
        let mut all = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match self.output.read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(n) if (all.len() + n) as u64 > MAX_ANSWER => {
                    return Err(std::io::Error::other("the answer is too long"));
                }
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    executor::readable(&self.output).await?
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the end after the output has ended; `None`: the exit code is not known.
    async fn finish(&mut self, deadline: Instant) -> Option<i32> {
        let mut pause = Duration::from_millis(1);
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, code)) => {
                    self.reaped = true;
                    return Some(code);
                }
                Ok(_) => {
                    self.reaped = true;
                    return Some(-1);
                }
                Err(_) => {
                    // The host was faster, or ignores SIGCHLD.
                    self.reaped = true;
                    return None;
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            executor::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // Ours until it is reaped; if the host's loop on wait() does that in this very moment the number is
        // not reused yet in practice, and we ask first.
        if matches!(waitpid(self.pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

fn above_stdio(fd: &OwnedFd) -> std::io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

fn environment() -> std::io::Result<Vec<CString>> {
    let pair = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        c_string(&[name.as_bytes(), b"=", OsStr::as_bytes(&value)].concat())
    };
    std::env::vars_os().map(pair).collect()
}

fn c_string(bytes: &[u8]) -> std::io::Result<CString> {
    Ok(CString::new(bytes)?)
}
