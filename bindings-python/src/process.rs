//! Processes with open streams, and logs being read.

use crate::container::{duration, output};
use crate::operation::{Operation, none};
use containers::{LogLine, LogStream, StdioStream};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Native half of `containers.Process`.
#[pyclass(frozen, module = "containers._containers")]
pub struct Process(Arc<containers::Process>);

/// A process as a Python object.
pub fn process(py: Python<'_>, core: containers::Process) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Process(Arc::new(core)))?.into_any())
}

fn which(name: &str) -> PyResult<StdioStream> {
    match name {
        "stdout" => Ok(StdioStream::Stdout),
        "stderr" => Ok(StdioStream::Stderr),
        _ => Err(PyValueError::new_err(format!("'{name}' is neither stdout nor stderr"))),
    }
}

fn name(stream: StdioStream) -> &'static str {
    match stream {
        StdioStream::Stdout => "stdout",
        StdioStream::Stderr => "stderr",
    }
}

fn chunk(py: Python<'_>, next: Option<(StdioStream, Vec<u8>)>) -> PyResult<Py<PyAny>> {
    let pair = next.map(|(stream, data)| (name(stream), PyBytes::new(py, &data)));
    Ok(pair.into_pyobject(py)?.unbind())
}

fn line(py: Python<'_>, next: Option<LogLine>) -> PyResult<Py<PyAny>> {
    let triple = next.map(|l| (name(l.stream), PyBytes::new(py, &l.data), l.time));
    Ok(triple.into_pyobject(py)?.unbind())
}

#[pymethods]
impl Process {
    fn write(&self, data: &[u8]) -> Operation {
        let (p, data) = (self.0.clone(), data.to_vec());
        Operation::future("process.write", async move { p.write(&data).await }, none)
    }

    fn close_stdin(&self) {
        self.0.close_stdin();
    }

    fn next(&self) -> Operation {
        let p = self.0.clone();
        Operation::future("process.read", async move { p.next().await }, chunk)
    }

    fn read(&self, stream: &str, max: usize) -> PyResult<Operation> {
        let (p, from) = (self.0.clone(), which(stream)?);
        let convert = |py: Python<'_>, data: Vec<u8>| Ok(PyBytes::new(py, &data).into_any().unbind());
        Ok(Operation::future("process.read", async move { p.read(from, max).await }, convert))
    }

    /// Which of stdin, stdout and stderr are open, as descriptors.
    fn fds(&self) -> [Option<i32>; 3] {
        self.0.fds().map(|fd| fd.map(|fd| fd.as_raw_fd()))
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let (p, timeout) = (self.0.clone(), duration(py, timeout)?);
        let convert = |py: Python<'_>, code: i32| Ok(code.into_pyobject(py)?.into_any().unbind());
        Ok(Operation::future("process.wait", async move { p.wait(timeout).await }, convert))
    }

    fn poll(&self) -> Operation {
        let p = self.0.clone();
        let convert = |py: Python<'_>, code: Option<i32>| Ok(code.into_pyobject(py)?.unbind());
        Operation::blocking("process.poll", move || p.poll(), convert)
    }

    fn kill(&self, signal: i32) -> Operation {
        let p = self.0.clone();
        Operation::future("process.kill", async move { p.kill(signal).await }, none)
    }

    fn resize(&self, rows: u16, cols: u16) -> Operation {
        let p = self.0.clone();
        Operation::future("process.resize", async move { p.resize(rows, cols).await }, none)
    }

    fn communicate(&self, input: &[u8]) -> Operation {
        let (p, input) = (self.0.clone(), input.to_vec());
        let work = async move { p.communicate(&input).await };
        Operation::future("process.communicate", work, |py, o| Ok(output(py, &o)?.unbind()))
    }
}

/// Native half of `containers.LogStream`.
#[pyclass(frozen, module = "containers._containers")]
pub struct Log(Arc<Mutex<LogStream>>);

impl Log {
    /// A log being read.
    pub fn new(core: LogStream) -> Log {
        Log(Arc::new(Mutex::new(core)))
    }
}

#[pymethods]
impl Log {
    fn next(&self) -> Operation {
        let log = self.0.clone();
        Operation::future("container.logs", async move { log.lock().await.next().await }, line)
    }
}
