//! Configurations with damage at random places: each is an error that names one, or a plan; nothing panics.

use super::tests::{Bundle, good};
use super::*;
use crate::oci::config;
use crate::oci::translate::tests::setting;
use crate::oci::translate::{Setting, plan};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// The good one, with everything else that a configuration can have.
fn rich() -> Value {
    let mut all = good();
    let more = json!({
        "process": {
            "terminal": true, "consoleSize": {"height": 24, "width": 80}, "noNewPrivileges": true,
            "apparmorProfile": "", "selinuxLabel": "", "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
            "scheduler": {"policy": "SCHED_OTHER", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
            "execCPUAffinity": {"initial": "0", "final": "0-1"},
        },
        "annotations": {"a": "b"},
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"},
                {"type": "user"}, {"type": "time"}, {"type": "cgroup"}],
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}},
            "rootfsPropagation": "rslave", "mountLabel": "", "readonlyPaths": ["/proc/sys"],
            "personality": {"domain": "LINUX", "flags": []},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "netDevices": {"dummy0": {"name": "eth0"}},
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/x", "listenerMetadata": "m",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                    "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}],
            },
            "resources": {
                "pids": {"limit": 10}, "unified": {"memory.high": "1"}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
                "memory": {"limit": 9_000_000, "reservation": 1, "swap": 9_000_000, "disableOOMKiller": false},
                "cpu": {"shares": 2, "quota": 1000, "period": 1000, "cpus": "0", "mems": "0", "idle": 0, "burst": 1},
                "blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
                    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 10}]},
                "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 1}]},
                "rdma": {"mlx5": {"hcaHandles": 1, "hcaObjects": 2}},
                "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}],
            },
        },
    });
    merge(&mut all, &more);
    all
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            more.iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, more) => *into = more.clone(),
    }
}

/// JSON pointers of all values below one.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let place = format!("{at}/{key}");
        places(child, &place, all);
        all.push(place);
    }
}

fn nasty() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "/",
        "..",
        "../../x",
        "/proc/self/exe",
        "a\u{0}b",
        "-1",
        ":",
        "=",
        ",",
        "0-",
        "99999999999999999999",
        "L3:",
        "rbind,ro",
        "\u{202e}",
        "SCMP_ACT_KILL",
        "user",
        "all",
        "c",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::sample::select(vec![-1i64, 0, 1, 65535, 65536, 1 << 31, (1 << 32) - 1, i64::MAX, i64::MIN])
            .prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just("x".repeat(5000).into()),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 1, "x", {}])),
        Just(json!({"type": "user", "path": "", "containerID": 4_294_967_295u32, "size": 4_294_967_295u32})),
    ]
}

fn whole_way(text: &[u8], bundle: &Bundle) -> Result<()> {
    let spec = config::parse(text, &|_| {})?;
    check(&spec, &bundle.0)?;
    let setting = Setting { bundle: &bundle.0, rootfs: bundle.0.join("rootfs"), ..setting() };
    plan(&spec, &setting).map(drop)
}

#[test]
fn without_damage_it_is_good() {
    let bundle = Bundle::new("random-none");
    for document in [good(), rich()] {
        whole_way(document.to_string().as_bytes(), &bundle).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn wrong_values_anywhere(from_rich: bool, damage in proptest::collection::vec((any::<Index>(), nasty()), 1..4)) {
        let bundle = Bundle::new("random-values");
        let mut document = if from_rich { rich() } else { good() };
        for (place, value) in damage {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            if !all.is_empty() {
                *document.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
            }
        }
        if let Err(e) = whole_way(document.to_string().as_bytes(), &bundle) {
            let named = e.context().iter().any(|(key, value)| *key == "field" && !value.is_empty());
            prop_assert!(named, "{document}: {e:?}");
        }
    }

    #[test]
    fn damaged_bytes(at: Index, byte: u8, cut: Index) {
        let bundle = Bundle::new("random-bytes");
        let mut text = rich().to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = whole_way(&text, &bundle);
        text.truncate(cut.index(text.len()));
        prop_assert!(whole_way(&text, &bundle).is_err());
    }
}
