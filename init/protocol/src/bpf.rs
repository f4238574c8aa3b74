//! Loading a program of device rules for a cgroup, without anything that belongs to the thread: a process that shares its
//! parent's memory may do it while that one goes on.

#![allow(unsafe_code, reason = "a call that no safe crate makes")]

use crate::raw;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CStr;

/// `BPF_PROG_LOAD`.
const LOAD: usize = 5;

/// `BPF_PROG_TYPE_CGROUP_DEVICE`.
const CGROUP_DEVICE: u32 = 15;

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD` (bpf(2)).
#[repr(C)]
#[derive(Default)]
struct Attribute {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// Loads instructions, each 8 bytes as the kernel has them in memory, under a name of at most 15 bytes.
pub fn load_devices(instructions: &[u64], name: &CStr) -> Result<OwnedFd, Errno> {
    let mut prog_name = [0; 16];
    for (to, from) in prog_name[..15].iter_mut().zip(name.to_bytes()) {
        *to = *from;
    }
    let attribute = Attribute {
        prog_type: CGROUP_DEVICE,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        prog_name,
        ..Attribute::default()
    };
    // It is refused now and then while the verifier is interrupted.
    let mut loaded = Err(Errno::AGAIN);
    for _ in 0..6 {
        loaded = bpf(LOAD, &attribute);
        if !matches!(loaded, Err(Errno::AGAIN)) {
            break;
        }
    }
    loaded
}

fn bpf(command: usize, attribute: &Attribute) -> Result<OwnedFd, Errno> {
    // SAFETY: the attribute is laid out as the kernel's for this command, which only reads it and what it names: slices and
    // strings that live over the call.
    let made = unsafe {
        raw::call(libc::SYS_bpf, [command, (&raw const *attribute) as usize, size_of::<Attribute>(), 0, 0])
    };
    match i32::try_from(made) {
        // SAFETY: the kernel has just made this descriptor for this call.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(Errno::from_raw_os_error(-made as i32)),
    }
}
