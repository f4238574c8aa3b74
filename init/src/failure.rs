//! Failures with their step, path and errno.

use containers_protocol::control::Failure;
use rustix::io::Errno;

/// A failure of a step.
pub fn failure(step: &str, path: &[u8], errno: Errno) -> Failure {
    Failure {
        step: step.to_owned(),
        path: String::from_utf8_lossy(path).into_owned(),
        errno: errno.raw_os_error(),
        ..Failure::default()
    }
}

/// A failure with one of the library's codes.
pub fn coded(code: &str, step: &str, path: &[u8], detail: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        step: step.to_owned(),
        path: String::from_utf8_lossy(path).into_owned(),
        errno: 0,
        detail: detail.to_owned(),
    }
}

/// Adds to an errno what was being done.
pub trait Context<T> {
    /// The step and the path it was about.
    fn at(self, step: &str, path: &[u8]) -> Result<T, Failure>;

    /// The step alone.
    fn during(self, step: &str) -> Result<T, Failure>
    where
        Self: Sized,
    {
        self.at(step, b"")
    }
}

impl<T> Context<T> for Result<T, Errno> {
    fn at(self, step: &str, path: &[u8]) -> Result<T, Failure> {
        self.map_err(|e| failure(step, path, e))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn at(self, step: &str, path: &[u8]) -> Result<T, Failure> {
        self.map_err(|e| match e.raw_os_error() {
            Some(raw) => failure(step, path, Errno::from_raw_os_error(raw)),
            None => Failure { detail: e.to_string(), ..failure(step, path, Errno::IO) },
        })
    }
}
