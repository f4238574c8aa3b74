//! From what a helper reports to an error that somebody can act on.

use crate::{Error, ErrorKind};
use containers_protocol::control::Failure;

/// The error for a failed start, exec or request.
pub(crate) fn describe(failure: Failure) -> Error {
    let (kind, message, field) = explain(&failure);
    let mut error = Error::new(kind, message);
    if let Some(field) = field {
        error = error.with_context("field", field);
    }
    if !failure.step.is_empty() {
        error = error.with_context("step", failure.step.clone());
    }
    if let Some(limit) = limit_of(&failure) {
        error = error.with_context("limit", limit);
    } else if !failure.path.is_empty() {
        error = error.with_context("path", failure.path.clone());
    }
    if failure.errno != 0 {
        error = error.with_source(std::io::Error::from_raw_os_error(failure.errno));
    }
    error
}

/// The error for a launcher that can't serve.
pub(crate) fn describe_setup(failure: Failure) -> Error {
    describe(failure)
}

fn explain(f: &Failure) -> (ErrorKind, String, Option<&'static str>) {
    let with_detail = |text: &str| match f.detail.is_empty() {
        true => text.to_owned(),
        false => format!("{text}: {}", f.detail),
    };
    let field = field_of(&f.step);
    match f.step.as_str() {
        "exec" => {
            let text = match f.errno {
                libc::ENOENT if f.path.contains('/') => {
                    format!("command not found in the image, or its interpreter is missing: {}", f.path)
                }
                libc::ENOENT => format!("command not found in the image: {}", f.path),
                libc::EACCES | libc::EISDIR => format!("the command may not be executed: {}", f.path),
                libc::ENOEXEC => format!("the command is no program for this machine: {}", f.path),
                libc::E2BIG => {
                    let text = "arguments and environment are too long together".to_owned();
                    return (ErrorKind::InvalidArgument, text, Some("command"));
                }
                0 if coded(f) == Some(ErrorKind::CommandNotFound) => {
                    format!("command not found in the image: {}", f.path)
                }
                _ => with_detail("the command can't be executed"),
            };
            let kind = match f.errno {
                libc::EPERM | libc::ENOMEM | libc::EIO | libc::ETXTBSY => ErrorKind::Exec,
                _ => coded(f).unwrap_or(ErrorKind::CommandNotFound),
            };
            (kind, text, None)
        }
        step => {
            let text = match step {
                "user" => "the user can't be found in the container",
                "cwd" => "the working directory can't be entered",
                "bind" => "the mount's source can't be mounted",
                "cgroup" | "limit" => "the limit can't be set",
                "userns" => "the user namespace can't be made",
                "rlimit" if f.errno == libc::EPERM => {
                    "the resource limit is above what this process may give; see `ulimit -H`"
                }
                "rlimit" => "the resource limit can't be set",
                _ => "the container can't be set up",
            };
            let text = match f.detail.is_empty() {
                true if step.is_empty() => "it failed".to_owned(),
                true => format!("{text} (step {step})"),
                false => f.detail.clone(),
            };
            (coded(f).unwrap_or_else(|| by_errno(f)), text, field)
        }
    }
}

/// The resource limit that a step is about, by docker's name.
fn limit_of(f: &Failure) -> Option<&'static str> {
    let number = f.path.parse().ok().filter(|_| f.step == "rlimit")?;
    super::rlimits::name(number)
}

fn coded(f: &Failure) -> Option<ErrorKind> {
    ErrorKind::ALL.iter().copied().find(|k| k.code() == f.code)
}

fn by_errno(f: &Failure) -> ErrorKind {
    match f.errno {
        libc::ENOENT | libc::ENOTDIR => ErrorKind::PathNotFound,
        libc::EPERM | libc::EACCES | libc::EROFS => ErrorKind::Permission,
        libc::ENOSYS | libc::EOPNOTSUPP => ErrorKind::Unsupported,
        libc::EINVAL if f.step == "user" => ErrorKind::InvalidArgument,
        libc::ESRCH => ErrorKind::NotRunning,
        libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::EDQUOT => ErrorKind::LimitExceeded,
        0 => ErrorKind::Internal,
        _ => ErrorKind::Io,
    }
}

/// The option that a step is about.
fn field_of(step: &str) -> Option<&'static str> {
    Some(match step {
        "user" => "user",
        "cwd" => "working_dir",
        "bind" | "copy_up" => "mounts",
        "hostname" => "hostname",
        "domainname" => "domainname",
        "sysctl" => "sysctls",
        "device" => "devices",
        "rlimit" => "ulimits",
        "mem_limit" => "mem_limit",
        "cpus" => "cpus",
        "cpu_shares" => "cpu_shares",
        "cpuset_cpus" => "cpuset_cpus",
        "pids_limit" => "pids_limit",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_is_named() {
        let f =
            Failure { step: "exec".into(), path: "foo".into(), errno: libc::ENOENT, ..Failure::default() };
        let e = describe(f);
        assert_eq!(e.kind(), ErrorKind::CommandNotFound);
        assert_eq!(e.message(), "command not found in the image: foo");
    }

    #[test]
    fn a_limit_is_named() {
        let f = Failure { step: "rlimit".into(), path: "7".into(), errno: libc::EPERM, ..Failure::default() };
        let e = describe(f);
        assert_eq!(e.kind(), ErrorKind::Permission);
        assert!(e.context().contains(&("limit", "nofile".into())), "{e}");
    }

    #[test]
    fn the_helper_knows_better_than_errno() {
        let f = Failure {
            code: "invalid_argument".into(),
            step: "user".into(),
            path: "bob".into(),
            detail: "no user bob in the container's /etc/passwd".into(),
            ..Failure::default()
        };
        let e = describe(f);
        assert_eq!(e.kind(), ErrorKind::InvalidArgument);
        assert!(e.context().contains(&("field", "user".into())) && e.to_string().contains("bob"));
    }
}
