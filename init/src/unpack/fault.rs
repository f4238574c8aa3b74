//! Why unpacking failed.

use containers_protocol::control::Failure;
use rustix::io::Errno;

/// A failure on its way up; gets the entry's name where one is known.
#[derive(Debug)]
pub(super) struct Fault(Box<Failure>);

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    fn new(code: &str, detail: String, errno: i32) -> Fault {
        Fault(Box::new(Failure {
            code: code.into(),
            step: "unpack".into(),
            detail,
            errno,
            ..Failure::default()
        }))
    }

    /// The content is not what it should be.
    pub(super) fn content(detail: impl Into<String>) -> Fault {
        Fault::new("corrupt", detail.into(), 0)
    }

    /// There is too much of it.
    pub(super) fn limit(detail: impl Into<String>) -> Fault {
        Fault::new("limit_exceeded", detail.into(), 0)
    }

    /// It is of a kind that can't be read here.
    pub(super) fn unsupported(detail: impl Into<String>) -> Fault {
        Fault::new("unsupported", detail.into(), 0)
    }

    /// The system refused something.
    pub(super) fn system(what: &str, errno: Errno) -> Fault {
        Fault::new("", what.into(), errno.raw_os_error())
    }

    /// An I/O error; those that decoders make of bad content have no errno.
    pub(super) fn io(what: &str, e: &std::io::Error) -> Fault {
        match e.raw_os_error() {
            Some(errno) => Fault::new("", what.into(), errno),
            None => Fault::content(format!("{what}: {e}")),
        }
    }

    /// Names the entry it was about, unless one is named.
    #[must_use]
    pub(super) fn at(mut self, name: &[u8], offset: u64) -> Fault {
        if self.0.path.is_empty() {
            self.0.path = shown(name);
            self.0.detail = format!("{} (entry at byte {offset} of the archive)", self.0.detail);
        }
        self
    }

    /// The message for the library.
    pub(super) fn into_failure(self) -> Failure {
        *self.0
    }
}

/// A name for a message: bounded, and text.
pub(super) fn shown(name: &[u8]) -> String {
    const MAX: usize = 300;
    let text = String::from_utf8_lossy(&name[..name.len().min(MAX)]);
    let escaped: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if name.len() > MAX { format!("{escaped}…") } else { escaped }
}
