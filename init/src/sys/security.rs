//! Credentials and confinement of the calling process. Each process of the helper has one thread, so what
//! the kernel keeps for each thread is the whole process's.

use super::check;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Number of the last capability that this build knows; the kernel says which exist.
pub const LAST_CAP: u32 = 63;

fn prctl(option: libc::c_int, a: libc::c_ulong, b: libc::c_ulong) -> Result<libc::c_long, Errno> {
    // SAFETY: only options that take integers are passed by this module.
    check(unsafe { libc::prctl(option, a, b, 0, 0) }.into())
}

/// The bounding set.
pub fn bounding_set() -> u64 {
    let mut set = 0;
    for cap in 0..=LAST_CAP {
        match prctl(libc::PR_CAPBSET_READ, cap.into(), 0) {
            Ok(1) => set |= 1 << cap,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    set
}

/// Whether one capability is in the bounding set.
pub fn is_bounding(cap: u32) -> bool {
    prctl(libc::PR_CAPBSET_READ, cap.into(), 0) == Ok(1)
}

/// Drops one capability from the bounding set.
pub fn drop_bounding(cap: u32) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, cap.into(), 0).map(drop)
}

/// Empties the ambient set.
pub fn clear_ambient() -> Result<(), Errno> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0).map(drop)
}

/// Adds one capability to the ambient set.
pub fn raise_ambient(cap: u32) -> Result<(), Errno> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, cap.into()).map(drop)
}

/// Whether permitted capabilities survive the change to another user.
pub fn keep_caps(keep: bool) -> Result<(), Errno> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0).map(drop)
}

/// Sets `no_new_privs` for good.
pub fn no_new_privs() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// The signal that arrives when the parent ends.
pub fn parent_death_signal(signal: i32) -> Result<(), Errno> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, 0).map(drop)
}

/// Whether others of the same user may trace this process or see into it.
pub fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into(), 0).map(drop)
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAP_VERSION: u32 = 0x2008_0522;

/// Effective, permitted and inheritable set of the calling process.
pub fn caps() -> Result<(u64, u64, u64), Errno> {
    let mut header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 reads one header and writes two data structures, which are valid for the call.
    check(unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((
        join(data[0].effective, data[1].effective),
        join(data[0].permitted, data[1].permitted),
        join(data[0].inheritable, data[1].inheritable),
    ))
}

/// Sets effective, permitted and inheritable set of the calling process.
pub fn set_caps(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let half = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads one header and two data structures, which are valid for the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &header, data.as_ptr()) }).map(drop)
}

/// Runs something with other ids for file systems, but all capabilities; then root's again.
pub fn with_fs_ids<T>(uid: u32, gid: u32, run: impl FnOnce() -> T) -> Result<T, Errno> {
    let (_, permitted, inheritable) = caps()?;
    let set = |uid: u32, gid: u32| {
        // SAFETY: both take integers, and can't fail in a way that matters: the result is checked by use.
        unsafe {
            libc::setfsgid(gid);
            libc::setfsuid(uid);
        }
        // Leaving 0 took those for file systems away.
        set_caps(permitted, permitted, inheritable)
    };
    let done = set(uid, gid).map(|()| run());
    set(0, 0)?;
    done
}

/// Installs a seccomp program: whole `struct sock_filter`s in native order. The descriptor that answers its
/// notifications, if the kernel's `flags` ask for one.
pub fn seccomp(program: &[u8], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    const ENTRY: usize = size_of::<libc::sock_filter>();
    let len = u16::try_from(program.len() / ENTRY).map_err(|_| Errno::INVAL)?;
    if !program.len().is_multiple_of(ENTRY) || len == 0 {
        return Err(Errno::INVAL);
    }
    let fprog = libc::sock_fprog { len, filter: program.as_ptr() as *mut libc::sock_filter };
    // SAFETY: `fprog` names `len` whole entries inside `program`, which the kernel copies byte by byte (no
    // alignment is needed) and never writes, in spite of the type.
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &fprog) };
    let fd = check(ret)?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32 == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the call returns a descriptor that it has just made, close-on-exec.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// Leaves the inherited session keyring for a new, empty one.
pub fn new_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a NULL name asks for an anonymous keyring.
    let ret = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    check(ret).map(drop)
}
