//! How the program ends: docker's exit codes.

use containers::{Error, ErrorKind};

/// Why the program ends with a code other than 0.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// One line for the user; empty: said already.
    pub message: String,
}

/// The result of a command: its exit code.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// A usage or run-time failure with exit code 1.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { code: 1, message: message.into() }
    }

    /// The failure of `run` or `create`: 125 for our own, 126 for a command that can't be executed,
    /// 127 for one that is not there.
    pub fn of_run(error: &Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::CommandNotFound => not_there(error),
            _ => 125,
        };
        Failure { code, message: error.to_string() }
    }

    /// The failure of `exec`: 126 for a user that the container does not have, 127 and 126 for a folder and as in
    /// [`Failure::of_run`] for a command, 1 for a container that takes no command now.
    pub fn of_exec(error: &Error) -> Failure {
        let mut failure = Failure::of_run(error);
        if failure.code == 125 {
            failure.code = match error.kind() {
                ErrorKind::InvalidArgument => 126,
                ErrorKind::PathNotFound => not_there(error),
                _ => 1,
            };
        }
        failure
    }
}

/// 127 for what does not exist, 126 for what can't be used.
fn not_there(error: &Error) -> u8 {
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    if cause.is_some_and(|e| e.raw_os_error() != Some(nix::libc::ENOENT)) { 126 } else { 127 }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            // `containers ps | head -1`: nobody reads on; end as quietly as other programs do.
            std::io::ErrorKind::BrokenPipe => Failure { code: 141, message: String::new() },
            _ => Failure::new(error.to_string()),
        }
    }
}
