//! BPF programs that decide on devices: attaching to a cgroup, replacing.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const PROG_QUERY: i32 = 16;

const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

/// Programs of one cgroup: the kernel allows as many.
const MOST: usize = 64;

/// For `PROG_ATTACH` and `PROG_DETACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// For `PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

/// For `PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// For `OBJ_GET_INFO_BY_FD`.
#[repr(C)]
#[derive(Default)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`, up to the name.
#[repr(C)]
#[derive(Default)]
struct ProgInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; 16],
}

fn bpf<T>(command: i32, attribute: &mut T) -> io::Result<i32> {
    // SAFETY: `attribute` is a live, exclusively borrowed `repr(C)` structure laid out as the kernel's union for this
    // command and its size is passed, so the kernel reads and writes nothing beyond it. The addresses in it are
    // those of buffers that its makers, all in this module, keep alive and borrowed over the call.
    let n = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attribute), size_of::<T>()) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as i32) }
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just returned this descriptor for this call, so it is open and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: RawFd) -> u32 {
    fd.cast_unsigned()
}

/// Programs on a cgroup that have our name.
fn ours(cgroup: &File, name: &CStr) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0u32; MOST];
    let mut query = Query {
        target_fd: number(cgroup.as_raw_fd()),
        attach_type: CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: MOST as u32,
        ..Query::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    let mut found = Vec::new();
    for id in ids.iter().take(query.prog_cnt as usize) {
        // One that went meanwhile is none of ours any more.
        let Ok(fd) = bpf(PROG_GET_FD_BY_ID, &mut ById { id: *id, ..ById::default() }) else { continue };
        let program = owned(fd);
        let mut info = ProgInfo::default();
        let mut attribute = Info {
            fd: number(program.as_raw_fd()),
            len: size_of::<ProgInfo>() as u32,
            info: (&raw mut info) as u64,
        };
        bpf(OBJ_GET_INFO_BY_FD, &mut attribute)?;
        if CStr::from_bytes_until_nul(&info.name) == Ok(name) {
            found.push(program);
        }
    }
    Ok(found)
}

fn detach(cgroup: &File, program: &OwnedFd) -> io::Result<()> {
    let mut attribute = Attach {
        target_fd: number(cgroup.as_raw_fd()),
        attach_bpf_fd: number(program.as_raw_fd()),
        attach_type: CGROUP_DEVICE,
        ..Attach::default()
    };
    bpf(PROG_DETACH, &mut attribute).map(drop)
}

/// Takes our program off a cgroup. A kernel without such programs has none.
pub(crate) fn detach_devices(cgroup: &Path, name: &CStr) -> io::Result<()> {
    let cgroup = File::open(cgroup)?;
    let Ok(found) = ours(&cgroup, name) else { return Ok(()) };
    found.iter().try_for_each(|program| detach(&cgroup, program))
}

/// Puts a program on a cgroup, in the place of our earlier one, with no moment without any.
pub(crate) fn attach_devices(cgroup: &Path, program: &OwnedFd, name: &CStr) -> io::Result<()> {
    let cgroup = File::open(cgroup)?;
    let mut earlier = ours(&cgroup, name)?;
    let replaced = earlier.pop();
    let mut attribute = Attach {
        target_fd: number(cgroup.as_raw_fd()),
        attach_bpf_fd: number(program.as_raw_fd()),
        attach_type: CGROUP_DEVICE,
        attach_flags: if replaced.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replace_bpf_fd: replaced.as_ref().map_or(0, |p| number(p.as_raw_fd())),
    };
    bpf(PROG_ATTACH, &mut attribute)?;
    earlier.iter().try_for_each(|program| detach(&cgroup, program))
}
