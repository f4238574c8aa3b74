//! Scheduling, priorities and execution domains of the calling process.

use super::check;
use containers_protocol::extra::Scheduler;
use rustix::io::Errno;

/// `struct sched_attr` in its first version (48 bytes).
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `sched_setattr(2)`.
pub fn set_scheduler(s: &Scheduler) -> Result<(), Errno> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: s.policy,
        flags: s.flags,
        nice: s.nice,
        priority: s.priority,
        runtime: s.runtime,
        deadline: s.deadline,
        period: s.period,
    };
    // SAFETY: `attr` says its own size and is valid for the call, which reads it (and may write `size`).
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &attr as *const SchedAttr, 0) }).map(drop)
}

/// `ioprio_set(2)` with a class and priority.
pub fn set_io_priority(value: u32) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes integers; 0 is the calling thread.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }).map(drop)
}

/// `personality(2)`.
pub fn set_personality(domain: u32) -> Result<(), Errno> {
    // SAFETY: takes an integer.
    check(unsafe { libc::personality(domain.into()) }.into()).map(drop)
}

/// `set_mempolicy(2)` with a mode and a mask of nodes.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<(), Errno> {
    let (mask, bits) = match nodes {
        [] => (std::ptr::null(), 0),
        // The kernel reads one bit less than it is told.
        nodes => (nodes.as_ptr(), nodes.len() * 64 + 1),
    };
    // SAFETY: the mask is NULL, or has the bits that are read: `bits` - 1.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) }).map(drop)
}

/// Allows all CPUs of the cpuset again, whatever this process was started with.
pub fn reset_affinity() {
    /// More CPUs than a kernel can have.
    const ALL: [u64; 128] = [u64::MAX; 128];
    // Where that is forbidden, it stays as it is.
    let _ = set_affinity(&ALL);
}

/// `sched_setaffinity(2)` with a mask of CPUs.
pub fn set_affinity(cpus: &[u64]) -> Result<(), Errno> {
    // SAFETY: pointer and length are those of `cpus`; 0 is the calling thread.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(cpus), cpus.as_ptr()) })
        .map(drop)
}
