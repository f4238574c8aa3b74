//! Tables of good and bad options.

use super::*;
use crate::ErrorKind;
use crate::container::SizeSpec;
use crate::sandbox::capabilities;
use serde_json::json;

fn build(options: serde_json::Value) -> Result<Spec> {
    let mut options: CreateOptions =
        serde_json::from_value(options).expect("the test's options have the right types");
    if options.command.is_empty() && options.entrypoint.is_none() {
        options.command = vec!["true".into()];
    }
    Spec::new(&options, &ImageConfig::default())
}

#[test]
fn bad_values_name_their_option() {
    let cases = [
        ("name", json!({"name": ""})),
        ("name", json!({"name": "a/b"})),
        ("name", json!({"name": "-a"})),
        ("name", json!({"name": "a".repeat(300)})),
        ("command", json!({"command": [""]})),
        ("command", json!({"command": ["a\u{0}"]})),
        ("entrypoint", json!({"entrypoint": [""]})),
        ("environment", json!({"environment": {"": "x"}})),
        ("environment", json!({"environment": {"A=B": "x"}})),
        ("environment", json!({"environment": {"A": "x\u{0}"}})),
        ("working_dir", json!({"working_dir": "tmp"})),
        ("user", json!({"user": "a:b:c"})),
        ("user", json!({"user": "99999999999"})),
        ("user", json!({"user": "a\nb"})),
        ("group_add", json!({"group_add": [""]})),
        ("hostname", json!({"hostname": "-x"})),
        ("hostname", json!({"hostname": "a b"})),
        ("mem_limit", json!({"mem_limit": "12q"})),
        ("mem_limit", json!({"mem_limit": ""})),
        ("mem_limit", json!({"mem_limit": -5})),
        ("mem_limit", json!({"mem_limit": 1})),
        ("mem_limit", json!({"mem_limit": "99999999999999999999g"})),
        ("cpus", json!({"cpus": -1.5})),
        ("cpus", json!({"cpus": 100_000})),
        ("cpu_shares", json!({"cpu_shares": 1})),
        ("cpuset_cpus", json!({"cpuset_cpus": "0-x"})),
        ("cpuset_cpus", json!({"cpuset_cpus": "4095"})),
        ("cpuset_cpus", json!({"cpuset_cpus": ","})),
        ("pids_limit", json!({"pids_limit": -7})),
        ("ulimits", json!({"ulimits": {"colours": 7}})),
        ("ulimits", json!({"ulimits": {"nofile": [100, 50]}})),
        ("ulimits", json!({"ulimits": {"nofile": -2}})),
        ("shm_size", json!({"shm_size": 0})),
        ("cap_add", json!({"cap_add": ["FLY"]})),
        ("cap_drop", json!({"cap_drop": ["FLY"]})),
        ("userns", json!({"userns": "mine"})),
        ("sysctls", json!({"sysctls": {"vm.swappiness": "5"}})),
        ("sysctls", json!({"sysctls": {"net.ipv4/../x": "5"}})),
        ("sysctls", json!({"sysctls": {"net.a": "5"}, "network": "host"})),
        ("dns", json!({"dns": ["dns.example"]})),
        ("extra_hosts", json!({"extra_hosts": {"db": "x"}})),
        ("ports", json!({"ports": {"99999/tcp": null}})),
        ("restart_policy", json!({"restart_policy": "always"})),
        ("restart_policy", json!({"restart_policy": "sometimes", "detach": true})),
        ("restart_policy", json!({"restart_policy": "always", "detach": true, "auto_remove": true})),
        ("healthcheck", json!({"healthcheck": {"test": ["CMD", "true"]}})),
        ("healthcheck", json!({"healthcheck": {"test": ["true"]}, "detach": true})),
        ("stop_signal", json!({"stop_signal": "SIGWHAT"})),
        ("stop_timeout", json!({"stop_timeout": -1})),
        ("tmpfs", json!({"tmpfs": {"scratch": ""}})),
        ("tmpfs", json!({"tmpfs": {"/": ""}})),
        ("tmpfs", json!({"tmpfs": {"/x": "colour=red"}})),
        ("volumes", json!({"volumes": ["/tmp:/m:sideways"]})),
        ("volumes", json!({"volumes": ["/tmp:m"]})),
        ("volumes", json!({"volumes": ["a/b:/m"]})),
        ("mounts", json!({"mounts": [{"type": "bind", "source": "/tmp", "target": "m"}]})),
        ("mounts", json!({"mounts": [{"type": "bind", "source": "/tmp", "target": "/a/../b"}]})),
        ("mounts", json!({"mounts": [{"type": "nfs", "source": "x", "target": "/m"}]})),
        ("mounts", json!({"mounts": [{"source": "/tmp", "target": "/m", "propagation": "sideways"}]})),
        (
            "mounts",
            json!({"mounts": [{"source": "/tmp", "target": "/m"}, {"source": "/tmp", "target": "/m"}]}),
        ),
        ("devices", json!({"devices": ["/tmp"]})),
        ("devices", json!({"devices": ["null"]})),
        ("seccomp_profile", json!({"seccomp_profile": ""})),
    ];
    for (field, options) in cases {
        let e = build(options.clone()).expect_err(&options.to_string());
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{options}: {e}");
        assert!(e.context().contains(&("field", field.to_owned())), "{options}: {e}");
    }
}

#[test]
fn what_is_not_built_is_unsupported() {
    for (field, options) in [
        ("network", json!({"network": "bridge"})),
        ("ports", json!({"ports": {"80/tcp": null}})),
        ("volumes", json!({"volumes": ["data:/m"]})),
        ("volumes", json!({"volumes": ["/m"]})),
        ("mounts", json!({"mounts": [{"source": "data", "target": "/m"}]})),
        ("mounts", json!({"mounts": [{"source": "/tmp", "target": "/m", "propagation": "rshared"}]})),
        ("devices", json!({"devices": ["/dev/null:/dev/x:r"]})),
    ] {
        let e = build(options.clone()).expect_err(&options.to_string());
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{options}: {e}");
        assert!(e.context().contains(&("field", field.to_owned())), "{options}: {e}");
    }
}

#[test]
fn missing_sources_are_path_not_found() {
    for options in [
        json!({"mounts": [{"source": "/no/such/place", "target": "/m"}]}),
        json!({"volumes": ["/no/such/place:/m"]}),
        json!({"devices": ["/dev/no-such-device"]}),
        json!({"seccomp_profile": "/no/such/profile.json"}),
    ] {
        assert_eq!(build(options.clone()).unwrap_err().kind(), ErrorKind::PathNotFound, "{options}");
    }
}

#[test]
fn an_image_is_merged_as_docker_does() {
    let image = ImageConfig {
        env: vec!["PATH=/bin".into(), "A=image".into(), "B=image".into()],
        entrypoint: vec!["/entry".into()],
        cmd: vec!["cmd".into()],
        working_dir: "srv".into(),
        user: "1000:5".into(),
        stop_signal: "SIGINT".into(),
        ..ImageConfig::default()
    };
    let merged =
        |options: serde_json::Value| Spec::new(&serde_json::from_value(options).unwrap(), &image).unwrap();
    let spec = merged(json!({"environment": {"A": "mine"}}));
    assert_eq!(spec.args, ["/entry", "cmd"]);
    assert_eq!(spec.env, ["PATH=/bin", "B=image", "A=mine"]);
    assert_eq!((spec.cwd.as_str(), spec.user.as_str()), ("/srv", "1000:5"));
    assert_eq!(stop(&CreateOptions::default(), &image).unwrap().0, 2);
    assert_eq!(merged(json!({"command": ["x"]})).args, ["/entry", "x"]);
    assert_eq!(merged(json!({"entrypoint": ["/e"]})).args, ["/e"]);
    assert_eq!(merged(json!({"entrypoint": []})).args, ["cmd"]);
    assert_eq!(merged(json!({"entrypoint": [], "command": ["x"]})).args, ["x"]);
}

#[test]
fn sizes_and_signals() {
    let size = |text: &str| parse::size(&SizeSpec::Text(text.into()), "mem_limit").unwrap();
    assert_eq!(
        [size("64k"), size("256m"), size("2G"), size("1.5g"), size("7"), size("10MB")],
        [65536, 268_435_456, 2 << 30, 1_610_612_736, 7, 10 << 20]
    );
    let signal = |text| parse::signal(text, "signal").ok();
    assert_eq!(
        [
            signal("SIGTERM"),
            signal("term"),
            signal("15"),
            signal("RTMIN+3"),
            signal("SIGRTMAX-1"),
            signal("0")
        ],
        [Some(15), Some(15), Some(15), Some(37), Some(63), None]
    );
}

#[test]
fn capabilities_are_added_and_dropped() {
    let caps = |options| capabilities::names(build(options).unwrap().caps.bounding).collect::<Vec<_>>();
    assert_eq!(caps(json!({})).len(), 11);
    assert!(!caps(json!({})).iter().any(|c| ["CAP_MKNOD", "CAP_NET_RAW", "CAP_AUDIT_WRITE"].contains(c)));
    assert_eq!(caps(json!({"cap_drop": ["ALL"], "cap_add": ["cap_net_admin"]})), ["CAP_NET_ADMIN"]);
    assert_eq!(caps(json!({"cap_drop": ["all"]})).len(), 0);
    assert_eq!(caps(json!({"cap_add": ["ALL"], "cap_drop": ["CHOWN"]})).len(), 40);
}

#[test]
fn mounts_inside_others_come_later() {
    let spec = build(json!({
        "mounts": [{"source": "/tmp", "target": "/a/b/c"}, {"source": "/tmp", "target": "/a"}],
        "tmpfs": {"/a/b": "size=1m"},
    }));
    let targets: Vec<_> = spec.unwrap().mounts.iter().map(|m| m.target().to_owned()).collect();
    assert_eq!(targets, ["/a", "/a/b", "/a/b/c"]);
}
