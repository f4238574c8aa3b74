//! The user namespace of a rootless launcher, and those of containers: who writes the id maps.

use crate::failure::{Context, coded, failure};
use crate::sys::process::{self, CStrings, Forked};
use containers_protocol::control::Failure;
use containers_protocol::plan::{IdMap, IdMaps};
use containers_protocol::wire;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::CString;

/// The launcher's side: leaves for a new user namespace and becomes root in it, when the maps are there.
pub fn enter(sock: &OwnedFd) -> Result<(), Failure> {
    process::unshare(libc::CLONE_NEWUSER as u64).map_err(refused)?;
    wire::send(sock, b"maps", &[]).during("userns")?;
    match wire::recv(sock).during("userns")? {
        Some(answer) if answer.payload.is_empty() => {}
        Some(answer) => return Err(wire::from_postcard(&answer.payload).during("userns")?),
        None => return Err(failure("userns", b"", Errno::PIPE)),
    }
    become_root()
}

/// User and group 0 of the user namespace that the process is in.
pub fn become_root() -> Result<(), Failure> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    match set_thread_groups(&[]) {
        // Denied together with a single-id map.
        Ok(()) | Err(Errno::PERM) => {}
        Err(e) => return Err(failure("userns", b"groups", e)),
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at("userns", b"gid 0")?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at("userns", b"uid 0")
}

fn refused(errno: Errno) -> Failure {
    let mut f = failure("userns", b"", errno);
    if matches!(errno, Errno::PERM | Errno::NOSPC | Errno::USERS | Errno::INVAL | Errno::ACCESS) {
        f.code = "unsupported".into();
        f.detail = "this machine lets no ordinary user make user namespaces: see \
                    sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and \
                    kernel.apparmor_restrict_unprivileged_userns"
            .into();
    }
    f
}

/// The first process's side: writes the maps of the launcher.
pub fn serve(sock: &OwnedFd, pid: i32, maps: &IdMaps) -> Result<(), Failure> {
    match wire::recv(sock).during("userns")? {
        Some(_) => {}
        // The launcher has told the library already.
        None => process::exit(1),
    }
    let written = write_maps(pid, maps);
    let answer = match &written {
        Ok(()) => wire::send(sock, b"", &[]),
        Err(failed) => wire::send_postcard(sock, failed, &[]),
    };
    answer.during("userns")
}

/// A user namespace with these maps that no process is in.
pub fn namespace(maps: &IdMaps) -> Result<OwnedFd, Failure> {
    let (held, _hold) = pipe_with(PipeFlags::CLOEXEC).during("userns")?;
    match process::fork(libc::CLONE_NEWUSER as u64, None).map_err(refused)? {
        Forked::Child => {
            // It holds nothing of its parent's, and does not outlive it: the end of this pipe is either's.
            let _ = process::close_all_but(&mut vec![held.as_raw_fd()]);
            let _ = rustix::io::read(&held, &mut [0u8; 1]);
            process::exit(0)
        }
        Forked::Parent { pid, pidfd } => {
            let path = format!("/proc/{pid}/ns/user");
            let made = write_maps(pid, maps).and_then(|()| {
                openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .at("userns", path.as_bytes())
            });
            let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
            let _ = process::reap(&pidfd, false);
            made
        }
    }
}

/// Writes both id maps of a process.
pub fn write_maps(pid: i32, maps: &IdMaps) -> Result<(), Failure> {
    if let Some((uid_tool, gid_tool)) = &maps.tools {
        run_tool(&uid_tool.0, pid, &maps.uids)?;
        return run_tool(&gid_tool.0, pid, &maps.gids);
    }
    write_map(pid, "uid_map", &maps.uids)?;
    match write_map(pid, "gid_map", &maps.gids) {
        // Without privileges a single id may be mapped, once setgroups is given up.
        Err(f) if f.errno == Errno::PERM.raw_os_error() => {
            write_file(pid, "setgroups", "deny")?;
            write_map(pid, "gid_map", &maps.gids)
        }
        done => done,
    }
}

fn write_map(pid: i32, file: &str, map: &[IdMap]) -> Result<(), Failure> {
    let line = |m: &IdMap| format!("{} {} {}\n", m.inside, m.outside, m.count);
    write_file(pid, file, &map.iter().map(line).collect::<String>())
}

fn write_file(pid: i32, file: &str, text: &str) -> Result<(), Failure> {
    let path = format!("/proc/{pid}/{file}");
    let how = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = openat(CWD, &path, how, Mode::empty()).at("userns", path.as_bytes())?;
    rustix::io::write(fd, text.as_bytes()).map(drop).at("userns", path.as_bytes())
}

/// Runs `newuidmap` or `newgidmap`.
fn run_tool(tool: &[u8], pid: i32, map: &[IdMap]) -> Result<(), Failure> {
    let mut args = vec![tool.to_vec(), pid.to_string().into_bytes()];
    for m in map {
        args.extend([m.inside, m.outside, m.count].map(|n| n.to_string().into_bytes()));
    }
    let args = CStrings::new(args.iter().map(Vec::as_slice)).at("userns", tool)?;
    let env = CStrings::new([]).at("userns", tool)?;
    let path = CString::new(tool).map_err(|_| failure("userns", tool, Errno::INVAL))?;
    match process::fork(0, None).at("userns", tool)? {
        Forked::Child => {
            let _ = process::close_from(3, false);
            process::execve(&path, &args, &env);
            process::exit(127)
        }
        Forked::Parent { pidfd, .. } => {
            let ended = process::reap(&pidfd, false).at("userns", tool)?;
            match ended {
                Some(ended) if ended.code == 0 => Ok(()),
                _ => {
                    let detail = "it refused the id map; /etc/subuid and /etc/subgid must grant the range";
                    Err(coded("unsupported", "userns", tool, detail))
                }
            }
        }
    }
}
