//! How a child tells its parent what happened: over one packet socket, closed by the exec, or in the memory that they share.

use crate::failure::{Context, failure};
use containers_protocol::control::Failure;
pub use containers_protocol::oneshot::Report;
use containers_protocol::oneshot::{First, Said};
use containers_protocol::wire;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// The child's end.
pub struct Reporter {
    sock: Option<OwnedFd>,
    /// The memory that it shares with a runtime.
    memory: Option<&'static First>,
}

impl Reporter {
    /// A reporter for a child that shares memory and has no terminal: it has nothing to send.
    pub fn silent() -> Reporter {
        Reporter { sock: None, memory: None }
    }

    /// A reporter on a socket whose other end somebody else has.
    pub fn new(sock: OwnedFd) -> Reporter {
        Reporter { sock: Some(sock), memory: None }
    }

    /// A reporter for a process that shares memory with a runtime, and takes turns with it.
    pub fn in_memory(first: &'static First) -> Result<Reporter, Errno> {
        // The runtime's descriptors are objects of the runtime.
        let sock = first.socket.as_ref().map(|sock| rustix::io::fcntl_dupfd_cloexec(sock, 0)).transpose()?;
        Ok(Reporter { sock, memory: Some(first) })
    }

    /// The descriptor that it needs at a gate.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.memory.map(|first| first.maker.as_raw_fd()).or(self.sock.as_ref().map(AsRawFd::as_raw_fd))
    }

    fn say(&self, change: impl FnOnce(&mut Said)) {
        // Nobody else is at it: the runtime waits.
        if let Some(mut said) = self.memory.and_then(|first| first.said.try_borrow_mut().ok()) {
            change(&mut said);
        }
    }

    /// Both ends: the child's reporter, and the parent's socket.
    pub fn pair() -> Result<(Reporter, OwnedFd), Errno> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Reporter { sock: Some(theirs), memory: None }, ours))
    }

    /// Sends the failure, if there is where to.
    pub fn send_failure(&self, failed: &Failure) {
        self.say(|said| *said = Said { failure: Some(failed.clone()), executing: false });
        if let (Some(sock), None) = (&self.sock, self.memory) {
            // Nothing else can be done about a parent that is gone.
            let _ = wire::send_postcard(sock, &Report::Failed(failed.clone()), &[]);
        }
    }

    /// Says that the command is executed next.
    pub fn send_executing(&self) {
        self.say(|said| said.executing = true);
        if let (Some(sock), None) = (&self.sock, self.memory) {
            let _ = wire::send_postcard(sock, &Report::Executing, &[]);
        }
    }

    /// Says that only the gate is between here and the command. Who can't be told was killed, perhaps before it would have
    /// been this process's end, and nobody will open the gate.
    ///
    /// In memory that it shares, unless the gate is open, nothing may be done from then on until the gate opens but to wait for that.
    pub fn send_ready(&self) -> Result<(), Failure> {
        if let Some(first) = self.memory {
            // A filter may be in force that knows no other calls than those of a gate.
            if is_gone(first) {
                return Err(failure("gate", b"", Errno::PIPE));
            }
            if !first.open {
                first.turns.leave();
            }
            return Ok(());
        }
        match &self.sock {
            Some(sock) => wire::send_postcard(sock, &Report::Ready, &[]).during("gate"),
            None => Ok(()),
        }
    }

    /// Has a hook of the runtime's namespaces run, and waits for its end.
    pub fn run_hook(&self, step: usize) -> Result<(), Failure> {
        self.ask(&Report::Hook { step: step as u32 }, &[], "hook")
    }

    /// Has a mount show the ids that a user namespace maps.
    pub fn map_mount(&self, tree: &OwnedFd, space: &OwnedFd, recursive: bool) -> Result<(), Failure> {
        self.ask(&Report::MapMount { recursive }, &[tree.as_fd(), space.as_fd()], "idmap")
    }

    /// Asks for something, and waits until it is done.
    fn ask(&self, what: &Report, fds: &[BorrowedFd<'_>], step: &str) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure(step, b"", Errno::NOTSOCK))?;
        wire::send_postcard(sock, what, fds).during(step)?;
        if let Some(first) = self.memory {
            first.turns.ask();
        }
        self.wait_for_answer(step)
    }

    fn wait_for_answer(&self, step: &str) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure(step, b"", Errno::NOTSOCK))?;
        match wire::recv(sock).during(step)? {
            Some(answer) if answer.payload.is_empty() => Ok(()),
            Some(answer) => Err(wire::from_postcard(&answer.payload).during(step)?),
            None => Err(failure(step, b"", Errno::PIPE)),
        }
    }

    /// Tells which number the listener of a filter will have. Nothing else comes before that is there, since the
    /// filter may stop any call.
    pub fn announce_listener(&self) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure("seccomp", b"", Errno::NOTSOCK))?;
        // The lowest that is free, as long as nothing is opened.
        let fd = rustix::io::fcntl_dupfd_cloexec(sock, 0).during("seccomp")?.as_raw_fd();
        wire::send_postcard(sock, &Report::Listener { fd }, &[]).during("seccomp")
    }

    /// Waits until somebody has taken the listener.
    pub fn wait_for_taker(&self) -> Result<(), Failure> {
        self.wait_for_answer("seccomp")
    }

    /// Sends the master of the terminal.
    pub fn send_master(&self, master: &OwnedFd) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure("tty", b"", Errno::NOTSOCK))?;
        wire::send_postcard(sock, &Report::Master, &[master.as_fd()]).during("tty")
    }

    /// Asks for the id maps, and waits until they are there.
    pub fn wait_for_maps(&self) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure("userns", b"", Errno::NOTSOCK))?;
        wire::send_postcard(sock, &Report::NeedMaps, &[]).during("userns")?;
        match wire::recv(sock).during("userns")? {
            Some(_) => Ok(()),
            None => Err(failure("userns", b"", Errno::PIPE)),
        }
    }

    /// Tells of the process that a joiner made.
    pub fn send_joined(&self, pid: i32, pidfd: &OwnedFd) -> Result<(), Failure> {
        let sock = self.sock.as_ref().ok_or_else(|| failure("exec", b"", Errno::NOTSOCK))?;
        wire::send_postcard(sock, &Report::Joined { pid }, &[pidfd.as_fd()]).during("exec")
    }
}

/// Whether the runtime whose memory this process has is gone.
pub fn is_gone(first: &First) -> bool {
    rustix::io::read(&first.maker, &mut [0u8; 1]) == Ok(0)
}
