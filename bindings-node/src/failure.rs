//! What a failed call hands to JavaScript; `lib/errors.js` makes the error object from it.

use containers::{Error, ErrorKind, Output};
use serde_json::json;
use std::error::Error as _;

/// Why a call failed.
pub enum Failure {
    /// The library's own error.
    Core(Error),
    /// A value of a wrong type, or an unknown key: JavaScript's `TypeError`.
    Type(String),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Core(e)
    }
}

impl Failure {
    /// Work that panicked.
    pub fn panicked(payload: &(dyn std::any::Any + Send)) -> Failure {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown reason");
        Failure::Core(Error::new(ErrorKind::Internal, format!("a defect of this library: {text}")))
    }

    /// Work that was given up by the caller's signal.
    pub fn aborted() -> Failure {
        Failure::Core(Error::new(ErrorKind::Cancelled, "The operation was aborted"))
    }

    /// The handle was closed.
    pub fn closed() -> Failure {
        Failure::Core(Error::new(ErrorKind::HandleClosed, "the handle is closed"))
    }

    /// The I/O thread can't be started.
    pub fn thread(e: std::io::Error) -> Failure {
        Failure::Core(containers::executor::no_thread(e))
    }

    /// A description as JSON, and the output that belongs to it.
    pub fn describe(&self) -> (String, Option<Output>) {
        match self {
            Failure::Type(message) => (json!({ "type": message }).to_string(), None),
            Failure::Core(e) => {
                let mut causes = Vec::new();
                let mut next = e.source();
                while let Some(cause) = next {
                    causes.push(cause.to_string());
                    next = cause.source();
                }
                let text = json!({
                    "code": e.code(),
                    "operation": e.operation(),
                    "message": e.to_string(),
                    "reason": e.message(),
                    "context": e.context(),
                    "causes": causes,
                });
                (text.to_string(), e.output().cloned())
            }
        }
    }
}
