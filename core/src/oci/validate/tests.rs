//! One wrong value at a time, in a configuration that is right otherwise.

use super::*;
use crate::oci::config;
use serde_json::{Value, json};

pub(super) struct Bundle(pub(super) PathBuf);

impl Bundle {
    pub(super) fn new(name: &str) -> Bundle {
        let dir = std::env::temp_dir().join(format!("containers-validate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("rootfs")).unwrap();
        Bundle(dir.canonicalize().unwrap())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn good() -> Value {
    json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "hostname": "box",
        "domainname": "example.org",
        "process": {
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["sh"], "env": ["A=b"],
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
            "capabilities": {"permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
            "oomScoreAdj": 10,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/", "options": ["rbind", "ro"]},
            {"destination": "/proc/uptime", "type": "bind", "source": "/proc/uptime", "options": ["bind"]},
        ],
        "hooks": {"poststop": [{"path": "/bin/true", "timeout": 1, "env": ["A="]}]},
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}],
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1", "fs.mqueue.msg_max": "9",
                "net/ipv4/conf/eth0.1/rp_filter": "1"},
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}],
            "maskedPaths": ["/proc/kcore"],
            "cgroupsPath": "/a/b",
            "resources": {"pids": {"limit": -1}},
        },
    })
}

fn check_document(document: &Value, bundle: &Bundle) -> Result<()> {
    config::parse(document.to_string().as_bytes(), &|_| {}).and_then(|spec| check(&spec, &bundle.0))
}

#[test]
fn the_good_one_is_good() {
    let bundle = Bundle::new("good");
    check_document(&good(), &bundle).unwrap();
    let mut zero = good();
    zero["linux"]["resources"]["pids"]["limit"] = json!(0);
    check_document(&zero, &bundle).unwrap();
}

#[test]
fn wrong_values_name_their_place() {
    let bundle = Bundle::new("table");
    std::os::unix::fs::symlink("rootfs", bundle.0.join("link")).unwrap();
    std::fs::write(bundle.0.join("file"), "").unwrap();
    let long = "x".repeat(200_000);
    let user = json!([{"type": "user"}, {"type": "mount"}]);
    let map = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let one = json!([map(0, 1000, 10)]);
    let time = json!([{"type": "time"}, {"type": "mount"}]);
    // What is changed, to what, and the field that the error names.
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![("/ociVersion", json!("2.0.0"))], "ociVersion"),
        (vec![("/ociVersion", json!("one"))], "ociVersion"),
        (vec![("/process", Value::Null)], "process"),
        (vec![("/root", Value::Null)], "root"),
        (vec![("/root/path", json!(""))], "root.path"),
        (vec![("/root/path", json!("missing"))], "root.path"),
        (vec![("/root/path", json!("link"))], "root.path"),
        (vec![("/root/path", json!("file"))], "root.path"),
        (vec![("/root/path", json!("/"))], "root.path"),
        (vec![("/process/args", json!([]))], "process.args"),
        (vec![("/process/args", json!([""]))], "process.args[0]"),
        (vec![("/process/args", json!(["a\u{0}b"]))], "process.args[0]"),
        (vec![("/process/args", json!(["sh", long]))], "process.args[1]"),
        (vec![("/process/args", json!(vec!["x"; 700_000]))], "process.args"),
        (vec![("/process/env", json!(["A"]))], "process.env[0]"),
        (vec![("/process/env", json!(["=b"]))], "process.env[0]"),
        (vec![("/process/env", json!(["A=\u{0}"]))], "process.env[0]"),
        (vec![("/process/cwd", json!("tmp"))], "process.cwd"),
        (vec![("/process/user/uid", json!(4294967295u32))], "process.user.uid"),
        (vec![("/process/user/additionalGids", json!([4294967295u32]))], "process.user.additionalGids[0]"),
        (vec![("/process/user/umask", json!(0o1000))], "process.user.umask"),
        (vec![("/process/oomScoreAdj", json!(1001))], "process.oomScoreAdj"),
        (vec![("/process/rlimits/0/soft", json!(3))], "process.rlimits[0].soft"),
        (
            vec![("/process/rlimits/1", json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}))],
            "process.rlimits[1].type",
        ),
        (vec![("/process/capabilities/effective", json!(["CAP_CHOWN"]))], "process.capabilities.effective"),
        (
            vec![
                ("/process/terminal", json!(true)),
                ("/process/consoleSize", json!({"height": 70000, "width": 1})),
            ],
            "process.consoleSize",
        ),
        (
            vec![("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}))],
            "process.ioPriority.priority",
        ),
        (
            vec![("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 20}))],
            "process.scheduler.nice",
        ),
        (
            vec![("/process/scheduler", json!({"policy": "SCHED_OTHER", "priority": 1}))],
            "process.scheduler.priority",
        ),
        (vec![("/process/scheduler", json!({"policy": "SCHED_FIFO"}))], "process.scheduler.priority"),
        (
            vec![("/process/scheduler", json!({"policy": "SCHED_BATCH", "runtime": 1}))],
            "process.scheduler.runtime",
        ),
        (vec![("/mounts/0/destination", json!("/a/../b"))], "mounts[0].destination"),
        (vec![("/mounts/0/destination", json!("/"))], "mounts[0].destination"),
        (vec![("/mounts/1/destination", json!("/proc/self"))], "mounts[1].destination"),
        (vec![("/mounts/0/type", json!("tmpfs"))], "mounts[0].type"),
        (vec![("/mounts/1/source", Value::Null)], "mounts[1].source"),
        (vec![("/mounts/1/options", json!(["bind", "size=1k"]))], "mounts[1].options"),
        (vec![("/mounts/0/options", json!(["tmpcopyup"]))], "mounts[0].options"),
        (vec![("/mounts/0/options", json!(["idmap"]))], "mounts[0].options"),
        (vec![("/mounts/1/options", json!(["bind", "idmap"]))], "mounts[1].options"),
        (vec![("/mounts/1/uidMappings", one.clone())], "mounts[1].gidMappings"),
        (vec![("/mounts/1/gidMappings", one.clone())], "mounts[1].uidMappings"),
        (
            vec![("/mounts/0/uidMappings", one.clone()), ("/mounts/0/gidMappings", one.clone())],
            "mounts[0].uidMappings",
        ),
        (vec![("/hooks/poststop/0/path", json!("true"))], "hooks.poststop[0].path"),
        (vec![("/hooks/poststop/0/timeout", json!(0))], "hooks.poststop[0].timeout"),
        (vec![("/hooks/poststop/0/env", json!(["A"]))], "hooks.poststop[0].env[0]"),
        (vec![("/linux/namespaces/0", json!({"type": "moon"}))], "linux.namespaces[0].type"),
        (vec![("/linux/namespaces/1", json!({"type": "mount"}))], "linux.namespaces[1].type"),
        (
            vec![("/linux/namespaces/4", json!({"type": "network", "path": "rel"}))],
            "linux.namespaces[4].path",
        ),
        (
            vec![("/linux/namespaces/4", json!({"type": "network", "path": "/no/such"}))],
            "linux.namespaces[4].path",
        ),
        (
            vec![("/linux/namespaces/4", json!({"type": "network", "path": "/proc/self/ns/net"}))],
            "linux.sysctl.net",
        ),
        (vec![("/linux/namespaces/2", json!({"type": "pid"}))], "linux.namespaces[2].type"),
        (vec![("/linux/namespaces", json!([{"type": "mount"}]))], "hostname"),
        (vec![("/linux/namespaces", json!([{"type": "mount"}])), ("/hostname", Value::Null)], "domainname"),
        (vec![("/hostname", json!("x".repeat(65)))], "hostname"),
        (vec![("/linux/sysctl", json!({"vm.swappiness": "1"}))], "linux.sysctl.vm.swappiness"),
        (vec![("/linux/sysctl", json!({"net.a/../c": "1"}))], "linux.sysctl.net.a/../c"),
        (vec![("/linux/sysctl", json!({"net..a": "1"}))], "linux.sysctl.net..a"),
        (vec![("/linux/sysctl", json!({"kernel.hostname": "1"}))], "linux.sysctl.kernel.hostname"),
        (vec![("/linux/uidMappings", one.clone())], "linux.uidMappings"),
        (
            vec![
                ("/linux/namespaces", user.clone()),
                ("/hostname", Value::Null),
                ("/domainname", Value::Null),
            ],
            "linux.uidMappings",
        ),
        (vec![("/linux/timeOffsets", json!({"monotonic": {"secs": 1}}))], "linux.timeOffsets.monotonic"),
        (
            vec![
                ("/linux/namespaces", time),
                ("/hostname", Value::Null),
                ("/domainname", Value::Null),
                ("/linux/timeOffsets", json!({"realtime": {"secs": 1}})),
            ],
            "linux.timeOffsets.realtime",
        ),
        (vec![("/linux/devices/0/path", json!("x"))], "linux.devices[0].path"),
        (vec![("/linux/devices/0/type", json!("a"))], "linux.devices[0].type"),
        (vec![("/linux/devices/0/major", json!(-1))], "linux.devices[0].major"),
        (vec![("/linux/maskedPaths", json!(["proc/x"]))], "linux.maskedPaths[0]"),
        (vec![("/linux/readonlyPaths", json!([""]))], "linux.readonlyPaths[0]"),
        (vec![("/linux/rootfsPropagation", json!("sideways"))], "linux.rootfsPropagation"),
        (vec![("/linux/cgroupsPath", json!("/a/../../b"))], "linux.cgroupsPath"),
        (vec![("/linux/resources/pids/limit", json!(-2))], "linux.resources.pids.limit"),
        (vec![("/linux/personality", json!({"domain": "LINUX", "flags": ["X"]}))], "linux.personality.flags"),
        (vec![("/linux/memoryPolicy", json!({"mode": "MPOL_BIND"}))], "linux.memoryPolicy.nodes"),
        (
            vec![("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "x"}))],
            "linux.memoryPolicy.nodes",
        ),
        (
            vec![("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL", "nodes": "0"}))],
            "linux.memoryPolicy.nodes",
        ),
        (vec![("/linux/intelRdt", json!({"closID": "a/b"}))], "linux.intelRdt.closID"),
        (vec![("/linux/intelRdt", json!({"memBwSchema": "L3:0=f"}))], "linux.intelRdt.memBwSchema"),
        (
            vec![("/linux/intelRdt", json!({"schemata": ["L3:0=f", "MB:0=1\nMB:1=2"]}))],
            "linux.intelRdt.schemata[1]",
        ),
        (vec![("/linux/netDevices", json!({"eth/0": {}}))], "linux.netDevices.eth/0"),
        (vec![("/windows", json!({"layerFolders": ["a"]}))], "windows"),
    ];
    for (changes, field) in &cases {
        let mut document = good();
        for (at, value) in changes {
            set(&mut document, at, value.clone());
        }
        let e = check_document(&document, &bundle).expect_err(field);
        let named = e.context().iter().find(|(k, _)| *k == "field").map(|(_, v)| v.as_str()).unwrap_or("");
        assert!(named.starts_with(field), "{field}: {e}");
    }
    for (name, list) in [
        ("empty", json!([map(0, 0, 0)])),
        ("overlap inside", json!([map(0, 1000, 10), map(5, 2000, 10)])),
        ("overlap outside", json!([map(0, 1000, 10), map(100, 1005, 10)])),
        ("overflow", json!([map(4294967290, 0, 10)])),
    ] {
        let mut document = good();
        set(&mut document, "/linux/namespaces", user.clone());
        set(&mut document, "/linux/uidMappings", list);
        set(&mut document, "/linux/gidMappings", one.clone());
        let e = check_document(&document, &bundle).expect_err(name);
        assert!(e.to_string().contains("field=linux.uidMappings["), "{name}: {e}");
    }
}

#[test]
fn what_the_machine_lacks_is_unsupported() {
    let bundle = Bundle::new("lacks");
    let cases: &[(&str, Value, bool)] = &[
        ("/process/apparmorProfile", json!("x"), Path::new("/sys/module/apparmor").exists()),
        ("/process/selinuxLabel", json!("x"), process::has_selinux()),
        ("/linux/mountLabel", json!("x"), process::has_selinux()),
        ("/linux/intelRdt", json!({"closID": "a"}), crate::oci::rdt::mounted().is_ok()),
    ];
    for (at, value, there) in cases.iter().filter(|(.., there)| !there) {
        let mut document = good();
        set(&mut document, at, value.clone());
        let e = check_document(&document, &bundle).expect_err(at);
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{at} {there}: {e}");
    }
}

/// Sets the value at a JSON pointer; the last part may be new.
fn set(document: &mut Value, at: &str, value: Value) {
    let (parent, name) = at.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(name.to_owned(), value)),
        Value::Array(list) => {
            let index: usize = name.parse().unwrap();
            if index == list.len() { list.push(value) } else { list[index] = value }
        }
        _ => panic!("{at}"),
    }
}
