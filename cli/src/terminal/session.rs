//! A session: this program's streams, terminal size and signals joined to a process.

use super::signals::Signals;
use super::tty::{RawMode, stdin_is_terminal, window_size};
use crate::exit::{Failure, Outcome};
use containers::executor::readable;
use containers::{Container, Process, StdioStream};
use futures::future::{Either, select};
use nix::libc::SIGWINCH;
use std::io::{Write, stderr, stdout};
use std::os::fd::AsFd;
use std::pin::pin;

/// docker's keys to leave a terminal session: ctrl-p ctrl-q.
const DETACH_KEYS: [u8; 2] = [0x10, 0x11];

/// `-it` without a terminal is refused, as docker does.
pub fn needs_terminal(interactive: bool, tty: bool) -> Result<(), Failure> {
    if interactive && tty && !stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}

/// What is joined to what.
pub struct Session<'a> {
    /// The process.
    pub process: &'a Process,
    /// Signals of this program go to this container, if any.
    pub container: Option<&'a Container>,
    /// Standard input is passed on.
    pub stdin: bool,
    /// It has a terminal.
    pub tty: bool,
}

enum End {
    Output,
    Detached,
}

impl Session<'_> {
    /// Runs until the process ends or the user detaches; the exit code.
    pub async fn run(&self) -> Outcome {
        let raw = if self.tty && self.stdin { RawMode::enter() } else { None };
        let signals = Signals::open()?;
        let end = self.pump(&signals, raw.is_some()).await;
        drop(raw);
        match end? {
            End::Detached => {
                eprintln!("read escape sequence");
                Ok(0)
            }
            End::Output => {
                let code = self.process.wait(None).await?;
                Ok(u8::try_from(code).unwrap_or(255))
            }
        }
    }

    async fn pump(&self, signals: &Signals, keys: bool) -> Result<End, Failure> {
        let output = pin!(self.output());
        let other = pin!(async {
            let control = pin!(self.control(signals));
            let input = pin!(self.input(keys));
            match select(input, control).await {
                Either::Left((Ok(None), control)) => control.await.map(|()| End::Output),
                Either::Left((Ok(Some(end)), _)) => Ok(end),
                Either::Left((Err(e), _)) => Err(e),
                Either::Right((done, _)) => done.map(|()| End::Output),
            }
        });
        match select(output, other).await {
            Either::Left((done, _)) => done.map(|()| End::Output),
            Either::Right((done, _)) => done,
        }
    }

    async fn output(&self) -> Result<(), Failure> {
        while let Some((stream, data)) = self.process.next().await? {
            match stream {
                StdioStream::Stdout => {
                    let mut out = stdout().lock();
                    out.write_all(&data)?;
                    out.flush()?;
                }
                StdioStream::Stderr => stderr().write_all(&data)?,
            }
        }
        Ok(())
    }

    /// Passes standard input on until it ends; `Some`: the user detached.
    async fn input(&self, keys: bool) -> Result<Option<End>, Failure> {
        if !self.stdin {
            self.process.close_stdin();
            return Ok(None);
        }
        let mut buffer = vec![0; 32 * 1024];
        let mut seen = 0;
        loop {
            readable(&std::io::stdin()).await?;
            let n = match rustix::io::read(std::io::stdin().as_fd(), &mut buffer[..]) {
                Ok(n) => n,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                // A terminal that has hung up has no more input.
                Err(rustix::io::Errno::IO) => 0,
                Err(e) => return Err(std::io::Error::from(e).into()),
            };
            if n == 0 {
                self.process.close_stdin();
                return Ok(None);
            }
            let mut data = Vec::with_capacity(n + 1);
            for &byte in &buffer[..n] {
                match byte {
                    b if keys && seen == 1 && b == DETACH_KEYS[1] => return Ok(Some(End::Detached)),
                    b if keys && b == DETACH_KEYS[0] && seen == 0 => seen = 1,
                    b => {
                        if seen == 1 {
                            data.push(DETACH_KEYS[0]);
                            seen = 0;
                        }
                        data.push(b);
                    }
                }
            }
            if self.process.write(&data).await.is_err() {
                // The process has closed its input; its output and exit code still count.
                return Ok(None);
            }
        }
    }

    /// Passes signals and the terminal's size on, for ever.
    async fn control(&self, signals: &Signals) -> Result<(), Failure> {
        self.resize().await;
        loop {
            let signal = signals.next().await?;
            if signal == SIGWINCH {
                self.resize().await;
                continue;
            }
            match self.container {
                // It may just have ended: then the output ends, too.
                Some(container) => drop(container.kill(&signal.to_string()).await),
                None => drop(self.process.kill(signal).await),
            }
        }
    }

    async fn resize(&self) {
        if self.tty
            && let Some((rows, cols)) = window_size()
        {
            let _ = self.process.resize(rows, cols).await;
        }
    }
}
