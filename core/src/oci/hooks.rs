//! Hooks in the namespaces of the runtime.

use crate::{Error, ErrorKind, Result};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long to wait between looks at a hook with a time limit.
const LOOK: Duration = Duration::from_millis(5);

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

    /// Runs it to its end, with a state document on its standard input.
    pub(crate) fn run(&self, state: &[u8]) -> Result<()> {
        let mut command = Command::new(self.path);
        if let Some((name, args)) = self.args.split_first() {
            command.arg0(name).args(args);
        }
        let pairs = self.env.iter().filter_map(|e| e.split_once('='));
        command.env_clear().envs(pairs);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| self.failed(format!("can't be run: {e}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not want to know closes it.
            let _ = stdin.write_all(state);
        }
        if let Some(limit) = self.timeout
            && !ends_within(&mut child, limit).map_err(|e| self.failed(e.to_string()))?
        {
            let _ = child.kill();
            let _ = child.wait();
            return Err(self.failed("took too long and was killed".into()));
        }
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        let ended = child.wait().map_err(|e| self.failed(e.to_string()))?;
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

fn ends_within(child: &mut Child, limit: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}
