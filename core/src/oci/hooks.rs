//! Hooks in the namespaces of the runtime.

use crate::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So much of what a hook that failed has said is passed on.
const MAX_SAID: usize = 4096;

/// A program to run.
pub(crate) struct Hook<'a> {
    pub(crate) path: &'a Path,
    pub(crate) args: Vec<&'a std::ffi::OsStr>,
    pub(crate) env: Vec<&'a str>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> Hook<'a> {
    /// A hook of a configuration.
    pub(crate) fn of(hook: &'a oci_spec::runtime::Hook) -> Hook<'a> {
        let seconds = hook.timeout().and_then(|t| u64::try_from(t).ok());
        Hook {
            path: hook.path(),
            args: hook.args().iter().flatten().map(std::ffi::OsStr::new).collect(),
            env: hook.env().iter().flatten().map(String::as_str).collect(),
            timeout: seconds.map(Duration::from_secs),
        }
    }

    /// Runs it to its end, with a state document on its standard input. One that takes too long is killed with
    /// all of its process group, which is its own.
    pub(crate) fn run(&self, state: &[u8]) -> Result<()> {
        let mut command = Command::new(self.path);
        if let Some((name, args)) = self.args.split_first() {
            command.arg0(name).args(args);
        }
        let pairs = self.env.iter().filter_map(|e| e.split_once('='));
        command.env_clear().envs(pairs).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| self.failed(format!("can't be run: {e}")))?;
        let mut said = Vec::new();
        let served = Watched::of(&mut child).and_then(|mut watched| {
            let in_time = watched.serve(state, self.timeout);
            said = watched.said;
            in_time
        });
        if !matches!(served, Ok(true))
            && let Some(group) = Pid::from_raw(child.id() as i32)
        {
            // Not reaped yet, so the id is still its own.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let ended = child.wait().map_err(|e| self.failed(e.to_string()))?;
        if !served.map_err(|e| self.failed(e.to_string()))? {
            return Err(self.failed("took too long and was killed".into()));
        }
        if ended.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(self.failed(format!("{ended}, stderr: {}", said.trim_end())))
    }

    fn failed(&self, why: String) -> Error {
        Error::new(ErrorKind::Exec, format!("error running hook: {why}"))
            .with_context("path", self.path.display().to_string())
    }
}

/// A hook that runs.
struct Watched {
    process: OwnedFd,
    feed: Option<OwnedFd>,
    listen: Option<OwnedFd>,
    said: Vec<u8>,
}

impl Watched {
    fn of(child: &mut Child) -> std::io::Result<Watched> {
        let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH)?;
        let watched = Watched {
            process: pidfd_open(pid, PidfdFlags::empty())?,
            feed: child.stdin.take().map(OwnedFd::from),
            listen: child.stderr.take().map(OwnedFd::from),
            said: Vec::new(),
        };
        for fd in watched.feed.iter().chain(&watched.listen) {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(watched)
    }

    /// Feeds it and listens to it until it ends. `false`: it did not end in time.
    fn serve(&mut self, mut input: &[u8], limit: Option<Duration>) -> std::io::Result<bool> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            if input.is_empty() {
                self.feed = None;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let left =
                left.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() });
            let mut fds = vec![PollFd::new(&self.process, PollFlags::IN)];
            fds.extend(self.listen.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.feed.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
            match poll(&mut fds, left.as_ref()) {
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
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
}

/// Takes what there is, and keeps the beginning; `false`: there will be no more.
fn listen_to(fd: impl AsFd, said: &mut Vec<u8>) -> bool {
    let mut buf = [0u8; 1024];
    loop {
        match rustix::io::read(&fd, &mut buf) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<Duration>) -> Result<()> {
        let args = ["sh", "-c", script].map(std::ffi::OsStr::new).to_vec();
        let env = vec!["PATH=/usr/bin:/bin"];
        Hook { path: Path::new("/bin/sh"), args, env, timeout }.run(b"{}")
    }

    #[test]
    fn one_that_says_much_is_heard_to_the_end() {
        let much = "head -c 300000 /dev/zero >&2";
        shell(much, None).unwrap();
        let e = shell(&format!("{much}; echo after >&2; exit 3"), None).unwrap_err();
        assert!(e.to_string().contains("exit status: 3") && e.to_string().len() < 5000);
    }

    #[test]
    fn a_slow_one_is_killed_with_its_children() {
        let dir = std::env::temp_dir().join(format!("containers-hook-{}", std::process::id()));
        let script = format!("sleep 30 & echo $! > {}; wait", dir.display());
        assert!(shell(&script, Some(Duration::from_millis(500))).is_err());
        let pid: i32 = std::fs::read_to_string(&dir).unwrap().trim().parse().unwrap();
        std::fs::remove_file(&dir).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let end = Instant::now() + Duration::from_secs(10);
        while !gone() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(gone());
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        shell("sleep 0.5 & exit 0", None).unwrap();
    }
}
