//! From prepared process to command.

use crate::failure::{coded, failure};
use crate::sys::process::{CStrings, execve};
use containers_protocol::control::Failure;
use rustix::io::Errno;
use std::ffi::CStr;

/// Where programs are looked up when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest path there is.
const PATH_MAX: usize = 4096;

/// Executes the first argument, looked up in `PATH` when it has no slash, at once where [`look_up`] found it. Returns only on
/// failure.
pub fn exec(args: &CStrings, env: &CStrings, found: usize) -> Failure {
    let Some(program) = args.iter().next() else {
        return coded("invalid_argument", "exec", b"", "there is no command");
    };
    let name = program.to_bytes();
    if name.is_empty() {
        return coded("command_not_found", "exec", b"", "the command is empty");
    }
    if name.contains(&b'/') {
        return failed(program, execve(program, args, env));
    }
    let mut buf = [0u8; PATH_MAX];
    if let Some(path) =
        folders(env).nth(found).filter(|_| found > 0).and_then(|dir| join(&mut buf, dir, name))
    {
        // If it is gone, or has been put elsewhere, that shows below.
        execve(path, args, env);
    }
    let mut denied = None;
    for dir in folders(env) {
        let Some(path) = join(&mut buf, dir, name) else { continue };
        match execve(path, args, env) {
            Errno::NOENT | Errno::NOTDIR => {}
            // Another folder may have one that can be executed.
            e @ (Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NAMETOOLONG) => {
                denied = denied.or(Some(e));
            }
            e => return not_executed(path.to_bytes(), e),
        }
    }
    match denied {
        Some(e) => not_executed(name, e),
        None => coded("command_not_found", "exec", name, "executable file not found in PATH"),
    }
}

/// Where programs are looked up.
fn folders(env: &CStrings) -> impl Iterator<Item = &[u8]> {
    env.get(b"PATH").unwrap_or(DEFAULT_PATH).split(|b| *b == b':')
}

/// The same file may be missing, or what is to interpret it.
fn failed(program: &CStr, e: Errno) -> Failure {
    let failed = not_executed(program.to_bytes(), e);
    match e == Errno::NOENT && rustix::fs::stat(program).is_ok() {
        true => Failure { detail: "its interpreter is missing".into(), ..failed },
        false => failed,
    }
}

/// In which folder of `PATH` [`exec`] would find something that may be executed; 0 if the command is a path.
pub fn look_up(args: &CStrings, env: &CStrings) -> Result<usize, Failure> {
    let Some(program) = args.iter().next() else {
        return Err(coded("invalid_argument", "exec", b"", "there is no command"));
    };
    let name = program.to_bytes();
    if name.is_empty() {
        return Err(coded("command_not_found", "exec", b"", "the command is empty"));
    }
    if name.contains(&b'/') {
        return executable(program).map(|()| 0).map_err(|e| not_executed(name, e));
    }
    let mut denied = None;
    let mut buf = [0u8; PATH_MAX];
    for (index, dir) in folders(env).enumerate() {
        let Some(path) = join(&mut buf, dir, name) else { continue };
        match executable(path) {
            Ok(()) => return Ok(index),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => denied = denied.or(Some(e)),
        }
    }
    match denied {
        Some(e) => Err(not_executed(name, e)),
        None => Err(coded("command_not_found", "exec", name, "executable file not found in PATH")),
    }
}

/// Whether a file may be executed by this process, as far as can be known before it is.
///
/// A seccomp filter may be in force that refuses the question with EPERM, which no file system answers; whether the
/// program can be executed shows then when it is.
fn executable(path: &CStr) -> Result<(), Errno> {
    let asked = rustix::fs::stat(path).and_then(|stat| {
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(Errno::ACCESS);
        }
        rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)
    });
    asked.or_else(|e| if e == Errno::PERM { Ok(()) } else { Err(e) })
}

/// `dir/name`; an empty folder is the current one.
fn join<'a>(buf: &'a mut [u8; PATH_MAX], dir: &[u8], name: &[u8]) -> Option<&'a CStr> {
    let dir = if dir.is_empty() { b"." } else { dir };
    let len = dir.len() + 1 + name.len();
    if len >= PATH_MAX {
        return None;
    }
    buf[..dir.len()].copy_from_slice(dir);
    buf[dir.len()] = b'/';
    buf[dir.len() + 1..len].copy_from_slice(name);
    buf[len] = 0;
    CStr::from_bytes_with_nul(&buf[..=len]).ok()
}

fn not_executed(path: &[u8], errno: Errno) -> Failure {
    let (code, detail) = match errno {
        Errno::NOENT => ("command_not_found", "no such file"),
        Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => ("command_not_found", "no such file"),
        Errno::ACCESS | Errno::PERM | Errno::ISDIR => {
            ("command_not_found", "permission denied: not executable")
        }
        Errno::NOEXEC => {
            ("command_not_found", "not executable: neither a program of this machine nor a script")
        }
        Errno::TOOBIG => ("invalid_argument", "arguments and environment are too long"),
        _ => ("", ""),
    };
    let mut f = failure("exec", path, errno);
    f.code = code.into();
    f.detail = detail.into();
    f
}
