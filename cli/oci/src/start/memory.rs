//! Copying, filling and comparing memory: the C library's go by sizes of caches that nobody has asked for.
//!
//! All are written as instructions: a loop would be recognised for what it does, and become a call of itself.

use std::ffi::{c_int, c_void};

/// Copies `n` bytes.
///
/// # Safety
/// As in C: both must be valid for `n` bytes, and not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller vouches for the memory; the direction flag is clear by the ABI.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
    to
}

/// Copies `n` bytes and returns where they end.
///
/// # Safety
/// As [`memcpy`].
#[unsafe(no_mangle)]
unsafe extern "C" fn mempcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller's vouching is the same.
    unsafe { memcpy(to, from, n).byte_add(n) }
}

/// The C library's own name of it.
///
/// # Safety
/// As [`memcpy`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __mempcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller's vouching is the same.
    unsafe { memcpy(to, from, n).byte_add(n) }
}

/// What the C library's functions are called where the size of the target is known.
macro_rules! checked {
    ($name:ident, $plain:ident, $what:ty) => {
        /// Ends the program if `n` bytes are more than there is room for.
        ///
        /// # Safety
        /// As the function without the check.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(to: *mut c_void, what: $what, n: usize, room: usize) -> *mut c_void {
            if n > room {
                std::process::abort();
            }
            // SAFETY: the caller's vouching is the same.
            unsafe { $plain(to, what, n) }
        }
    };
}

checked!(__memcpy_chk, memcpy, *const c_void);
checked!(__mempcpy_chk, mempcpy, *const c_void);
checked!(__memmove_chk, memmove, *const c_void);
checked!(__memset_chk, memset, c_int);

/// Copies `n` bytes that may overlap.
///
/// # Safety
/// As in C: both must be valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: what is written next has been read, or is not read.
        return unsafe { memcpy(to, from, n) };
    }
    // SAFETY: the caller vouches for the memory. From the end on, what is written next has been read; `n` is not zero here. The
    // direction flag is clear again afterwards.
    unsafe {
        std::arch::asm!(
            "std",
            "rep movsb",
            "cld",
            inout("rcx") n => _,
            inout("rdi") to.byte_add(n - 1) => _,
            inout("rsi") from.byte_add(n - 1) => _,
            options(nostack)
        );
    }
    to
}

/// Sets `n` bytes.
///
/// # Safety
/// As in C: `to` must be valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, n: usize) -> *mut c_void {
    // SAFETY: the caller vouches for the memory; the direction flag is clear by the ABI.
    unsafe {
        std::arch::asm!(
            "rep stosb",
            inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8,
            options(nostack, preserves_flags)
        );
    }
    to
}

/// Compares `n` bytes: below, at or above zero as the first that differ.
///
/// # Safety
/// As in C: both must be valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    let (differ, below): (u8, u8);
    // SAFETY: the caller vouches for the memory; the direction flag is clear by the ABI. Of no bytes none differ: the
    // comparison before sets the flags for that.
    unsafe {
        std::arch::asm!(
            "cmp al, al",
            "repe cmpsb",
            "setne al",
            "setb dl",
            inout("rcx") n => _, inout("rsi") a => _, inout("rdi") b => _,
            lateout("al") differ, lateout("dl") below,
            options(nostack, readonly)
        );
    }
    c_int::from(differ) - 2 * c_int::from(below)
}

/// Whether `n` bytes differ.
///
/// # Safety
/// As [`memcmp`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    // SAFETY: the caller's vouching is the same.
    unsafe { memcmp(a, b, n) }
}
