//! Making a process of a program that has one thread and little memory: a plain copy that executes at once.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `CLONE_INTO_CGROUP`, which libc cuts to 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

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
    /// blocked. Its process id and pidfd.
    pub(crate) fn give(&self) -> io::Result<(i32, OwnedFd)> {
        // Out of the way of the descriptors that the child gets.
        let exe = rustix::io::fcntl_dupfd_cloexec(self.exe, FIRST_FREE)?;
        let socket = rustix::io::fcntl_dupfd_cloexec(self.socket.0, FIRST_FREE)?;
        let argv = [self.args[0].as_ptr(), self.args[1].as_ptr(), std::ptr::null()];
        let mut pidfd: RawFd = -1;
        // SAFETY: all-zero bytes are a valid `struct clone_args`.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = self.namespaces | libc::CLONE_PIDFD as u64;
        args.pidfd = &mut pidfd as *mut RawFd as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        if let Some(cgroup) = self.cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = cgroup.as_raw_fd() as u64;
        }
        // SAFETY: `args` is a `struct clone_args` of the size passed. The child has a copy of the memory and goes on
        // below with calls that are safe even if other threads held locks; it never returns from there.
        let pid = unsafe {
            libc::syscall(libc::SYS_clone3, &mut args as *mut libc::clone_args, size_of::<libc::clone_args>())
        };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => become_program(exe.as_raw_fd(), &argv, (socket.as_raw_fd(), self.socket.1)),
            // SAFETY: CLONE_PIDFD made this descriptor for us.
            pid => Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        }
    }
}

/// The child. `argv` ends with null.
fn become_program(exe: RawFd, argv: &[*const libc::c_char; 3], (socket, socket_at): (RawFd, RawFd)) -> ! {
    /// What a shell says of a program that can't be executed.
    const FAILED: i32 = 126;
    /// Of all signals.
    const LAST: i32 = 64;
    let envp: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: only calls that are safe after a fork, on integers, constants, and values of this frame; `argv` holds
    // strings with an end that the copy of the memory has too.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        for signal in 1..=LAST {
            // Handlers go with the exec, what is ignored would stay.
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
        libc::_exit(FAILED)
    }
}
