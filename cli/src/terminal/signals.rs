//! Signals of this program, read from a descriptor.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Those that are passed on, and SIGWINCH; blocked while this lives.
pub struct Signals {
    fd: SignalFd,
    set: SigSet,
}

impl Signals {
    /// Blocks the signals and opens the descriptor.
    pub fn open() -> std::io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGWINCH,
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals { fd, set })
    }

    /// The next signal.
    pub async fn next(&self) -> std::io::Result<i32> {
        loop {
            containers::executor::readable(&self.fd).await?;
            if let Some(info) = self.fd.read_signal()? {
                return Ok(info.ssi_signo as i32);
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.set.thread_unblock();
    }
}
