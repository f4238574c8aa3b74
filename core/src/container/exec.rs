//! Further processes, and the streams of the first one.

use super::io::{input_pipe, output_pipe};
use super::process::{Parts, Process};
use super::shared::{Shared, is_running};
use super::spec::{check_dir, check_user, check_variable, parse};
use super::{ExecOptions, Output, events};
use crate::{Error, Result};
use containers_protocol::control::{self, Request};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The parent kills a process that takes too long, too, for it may be that nobody waits here.
const LATER: Duration = Duration::from_millis(200);

impl Shared {
    /// [`crate::Container::exec`].
    pub(super) async fn exec(self: &Arc<Self>, options: ExecOptions) -> Result<Process> {
        let timeout = options.timeout.map(|t| parse::seconds(t, "timeout")).transpose()?;
        let exec = checked(&options, timeout)?;
        let client = self.running_client().await?;
        let plain = !options.tty && !options.detach;
        let stdin = if plain && options.stdin { Some(input_pipe()?) } else { None };
        let outputs = if plain { Some((output_pipe()?, output_pipe()?)) } else { None };
        let mut fds: Vec<BorrowedFd<'_>> = Vec::with_capacity(3);
        fds.extend(stdin.as_ref().map(|(_, theirs)| theirs.as_fd()));
        if let Some(((_, out), (_, err))) = &outputs {
            fds.extend([out.as_fd(), err.as_fd()]);
        }
        let args = exec.args.clone();
        client.send(&Request::Exec(Box::new(exec)), &fds).await?;
        let (_, master) = events::started(&client.socket).await?;
        let streams = match outputs {
            Some(((out, _), (err, _))) => [stdin.map(|(ours, _)| ours), Some(out), Some(err)],
            None => terminal(master)?,
        };
        Ok(Process::new(Parts {
            container: self.clone(),
            exec: Some(client.socket),
            streams,
            tty: options.tty,
            args,
            timeout,
        }))
    }

    /// [`crate::Container::exec_run`].
    pub(super) async fn exec_run(self: &Arc<Self>, options: ExecOptions, check: bool) -> Result<Output> {
        let process = self.exec(options).await?;
        process.communicate(&[]).await?.checked(check)
    }

    /// [`crate::Container::attach`].
    pub(super) async fn attach(self: &Arc<Self>) -> Result<Process> {
        let state = self.state().await?;
        let record = self.record();
        let with_stdin = record.options.stdin;
        let stdin = if with_stdin { Some(input_pipe()?) } else { None };
        let stdout = output_pipe()?;
        let stderr = if record.options.tty { None } else { Some(output_pipe()?) };
        let (stdin, their_in) = stdin.map_or((None, None), |(ours, theirs)| (Some(ours), Some(theirs)));
        let (stderr, their_err) = stderr.map_or((None, None), |(ours, theirs)| (Some(ours), Some(theirs)));
        let theirs = [their_in, Some(stdout.1), their_err];
        if is_running(&state) {
            let client = self.running_client().await?;
            let fds: Vec<BorrowedFd<'_>> = theirs.iter().flatten().map(|fd| fd.as_fd()).collect();
            let request =
                Request::Attach { stdin: theirs[0].is_some(), stdout: true, stderr: theirs[2].is_some() };
            client.ask(&request, &fds).await?;
        } else {
            self.waiting.lock().unwrap_or_else(|e| e.into_inner()).push(theirs);
        }
        Ok(Process::new(Parts {
            container: self.clone(),
            exec: None,
            streams: [stdin, Some(stdout.0), stderr],
            tty: record.options.tty,
            args: record.options.command.clone(),
            timeout: None,
        }))
    }
}

fn checked(options: &ExecOptions, timeout: Option<Duration>) -> Result<control::Exec> {
    match options.command.first() {
        None => return Err(parse::bad("command", "there is no command")),
        Some(first) if first.is_empty() => return Err(parse::bad("command", "the command is an empty text")),
        Some(_) => {}
    }
    if options.command.iter().any(|a| a.contains('\0')) {
        return Err(parse::bad("command", "an argument contains a NUL character"));
    }
    for (key, value) in &options.environment {
        check_variable(key, value)?;
    }
    options.working_dir.as_deref().map(check_dir).transpose()?;
    options.user.as_deref().map(check_user).transpose()?;
    if options.detach && (options.stdin || options.tty || options.timeout.is_some()) {
        return Err(parse::bad("detach", "a detached process has neither streams nor a timeout"));
    }
    let tty = parse::terminal(options.tty, options.tty_size)?;
    let plain = !options.tty && !options.detach;
    Ok(control::Exec {
        args: options.command.clone(),
        env: options.environment.iter().map(|(k, v)| format!("{k}={v}")).collect(),
        cwd: options.working_dir.clone(),
        user: options.user.clone().filter(|u| !u.is_empty()),
        privileged: options.privileged,
        tty,
        stdio: [plain && options.stdin, plain, plain],
        kill_on_close: !options.detach,
        timeout_ms: timeout.map(|t| (t + LATER).as_millis() as u64),
    })
}

/// The terminal's master as standard input and output.
fn terminal(master: Option<OwnedFd>) -> Result<[Option<OwnedFd>; 3]> {
    let Some(master) = master else { return Ok([None, None, None]) };
    let failed = |e: rustix::io::Errno| Error::io("can't set up the terminal", e.into());
    rustix::io::ioctl_fionbio(&master, true).map_err(failed)?;
    let input = rustix::io::fcntl_dupfd_cloexec(&master, 3).map_err(failed)?;
    Ok([Some(input), Some(master), None])
}
