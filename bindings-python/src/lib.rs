//! The native half of the `containers` package. Everything that waits gives an [`operation::Operation`],
//! which the package either waits for or hands to an asyncio loop; nothing here runs Python code on a
//! thread that Python did not call from.

mod completions;
mod container;
mod de;
mod error;
mod image;
mod operation;
mod process;
mod progress;
mod runtime;
mod ser;

use pyo3::prelude::*;

/// Native half of the `containers` package.
#[pymodule]
mod _containers {
    #[pymodule_export]
    use crate::completions::Completions;
    #[pymodule_export]
    use crate::container::Container;
    #[pymodule_export]
    use crate::image::{Image, host};
    #[pymodule_export]
    use crate::operation::Operation;
    #[pymodule_export]
    use crate::process::{Log, Process};
    #[pymodule_export]
    use crate::runtime::{Runtime, open};

    use containers::ErrorKind;
    use pyo3::prelude::*;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Every error code with the code it is a case of (its own when there is none).
    #[pyfunction]
    fn error_kinds() -> Vec<(&'static str, &'static str)> {
        ErrorKind::ALL.iter().map(|k| (k.code(), k.parent().code())).collect()
    }

    /// From now on threads that come back from a wait stay where they are: the interpreter ends.
    #[pyfunction]
    fn at_exit() {
        crate::operation::at_exit();
    }
}
