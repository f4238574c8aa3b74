//! What is written down of a container.

use super::CreateOptions;
use super::base::Base;
use super::spec::{self, Spec};
use crate::runtime::paths;
use crate::{Error, ErrorKind, ImageConfig, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A container as it was created. A file in the launcher's folder for an attached one, a row of the database
/// for a detached one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// May be empty for an attached one.
    pub(crate) name: String,
    /// The image as it was named.
    pub(crate) image: String,
    /// The image's id.
    pub(crate) image_id: String,
    /// What was taken over from the image.
    pub(crate) image_config: ImageConfig,
    /// What the caller asked for.
    pub(crate) options: CreateOptions,
    /// Unix time in nanoseconds.
    pub(crate) created: i64,
}

impl Record {
    /// A new container.
    pub(crate) fn new(id: String, name: String, base: &Base, options: CreateOptions) -> Record {
        Record {
            id,
            name,
            image: base.name.clone(),
            image_id: base.id.clone(),
            image_config: base.config.clone(),
            options,
            created: now(),
        }
    }

    /// Checked again: a source of a mount may have gone.
    pub(crate) fn spec(&self) -> Result<Spec> {
        Spec::new(&self.options, &self.image_config)
    }

    /// Entrypoint and command.
    pub(crate) fn command(&self) -> Vec<String> {
        spec::args(&self.options, &self.image_config).unwrap_or_else(|_| self.options.command.clone())
    }

    /// The name of its network.
    pub(crate) fn network(&self) -> &str {
        self.options.network.as_deref().unwrap_or("none")
    }

    /// Signal and patience of a stop.
    pub(crate) fn spec_for_stop(&self) -> Result<(i32, std::time::Duration)> {
        spec::stop(&self.options, &self.image_config)
    }

    /// Records of attached containers, of all processes, with the names of their launchers. One that is being
    /// written or deleted is passed over.
    pub(crate) fn attached(run_root: &Path) -> Result<Vec<(String, Record)>> {
        let failed = |e| paths::at("can't list the run folder", run_root, e);
        let mut found = Vec::new();
        for launcher in std::fs::read_dir(run_root).map_err(failed)? {
            let launcher = launcher.map_err(failed)?;
            let name = launcher.file_name().to_string_lossy().into_owned();
            if !name.starts_with("l-") {
                continue;
            }
            let Ok(files) = std::fs::read_dir(launcher.path()) else { continue };
            for file in files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "json")) {
                let text = std::fs::read_to_string(file.path()).unwrap_or_default();
                found.extend(Record::from_json(&text).ok().map(|record| (name.clone(), record)));
            }
        }
        Ok(found)
    }

    /// Writes it to a file, whole or not at all.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let fresh = file.with_extension("new");
        let failed = |e| paths::at("can't write the container's record", file, e);
        std::fs::write(&fresh, self.to_json()?).map_err(failed)?;
        std::fs::rename(&fresh, file).map_err(failed)
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "can't write a container's record").with_source(e))
    }

    pub(crate) fn from_json(text: &str) -> Result<Record> {
        serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Corrupt, "the record of a container is damaged").with_source(e)
        })
    }
}

/// Unix time in nanoseconds.
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}
