//! Containers.

use crate::de;
use crate::error::{Failure, invalid};
use crate::operation::{Operation, none};
use crate::process::{Log, process};
use crate::ser;
use containers::{
    ContainerSummary, Error, ExecOptions, LogOptions, Output, RemoveOptions, Result, StopOptions,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::future::Future;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Native half of `containers.Container`.
#[pyclass(frozen, module = "containers._containers")]
pub struct Container {
    core: Arc<containers::Container>,
    /// Asked for once, so that `select` can be given the container itself.
    exit: Arc<OnceLock<OwnedFd>>,
}

/// A container as a Python object.
pub fn container(py: Python<'_>, core: containers::Container) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Container { core: Arc::new(core), exit: Arc::default() })?.into_any())
}

/// An output as the tuple that the package makes its result from.
pub fn output<'py>(py: Python<'py>, o: &Output) -> PyResult<Bound<'py, PyAny>> {
    let stdout = PyBytes::new(py, &o.stdout);
    let stderr = PyBytes::new(py, &o.stderr);
    let tuple = (o.exit_code, stdout, stderr, &o.args, o.signal, o.oom_killed);
    Ok(tuple.into_pyobject(py)?.into_any())
}

/// Rows of a list as dicts.
pub fn summaries(py: Python<'_>, all: Vec<ContainerSummary>) -> PyResult<Py<PyAny>> {
    Ok(ser::to_py(py, &all)?.unbind())
}

fn stop_options(timeout: Option<f64>, stop_signal: Option<String>) -> StopOptions {
    let mut options = StopOptions::default();
    (options.timeout, options.stop_signal) = (timeout, stop_signal);
    options
}

/// A time to wait.
pub fn duration(py: Python<'_>, seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(seconds) = seconds else { return Ok(None) };
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| {
        Failure::Core(invalid("timeout", format!("{seconds} is not a time to wait in seconds"))).into_py(py)
    })
}

fn whole(py: Python<'_>, value: i32) -> PyResult<Py<PyAny>> {
    Ok(value.into_pyobject(py)?.into_any().unbind())
}

fn bytes(py: Python<'_>, value: Vec<u8>) -> PyResult<Py<PyAny>> {
    Ok(PyBytes::new(py, &value).into_any().unbind())
}

impl Container {
    /// Work of a method that waits.
    fn work<T, F>(
        &self,
        name: &'static str,
        call: impl FnOnce(Arc<containers::Container>) -> F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Operation
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Operation::future(name, call(self.core.clone()), convert)
    }

    fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce(&containers::Container) -> Result<T> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Operation {
        let core = self.core.clone();
        Operation::blocking(name, move || call(&core), convert)
    }
}

#[pymethods]
impl Container {
    #[getter]
    fn id(&self) -> &str {
        self.core.id()
    }

    #[getter]
    fn name(&self) -> String {
        self.core.name()
    }

    fn status(&self) -> Operation {
        let convert = |py: Python<'_>, s| Ok(ser::to_py(py, &s)?.unbind());
        self.read("container.status", |c| c.status(), convert)
    }

    fn pid(&self) -> Operation {
        let convert = |py: Python<'_>, p: Option<i32>| Ok(p.into_pyobject(py)?.unbind());
        self.read("container.pid", |c| c.pid(), convert)
    }

    fn inspect(&self) -> Operation {
        let convert = |py: Python<'_>, v| Ok(ser::json(py, &v)?.unbind());
        self.read("container.inspect", |c| c.inspect(), convert)
    }

    fn image(&self) -> Operation {
        self.read("container.image", |c| c.image(), crate::image::image)
    }

    fn start(&self) -> Operation {
        self.work("container.start", |c| async move { c.start().await }, none)
    }

    fn stop(&self, timeout: Option<f64>, stop_signal: Option<String>) -> Operation {
        let options = stop_options(timeout, stop_signal);
        self.work("container.stop", move |c| async move { c.stop_with(&options).await }, none)
    }

    fn restart(&self, timeout: Option<f64>, stop_signal: Option<String>) -> Operation {
        let options = stop_options(timeout, stop_signal);
        self.work("container.restart", move |c| async move { c.restart_with(&options).await }, none)
    }

    fn kill(&self, signal: String) -> Operation {
        self.work("container.kill", move |c| async move { c.kill(&signal).await }, none)
    }

    fn pause(&self) -> Operation {
        self.work("container.pause", |c| async move { c.pause().await }, none)
    }

    fn unpause(&self) -> Operation {
        self.work("container.unpause", |c| async move { c.unpause().await }, none)
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = duration(py, timeout)?;
        Ok(self.work("container.wait", move |c| async move { c.wait(timeout).await }, whole))
    }

    fn exit_fd(&self) -> Operation {
        let exit = self.exit.clone();
        let get = move |c: &containers::Container| match exit.get() {
            Some(fd) => Ok(fd.as_raw_fd()),
            None => {
                let fd = c.exit_fd()?;
                Ok(exit.get_or_init(|| fd).as_raw_fd())
            }
        };
        self.read("container.exit_fd", get, whole)
    }

    fn exec(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options: ExecOptions = de::options("exec", options).map_err(|e: Failure| e.into_py(py))?;
        Ok(self.work("container.exec", move |c| async move { c.exec(options).await }, process))
    }

    fn exec_run(&self, py: Python<'_>, options: &Bound<'_, PyDict>, check: bool) -> PyResult<Operation> {
        let options: ExecOptions = de::options("exec_run", options).map_err(|e: Failure| e.into_py(py))?;
        let call = move |c: Arc<containers::Container>| async move { c.exec_run(options, check).await };
        Ok(self.work("container.exec", call, |py, o| Ok(output(py, &o)?.unbind())))
    }

    fn attach(&self) -> Operation {
        self.work("container.attach", |c| async move { c.attach().await }, process)
    }

    fn logs(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options: LogOptions = de::options("logs", options).map_err(|e: Failure| e.into_py(py))?;
        Ok(self.read("container.logs", move |c| c.logs(&options), bytes))
    }

    fn logs_stream(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options: LogOptions = de::options("logs_stream", options).map_err(|e: Failure| e.into_py(py))?;
        let convert = |py: Python<'_>, log| Ok(Py::new(py, Log::new(log))?.into_any());
        Ok(self.read("container.logs", move |c| c.logs_stream(options), convert))
    }

    fn resize(&self, rows: u16, cols: u16) -> Operation {
        self.work("container.resize", move |c| async move { c.resize(rows, cols).await }, none)
    }

    fn rename(&self, name: String) -> Operation {
        self.read("container.rename", move |c| c.rename(&name), none)
    }

    fn remove(&self, force: bool, volumes: bool) -> Operation {
        let mut options = RemoveOptions::default();
        options.force = force;
        options.volumes = volumes;
        self.work("container.remove", move |c| async move { c.remove(options).await }, none)
    }
}
