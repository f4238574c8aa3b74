//! Errors of the library as Python exceptions. The classes are in `containers/errors.py`; the code picks one.

use containers::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::error::Error as _;

/// Why something failed.
pub enum Failure {
    /// In the library.
    Core(Error),
    /// In Python code that was called, or in a conversion.
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Core(e)
    }
}

impl From<PyErr> for Failure {
    fn from(e: PyErr) -> Failure {
        Failure::Python(e)
    }
}

impl Failure {
    /// The exception.
    pub fn into_py(self, py: Python<'_>) -> PyErr {
        match self {
            Failure::Core(e) => to_py(py, &e),
            Failure::Python(e) => e,
        }
    }
}

/// The exception for an error.
pub fn to_py(py: Python<'_>, e: &Error) -> PyErr {
    match build(py, e) {
        Ok(exception) => PyErr::from_value(exception),
        Err(problem) => problem,
    }
}

fn build<'py>(py: Python<'py>, e: &Error) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("containers.errors")?.getattr("_from_native")?.unbind())
    })?;
    let context: Vec<(&str, &str)> = e.context().iter().map(|(k, v)| (*k, v.as_str())).collect();
    let output = e.output().map(|o| crate::container::output(py, o)).transpose()?;
    let exception =
        make.bind(py).call1((e.code(), e.operation(), e.message(), context, output, e.to_string()))?;
    if let Some(cause) = e.source().map(|s| cause(py, s)).transpose()?.flatten() {
        PyErr::from_value(exception.clone()).set_cause(py, Some(PyErr::from_value(cause)));
    }
    Ok(exception)
}

/// The cause, where Python has a class for it.
fn cause<'py>(
    py: Python<'py>,
    source: &(dyn std::error::Error + 'static),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(inner) = source.downcast_ref::<Error>() {
        return build(py, inner).map(Some);
    }
    let errno = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    let Some(errno) = errno else { return Ok(None) };
    let text = nix::errno::Errno::from_raw(errno).desc();
    py.get_type::<pyo3::exceptions::PyOSError>()
        .call1(PyTuple::new(py, [errno.into_pyobject(py)?.into_any(), text.into_pyobject(py)?.into_any()])?)
        .map(Some)
}

/// A value that can never work.
pub fn invalid(field: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_context("field", field)
}

/// The handle comes from the process before a fork.
pub fn forked() -> Error {
    Error::new(
        ErrorKind::HandleClosed,
        "this handle belongs to the process before the fork; open a new Runtime",
    )
}

/// A panic as an error.
pub fn panicked(payload: &(dyn std::any::Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("a defect of this library: {text}"))
}
