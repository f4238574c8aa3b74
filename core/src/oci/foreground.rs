//! A container in the foreground: its terminal, signals for it, its end.

use crate::{Error, ErrorKind, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// This process while a container is in its foreground.
pub(crate) struct Foreground {
    signals: SignalFd,
    before: SigSet,
    terminal: bool,
    saved: Option<Termios>,
}

impl Foreground {
    /// Takes signals over. With `terminal`, ours is connected with the container's.
    pub(crate) fn begin(terminal: bool) -> Result<Foreground> {
        let failed = |e: nix::Error| Error::io("signals can't be taken over", e.into());
        let mut all = SigSet::all();
        for not in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGPIPE] {
            all.remove(not);
        }
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before)).map_err(failed)?;
        let signals =
            SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        Ok(Foreground { signals, before, terminal, saved: None })
    }

    /// Rows and columns of our terminal.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        let size = tcgetwinsize(rustix::stdio::stdin()).ok().filter(|_| self.terminal)?;
        Some((size.ws_row, size.ws_col))
    }

    /// Serves a child until it has ended. Its exit code, or 128 and the signal.
    pub(crate) fn serve(mut self, pid: i32, pidfd: &OwnedFd, master: Option<OwnedFd>) -> Result<i32> {
        if master.is_some() {
            self.raw();
        }
        let mut stdin_open = master.is_some();
        let mut master = master;
        loop {
            let stdin = rustix::stdio::stdin();
            let mut fds = vec![PollFd::new(pidfd, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            if let Some(master) = &master {
                fds.push(PollFd::new(master, PollFlags::IN));
            }
            if stdin_open && master.is_some() {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                other => other.map_err(|e| Error::io("can't wait for the container", e.into()))?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut closed = false;
            if let Some(fd) = &master {
                if ready[2] {
                    closed = !copy(fd, rustix::stdio::stdout());
                }
                if ready.get(3) == Some(&true) {
                    stdin_open = copy(rustix::stdio::stdin(), fd);
                }
            }
            if ready[1] {
                self.forward(pid, master.as_ref());
            }
            if closed {
                master = None;
            }
            if ready[0] {
                // What it wrote last is still in the terminal.
                while master.as_ref().is_some_and(|fd| readable(fd) && copy(fd, rustix::stdio::stdout())) {}
                return reap(pid);
            }
        }
    }

    /// Passes signals on.
    fn forward(&self, pid: i32, master: Option<&OwnedFd>) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGCHLD | libc::SIGURG => {}
                libc::SIGWINCH if master.is_some() => {
                    if let (Some(master), Ok(size)) = (master, tcgetwinsize(rustix::stdio::stdin())) {
                        let _ = tcsetwinsize(master, size);
                    }
                }
                signal => drop(crate::sys::kill(pid, signal)),
            }
        }
    }

    /// Our terminal passes every key on.
    fn raw(&mut self) {
        let stdin = rustix::stdio::stdin();
        if let Ok(attributes) = tcgetattr(stdin) {
            let mut raw = attributes.clone();
            raw.make_raw();
            // The inner terminal leaves newlines alone: see `relayed`.
            raw.output_modes.insert(OutputModes::OPOST);
            if tcsetattr(stdin, OptionalActions::Now, &raw).is_ok() {
                self.saved = Some(attributes);
            }
        }
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, saved);
        }
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Prepares the master of a terminal whose output is copied on: new terminals turn a newline into two characters,
/// which is for the terminal at the end to do, or for nobody where that is a file (as runc does).
pub(crate) fn relayed(master: OwnedFd) -> OwnedFd {
    if let Ok(mut attributes) = tcgetattr(&master) {
        attributes.output_modes.remove(OutputModes::ONLCR);
        // Only the looks of the output are lost.
        let _ = tcsetattr(&master, OptionalActions::Now, &attributes);
    }
    master
}

fn readable(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|n| n > 0)
}

/// Copies what there is; `false`: there will be no more.
fn copy(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buf = [0u8; 4096];
    let n = match rustix::io::read(from, &mut buf) {
        Err(Errno::INTR | Errno::AGAIN) => return true,
        // EIO: nobody has the other side any more.
        Ok(0) | Err(_) => return false,
        Ok(n) => n,
    };
    let mut rest = &buf[..n];
    while !rest.is_empty() {
        match rustix::io::write(&to, rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Waits for a child that has ended.
fn reap(pid: i32) -> Result<i32> {
    use nix::sys::wait::{WaitStatus, waitpid};
    loop {
        match waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(Error::new(ErrorKind::Io, "the exit code is lost").with_source(e)),
        }
    }
}
