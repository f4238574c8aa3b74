//! Starting a program beside this one: it is on its way when the call returns, and nothing is copied.

#![allow(unsafe_code, reason = "the calls that no safe crate makes")]

use containers_protocol::vfork::{CLONE_CLEAR_SIGHAND, clone_args};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The exit code of a child that can't execute its program: what a shell says.
const NOT_EXECUTED: i32 = 126;

/// What a child passes on to its program.
struct Arguments {
    argv: [*const libc::c_char; 4],
    envp: [*const libc::c_char; 1],
}

/// Starts the program in `exe`, in `cgroup` (v2) if given, with an empty environment and its name, an argument and the
/// number of `socket` as arguments. The process id. It has this process's descriptors that stay open on exec,
/// `socket` besides, and its ignored and blocked signals. That it can't be executed shows as the end of the child.
pub(crate) fn start(
    exe: BorrowedFd<'_>,
    args: [&'static CStr; 2],
    socket: BorrowedFd<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<i32> {
    // Only the child's copy outlives the call.
    let socket = rustix::io::dup(socket)?;
    let number = Box::leak(CString::new(socket.as_raw_fd().to_string())?.into_boxed_c_str());
    // Nobody says when the child has read them, so these few bytes stay.
    let arguments: &'static Arguments = Box::leak(Box::new(Arguments {
        argv: [args[0].as_ptr(), args[1].as_ptr(), number.as_ptr(), std::ptr::null()],
        envp: [std::ptr::null()],
    }));
    let mut pidfd: RawFd = -1;
    // No handler of ours may run in the child: it would change our memory.
    let mut clone = clone_args(CLONE_CLEAR_SIGHAND | libc::CLONE_VM as u64, &mut pidfd, cgroup);
    // SAFETY: no stack is named, and the child uses none: see `clone_and_execute`. What it reads is never freed.
    let pid = unsafe { clone_and_execute(&mut clone, exe.as_raw_fd(), arguments) };
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(-pid as i32));
    }
    // SAFETY: CLONE_PIDFD made this descriptor for us, and a child that is ours to reap needs none.
    drop(unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(pid as i32)
}

/// `clone3`, after which the child executes the program of a descriptor, or ends.
///
/// # Safety
/// `clone` must be valid, ask for a child that may share this process's memory (no signal handlers), and name no stack;
/// `arguments` must hold lists of strings that end with null.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_and_execute(
    clone: &mut libc::clone_args,
    exe: RawFd,
    arguments: &'static Arguments,
) -> libc::c_long {
    let ret;
    // SAFETY: the caller vouches for the arguments. The parent falls through to label 2 with its registers as the constraints
    // say. The child goes on with the same registers (the kernel clobbers rcx and r11), makes two calls with what is in
    // them, and does not come back: it neither reads nor writes the stack and the thread's own memory, `errno` included,
    // which the parent uses at the same time.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "mov rsi, r13",
            "mov rdx, r14",
            "mov r10, r15",
            "mov r8d, {empty_path}",
            "mov eax, {execveat}",
            "syscall",
            "mov edi, {not_executed}",
            "mov eax, {exit_group}",
            "syscall",
            "ud2",
            "2:",
            empty_path = const libc::AT_EMPTY_PATH,
            execveat = const libc::SYS_execveat,
            not_executed = const NOT_EXECUTED,
            exit_group = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone3 => ret,
            in("rdi") clone as *mut libc::clone_args,
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") i64::from(exe),
            in("r13") c"".as_ptr(),
            in("r14") arguments.argv.as_ptr(),
            in("r15") arguments.envp.as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// `clone3`, after which the child executes the program of a descriptor, or ends.
///
/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_and_execute(
    clone: &mut libc::clone_args,
    exe: RawFd,
    arguments: &'static Arguments,
) -> libc::c_long {
    let ret;
    // SAFETY: as on x86-64; the kernel preserves all registers but x0.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x0, x9",
            "mov x1, x10",
            "mov x2, x11",
            "mov x3, x12",
            "mov x4, #{empty_path}",
            "mov x8, #{execveat}",
            "svc #0",
            "mov x0, #{not_executed}",
            "mov x8, #{exit_group}",
            "svc #0",
            "brk #1",
            "2:",
            empty_path = const libc::AT_EMPTY_PATH,
            execveat = const libc::SYS_execveat,
            not_executed = const NOT_EXECUTED,
            exit_group = const libc::SYS_exit_group,
            in("x8") libc::SYS_clone3,
            inlateout("x0") clone as *mut libc::clone_args => ret,
            in("x1") size_of::<libc::clone_args>(),
            in("x9") i64::from(exe),
            in("x10") c"".as_ptr(),
            in("x11") arguments.argv.as_ptr(),
            in("x12") arguments.envp.as_ptr(),
        );
    }
    ret
}
