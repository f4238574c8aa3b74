//! What the specification lets a `process` leave out, or name though this machine does not have it.

use crate::sandbox::capabilities;
use serde_json::{Map, Value, json};

/// The sets of `capabilities`.
const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// Fills in what may be left out, and removes capabilities that nobody knows: the specification
/// (config.md, `capabilities`) wants a warning for them, not an error.
pub(super) fn complete(process: Option<&mut Value>, warn: &dyn Fn(&str)) {
    // What is no object is the typed reading's error, as are further wrong types below.
    let Some(process) = process.and_then(Value::as_object_mut) else { return };
    user(process);
    let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) else { return };
    for set in SETS {
        let Some(names) = sets.get_mut(set).and_then(Value::as_array_mut) else { continue };
        names.retain(|name| {
            let known = name.as_str().is_none_or(capabilities::is_known);
            if !known {
                warn(&format!("process.capabilities.{set}: there is no {name}: it is left out"));
            }
            known
        });
    }
}

/// Without a user, or an id of it, it is 0.
fn user(process: &mut Map<String, Value>) {
    let user = process.entry("user").or_insert_with(|| json!({}));
    if let Some(user) = user.as_object_mut() {
        for id in ["uid", "gid"] {
            user.entry(id).or_insert_with(|| json!(0));
        }
    }
}
