//! Making a child that shares its parent's memory until it executes a program or ends: the library and the helper both make
//! processes that way.

#![allow(unsafe_code, reason = "the call that no safe crate wraps, and the stack it needs")]

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;

/// `CLONE_INTO_CGROUP`, which libc cuts to 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `CLONE_CLEAR_SIGHAND`, which libc cuts to 32 bits.
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// The arguments of `clone3` for a child whose pidfd is written to `pidfd`, in `cgroup` (v2) if given. It is ours, or with
/// `CLONE_PARENT` our parent's.
pub fn clone_args(flags: u64, pidfd: &mut RawFd, cgroup: Option<BorrowedFd<'_>>) -> libc::clone_args {
    // SAFETY: all-zero bytes are a valid `struct clone_args`.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = pidfd as *mut RawFd as u64;
    if flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    args
}

/// A stack for a child that shares memory.
#[derive(Debug)]
pub struct Stack {
    base: *mut libc::c_void,
    len: usize,
}

/// Lowest page of a [`Stack`], never accessible: an overflow ends the child instead of overwriting.
const GUARD: usize = 64 * 1024;

impl Stack {
    /// A stack of so many bytes, a multiple of 64 KiB.
    pub fn new(len: usize) -> Result<Stack, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        let all = len + GUARD;
        // SAFETY: a fresh anonymous mapping anywhere; nothing else uses it.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), all, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(last_errno());
        }
        let stack = Stack { base, len: all };
        // SAFETY: the range is the beginning of our mapping.
        if unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) } != 0 {
            return Err(last_errno());
        }
        Ok(stack)
    }

    /// Has a child begin on it.
    pub(crate) fn describe(&mut self, args: &mut libc::clone_args) {
        args.stack = self.base as u64;
        args.stack_size = self.len as u64;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no child runs on it: `vfork` returns only when it is done.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

/// A child that shares the caller's memory and runs `body` on `stack` while the caller is stopped, until the
/// child executes a program or ends (with what `body` returns). Descriptors are a copy, without `CLONE_FILES`.
///
/// What `body` changes in memory stays changed: it must leave nothing half done, and free what it
/// allocates.
pub fn vfork<F: FnMut() -> i32>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    stack: &mut Stack,
    body: &mut F,
) -> Result<(i32, OwnedFd), Errno> {
    extern "C" fn enter<F: FnMut() -> i32>(body: *mut libc::c_void) -> ! {
        // SAFETY: `vfork` passes a pointer to its `&mut F`, which is alive because its caller is stopped.
        let body = unsafe { &mut *body.cast::<F>() };
        let code = body();
        // SAFETY: no exit handler runs; the child is done with what it shares.
        unsafe { libc::_exit(code) }
    }
    let mut pidfd: RawFd = -1;
    let mut args = clone_args(flags | (libc::CLONE_VM | libc::CLONE_VFORK) as u64, &mut pidfd, cgroup);
    stack.describe(&mut args);
    let enter: extern "C" fn(*mut libc::c_void) -> ! = enter::<F>;
    // SAFETY: `args` describes a stack that nobody else uses, and the child calls `enter` on it and never
    // returns, so this frame is left only once. CLONE_VFORK keeps the caller stopped while the child uses
    // what both see; `body` outlives the call.
    let pid = check_raw(unsafe { clone_and_call(&mut args, enter, (body as *mut F).cast()) })?;
    // SAFETY: CLONE_PIDFD made this descriptor for us.
    Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// A raw return value of the kernel.
pub(crate) fn check_raw(ret: libc::c_long) -> Result<libc::c_long, Errno> {
    if ret < 0 { Err(Errno::from_raw_os_error(-ret as i32)) } else { Ok(ret) }
}

/// `clone3`, after which the child calls `enter(arg)` on its new stack.
///
/// # Safety
/// `args` must be valid and name a stack; `enter` must be sound to call with `arg` in the child.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn clone_and_call(
    args: &mut libc::clone_args,
    enter: extern "C" fn(*mut libc::c_void) -> !,
    arg: *mut libc::c_void,
) -> libc::c_long {
    let ret;
    // SAFETY: the caller vouches for the call. The parent falls through to label 2 with its registers as
    // the constraints say; the child starts with the same registers (the kernel clobbers rcx and r11), an
    // empty, 16-byte aligned stack, and does not come back.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => ret,
            in("rdi") args as *mut libc::clone_args,
            in("rsi") size_of::<libc::clone_args>(),
            in("r8") enter,
            in("r9") arg,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// `clone3`, after which the child calls `enter(arg)` on its new stack.
///
/// # Safety
/// `args` must be valid and name a stack; `enter` must be sound to call with `arg` in the child.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn clone_and_call(
    args: &mut libc::clone_args,
    enter: extern "C" fn(*mut libc::c_void) -> !,
    arg: *mut libc::c_void,
) -> libc::c_long {
    let ret;
    // SAFETY: as on x86-64; the kernel preserves all registers but x0.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args as *mut libc::clone_args => ret,
            in("x1") size_of::<libc::clone_args>(),
            in("x9") enter,
            in("x10") arg,
        );
    }
    ret
}

/// The calling thread's errno.
fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
