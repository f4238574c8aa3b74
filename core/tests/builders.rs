//! Containers and pulls made by setting one option after another; the same options as fields are in the
//! conformance table.

mod common;

use common::{Fixture, is_root};
use containers::blocking::{self, block_on};
use containers::{Bytes, ErrorKind, MountSpec, Network, PullPolicy, Runtime};
use std::time::Duration;

#[test]
fn each_setter_reaches_its_option() {
    let root = std::env::temp_dir().join(format!("builders-{}", std::process::id()));
    let rt = block_on(Runtime::builder().root(&root).open()).unwrap();
    let create = rt.containers().create("host").name("n").command(["a", "b"]).entrypoint(["e"]);
    let create = create.environment([("A", "1")]).environment([("B", "2")]).working_dir("/w").user("u:g");
    let create = create.group_add(["x"]).hostname("h").domainname("d").labels([("l", "1")]);
    let create = create.annotations([("k", "v")]).stdin(true).tty(true).tty_size(3, 4).read_only(true);
    let create = create.in_memory(true).init(true).mem_limit(Bytes::mib(256)).cpus(1.5).cpu_shares(2);
    let create = create.cpuset_cpus("0").pids_limit(-1).ulimit("nofile", 1, 2).shm_size("1m");
    let create = create.cap_add(["ALL"]).cap_drop(["KILL"]).privileged(true).no_new_privs(false);
    let create = create.seccomp_profile("unconfined").userns("host").sysctls([("kernel.msgmax", "1")]);
    let create = create.devices(["/dev/null"]).network(Network::host()).port("80/tcp", None).dns(["::1"]);
    let create = create.extra_hosts([("n", "::1")]).mount(MountSpec::default()).volumes(["/a:/b"]);
    let create = create.tmpfs("/t", "size=1m").restart_policy("always").healthcheck(Default::default());
    let create = create.stop_signal("HUP").stop_timeout(Duration::from_millis(1500)).auto_remove(true);
    let options = create.pull(PullPolicy::Never).platform("linux/arm64").detach(true).options();
    let json = serde_json::to_value(options).unwrap();
    let unset: Vec<_> = json.as_object().unwrap().iter().filter(|(_, v)| is_nothing(v)).collect();
    assert!(unset.is_empty(), "{unset:?}");
    assert_eq!(json["mem_limit"], 256 << 20);
    assert_eq!(json["environment"], serde_json::json!({"A": "1", "B": "2"}));
    assert_eq!((&json["network"], &json["stop_timeout"]), (&"host".into(), &1.5.into()));
    let run = rt.containers().run("host", ["a"]).input("in").timeout(Duration::from_secs(2)).check(true);
    let run = run.max_output(3).options();
    assert_eq!((run.input.as_deref(), run.timeout, run.check), (Some(&b"in"[..]), Some(2.0), true));
    assert_eq!((run.max_output, run.create.command), (Some(3), vec!["a".to_owned()]));
    block_on(rt.close()).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
}

fn is_nothing(value: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Bool, Null, Object};
    match value {
        Null => true,
        // The one default that is on.
        Bool(_) => false,
        Array(list) => list.is_empty(),
        Object(map) => map.is_empty(),
        _ => false,
    }
}

#[test]
fn what_is_built_runs() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let containers = f.rt.containers();
    let script = "echo $A $(uname -n); cat; exit 3";
    let run = containers.run("host", ["sh", "-c", script]).environment([("A", "1")]).hostname("box");
    let out = block_on(run.input("typed").mem_limit(Bytes::mib(64)).network(Network::none())).unwrap();
    assert_eq!((out.exit_code, &*out.stdout), (3, &b"1 box\ntyped"[..]));
    let container = block_on(containers.create("host").command(["sleep", "60"]).start()).unwrap();
    assert_eq!(container.status().unwrap().word(), "running");
    let container = block_on(containers.create("host").command(["sleep", "60"])).unwrap();
    assert_eq!(container.status().unwrap().word(), "created");
    let error = block_on(containers.create("host").command(["no-such-command"]).start()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    let error = block_on(containers.create("host").network(Network::named("mine"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = block_on(f.rt.images().pull("localhost:1/x").policy(PullPolicy::Never)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
    drop(container);
    f.finish();
}

#[test]
fn the_same_without_async() {
    if !is_root() {
        return;
    }
    let root = std::env::temp_dir().join(format!("builders-blocking-{}", std::process::id()));
    let rt = blocking::Runtime::open_with(Runtime::builder().root(&root)).unwrap();
    assert_eq!(rt.containers().run("host", ["id", "-u"]).unwrap().stdout, b"0\n");
    let c = rt.containers().create("host").command(["sh", "-c", "exit 4"]).start().unwrap();
    assert_eq!(c.wait(None).unwrap(), 4);
    let c = rt.containers().create("host").command(["true"]).create().unwrap();
    assert_eq!(c.status().unwrap().word(), "created");
    assert_eq!(rt.images().pull("localhost:1/x").unwrap_err().kind(), ErrorKind::Registry);
    drop(c);
    rt.close().unwrap();
    std::fs::remove_dir_all(&root).unwrap();
}
