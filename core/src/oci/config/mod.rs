//! `config.json` as it lies in a bundle.

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::Spec;
use std::path::Path;

/// Reads the configuration of a bundle.
pub(crate) fn load(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).map_err(|e| {
        Error::io("can't read the configuration", e).with_context("path", path.display().to_string())
    })?;
    serde_json::from_slice(&text).map_err(|e| {
        Error::new(ErrorKind::InvalidArgument, "the configuration is not valid")
            .with_context("path", path.display().to_string())
            .with_source(e)
    })
}
