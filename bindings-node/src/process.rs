//! A process with open streams, and a log being read.

use crate::failure::Failure;
use crate::options;
use crate::port::Port;
use crate::value::{Outcome, Value};
use containers::{LogStream, StdioStream};
use futures::lock::Mutex as AsyncMutex;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};

/// What `exec` and `attach` return.
#[napi]
pub struct Process {
    inner: Mutex<Option<Arc<containers::Process>>>,
}

impl Process {
    /// Wraps core's.
    pub fn new(inner: containers::Process) -> Process {
        Process { inner: Mutex::new(Some(Arc::new(inner))) }
    }

    fn get(&self) -> Result<Arc<containers::Process>, Failure> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(Failure::closed)
    }
}

#[napi]
impl Process {
    /// Writes to standard input.
    #[napi(catch_unwind)]
    pub fn write(&self, port: &Port, id: u32, data: Buffer) {
        let p = self.get();
        let data = data.to_vec();
        port.start(id, async move {
            p?.write(&data).await?;
            Ok(Value::Nothing)
        });
    }

    /// Closes standard input.
    #[napi(catch_unwind)]
    pub fn close_stdin(&self) {
        if let Ok(p) = self.get() {
            p.close_stdin();
        }
    }

    /// The next output of either stream, `null` at the end.
    #[napi(catch_unwind)]
    pub fn next(&self, port: &Port, id: u32) {
        let p = self.get();
        port.start(id, async move {
            Ok(p?.next().await?.map_or(Value::Null, |(stream, data)| Value::Chunk(stream, data)))
        });
    }

    /// The next output of one stream; empty at its end.
    #[napi(catch_unwind)]
    pub fn read(&self, port: &Port, id: u32, stderr: bool, max: u32) {
        let p = self.get();
        let stream = if stderr { StdioStream::Stderr } else { StdioStream::Stdout };
        port.start(id, async move { Ok(Value::Bytes(p?.read(stream, max as usize).await?)) });
    }

    /// Waits for its end.
    #[napi(catch_unwind)]
    pub fn wait(&self, port: &Port, id: u32, timeout: Option<f64>) {
        let p = self.get();
        port.start(id, async move { Ok(Value::Integer(p?.wait(options::duration(timeout)?).await?.into())) });
    }

    /// The exit code if it has ended.
    #[napi(catch_unwind)]
    pub fn poll(&self) -> Outcome {
        let code = self.get().and_then(|p| p.poll().map_err(Failure::from));
        Outcome(code.map(|code| code.map_or(Value::Null, |code| Value::Integer(code.into()))))
    }

    /// Sends a signal.
    #[napi(catch_unwind)]
    pub fn kill(&self, port: &Port, id: u32, signal: i32) {
        let p = self.get();
        port.start(id, async move {
            p?.kill(signal).await?;
            Ok(Value::Nothing)
        });
    }

    /// Sets the size of its terminal.
    #[napi(catch_unwind)]
    pub fn resize(&self, port: &Port, id: u32, rows: u16, cols: u16) {
        let p = self.get();
        port.start(id, async move {
            p?.resize(rows, cols).await?;
            Ok(Value::Nothing)
        });
    }

    /// Writes input, collects output, waits.
    #[napi(catch_unwind)]
    pub fn communicate(&self, port: &Port, id: u32, input: Option<Buffer>) {
        let p = self.get();
        let input = input.map(|b| b.to_vec()).unwrap_or_default();
        port.start(id, async move { Ok(Value::Output(p?.communicate(&input).await?)) });
    }

    /// Gives the process up: its streams close once nothing reads them any more.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let process = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(process);
    }
}

/// A log being read.
#[napi]
pub struct Logs {
    inner: Arc<AsyncMutex<LogStream>>,
}

impl Logs {
    /// Wraps core's.
    pub fn new(inner: LogStream) -> Logs {
        Logs { inner: Arc::new(AsyncMutex::new(inner)) }
    }
}

#[napi]
impl Logs {
    /// The next line, `null` at the end.
    #[napi(catch_unwind)]
    pub fn next(&self, port: &Port, id: u32) {
        let logs = self.inner.clone();
        port.start(id, async move { Ok(logs.lock().await.next().await?.map_or(Value::Null, Value::Line)) });
    }
}
