//! What the specification lets a `process` leave out, or name though this machine does not have it.

use super::document::{Node, Object};
use crate::sandbox::capabilities;

/// The sets of `capabilities`.
const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// Fills in what may be left out, and removes capabilities that nobody knows: the specification
/// (config.md, `capabilities`) wants a warning for them, not an error.
pub(super) fn complete(process: &mut Node<'_>, warn: &dyn Fn(&str)) {
    // What is no object is the typed reading's error, as are further wrong types below.
    let Some(process) = process.object() else { return };
    user(process);
    rename_flags(process);
    let Some(sets) = process.get("capabilities").and_then(Node::object) else { return };
    for set in SETS {
        let Some(names) = sets.get(set).and_then(Node::list) else { continue };
        names.retain(|name| {
            let unknown = name.text().filter(|name| !capabilities::is_known(name));
            if let Some(name) = unknown {
                warn(&format!("process.capabilities.{set}: there is no {name:?}: it is left out"));
            }
            unknown.is_none()
        });
    }
}

/// Without a user, or an id of it, it is 0.
fn user(process: &mut Object<'_>) {
    let user = process.get_or("user", Node::Object(Object::default()));
    if let Some(user) = user.object() {
        for id in ["uid", "gid"] {
            user.get_or(id, Node::Unsigned(0));
        }
    }
}

/// `oci-spec` spells two flags of the scheduler differently from the specification.
fn rename_flags(process: &mut Object<'_>) {
    let flags = process.get("scheduler").and_then(|s| s.object()?.get("flags")?.list());
    for flag in flags.into_iter().flatten() {
        match flag.text() {
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = Node::Text("SCHED_FLAG_D_L_OVERRUN".into()),
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = Node::Text("SCHED_RESET_ON_FORK".into()),
            _ => {}
        }
    }
}
