//! What a finished command leaves.

use crate::{Error, ErrorKind, Result};
use serde::Serialize;

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StdioStream {
    /// Standard output; a terminal's output too.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The result of a command that ran to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + n after death by signal n.
    pub exit_code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed it, or a process of it, for want of memory.
    pub oom_killed: bool,
    /// The command that ran.
    pub args: Vec<String>,
}

impl Output {
    /// This, or an error that carries it when the command failed and that is to be one.
    pub(crate) fn checked(self, check: bool) -> Result<Output> {
        if !check || self.exit_code == 0 {
            return Ok(self);
        }
        let text = format!("the command ended with code {}", self.exit_code);
        Err(Error::new(ErrorKind::ExitError, text)
            .with_context("command", self.args.join(" "))
            .with_context("exit_code", self.exit_code.to_string())
            .with_output(self))
    }
}
