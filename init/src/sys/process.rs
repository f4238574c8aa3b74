//! Making, entering and ending processes.

use super::{check, last_errno};
use containers_protocol::raw::set_signal;
use containers_protocol::vfork::clone_args;
pub use containers_protocol::vfork::{Stack, vfork};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::ffi::CStr;

/// What [`fork`] made, seen from the parent or the child.
pub enum Forked {
    /// The caller is the parent.
    Parent {
        /// Process id of the child.
        pid: i32,
        /// Its pidfd.
        pidfd: OwnedFd,
    },
    /// The caller is the child.
    Child,
}

/// A child that continues after the call with a copy of the memory, in the new namespaces that `flags` ask
/// for, and in `cgroup` (v2) if given.
pub fn fork(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    debug_assert!(flags & libc::CLONE_VM as u64 == 0);
    let mut pidfd: RawFd = -1;
    let mut args = clone_args(flags, &mut pidfd, cgroup);
    // SAFETY: `args` is a `struct clone_args` of the size passed. Without CLONE_VM the child has its own copy
    // of the stack it returns on; the process has one thread, so no lock is held by a thread that is gone.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone3, &mut args as *mut libc::clone_args, size_of::<libc::clone_args>())
    })?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: CLONE_PIDFD made this descriptor for us.
    Ok(Forked::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// A plain fork below a seccomp filter, which may know `clone3` only as missing (it can't look at its flags).
/// The process id; `None` in the child.
pub fn fork_filtered() -> Result<Option<i32>, Errno> {
    let none = 0usize;
    // SAFETY: no flags but the signal at the end, and no stack: the child gets a copy of everything, and this
    // process has one thread.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD as usize, none, none, none, none) })?;
    Ok((pid != 0).then_some(pid as i32))
}

/// [`fork`] through libc, for a child that makes threads.
pub fn fork_for_threads() -> Result<Forked, Errno> {
    // SAFETY: the process has one thread, so the child may do everything.
    let pid = check(unsafe { libc::fork() }.into())? as i32;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: takes integers; the child is ours and not reaped, so the id is still its own.
    let pidfd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the call just made this descriptor, close-on-exec.
    Ok(Forked::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd as i32) } })
}

/// Ends the process at once.
pub fn exit(code: i32) -> ! {
    // SAFETY: no exit handler runs; nothing of this process is used afterwards.
    unsafe { libc::_exit(code) }
}

/// `execve`. Returns only when it failed. Both arrays must end with a null pointer and hold pointers to
/// NUL-terminated strings, as [`CStrings`] makes them.
pub fn execve(path: &CStr, args: &CStrings, env: &CStrings) -> Errno {
    // SAFETY: `CStrings` keeps its pointers valid and its array terminated.
    unsafe { libc::execve(path.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
    last_errno()
}

/// An `argv` or `envp`.
pub struct CStrings {
    strings: Vec<std::ffi::CString>,
    pointers: Vec<*const libc::c_char>,
}

impl CStrings {
    /// Takes strings over; one with an interior NUL is an error.
    pub fn new<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Result<CStrings, Errno> {
        let strings: Result<Vec<_>, _> = strings.into_iter().map(std::ffi::CString::new).collect();
        let mut all = CStrings { strings: strings.map_err(|_| Errno::INVAL)?, pointers: Vec::new() };
        all.point();
        Ok(all)
    }

    fn point(&mut self) {
        self.pointers = self.strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
    }

    /// Adds one at the end.
    pub fn push(&mut self, string: std::ffi::CString) {
        self.strings.push(string);
        self.point();
    }

    /// The strings.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.strings.iter().map(|s| s.as_c_str())
    }

    /// The value of `name=value`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find_map(|s| s.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// `close_range` of everything from `first` on, or close-on-exec for it.
pub fn close_from(first: u32, on_exec: bool) -> Result<(), Errno> {
    let flags = if on_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: takes integers. The callers use none of the closed descriptors afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// Closes one descriptor, whoever owns it.
pub fn close_one(fd: RawFd) {
    // SAFETY: takes an integer; the callers have given up whatever owned the descriptor.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor but those listed, without running anybody's destructor.
pub fn close_all_but(keep: &mut Vec<RawFd>) -> Result<(), Errno> {
    keep.sort_unstable();
    keep.dedup();
    let mut first: u32 = 0;
    for &fd in keep.iter() {
        let fd = fd as u32;
        if fd > first {
            // SAFETY: takes integers; the callers have given up whatever owned these descriptors.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) })?;
        }
        first = fd + 1;
    }
    close_from(first, false)
}

/// Takes over a descriptor that this process was started with, close-on-exec. `None`: it is not open.
pub fn adopt(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: takes integers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into()).ok()?;
    // SAFETY: it is open, and the caller is the program's first function, so nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes `to` a copy of `from`, to stay open on exec.
pub fn dup_to(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: takes integers. The targets are those of the command, which no Rust object owns here.
    check(unsafe { libc::dup2(from, to) }.into())?;
    if from == to {
        // SAFETY: as above; clears close-on-exec.
        check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }.into())?;
    }
    Ok(())
}

/// Enters the namespaces `flags` of the process behind a pidfd.
pub fn setns(pidfd: impl AsFd, flags: u64) -> Result<(), Errno> {
    // SAFETY: takes integers; the process has one thread.
    check(unsafe { libc::setns(pidfd.as_fd().as_raw_fd(), flags as libc::c_int) }.into()).map(drop)
}

/// Leaves the namespaces `flags` for new ones.
pub fn unshare(flags: u64) -> Result<(), Errno> {
    // SAFETY: takes an integer; never called with CLONE_FILES.
    check(unsafe { libc::unshare(flags as libc::c_int) }.into()).map(drop)
}

/// The mount namespace of the process behind a pidfd (since Linux 6.11).
pub fn mount_namespace(pidfd: impl AsFd) -> Result<OwnedFd, Errno> {
    /// `_IO(0xFF, 3)`.
    const PIDFD_GET_MNT_NAMESPACE: libc::Ioctl = 0xff03;
    // SAFETY: the call takes no argument.
    let fd = check(unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_MNT_NAMESPACE, 0) }.into())?;
    // SAFETY: the call just made this descriptor, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process behind a pidfd.
pub fn pidfd_kill(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    // SAFETY: a NULL siginfo makes it as `kill` would.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(ret).map(drop)
}

/// Sends a signal to a process, or with a negative id to a group.
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes integers.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code, or 128 + signal.
    pub code: i32,
    /// The signal that ended it; 0: none.
    pub signal: i32,
}

impl Ended {
    fn from_status(status: libc::c_int) -> Ended {
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            Ended { code: 128 + signal, signal }
        } else {
            Ended { code: libc::WEXITSTATUS(status), signal: 0 }
        }
    }
}

/// Reaps a child behind a pidfd; `None`: it still runs (only with `nonblocking`).
pub fn reap(pidfd: impl AsFd, nonblocking: bool) -> Result<Option<Ended>, Errno> {
    let options = libc::WEXITED | libc::__WALL | if nonblocking { libc::WNOHANG } else { 0 };
    loop {
        // SAFETY: all-zero bytes are a valid `siginfo_t`.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid for the call to write.
        let ret = unsafe {
            libc::waitid(libc::P_PIDFD, pidfd.as_fd().as_raw_fd() as libc::id_t, &mut info, options)
        };
        match check(ret.into()) {
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e),
            Ok(_) => {}
        }
        // SAFETY: waitid fills the SIGCHLD fields, or leaves the zeroes.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        return Ok(Some(if info.si_code == libc::CLD_EXITED {
            Ended { code: status, signal: 0 }
        } else {
            Ended { code: 128 + status, signal: status }
        }));
    }
}

/// Reaps any child; its process id. `None`: all run (only with `nonblocking`).
pub fn reap_any(nonblocking: bool) -> Result<Option<(i32, Ended)>, Errno> {
    let options = libc::__WALL | if nonblocking { libc::WNOHANG } else { 0 };
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the call to write.
        match check(unsafe { libc::waitpid(-1, &mut status, options) }.into()) {
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e),
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid as i32, Ended::from_status(status)))),
        }
    }
}

/// Makes the signals that ask a process to end do so to the first one of a process namespace too, which the kernel
/// spares otherwise. The next program has their defaults again; what is ignored stays ignored.
pub fn end_on_signals() {
    extern "C" fn end(signal: libc::c_int) {
        // SAFETY: `_exit` may be called in a handler.
        unsafe { libc::_exit(128 + signal) }
    }
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: the handler calls what is allowed in one alone; SIG_IGN is a valid disposition.
        unsafe {
            if libc::signal(signal, end as *const () as libc::sighandler_t) == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_IGN);
            }
        }
    }
}

/// Resets every signal to its default and unblocks all.
pub fn reset_signals() {
    for signal in 1..=64 {
        // Some can't be changed, which does no harm.
        set_signal(signal, false);
    }
    unblock_signals();
}

/// Unblocks all signals.
pub fn unblock_signals() {
    // SAFETY: an all-zero `sigset_t` is the empty set, valid for the call to read.
    unsafe {
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Resets a signal to its default. A child that shares memory has a table of its own all the same.
pub fn default_signal(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ignores a signal.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Blocks all signals and returns a descriptor that reads them.
pub fn signal_fd() -> Result<OwnedFd, Errno> {
    // SAFETY: `all` is a local set, valid for the calls.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        let fd = check(libc::signalfd(-1, &all, libc::SFD_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// A resource limit: soft, hard.
pub fn rlimit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call to write.
    check(unsafe { libc::prlimit(0, resource as _, std::ptr::null(), &mut limit) }.into())?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets a resource limit.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is valid for the call to read.
    check(unsafe { libc::prlimit(0, resource as _, &limit, std::ptr::null_mut()) }.into()).map(drop)
}

/// Sets the NIS domain name.
pub fn set_domain_name(name: &[u8]) -> Result<(), Errno> {
    // SAFETY: pointer and length are those of `name`.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }.into()).map(drop)
}
