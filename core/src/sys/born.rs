//! Making a process in new namespaces that executes a program at once, in our memory until then: nothing is copied.

use containers_protocol::vfork::{Stack, vfork};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// `CLONE_CLEAR_SIGHAND`, which libc cuts to 32 bits.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Of the child, for a few calls.
const STACK: usize = 64 * 1024;

/// Descriptors below this number are arranged here.
const FIRST_FREE: RawFd = 10;

/// A process to be made.
pub(crate) struct Birth<'a> {
    /// The program.
    pub(crate) exe: BorrowedFd<'a>,
    /// Its name and argument.
    pub(crate) args: [&'a CStr; 2],
    /// A descriptor for it, and the number that it gets.
    pub(crate) socket: (BorrowedFd<'a>, RawFd),
    /// `CLONE_NEW*`.
    pub(crate) namespaces: u64,
    /// Its cgroup on v2, if not ours.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

impl Birth<'_> {
    /// A child with an empty environment, `/dev/null` as descriptors 0 to 2, default signal actions and nothing
    /// blocked. Its process id and pidfd. It executes its program, or has ended, when this returns.
    pub(crate) fn give(&self) -> io::Result<(i32, OwnedFd)> {
        // Out of the way of the descriptors that the child gets.
        let exe = rustix::io::fcntl_dupfd_cloexec(self.exe, FIRST_FREE)?;
        let socket = rustix::io::fcntl_dupfd_cloexec(self.socket.0, FIRST_FREE)?;
        let argv = [self.args[0].as_ptr(), self.args[1].as_ptr(), std::ptr::null()];
        let mut stack = Stack::new(STACK)?;
        // No handler of ours may run in the child: it would change our memory.
        let flags = self.namespaces | CLONE_CLEAR_SIGHAND;
        let mut child = || become_program(exe.as_raw_fd(), &argv, (socket.as_raw_fd(), self.socket.1));
        Ok(vfork(flags, self.cgroup, &mut stack, &mut child)?)
    }
}

/// The child. `argv` ends with null. Returns only on failure, with the exit code.
fn become_program(exe: RawFd, argv: &[*const libc::c_char; 3], (socket, socket_at): (RawFd, RawFd)) -> i32 {
    /// What a shell says of a program that can't be executed.
    const FAILED: i32 = 126;
    /// Of all signals.
    const LAST: i32 = 64;
    let envp: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: only calls that change nothing in the memory of the parent, which is stopped, but `errno`; on integers,
    // constants, and values of this frame; `argv` holds strings with an end that are the parent's.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        for signal in 1..=LAST {
            // There are no handlers; what is ignored would stay.
            if libc::sigaction(signal, std::ptr::null(), &mut action) == 0
                && action.sa_sigaction == libc::SIG_IGN
            {
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        let arranged = null >= 0
            && (0..3).all(|fd| libc::dup2(null, fd) == fd && libc::fcntl(fd, libc::F_SETFD, 0) == 0)
            && libc::dup2(socket, socket_at) == socket_at;
        if arranged {
            libc::syscall(
                libc::SYS_execveat,
                exe,
                c"".as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
    }
    FAILED
}
