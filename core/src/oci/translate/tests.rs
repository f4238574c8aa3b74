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

/// The targets of mounts, with `nodes` in the place of the first device node.
fn order(mounts: &[(&str, &str, &[&str])], device: Option<&str>) -> Vec<String> {
    let entries: Vec<_> = mounts
        .iter()
        .map(|(kind, at, options)| json!({"type": kind, "source": "/x", "destination": at, "options": options}))
        .collect();
    let spec = spec(|d| {
        d["mounts"] = json!(entries);
        if let Some(path) = device {
            d["linux"]["devices"] = json!([{"path": path, "type": "c", "major": 1, "minor": 3}]);
        }
    });
    let plan = plan(&spec, &setting()).unwrap();
    let mut names: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::MountEntry(entry) => Some(entry.target.as_path().display().to_string()),
            Step::Node(_) => Some("nodes".to_owned()),
            _ => None,
        })
        .collect();
    names.dedup();
    names
}

#[test]
fn devices_come_before_mounts_that_may_have_to_wait() {
    let dev: (&str, &str, &[&str]) = ("tmpfs", "/dev", &[]);
    let sys: (&str, &str, &[&str]) = ("sysfs", "/sys", &["ro"]);
    let cgroup: (&str, &str, &[&str]) = ("cgroup", "/sys/fs/cgroup", &["ro"]);
    let shm: (&str, &str, &[&str]) = ("tmpfs", "/dev/shm", &[]);
    let bind: (&str, &str, &[&str]) = ("bind", "/sys/data", &["bind"]);
    assert_eq!(order(&[dev, sys, cgroup], None), ["/dev", "nodes", "/sys", "/sys/fs/cgroup"]);
    // What they may have to do with comes first.
    assert_eq!(order(&[dev, sys, shm], None), ["/dev", "/sys", "/dev/shm", "nodes"]);
    assert_eq!(order(&[sys, dev, cgroup], None), ["/sys", "/dev", "nodes", "/sys/fs/cgroup"]);
    assert_eq!(order(&[dev, sys, bind], None), ["/dev", "/sys", "/sys/data", "nodes"]);
    for elsewhere in ["/sys/null", "/dev/../sys/null", "/dev/deep/null"] {
        assert_eq!(order(&[dev, sys], Some(elsewhere)), ["/dev", "/sys", "nodes"], "{elsewhere}");
    }
    assert_eq!(order(&[dev, sys], Some("/dev/own")), ["/dev", "nodes", "/sys"]);
    // The image's may have links.
    assert_eq!(order(&[sys], None), ["/sys", "nodes"]);
    // A file system that can be written to until they are made.
    let read_only: (&str, &str, &[&str]) = ("tmpfs", "/dev", &["ro"]);
    assert_eq!(order(&[read_only, sys], None), ["/dev", "nodes", "/sys", "/dev"]);
}
