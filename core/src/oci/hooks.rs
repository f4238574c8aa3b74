//! Hooks in the namespaces of the runtime.

use crate::{Error, ErrorKind, Result};
use containers_protocol::hook::Talk;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program to run.
pub(crate) struct Hook<'a> {
    /// How messages call it: its kind and its place in the list (`poststart hook #0`).
    pub(crate) name: String,
    pub(crate) path: &'a Path,
    pub(crate) args: Vec<&'a std::ffi::OsStr>,
    pub(crate) env: Vec<&'a str>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> Hook<'a> {
    /// A hook of a configuration, the `index`th of its kind.
    pub(crate) fn of(kind: &str, index: usize, hook: &'a oci_spec::runtime::Hook) -> Hook<'a> {
        let seconds = hook.timeout().and_then(|t| u64::try_from(t).ok());
        Hook {
            name: format!("{kind} hook #{index}"),
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
        let served = self.serve(&mut child, state);
        if !matches!(served, Ok((true, _)))
            && let Some(group) = Pid::from_raw(child.id() as i32)
        {
            // Not reaped yet, so the id is still its own.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let ended = child.wait().map_err(|e| self.failed(e.to_string()))?;
        let (in_time, talk) = served.map_err(|e| self.failed(e.to_string()))?;
        if !in_time {
            return Err(self.failed("took too long and was killed".into()));
        }
        if ended.success() {
            return Ok(());
        }
        Err(self.failed(format!("{ended}, stderr: {}", talk.said())))
    }

    /// Talks with it until it ends; whether that was in time.
    fn serve(&self, child: &mut Child, state: &[u8]) -> rustix::io::Result<(bool, Talk)> {
        let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let mut talk = Talk::new(child.stdin.take().map(Into::into), child.stderr.take().map(Into::into))?;
        let in_time = talk.serve(process, state, self.timeout)?;
        Ok((in_time, talk))
    }

    fn failed(&self, why: String) -> Error {
        Error::new(ErrorKind::Exec, format!("error running {}: {why}", self.name))
            .with_context("path", self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(script: &str, timeout: Option<Duration>) -> Result<()> {
        let args = ["sh", "-c", script].map(std::ffi::OsStr::new).to_vec();
        let env = vec!["PATH=/usr/bin:/bin"];
        Hook { name: "poststop hook #0".into(), path: Path::new("/bin/sh"), args, env, timeout }.run(b"{}")
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
