//! How the I/O thread tells an asyncio loop that something has ended: a list of numbers, and a descriptor
//! that the loop watches. The thread needs no interpreter for it.

use nix::sys::eventfd::{EfdFlags, EventFd};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

/// Where spawned operations report.
pub struct Reports {
    tokens: Mutex<Vec<u64>>,
    event: EventFd,
    pid: u32,
}

impl Reports {
    /// Reports `token`, once until it has been seen.
    pub fn push(&self, token: u64) {
        let mut tokens = self.tokens.lock().unwrap_or_else(|e| e.into_inner());
        if tokens.contains(&token) {
            return;
        }
        tokens.push(token);
        if tokens.len() == 1 && self.pid == std::process::id() {
            let _ = self.event.write(1);
        }
    }
}

/// Ends of operations, for one event loop.
#[pyclass(frozen, module = "containers._containers")]
pub struct Completions(pub Arc<Reports>);

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Self> {
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|e| PyOSError::new_err((e as i32, e.desc())))?;
        Ok(Completions(Arc::new(Reports { tokens: Mutex::default(), event, pid: std::process::id() })))
    }

    /// The descriptor that is readable while there is something to drain.
    fn fileno(&self) -> i32 {
        self.0.event.as_raw_fd()
    }

    /// Numbers of the operations that have news.
    fn drain(&self) -> Vec<u64> {
        let mut tokens = self.0.tokens.lock().unwrap_or_else(|e| e.into_inner());
        if self.0.pid == std::process::id() {
            let _ = self.0.event.read();
        }
        std::mem::take(&mut *tokens)
    }
}
