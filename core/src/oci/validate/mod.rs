//! What a configuration must satisfy beyond its types.

use crate::Result;
use oci_spec::runtime::Spec;
use std::path::Path;

/// Checks a configuration.
pub(crate) fn check(_spec: &Spec, _bundle: &Path) -> Result<()> {
    Ok(())
}
