//! A network namespace that is made while a runtime does other things: the kernel takes longer for it than for all other namespaces
//! of a container together. A process in the runtime's memory makes it on another processor, and keeps it until the container's first
//! process has entered it.
//!
//! Nobody depends on that process: who needs the namespace and finds that it has not begun, or came to nothing, makes one.

#![allow(unsafe_code, reason = "calls that no safe crate makes, and the stack of a process")]

use crate::vfork::{CLONE_CLEAR_SIGHAND, Stack, check_raw, clone_and_call, clone_args};
use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::ioctl::{self, Opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, ThreadNameSpaceType, Timespec, UnshareFlags, capabilities, futex,
    move_into_thread_name_spaces, sched_getaffinity, sched_getcpu, sched_setaffinity, unshare_unsafe,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The process has not begun. When it has ended, the kernel writes 0 (`CLONE_CHILD_CLEARTID`).
const WANTED: u32 = 1;
/// It makes the namespace.
const BEGUN: u32 = 2;
/// The namespace is there.
const MADE: u32 = 3;
/// Nobody needs it any more.
const DONE: u32 = 4;

/// Room for a few calls.
const STACK: usize = 64 * 1024;

/// How long another process is trusted to wake who waits.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What the process and the others see.
#[derive(Debug)]
struct Shared {
    state: AtomicU32,
    runtime: Pid,
}

/// A network namespace that is being made, with its loopback interface up.
#[derive(Debug)]
pub struct Network {
    shared: &'static Shared,
    pid: Pid,
    pidfd: OwnedFd,
    /// The process runs on it.
    _stack: Stack,
    /// The process was reaped.
    ended: AtomicBool,
}

impl Network {
    /// Has it made. `None`: there is no other processor, or something is missing for it.
    pub fn begin() -> Option<Network> {
        let mut elsewhere = sched_getaffinity(None).ok()?;
        elsewhere.unset(sched_getcpu());
        // Who enters the namespace of another process that can't be traced needs this.
        let may_enter = capabilities(None).ok()?.effective.contains(CapabilitySet::SYS_PTRACE);
        if elsewhere.count() == 0 || !may_enter {
            return None;
        }
        let network = Network::start().ok()?;
        // The kernel may choose by itself; where it doesn't, the process would have to wait for this one.
        let _ = sched_setaffinity(Some(network.pid), &elsewhere);
        Some(network)
    }

    fn start() -> Result<Network, Errno> {
        let mut stack = Stack::new(STACK)?;
        let shared: &'static Shared =
            Box::leak(Box::new(Shared { state: AtomicU32::new(WANTED), runtime: getpid() }));
        let mut pidfd: RawFd = -1;
        let flags = CLONE_CLEAR_SIGHAND | (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
        let mut args = clone_args(flags, &mut pidfd, None);
        // Its end is nobody else's business.
        args.exit_signal = 0;
        args.child_tid = shared.state.as_ptr() as u64;
        stack.describe(&mut args);
        // SAFETY: `args` describes a stack that nobody else uses and that stays until the process is reaped; `enter` never
        // returns and uses what is never freed, and nothing that belongs to the thread.
        let pid =
            check_raw(unsafe { clone_and_call(&mut args, enter, (&raw const *shared).cast_mut().cast()) })?;
        let pid = Pid::from_raw(pid as i32).ok_or(Errno::SRCH)?;
        // SAFETY: CLONE_PIDFD made this descriptor for us.
        Ok(Network {
            shared,
            pid,
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            _stack: stack,
            ended: AtomicBool::new(false),
        })
    }

    /// Enters it, and lets the process that made it end. `false`: the caller has to make one.
    pub fn enter(&self) -> bool {
        let state = &self.shared.state;
        if state.compare_exchange(WANTED, DONE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return false;
        }
        self.shared.wait_while(BEGUN);
        let entered = state.load(Ordering::Acquire) == MADE
            && move_into_thread_name_spaces(self.pidfd.as_fd(), ThreadNameSpaceType::NETWORK).is_ok();
        self.shared.finish();
        entered
    }

    /// Nobody needs it any more but who has entered it.
    pub fn end(&self) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.shared.finish();
        let mut status = 0;
        // SAFETY: a child of this process, which nobody else waits for; it ends by itself. Errors: it was reaped.
        while unsafe { libc::waitpid(self.pid.as_raw_nonzero().get(), &mut status, libc::__WALL) } < 0
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn wait_while(&self, state: u32) {
        while self.state.load(Ordering::Acquire) == state {
            // Any return is followed by another look. The kernel wakes as for memory that processes share.
            let _ = futex::wait(&self.state, futex::Flags::empty(), state, Some(&LOOK));
        }
    }

    fn wake(&self) {
        let _ = futex::wake(&self.state, futex::Flags::empty(), i32::MAX as u32);
    }

    /// Lets the process end, once it has made what it has begun.
    fn finish(&self) {
        let done = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            matches!(state, WANTED | BEGUN | MADE).then_some(DONE)
        });
        if done.is_ok() {
            self.wake();
        }
    }

    /// Changes the state, if it is still what it is thought to be.
    fn advance(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The process. At the same time the runtime goes on in the same memory, of which this one uses nothing but `shared` and its
/// stack: all calls are rustix's own, which keep nothing in the thread.
extern "C" fn enter(shared: *mut libc::c_void) -> ! {
    // SAFETY: `start` passes what is never freed.
    let shared = unsafe { &*shared.cast::<Shared>() };
    let _ = serve(shared);
    // SAFETY: no exit handler runs.
    unsafe { libc::_exit(0) }
}

fn serve(shared: &Shared) -> Result<(), Errno> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(shared.runtime) || !shared.advance(WANTED, BEGUN) {
        return Ok(());
    }
    // SAFETY: no other thread of this process shares what is left.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET)? };
    loopback_up()?;
    if shared.advance(BEGUN, MADE) {
        shared.wake();
        shared.wait_while(MADE);
    }
    Ok(())
}

/// `SIOCSIFFLAGS` with the name of the loopback interface and its flags: reads a `struct ifreq`.
struct BringUp(libc::ifreq);

// SAFETY: the request reads a `struct ifreq`, which is given, and keeps nothing of it.
unsafe impl ioctl::Ioctl for BringUp {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        libc::SIOCSIFFLAGS as Opcode
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(_: ioctl::IoctlOutput, _: *mut std::ffi::c_void) -> Result<(), Errno> {
        Ok(())
    }
}

/// Brings `lo` of the current network namespace up.
pub fn loopback_up() -> Result<(), Errno> {
    let sock = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .or_else(|_| socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None))?;
    // SAFETY: all-zero bytes are a valid `struct ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: as `BringUp` says.
    unsafe { ioctl::ioctl(sock, BringUp(request)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> std::path::PathBuf {
        std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace")
    }

    /// Has this thread, which is the test's own, enter: whether that is said, and whether it is so.
    fn enter(network: &Network) -> (bool, bool) {
        let before = own();
        (network.enter(), own() != before)
    }

    /// Needs root and two processors.
    fn begun() -> Option<Network> {
        // SAFETY: takes nothing.
        (unsafe { libc::geteuid() } == 0).then(Network::begin).flatten()
    }

    #[test]
    fn it_is_entered_when_it_is_made() {
        let Some(network) = begun() else { return };
        network.shared.wait_while(WANTED);
        assert_eq!(enter(&network), (true, true));
    }

    #[test]
    fn who_is_sooner_makes_one() {
        let Some(network) = begun() else { return };
        if network.shared.advance(WANTED, DONE) {
            assert_eq!(enter(&network), (false, false));
        }
    }

    #[test]
    fn it_may_come_to_nothing() {
        let Some(network) = begun() else { return };
        // SAFETY: takes integers; the process is not reaped, so the id is its own.
        assert_eq!(unsafe { libc::kill(network.pid.as_raw_nonzero().get(), libc::SIGKILL) }, 0);
        let gone = || network.shared.state.load(Ordering::Acquire) == 0;
        while !gone() {
            std::thread::yield_now();
        }
        assert_eq!(enter(&network), (false, false));
    }

    #[test]
    fn nobody_has_to_enter() {
        let Some(network) = begun() else { return };
        let pid = network.pid;
        drop(network);
        assert_eq!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
    }
}
