//! A runtime, its images and its containers.

use crate::container::{container, output, summaries};
use crate::de;
use crate::error::{Failure, invalid, to_py};
use crate::image::{ImageName, image, images};
use crate::operation::{Operation, none};
use crate::progress::Events;
use crate::ser;
use containers::executor::IoGuard;
use containers::{
    Auth, CreateOptions, Error, ImportOptions, ListOptions, LoadOptions, Platform, PullOptions, PullPolicy,
    RunOptions,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Native half of `containers.Runtime`.
#[pyclass(frozen, module = "containers._containers")]
pub struct Runtime {
    core: containers::Runtime,
    io: Mutex<Option<IoGuard>>,
}

/// Opens a root.
#[pyfunction]
#[pyo3(signature = (root, rootless))]
pub fn open(root: Option<PathBuf>, rootless: Option<bool>) -> Operation {
    let mut builder = containers::Runtime::builder();
    if let Some(root) = root {
        builder = builder.root(root);
    }
    if let Some(rootless) = rootless {
        builder = builder.rootless(rootless);
    }
    Operation::future("runtime.open", builder.open(), |py, core| {
        Ok(Py::new(py, Runtime { core, io: Mutex::new(None) })?.into_any())
    })
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Pull {
    platform: Option<String>,
    policy: PullPolicy,
    auth: Option<Auth>,
    insecure: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Import {
    tag: Option<String>,
    changes: Vec<String>,
    message: Option<String>,
    platform: Option<String>,
}

fn platform(text: Option<String>) -> Result<Option<Platform>, Error> {
    let Some(text) = text else { return Ok(None) };
    let mut parts = text.split('/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Some(Platform { os, architecture, variant }))
        }
        _ => Err(invalid("platform", format!("'{text}' is not os/arch[/variant]"))),
    }
}

/// The arguments of run that are not create's.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Run {
    timeout: Option<f64>,
    check: bool,
    max_output: Option<u64>,
}

fn run_options(given: &Bound<'_, PyDict>, input: Option<&[u8]>) -> Result<RunOptions, Failure> {
    let own = PyDict::new(given.py());
    for key in ["timeout", "check", "max_output"] {
        if let Some(value) = given.get_item(key)? {
            own.set_item(key, value)?;
            given.del_item(key)?;
        }
    }
    let own: Run = de::options("run", &own)?;
    let mut options = RunOptions::default();
    options.create = de::options("run", given)?;
    options.input = input.map(<[u8]>::to_vec);
    options.timeout = own.timeout;
    options.check = own.check;
    options.max_output = own.max_output;
    Ok(options)
}

/// Fails as the exception that fits.
fn or_raise<T>(py: Python<'_>, result: Result<T, Failure>) -> PyResult<T> {
    result.map_err(|e| e.into_py(py))
}

fn progress(wanted: bool) -> Option<Arc<Events>> {
    wanted.then(Arc::default)
}

/// What core calls with progress.
fn sink(events: Option<&Arc<Events>>) -> Option<Arc<dyn Fn(containers::PullEvent) + Send + Sync>> {
    let events = events?.clone();
    Some(Arc::new(move |event| events.push(event)))
}

#[pymethods]
impl Runtime {
    #[getter]
    fn root(&self) -> PathBuf {
        self.core.root().to_path_buf()
    }

    fn info(&self) -> Operation {
        let core = self.core.clone();
        let convert = |py: Python<'_>, info| Ok(ser::to_py(py, &info)?.unbind());
        Operation::blocking("runtime.info", move || core.info(), convert)
    }

    fn close(&self) -> Operation {
        let core = self.core.clone();
        Operation::future("runtime.close", async move { core.close().await }, none)
    }

    /// Keeps the I/O thread from ending between two awaits.
    fn hold_io(&self, py: Python<'_>) -> PyResult<()> {
        let guard = IoGuard::acquire().map_err(|e| to_py(py, &containers::executor::no_thread(e)))?;
        *self.io.lock().unwrap_or_else(|e| e.into_inner()) = Some(guard);
        Ok(())
    }

    /// Lets the I/O thread end.
    fn release_io(&self, py: Python<'_>) {
        let guard = self.io.lock().unwrap_or_else(|e| e.into_inner()).take();
        py.detach(|| drop(guard));
    }

    fn run(
        &self,
        py: Python<'_>,
        image: ImageName,
        options: &Bound<'_, PyDict>,
        input: Option<&[u8]>,
    ) -> PyResult<Operation> {
        let options = or_raise(py, run_options(options, input))?;
        let (core, image) = (self.core.clone(), image.into_core());
        let work = async move { core.containers().run_with(image, options).await };
        Ok(Operation::future("container.run", work, |py, o| Ok(output(py, &o)?.unbind())))
    }

    fn create(&self, py: Python<'_>, image: ImageName, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options: CreateOptions = or_raise(py, de::options("create", options))?;
        let (core, image) = (self.core.clone(), image.into_core());
        let work = async move { core.containers().create_with(image, options).await };
        Ok(Operation::future("container.create", work, container))
    }

    fn get(&self, id_or_name: String) -> Operation {
        let core = self.core.clone();
        Operation::blocking("container.get", move || core.containers().get(&id_or_name), container)
    }

    fn list(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let options: ListOptions = or_raise(py, de::options("list", options))?;
        let core = self.core.clone();
        Ok(Operation::blocking("container.list", move || core.containers().list(&options), summaries))
    }

    fn image_pull(
        &self,
        py: Python<'_>,
        reference: String,
        options: &Bound<'_, PyDict>,
        wants_progress: bool,
    ) -> PyResult<Operation> {
        let events = progress(wants_progress);
        let given: Pull = or_raise(py, de::options("pull", options))?;
        let mut options = PullOptions::default();
        options.platform = or_raise(py, platform(given.platform).map_err(Failure::from))?;
        options.policy = given.policy;
        options.auth = given.auth;
        options.insecure = given.insecure;
        options.progress = sink(events.as_ref());
        let core = self.core.clone();
        let work = async move { core.images().pull_with(&reference, options).await };
        Ok(Operation::future_with_events("image.pull", work, image, events))
    }

    fn image_load(
        &self,
        py: Python<'_>,
        path: PathBuf,
        platform_text: Option<String>,
        wants_progress: bool,
    ) -> PyResult<Operation> {
        let events = progress(wants_progress);
        let mut options = LoadOptions::default();
        options.platform = or_raise(py, platform(platform_text).map_err(Failure::from))?;
        options.progress = sink(events.as_ref());
        let core = self.core.clone();
        let work = async move { core.images().load(path, options).await };
        Ok(Operation::future_with_events("image.load", work, images, events))
    }

    fn image_import(
        &self,
        py: Python<'_>,
        path: PathBuf,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Operation> {
        let given: Import = or_raise(py, de::options("import_", options))?;
        let mut options = ImportOptions::default();
        options.tag = given.tag;
        options.changes = given.changes;
        options.message = given.message;
        options.platform = or_raise(py, platform(given.platform).map_err(Failure::from))?;
        let core = self.core.clone();
        let work = async move { core.images().import_(path, options).await };
        Ok(Operation::future("image.import", work, image))
    }

    fn image_get(&self, reference: String) -> Operation {
        let core = self.core.clone();
        Operation::blocking("image.get", move || core.images().get(&reference), image)
    }

    fn image_list(&self) -> Operation {
        let core = self.core.clone();
        let convert = |py: Python<'_>, list| Ok(ser::to_py(py, &list)?.unbind());
        Operation::blocking("image.list", move || core.images().list(), convert)
    }

    fn image_remove(&self, reference: String, force: bool) -> Operation {
        let core = self.core.clone();
        Operation::blocking("image.remove", move || core.images().remove(&reference, force), none)
    }
}
