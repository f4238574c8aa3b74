//! The one error type: a stable code, the operation, what it was about, and the cause.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal < $parent:ident,)*) => {
        /// What went wrong, the same word in every language ([`ErrorKind::code`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name,)*];

            /// The stable code: `image_not_found`, `exec_timeout`…
            pub const fn code(self) -> &'static str {
                match self {
                    $(ErrorKind::$name => $code,)*
                }
            }

            /// The more general kind this one is a case of; itself when there is none.
            pub const fn parent(self) -> ErrorKind {
                match self {
                    $(ErrorKind::$name => ErrorKind::$parent,)*
                }
            }
        }
    };
}

kinds! {
    /// Something named does not exist.
    NotFound = "not_found" < NotFound,
    /// No such image.
    ImageNotFound = "image_not_found" < NotFound,
    /// No such container.
    ContainerNotFound = "container_not_found" < NotFound,
    /// No such network.
    NetworkNotFound = "network_not_found" < NotFound,
    /// No such volume.
    VolumeNotFound = "volume_not_found" < NotFound,
    /// No such path.
    PathNotFound = "path_not_found" < NotFound,
    /// The state of something forbids it.
    Conflict = "conflict" < Conflict,
    /// The name is taken.
    AlreadyExists = "already_exists" < Conflict,
    /// Something else still uses it.
    InUse = "in_use" < Conflict,
    /// The container does not run.
    NotRunning = "not_running" < Conflict,
    /// A value that can never work.
    InvalidArgument = "invalid_argument" < InvalidArgument,
    /// The registry refused the credentials, or wants some.
    Auth = "auth" < Auth,
    /// The registry failed, can't be reached, or sent something wrong.
    Registry = "registry" < Registry,
    /// A build step failed.
    Build = "build" < Build,
    /// A command failed.
    Exec = "exec" < Exec,
    /// A command did not end in time and was killed; the partial output is kept.
    ExecTimeout = "exec_timeout" < Exec,
    /// A command ended with a code other than 0, and `check` was on.
    ExitError = "exit_error" < Exec,
    /// The command is not there or can't be executed.
    CommandNotFound = "command_not_found" < Exec,
    /// This machine, or this version, can't do it; the message names the cause and the fix.
    Unsupported = "unsupported" < Unsupported,
    /// The kernel or the file system forbids it.
    Permission = "permission" < Permission,
    /// A bound was reached: output, size, entries, time.
    LimitExceeded = "limit_exceeded" < LimitExceeded,
    /// The caller cancelled it.
    Cancelled = "cancelled" < Cancelled,
    /// The handle is closed, or belongs to the process before a fork.
    HandleClosed = "handle_closed" < HandleClosed,
    /// Stored data is damaged.
    Corrupt = "corrupt" < Corrupt,
    /// Input or output failed.
    Io = "io" < Io,
    /// A defect of this library.
    Internal = "internal" < Internal,
}

impl ErrorKind {
    /// Whether this kind is `other` or a case of it.
    pub fn is(self, other: ErrorKind) -> bool {
        self == other || (self.parent() != self && self.parent().is(other))
    }
}

/// Why something failed. Display is one line; Debug shows everything.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    message: String,
    context: Vec<(&'static str, String)>,
    #[cfg(feature = "engine")]
    output: Option<Box<crate::container::Output>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A new error; `message` is a sentence without the operation's name.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            operation: Cow::Borrowed(""),
            message: message.into(),
            context: Vec::new(),
            #[cfg(feature = "engine")]
            output: None,
            source: None,
        }))
    }

    /// An error for an I/O failure; the kind follows errno (`ENOENT` → `path_not_found`, `EACCES` and
    /// `EPERM` → `permission`, `EMFILE` and `ENFILE` → `limit_exceeded`, `ENOSPC` → `io` that names it, the rest →
    /// `io`).
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Error {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::PathNotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            // This process, or the machine, has too many open files.
            _ if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                ErrorKind::LimitExceeded
            }
            _ => ErrorKind::Io,
        };
        Error::new(kind, what).with_source(source)
    }

    /// Names the operation, e.g. `image.pull`; the outermost name wins, inner ones become context `called`.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Error {
        let inner = std::mem::replace(&mut self.0.operation, operation.into());
        if !inner.is_empty() {
            self.0.context.push(("called", inner.into_owned()));
        }
        self
    }

    /// Adds what it was about: `path`, `ref`, `step`, `field`…
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Error {
        self.0.context.push((key, value.into()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the output a command had made so far (`exec_timeout`, `exit_error`).
    #[cfg(feature = "engine")]
    #[must_use]
    pub fn with_output(mut self, output: crate::container::Output) -> Error {
        self.0.output = Some(Box::new(output));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code, [`ErrorKind::code`].
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The operation that failed, e.g. `container.start`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The sentence, without operation and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Key/value pairs: what it was about.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The output a command had made so far.
    #[cfg(feature = "engine")]
    pub fn output(&self) -> Option<&crate::container::Output> {
        self.0.output.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.operation.is_empty() {
            write!(f, "{}: ", self.0.operation)?;
        }
        f.write_str(&self.0.message)?;
        let shown: Vec<_> = self.0.context.iter().filter(|(k, _)| *k != "called").collect();
        if !shown.is_empty() {
            f.write_str(" (")?;
            for (i, (key, value)) in shown.iter().enumerate() {
                write!(f, "{}{key}={value}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Error");
        d.field("kind", &self.0.kind).field("operation", &self.0.operation);
        d.field("message", &self.0.message);
        for (key, value) in &self.0.context {
            d.field(key, value);
        }
        d.field("source", &self.0.source).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_form_a_tree_with_unique_codes() {
        let codes: std::collections::HashSet<_> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(ErrorKind::ImageNotFound.is(ErrorKind::NotFound));
        assert!(!ErrorKind::ImageNotFound.is(ErrorKind::Conflict));
    }

    #[test]
    fn too_many_open_files_are_a_limit() {
        let e = Error::io("can't open the file", std::io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(e.kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn display_names_operation_context_and_cause() {
        let e = Error::io("can't open the file", std::io::Error::from_raw_os_error(2))
            .with_operation("inner")
            .with_operation("image.load")
            .with_context("path", "/x");
        assert_eq!(e.kind(), ErrorKind::PathNotFound);
        assert_eq!(
            e.to_string(),
            "image.load: can't open the file (path=/x): No such file or directory (os error 2)"
        );
        assert!(e.context().contains(&("called", "inner".into())));
    }
}
