//! Images.

use crate::operation::{Operation, none};
use crate::ser;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Native half of `containers.Image`.
#[pyclass(frozen, from_py_object, module = "containers._containers")]
#[derive(Clone)]
pub struct Image(pub containers::Image);

/// An image as a Python object.
pub fn image(py: Python<'_>, core: containers::Image) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Image(core))?.into_any())
}

/// Several images.
pub fn images(py: Python<'_>, all: Vec<containers::Image>) -> PyResult<Py<PyAny>> {
    let list = all.into_iter().map(|i| image(py, i)).collect::<PyResult<Vec<_>>>()?;
    Ok(list.into_pyobject(py)?.into_any().unbind())
}

/// How a caller names an image.
#[derive(FromPyObject)]
pub enum ImageName {
    /// A handle.
    #[pyo3(transparent)]
    Handle(Image),
    /// A reference, an id, or `host`.
    #[pyo3(transparent)]
    Text(String),
}

impl ImageName {
    /// What core takes.
    pub fn into_core(self) -> String {
        match self {
            ImageName::Handle(image) => (&image.0).into(),
            ImageName::Text(text) => text,
        }
    }
}

/// The machine's own system as an image.
#[pyfunction]
pub fn host(paths: Vec<PathBuf>) -> Image {
    Image(containers::Image::host(paths))
}

#[pymethods]
impl Image {
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    #[getter]
    fn tags(&self) -> Vec<String> {
        self.0.tags()
    }

    #[getter]
    fn digest(&self) -> &str {
        self.0.digest()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    #[getter]
    fn platform(&self) -> (String, String, Option<String>) {
        let platform = self.0.platform();
        (platform.os, platform.architecture, platform.variant)
    }

    fn config(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(ser::to_py(py, self.0.config())?.unbind())
    }

    fn history(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(ser::to_py(py, &self.0.history())?.unbind())
    }

    fn tag(&self, reference: String) -> Operation {
        let image = self.0.clone();
        Operation::blocking("image.tag", move || image.tag(&reference), none)
    }

    fn remove(&self, force: bool) -> Operation {
        let image = self.0.clone();
        Operation::blocking("image.remove", move || image.remove(force), none)
    }

    fn inspect(&self) -> Operation {
        let image = self.0.clone();
        let convert = |py: Python<'_>, v| Ok(ser::json(py, &v)?.unbind());
        Operation::blocking("image.inspect", move || image.inspect(), convert)
    }
}
