//! A child in its parent's memory, and whose turn it is: one of the two runs while the other waits, so that they never use the
//! memory (the heap, what belongs to the thread) at the same time. Unlike with [`vfork`](crate::vfork::vfork), the parent
//! can go on before the child executes its program.

#![allow(unsafe_code, reason = "the call that no safe crate makes, and the stack it needs")]

use crate::vfork::{CLONE_CLEAR_SIGHAND, Stack, check_raw, clone_and_call, clone_args};
use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::thread::{Timespec, futex};
use std::sync::atomic::{AtomicU32, Ordering};

/// The child has executed a program or ended: written by the kernel (`CLONE_CHILD_CLEARTID`).
const GONE: u32 = 0;
const PARENT: u32 = 1;
const CHILD: u32 = 2;

/// How long the other one is trusted to wake who waits: a filter of system calls may keep it from that.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Whose turn it is.
#[derive(Debug)]
pub struct Turns(AtomicU32);

impl Turns {
    /// For one child. It stays: nobody says when the kernel writes to it last.
    pub fn new() -> &'static Turns {
        Box::leak(Box::new(Turns(AtomicU32::new(CHILD))))
    }

    /// The child lets the parent run, and waits until that has let it run again.
    pub fn ask(&self) {
        self.leave();
        self.wait_while(PARENT);
    }

    /// The child lets the parent run. Until it is told that it may go on, it must not use what both see.
    pub fn leave(&self) {
        self.0.store(PARENT, Ordering::Release);
        self.wake();
    }

    /// The parent tells the child, without waking it, that it may go on as soon as it hears so by some other way. From then on,
    /// until it has [waited](Turns::wait), the parent must not use what both see.
    pub fn give(&self) {
        // It may be gone meanwhile.
        let _ = self.0.compare_exchange(PARENT, CHILD, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The parent lets the child run, and waits.
    pub fn resume(&self) {
        self.give();
        self.wake();
        self.wait();
    }

    /// The parent waits until the child has let it run, or is gone.
    pub fn wait(&self) {
        self.wait_while(CHILD);
    }

    /// Whether the child has executed a program or ended.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire) == GONE
    }

    fn wait_while(&self, turn: u32) {
        while self.0.load(Ordering::Acquire) == turn {
            // Any return is followed by another look. The kernel wakes as for memory that processes share.
            let _ = futex::wait(&self.0, futex::Flags::empty(), turn, Some(&LOOK));
        }
    }

    fn wake(&self) {
        let _ = futex::wake(&self.0, futex::Flags::empty(), 1);
    }
}

/// Makes a child that shares the caller's memory, with the default for each signal that had a handler, and waits until it lets
/// the caller run, or is gone. It runs `body` on `stack`, which stays; its descriptors are a copy. Its id and pidfd.
///
/// What `body` borrows must live until the child is [gone](Turns::is_gone) or the process ends, and all that it does to memory must
/// be whole when it lets the caller run.
pub fn share<F: FnOnce() + 'static>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    mut stack: Stack,
    turns: &'static Turns,
    body: F,
) -> Result<(i32, OwnedFd), Errno> {
    extern "C" fn enter<F: FnOnce()>(body: *mut libc::c_void) -> ! {
        // SAFETY: `share` passes a pointer to an `Option<F>` that is never freed, and nobody else uses.
        let body = unsafe { &mut *body.cast::<Option<F>>() };
        if let Some(body) = body.take() {
            body();
        }
        // SAFETY: no exit handler runs; the child is done with what it shares.
        unsafe { libc::_exit(127) }
    }
    let mut pidfd: RawFd = -1;
    let body: &'static mut Option<F> = Box::leak(Box::new(Some(body)));
    let flags = flags | CLONE_CLEAR_SIGHAND | (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
    let mut args = clone_args(flags, &mut pidfd, cgroup);
    args.child_tid = turns.0.as_ptr() as u64;
    stack.describe(&mut args);
    let enter: extern "C" fn(*mut libc::c_void) -> ! = enter::<F>;
    // SAFETY: `args` describes a stack that nobody else uses, and the child calls `enter` on it and never returns. What it uses is
    // never freed. Until it lets this process run, this process only waits, in calls that touch nothing but `turns`.
    let pid = check_raw(unsafe { clone_and_call(&mut args, enter, (body as *mut Option<F>).cast()) })?;
    turns.wait();
    // It is in use until the child is gone, and nobody waits for that.
    std::mem::forget(stack);
    // SAFETY: CLONE_PIDFD made this descriptor for us.
    Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI32;
    use std::time::Duration;

    const STACK: usize = 256 * 1024;

    fn make(body: impl FnOnce() + 'static, turns: &'static Turns) -> i32 {
        let stack = Stack::new(STACK).expect("a stack");
        share(0, None, stack, turns, body).expect("a child").0
    }

    /// How a child ended, as `waitpid` says it.
    fn end(pid: i32) -> i32 {
        let mut status = 0;
        // SAFETY: a child of this process, which nobody else waits for.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        status
    }

    #[test]
    fn each_runs_when_it_is_its_turn() {
        static SEEN: AtomicI32 = AtomicI32::new(0);
        let turns = Turns::new();
        let body = || {
            SEEN.store(1, Ordering::Relaxed);
            turns.ask();
            SEEN.fetch_add(10, Ordering::Relaxed);
            turns.ask();
            SEEN.fetch_add(100, Ordering::Relaxed);
        };
        let pid = make(body, turns);
        assert_eq!(SEEN.load(Ordering::Relaxed), 1);
        assert!(!turns.is_gone());
        SEEN.store(2, Ordering::Relaxed);
        turns.resume();
        assert_eq!(SEEN.load(Ordering::Relaxed), 12);
        turns.resume();
        assert_eq!(SEEN.load(Ordering::Relaxed), 112);
        assert!(turns.is_gone());
        assert_eq!(libc::WEXITSTATUS(end(pid)), 127);
        // Nobody is there to have the turn.
        turns.give();
        assert!(turns.is_gone());
        turns.resume();
    }

    #[test]
    fn a_child_that_executes_a_program_is_gone() {
        let turns = Turns::new();
        let body = || {
            let argv = [c"sh".as_ptr(), c"-c".as_ptr(), c"exit 3".as_ptr(), std::ptr::null()];
            // SAFETY: lists of strings that end with null.
            unsafe { libc::execve(c"/bin/sh".as_ptr(), argv.as_ptr(), argv[3..].as_ptr()) };
        };
        let pid = make(body, turns);
        assert!(turns.is_gone());
        assert_eq!(libc::WEXITSTATUS(end(pid)), 3);
    }

    #[test]
    fn a_child_that_left_goes_on_when_it_hears_so() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        static DONE: AtomicI32 = AtomicI32::new(0);
        let turns = Turns::new();
        let gate = rustix::io::dup(&reader).expect("a copy");
        let body = move || {
            turns.leave();
            while rustix::io::read(&gate, &mut [0u8; 1]) != Ok(1) {}
            DONE.store(1, Ordering::Relaxed);
        };
        let pid = make(body, turns);
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(DONE.load(Ordering::Relaxed), 0);
        turns.give();
        rustix::io::write(&writer, b"0").expect("the gate opens");
        turns.wait();
        assert_eq!((DONE.load(Ordering::Relaxed), turns.is_gone()), (1, true));
        end(pid);
    }

    #[test]
    fn a_child_that_is_killed_is_gone() {
        let turns = Turns::new();
        let pid = make(|| turns.ask(), turns);
        // SAFETY: takes integers; the child is not reaped, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
        assert!(libc::WIFSIGNALED(end(pid)));
        assert!(turns.is_gone());
        turns.resume();
    }
}
