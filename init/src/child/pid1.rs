//! The small init that stays process 1 of a container: it starts the command, reaps whatever is orphaned,
//! and passes signals on.

use crate::failure::Context;
use crate::sys::process;
use containers_protocol::control::Failure;
use std::os::fd::AsFd;

/// Size of `struct signalfd_siginfo`, whose first four bytes are the signal's number.
const SIGNAL_INFO: usize = 128;

/// Forks: the child returns, to become the command; the parent serves until it has ended, and exits as it
/// did.
pub fn stay() -> Result<(), Failure> {
    let signals = process::signal_fd().during("init")?;
    match process::fork_filtered().during("init")? {
        None => {
            process::unblock_signals();
            // The command leads a group of its own within the session, in front on a terminal.
            Ok(())
        }
        Some(pid) => {
            // Streams and the report pipe belong to the command alone.
            let keep = std::os::fd::AsRawFd::as_raw_fd(&signals);
            let _ = process::close_all_but(&mut vec![keep]);
            serve(pid, signals.as_fd())
        }
    }
}

fn serve(command: i32, signals: std::os::fd::BorrowedFd<'_>) -> ! {
    loop {
        let mut info = [0u8; SIGNAL_INFO];
        match rustix::io::read(signals, &mut info) {
            Ok(SIGNAL_INFO) => {}
            _ => continue,
        }
        let signal = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        if signal != libc::SIGCHLD {
            let _ = process::kill(command, signal);
            continue;
        }
        while let Ok(Some((pid, ended))) = process::reap_any(true) {
            if pid == command {
                process::exit(ended.code);
            }
        }
    }
}
