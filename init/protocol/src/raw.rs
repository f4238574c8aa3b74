//! Calls of the kernel without the C library: before that has begun, and in a process that must leave the thread's `errno` alone.

#![allow(unsafe_code, reason = "a call that no safe crate makes")]

/// Has a signal ignored, or do what it does by default; whether that could be done. A handler that was set is not called any more.
pub fn set_signal(signal: libc::c_int, ignored: bool) -> bool {
    /// The size of the kernel's set of signals.
    const SET: usize = 8;
    let handler = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // The kernel's `struct sigaction`, without flags. Here, since a constant would lie in a page of its own.
    let action = [handler, 0, 0, 0];
    // SAFETY: the kernel reads the structure, and calls nothing of the program's.
    let done =
        unsafe { call(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, SET, 0]) };
    done == 0
}

/// A call of the kernel with up to five arguments; a negative number is an error's.
///
/// # Safety
/// As the call's.
#[inline]
pub unsafe fn call(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the call; the kernel changes no other registers.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller vouches for the call; the kernel changes no other registers.
    unsafe {
        std::arch::asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack)
        );
    }
    result
}
