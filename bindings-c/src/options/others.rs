//! Options of what is done with a container that is there.

use super::read::tty_size;
use crate::error::{milliseconds, seconds};
use crate::ffi::{SizedStruct, ctr_given_text, ctr_given_texts};
use containers::{ExecOptions, ListOptions, LogOptions, RemoveOptions, Result, StopOptions};

/// How to run a further process in a running container.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_exec_options {
    /// sizeof(ctr_exec_options).
    pub size: usize,
    /// 1: open standard input for writing; else it is /dev/null.
    pub stdin_open: i32,
    /// 1: give it a terminal.
    pub tty: i32,
    /// Rows of the terminal; 0: 24.
    pub tty_rows: u16,
    /// Columns of the terminal; 0: 80.
    pub tty_cols: u16,
    /// Variables on top of the container's: `KEY=value`.
    pub environment: ctr_given_texts,
    /// NULL: the container's.
    pub working_dir: ctr_given_text,
    /// NULL: the container's.
    pub user: ctr_given_text,
    /// 1: all capabilities.
    pub privileged: i32,
    /// Time until its process group is killed; then waits and reads fail with CTR_E_EXEC_TIMEOUT.
    pub timeout_ms: i64,
}

/// What ctr_container_list shows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_list_options {
    /// sizeof(ctr_list_options).
    pub size: usize,
    /// 1: those that do not run, too.
    pub all: i32,
    /// docker's filters: `name=…`, `id=…`, `label=…`, `status=…`, `ancestor=…`, `exited=…`; several of one name are
    /// alternatives.
    pub filters: ctr_given_texts,
}

/// Which part of a log.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_log_options {
    /// sizeof(ctr_log_options).
    pub size: usize,
    /// 1: only the last `tail` lines.
    pub use_tail: i32,
    /// How many lines, with `use_tail`.
    pub tail: u64,
    /// Not before this time in Unix milliseconds; 0: from the start.
    pub since_ms: i64,
    /// Not after this time in Unix milliseconds; 0: to the end.
    pub until_ms: i64,
    /// 1: wait for more until the container has ended (ctr_container_logs_stream).
    pub follow: i32,
    /// 1: leave standard output out.
    pub no_stdout: i32,
    /// 1: leave standard error out.
    pub no_stderr: i32,
}

/// How to stop a container.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_stop_options {
    /// sizeof(ctr_stop_options).
    pub size: usize,
    /// The signal to send first: `SIGTERM`, `TERM`, `15`; NULL: the container's.
    pub stop_signal: ctr_given_text,
    /// 1: kill it after `timeout_ms`; 0: after the container's stop_timeout.
    pub use_timeout: i32,
    /// Time until it is killed, with `use_timeout`; 0: at once.
    pub timeout_ms: i64,
}

/// How to remove a container.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_remove_options {
    /// sizeof(ctr_remove_options).
    pub size: usize,
    /// 1: kill it first when it runs.
    pub force: i32,
    /// 1: remove its anonymous volumes.
    pub volumes: i32,
}

// SAFETY: repr(C), led by size, of pointers and numbers only, for which any bytes are valid.
unsafe impl SizedStruct for ctr_exec_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_list_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_log_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_remove_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_stop_options {}

impl ctr_exec_options {
    /// The library's options for a command.
    pub fn into_options(self, command: Vec<String>) -> Result<ExecOptions> {
        let mut o = ExecOptions::default();
        o.command = command;
        o.stdin = self.stdin_open != 0;
        o.tty = self.tty != 0;
        o.tty_size = tty_size(self.tty_rows, self.tty_cols);
        o.environment = self.environment.pairs("environment", '=')?;
        o.working_dir = self.working_dir.owned("working_dir")?;
        o.user = self.user.owned("user")?;
        o.privileged = self.privileged != 0;
        o.timeout = seconds("timeout", self.timeout_ms)?;
        Ok(o)
    }
}

impl ctr_list_options {
    /// The library's options.
    pub fn into_options(self) -> Result<ListOptions> {
        let mut o = ListOptions::default();
        o.all = self.all != 0;
        let filters: Vec<(String, String)> = self.filters.pairs("filters", '=')?;
        for (name, value) in filters {
            o.filters.entry(name).or_default().push(value);
        }
        Ok(o)
    }
}

impl ctr_log_options {
    /// The library's options.
    pub fn into_options(self) -> Result<LogOptions> {
        let mut o = LogOptions::default();
        o.tail = (self.use_tail != 0).then_some(self.tail);
        o.since = time("since", self.since_ms)?;
        o.until = time("until", self.until_ms)?;
        o.follow = self.follow != 0;
        o.no_stdout = self.no_stdout != 0;
        o.no_stderr = self.no_stderr != 0;
        Ok(o)
    }
}

fn time(name: &str, value: i64) -> Result<Option<f64>> {
    let since_epoch = milliseconds(name, value)?;
    Ok(since_epoch.filter(|d| !d.is_zero()).map(|d| d.as_secs_f64()))
}

impl ctr_stop_options {
    /// The library's options.
    pub fn into_options(self) -> Result<StopOptions> {
        let mut o = StopOptions::default();
        o.stop_signal = self.stop_signal.owned("stop_signal")?;
        if self.use_timeout != 0 {
            o.timeout = milliseconds("timeout_ms", self.timeout_ms)?.map(|t| t.as_secs_f64());
        }
        Ok(o)
    }
}

impl ctr_remove_options {
    /// The library's options.
    pub fn into_options(self) -> RemoveOptions {
        let mut o = RemoveOptions::default();
        o.force = self.force != 0;
        o.volumes = self.volumes != 0;
        o
    }
}
