//! Docker's inspect document of an image.

use super::handle::familiar;
use super::manifest::ConfigFile;
use super::store::{ImageRecord, Store};
use super::{Platform, time};
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};

/// What an image was built for.
pub(super) fn platform(file: &ConfigFile) -> Platform {
    Platform {
        os: if file.os.is_empty() { "linux".to_owned() } else { file.os.clone() },
        architecture: file.architecture.clone(),
        variant: file.variant.clone().filter(|v| !v.is_empty()),
    }
}

/// The document.
pub(super) fn document(store: &Store, record: &ImageRecord) -> Result<Value> {
    let raw: Value = serde_json::from_str(&record.document).map_err(|e| {
        Error::new(ErrorKind::Corrupt, "the record of an image is damaged; pull it again")
            .with_context("image", record.id.to_string())
            .with_source(e)
    })?;
    let platform = platform(&record.file);
    let lowers: Vec<String> = record
        .stack
        .iter()
        .rev()
        .filter(|l| !l.hidden)
        .map(|l| store.layer_tree(&l.diff_id).display().to_string())
        .collect();
    let layers: Vec<&str> = record.stack.iter().filter(|l| !l.inherits).map(|l| l.diff_id.as_str()).collect();
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut config = raw.get("config").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    fill(&mut config, record);
    let mut document = json!({
        "Id": record.id.as_str(),
        "RepoTags": familiar(&record.tags),
        "RepoDigests": familiar(&record.digests),
        "Comment": text("comment"),
        "Created": text("created"),
        "Author": text("author"),
        "Architecture": platform.architecture,
        "Os": platform.os,
        "Size": record.size,
        "Config": config,
        "RootFS": {"Type": "layers", "Layers": layers},
        "GraphDriver": {"Name": "overlay", "Data": {"LowerDir": lowers.join(":")}},
        "Metadata": {"LastTagTime": Value::Null},
        "Descriptor": {"digest": record.manifest.as_str()},
    });
    if let Some(variant) = platform.variant {
        document["Variant"] = variant.into();
    }
    if document["Created"] == "" && record.created != 0 {
        document["Created"] = time::format(record.created).into();
    }
    Ok(document)
}

/// The members that docker always shows.
fn fill(config: &mut Value, record: &ImageRecord) {
    let c = &record.config;
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    for (key, value) in [
        ("User", json!(c.user)),
        ("Env", or_null(&c.env)),
        ("Cmd", or_null(&c.cmd)),
        ("Entrypoint", or_null(&c.entrypoint)),
        ("WorkingDir", json!(c.working_dir)),
        ("Labels", if c.labels.is_empty() { Value::Null } else { json!(c.labels) }),
    ] {
        config[key] = value;
    }
}
