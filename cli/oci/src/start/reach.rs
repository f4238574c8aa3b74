//! Getting out of the reach of a container that is about to be made: see `program` of the core.
//!
//! This runs before anything else of the program: there is no memory of a thread yet, and no function of the C library may be called.

use containers_protocol::raw::call;
use std::ffi::c_char;

const AT_NULL: usize = 0;
const AT_EXECFN: usize = 31;

/// What is read here. In one piece, so that it stays beside what else is read at the beginning (`.rodata` without a name of its
/// own): another page is a fault.
struct Words {
    /// `struct mount_attr`, of which `MOUNT_ATTR_RDONLY` is set.
    read_only: [u64; 4],
    /// What the path of a program begins with that was executed from a descriptor, as the kernel says it.
    by_descriptor: [u8; 8],
    /// The commands that make a container.
    run: [u8; 4],
    create: [u8; 7],
    /// What processes are called by.
    name: [u8; 15],
    /// Where this program is.
    exe: [u8; 15],
}

#[unsafe(link_section = ".rodata")]
static WORDS: Words = Words {
    read_only: [1, 0, 0, 0],
    by_descriptor: *b"/dev/fd/",
    run: *b"run\0",
    create: *b"create\0",
    name: *b"containers-oci\0",
    exe: *b"/proc/self/exe\0",
};

/// Executes this program once more, from a read-only mount of it that is attached nowhere, if it is about to make the first process
/// of a container. Comes back if not, if that has been done, which it tells, and if it can't be: then the process is made by a
/// helper.
///
/// # Safety
/// `args` and `env` must be lists of strings that end with null, and `aux` the kernel's list of pairs.
pub(super) unsafe fn leave(args: *const *const c_char, env: *const *const c_char, aux: *const usize) -> bool {
    // SAFETY: the caller vouches for the lists.
    if unsafe { is_by_descriptor(aux) } {
        // Kernels before 6.14 call it by the descriptor's number.
        // SAFETY: the kernel reads a string that ends.
        unsafe { call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, WORDS.name.as_ptr() as usize, 0, 0, 0]) };
        return true;
    }
    // SAFETY: as above.
    if unsafe { !makes_container(args) } {
        return false;
    }
    let (here, exe) = (libc::AT_FDCWD as usize, WORDS.exe.as_ptr() as usize);
    // An empty string.
    let nothing = exe + WORDS.exe.len() - 1;
    let how = libc::OPEN_TREE_CLONE as usize | libc::OPEN_TREE_CLOEXEC as usize;
    let whole = libc::AT_EMPTY_PATH as usize;
    // SAFETY: the kernel reads strings that end, and a structure of the size that is given. An executed program takes this one's
    // place; in all other cases nothing of it has changed but a descriptor, which is closed.
    unsafe {
        let mount = call(libc::SYS_open_tree, [here, exe, how, 0, 0]);
        if mount < 0 {
            return false;
        }
        let attributes = (&raw const WORDS.read_only) as usize;
        let set = [mount as usize, nothing, whole, attributes, size_of_val(&WORDS.read_only)];
        if call(libc::SYS_mount_setattr, set) == 0 {
            call(libc::SYS_execveat, [mount as usize, nothing, args as usize, env as usize, whole]);
        }
        call(libc::SYS_close, [mount as usize, 0, 0, 0, 0]);
    }
    false
}

/// Whether there is such a command among the arguments. A container of that name costs a moment.
///
/// # Safety
/// As [`leave`].
unsafe fn makes_container(args: *const *const c_char) -> bool {
    let mut at = args;
    // SAFETY: the caller vouches for the list.
    unsafe {
        while !(*at).is_null() {
            if begins_with(*at, &WORDS.run) || begins_with(*at, &WORDS.create) {
                return true;
            }
            at = at.add(1);
        }
    }
    false
}

/// Whether this program was executed from a descriptor.
///
/// # Safety
/// As [`leave`].
unsafe fn is_by_descriptor(aux: *const usize) -> bool {
    // SAFETY: the caller vouches for the list, in which AT_EXECFN is the address of a string.
    unsafe {
        told(aux, AT_EXECFN).is_some_and(|name| begins_with(name as *const c_char, &WORDS.by_descriptor))
    }
}

/// What the kernel says of one kind in its list of pairs.
///
/// # Safety
/// `aux` must be that list.
pub(super) unsafe fn told(mut aux: *const usize, kind: usize) -> Option<usize> {
    // SAFETY: the caller vouches for the list, which ends with AT_NULL.
    unsafe {
        while *aux != AT_NULL {
            if *aux == kind {
                return Some(*aux.add(1));
            }
            aux = aux.add(2);
        }
    }
    None
}

/// Whether a string begins with these bytes; a zero among them is the end of the string.
///
/// # Safety
/// `text` must be a string that ends.
unsafe fn begins_with(text: *const c_char, wanted: &[u8]) -> bool {
    // SAFETY: no byte is looked at behind one that differs, and the string's end differs from all but the end of `wanted`.
    wanted.iter().enumerate().all(|(i, byte)| unsafe { *text.add(i) } as u8 == *byte)
}
