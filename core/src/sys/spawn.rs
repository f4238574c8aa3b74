//! Starting the helper program without forking the host.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Started processes are reaped by id; descriptors below this number are arranged by the spawn.
const FIRST_FREE: RawFd = 10;

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Actions> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is valid for writes, and the value is used only after a success.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the call above.
        Ok(Actions(unsafe { raw.assume_init() }))
    }

    fn open_null(&mut self, fd: RawFd) -> io::Result<()> {
        // SAFETY: the object is initialised, and the path is a constant string with an end.
        check(unsafe {
            libc::posix_spawn_file_actions_addopen(&mut self.0, fd, c"/dev/null".as_ptr(), libc::O_RDWR, 0)
        })
    }

    fn duplicate(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: the object is initialised.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, from, to) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// Default signal actions, nothing blocked.
    fn new() -> io::Result<Attributes> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is valid for writes, and the value is used only after a success.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the call above.
        let mut this = Attributes(unsafe { raw.assume_init() });
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        let mut all = MaybeUninit::uninit();
        let mut none = MaybeUninit::uninit();
        // SAFETY: both sets are valid for writes and are filled before they are read; the attribute object is
        // initialised and copies them.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(&mut this.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setsigmask(&mut this.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(&mut this.0, flags as libc::c_short))?;
        }
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// Executes the program in `exe` with arguments, an empty environment, `/dev/null` as descriptors 0 to 2 and
/// `socket` as descriptor `socket_at`. The process id.
pub(crate) fn spawn(
    exe: BorrowedFd<'_>,
    args: &[&str],
    socket: BorrowedFd<'_>,
    socket_at: RawFd,
) -> io::Result<i32> {
    // Out of the way of the descriptors that the child gets.
    let exe = rustix::io::fcntl_dupfd_cloexec(exe, FIRST_FREE)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(socket, FIRST_FREE)?;
    let mut actions = Actions::new()?;
    for fd in 0..3 {
        actions.open_null(fd)?;
    }
    actions.duplicate(socket.as_raw_fd(), socket_at)?;
    let attributes = Attributes::new()?;
    let path = CString::new(format!("/proc/self/fd/{}", exe.as_raw_fd()))?;
    let args: Vec<CString> = args.iter().map(|a| CString::new(*a)).collect::<Result<_, _>>()?;
    let mut argv: Vec<*mut libc::c_char> = args.iter().map(|a| a.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    let envp: [*mut libc::c_char; 1] = [std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: all pointers are valid for the call: the strings outlive it, both lists end with null, the
    // actions and attributes are initialised. The C library runs the child on memory of its own until exec.
    check(unsafe {
        libc::posix_spawn(&mut pid, path.as_ptr(), &actions.0, &attributes.0, argv.as_ptr(), envp.as_ptr())
    })?;
    Ok(pid)
}

/// Reaps one child by id. That it is gone already is fine: the host may ignore SIGCHLD or loop on `wait()`.
pub(crate) fn reap(pid: i32) {
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
}
