//! The errors for processes that could not be made.

use crate::{Error, ErrorKind};
use containers_protocol::control::Failure;

/// The error for a mount that could not be made, in words that tools look for.
fn of_mount(failed: Failure) -> Error {
    let path = failed.path.clone();
    let reason = match (failed.errno, failed.detail.as_str()) {
        (0, detail) => detail.to_owned(),
        (errno, detail) => {
            let system = std::io::Error::from_raw_os_error(errno).to_string().to_lowercase();
            let system = system.split(" (os error").next().unwrap_or_default().to_owned();
            if detail.is_empty() { system } else { format!("{detail}: {system}") }
        }
    };
    let step = failed.step.clone();
    let text = format!(
        "unable to start container process: error during container init: error mounting {path:?}: {reason}"
    );
    let error = Error::new(crate::sandbox::failure::describe(failed).kind(), text);
    error.with_context("field", "mounts").with_context("step", step)
}

/// The error for a process that could not be started, in words that engines look for.
pub(super) fn describe(failed: Failure) -> Error {
    if matches!(failed.step.as_str(), "mount" | "bind" | "idmap" | "propagation" | "remount") {
        return of_mount(failed);
    }
    if failed.step != "exec" {
        return crate::sandbox::failure::describe(failed);
    }
    let path = &failed.path;
    let reason = match failed.errno {
        0 | libc::ENOENT if !path.contains('/') => "executable file not found in $PATH".to_owned(),
        libc::ENOENT if failed.detail.contains("interpreter") => {
            format!("exec {path}: no such file or directory: {}", failed.detail)
        }
        libc::ENOENT => format!("stat {path}: no such file or directory"),
        libc::EACCES | libc::EPERM | libc::EISDIR => "permission denied".to_owned(),
        libc::ENOEXEC => "exec format error".to_owned(),
        libc::E2BIG => "argument list too long".to_owned(),
        0 => failed.detail.clone(),
        errno => std::io::Error::from_raw_os_error(errno).to_string(),
    };
    let kind =
        if failed.errno == libc::E2BIG { ErrorKind::InvalidArgument } else { ErrorKind::CommandNotFound };
    let text = format!("unable to start container process: exec: {path:?}: {reason}");
    let error = Error::new(kind, text);
    match failed.errno {
        0 => error,
        errno => error.with_context("errno", errno.to_string()),
    }
}
