//! What configurations become.

use super::*;
use crate::oci::config;
use serde_json::json;

fn spec(change: impl FnOnce(&mut serde_json::Value)) -> Spec {
    let mut document = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 5, "gid": 6, "umask": 7, "additionalGids": [8]}, "cwd": "/", "args": ["sh"]},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}]},
    });
    change(&mut document);
    config::parse(document.to_string().as_bytes(), &|_| {}).unwrap()
}

/// That of a bundle at `/bundle`.
pub(in crate::oci) fn setting() -> Setting<'static> {
    Setting {
        id: "c",
        bundle: Path::new("/bundle"),
        rootfs: "/bundle/rootfs".into(),
        no_pivot: false,
        no_new_keyring: false,
        rootless: false,
        gate: 3,
        tty: None,
        hook_state: b"{}",
        warn: &|_| {},
    }
}

#[test]
fn a_small_configuration_becomes_a_plan() {
    let plan = plan(&spec(|_| ()), &setting()).unwrap();
    assert_eq!(plan.namespaces, (libc::CLONE_NEWNS | libc::CLONE_NEWPID) as u64);
    assert_eq!(
        plan.extra.as_ref().unwrap().join,
        [(libc::CLONE_NEWNET as u64, Bytes::from("/proc/1/ns/net"))]
    );
    assert_eq!(plan.process.user, "5:6");
    assert_eq!(plan.process.groups, ["8"]);
    assert_eq!(plan.process.umask, Some(7));
    assert!(matches!(plan.steps.last(), Some(Step::Gate { fd: 3 })));
}

#[test]
fn hooks_have_their_places() {
    let hook = |name: &str| json!([{"path": format!("/{name}"), "timeout": 3}]);
    let spec = spec(|d| {
        d["hooks"] = json!({"prestart": hook("a"), "createRuntime": hook("b"), "createContainer": hook("c"),
            "startContainer": hook("d"), "poststart": hook("e"), "poststop": hook("f")});
    });
    let plan = plan(&spec, &setting()).unwrap();
    let order: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|s| match s {
            Step::Hook(h) => {
                assert_eq!((h.timeout_ms, h.args.len()), (Some(3000), 1));
                Some(format!("{}{}", h.path.to_text(), h.in_container))
            }
            Step::PivotRoot { .. } => Some("pivot".into()),
            Step::Gate { .. } => Some("gate".into()),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["/afalse", "/bfalse", "/ctrue", "pivot", "gate", "/dtrue"]);
}

#[test]
fn lists_of_numbers_become_masks() {
    assert_eq!(process::mask("0-3,7", "f").unwrap(), [0x8f]);
    assert_eq!(process::mask("64", "f").unwrap(), [0, 1]);
    for bad in ["", "3-1", "a", "1,", "-1", "99999999"] {
        assert!(process::mask(bad, "f").is_err(), "{bad}");
    }
}
