//! Where a static program begins, before the C library's own beginning (glibc on x86-64; elsewhere that one is all there is).
//!
//! The C library's beginning asks the processor some forty times what it can do (`cpuid`), to choose among its ways to copy
//! memory and to know the sizes of caches. In a virtual machine each of these instructions is carried out by the hypervisor: 1 µs
//! where that is near, 10 µs in a nested one, and thus more than everything else that this program does before its work. So it does
//! here what the C library would do, in its order and with its own functions, but for that question; what was to be chosen is
//! the plainest of each kind, and [`memory`] takes the place of those that go by the size of caches. No
//! library is loaded later: so what the C library prepares for that is left out (where the program lies, the
//! kernel's own library, paths to search: 40 µs), and nothing here may ask it for names of users or machines, which is what it
//! loads libraries for. Nor is it told the program's name, for messages of its own that nobody has it write. Where one of the functions is missing, in a version of the C library to come, the program begins as any
//! other.

mod heap;
mod memory;
mod reach;

use containers_protocol::raw::call;
use heap::Heap;
use std::ffi::{c_char, c_int};
use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

std::arch::global_asm!(
    // A function that the C library does not have has address zero. What brings them in is its own beginning.
    ".weak _dl_aux_init",
    ".weak __libc_setup_tls",
    ".weak __libc_early_init",
    ".weak _dl_stack_flags",
    ".weak _dl_stack_prot_flags",
    ".weak __pthread_initialize_minimal",
    ".weak __rela_iplt_start",
    ".weak __rela_iplt_end",
    ".globl containers_oci_start",
    ".type containers_oci_start,@function",
    "containers_oci_start:",
    "xor ebp, ebp",
    "mov r12, rsp",
    "mov r13, rdx",
    "mov rdi, rsp",
    "lea rsi, [rip + containers_oci_library]",
    "and rsp, -16",
    "call {begin}",
    "mov rsp, r12",
    "mov rdx, r13",
    "jmp _start",
    ".pushsection .rodata",
    ".balign 8",
    "containers_oci_library:",
    ".quad _dl_aux_init",
    ".quad __libc_setup_tls",
    ".quad __libc_early_init",
    ".quad _dl_stack_flags",
    ".quad _dl_stack_prot_flags",
    ".quad __pthread_initialize_minimal",
    ".quad __rela_iplt_start",
    ".quad __rela_iplt_end",
    ".popsection",
    begin = sym begin,
);

#[global_allocator]
static HEAP: Heap = Heap;

/// The lists of arguments and of the environment.
static LISTS: [AtomicPtr<*mut c_char>; 2] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 2];

/// Overwrites the arguments and the environment: a process that has this one's memory for its own shows them to whoever may
/// look at it. What has a copy keeps that.
pub fn forget_arguments() {
    for list in &LISTS {
        let mut at = list.load(Ordering::Relaxed);
        // SAFETY: they are the kernel's lists of strings, which end with null and lie in memory of this program; nobody else runs in
        // it, and what is left of each is an empty string.
        unsafe {
            while !at.is_null() && !(*at).is_null() {
                let mut byte = *at;
                while *byte != 0 {
                    *byte = 0;
                    byte = byte.add(1);
                }
                at = at.add(1);
            }
        }
    }
}

/// What is called of the C library, and where the linker put its list of choices.
#[repr(C)]
struct Library {
    /// Takes in what the kernel says at the start (`getauxval`).
    aux_init: Option<unsafe extern "C" fn(*const usize)>,
    /// Gives the thread its own memory.
    setup_tls: Option<unsafe extern "C" fn()>,
    /// Knows characters, and what a thread has by default.
    early_init: Option<unsafe extern "C" fn(bool)>,
    /// What may be done with the memory of threads' stacks (`PF_*`), and what it is called in later versions (`PROT_*`).
    stack_flags: Option<&'static AtomicU32>,
    stack_protection: Option<&'static AtomicI32>,
    /// Before 2.34 threads were a library of their own, with a beginning of its own.
    threads: Option<unsafe extern "C" fn()>,
    choices: *const Choice,
    choices_end: *const Choice,
}

/// A relocation of kind `R_X86_64_IRELATIVE`: at `place` goes the address that `resolver` returns (`Elf64_Rela`).
#[repr(C)]
struct Choice {
    place: *mut usize,
    kind: u64,
    resolver: extern "C" fn() -> usize,
}

const PAGE: usize = 4096;
const IRELATIVE: u64 = 37;
const AT_RANDOM: usize = 25;
const AT_PHDR: usize = 3;
const AT_PHNUM: usize = 5;
const AT_SECURE: usize = 23;

/// `PF_W` and `PF_R`.
const WRITE: u32 = 2;
const READ: u32 = 4;

unsafe extern "C" {
    static mut __environ: *const *const c_char;
    static __init_array_start: [extern "C" fn(c_int, *const *const c_char, *const *const c_char); 0];
    static __data_start: u8;
    static __init_array_end: [extern "C" fn(c_int, *const *const c_char, *const *const c_char); 0];
}

/// Begins the program. Returns, having done nothing, where the C library has to.
///
/// # Safety
/// `stack` must be where the kernel put the arguments, and nothing may have run before.
unsafe extern "C" fn begin(stack: *const usize, library: &Library) {
    let Library { aux_init: Some(aux_init), setup_tls: Some(setup_tls), .. } = *library else { return };
    let Library { early_init: Some(early_init), threads: None, .. } = *library else { return };
    // SAFETY: the kernel's layout (System V ABI, "Process Initialization"): the number of arguments, these and a null
    // pointer, the environment and a null pointer, then pairs of numbers.
    let (count, args, env, aux) = unsafe {
        let count = *stack;
        let args: *const *const c_char = stack.add(1).cast();
        let env = args.add(count + 1);
        let mut end = env;
        while !(*end).is_null() {
            end = end.add(1);
        }
        (count as c_int, args, env, end.add(1).cast::<usize>())
    };
    // SAFETY: the kernel's list.
    if unsafe { reach::told(aux, AT_SECURE) }.is_some_and(|secure| secure != 0) {
        // With more rights than who started it: the C library takes dangerous variables out of the environment.
        return;
    }
    // SAFETY: these are the lists that the kernel made.
    if unsafe { reach::leave(args, env, aux) } {
        fill_pages(stack);
    }
    for (list, given) in LISTS.iter().zip([args, env]) {
        list.store(given.cast_mut().cast(), Ordering::Relaxed);
    }
    // SAFETY: what `__libc_start_main` does, in its order, before any other code runs: see the module. The list of choices is
    // the linker's, and this program's memory is where it was linked to be.
    unsafe {
        __environ = env;
        aux_init(aux);
        let mut choice = library.choices;
        while choice < library.choices_end {
            if (*choice).kind != IRELATIVE {
                std::arch::asm!("ud2", options(noreturn));
            }
            *(*choice).place = ((*choice).resolver)();
            choice = choice.add(1);
        }
        setup_tls();
        heap::begin();
        guard(aux);
        early_init(true);
        if let Some(flags) = library.stack_flags {
            flags.store(READ | WRITE, Ordering::Relaxed);
        }
        if let Some(protection) = library.stack_protection {
            protection.store(libc::PROT_READ | libc::PROT_WRITE, Ordering::Relaxed);
        }
        protect(aux);
        let mut init = (&raw const __init_array_start).cast::<extern "C" fn(c_int, _, _)>();
        while init < (&raw const __init_array_end).cast() {
            (*init)(count, args, env);
            init = init.add(1);
        }
    }
    // Without what was left out nobody can look for the functions that called, and their names aren't here anyway.
    std::panic::set_hook(Box::new(|panic| drop(writeln!(std::io::stderr(), "containers-oci: {panic}"))));
    std::process::exit(super::entry::main(count, args))
}

/// Has the kernel fill in at once what pages a program that makes a container will write to anyway, of its data, its heap and its
/// stack: each would be a fault, and these are dear in virtual machines. Other commands write to too few.
fn fill_pages(stack: *const usize) {
    let down = |address: usize| address & !(PAGE - 1);
    let data = down((&raw const __data_start) as usize)..heap::start() + 8 * PAGE;
    let stack = down(stack as usize) - 12 * PAGE..down(stack as usize);
    for pages in [data, stack] {
        // SAFETY: memory of this program's own is filled in as it would be by a write that changes nothing. A kernel that
        // can't (before 5.14) says so.
        unsafe {
            call(libc::SYS_madvise, [pages.start, pages.len(), libc::MADV_POPULATE_WRITE as usize, 0, 0])
        };
    }
}

/// Makes read-only what is not written to any more (`PT_GNU_RELRO`).
///
/// # Safety
/// `aux` must be the kernel's list of pairs, and nothing may write there later.
unsafe fn protect(aux: *const usize) {
    // SAFETY: the caller vouches for the list, in which these are where the program's headers are and how many.
    let headers = unsafe {
        let (Some(at), Some(count)) = (reach::told(aux, AT_PHDR), reach::told(aux, AT_PHNUM)) else { return };
        std::slice::from_raw_parts(at as *const libc::Elf64_Phdr, count)
    };
    let Some(relro) = headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO) else { return };
    let [start, end] = [relro.p_vaddr, relro.p_vaddr + relro.p_memsz].map(|at| at as usize & !(PAGE - 1));
    // SAFETY: memory of this program's own, which the linker filled up to whole pages for this.
    unsafe { call(libc::SYS_mprotect, [start, end - start, libc::PROT_READ as usize, 0, 0]) };
}

/// Sets the numbers that guard the stack and stored addresses, which lie in the thread's control block.
///
/// # Safety
/// The thread must have its memory, and `aux` be the kernel's list of pairs.
unsafe fn guard(aux: *const usize) {
    // SAFETY: the caller vouches for the list, in which AT_RANDOM is the address of 16 bytes. The places in the
    // control block are fixed by the ABI of the compilers (`fs:0x28`) and of the C library (`fs:0x30`).
    unsafe {
        let Some(random) = reach::told(aux, AT_RANDOM) else { return };
        let [stack, pointer] = (random as *const [usize; 2]).read_unaligned();
        // A string that runs over can't hold its lowest byte.
        std::arch::asm!("mov fs:[0x28], {}", in(reg) stack & !0xff, options(nostack));
        std::arch::asm!("mov fs:[0x30], {}", in(reg) pointer, options(nostack));
    }
}
