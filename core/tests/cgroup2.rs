//! What containers get on a machine with cgroup v2 alone; passed over elsewhere. The rest of what they do there is
//! said by the other tests, which the machine of `tests/vm` runs too.

mod common;

use common::{Fixture, create, eventually, is_root, run};
use containers::blocking::block_on;
use containers::{Container, RemoveOptions, Status};
use serde_json::json;
use std::path::{Path, PathBuf};

fn is_v2() -> bool {
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if !v2 {
        eprintln!("passed over: this machine has no pure cgroup v2");
    }
    v2 && is_root()
}

/// Whether limits of all controllers can be set by this process.
fn has_all(f: &Fixture) -> bool {
    let have = f.rt.info().unwrap().cgroup_controllers;
    ["memory", "pids", "cpu", "cpuset"].iter().all(|c| have.iter().any(|h| h == c))
}

/// The group of a running container.
fn group(c: &Container) -> PathBuf {
    let pid = c.pid().unwrap().expect("it runs");
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.trim().strip_prefix("0::/").expect("one hierarchy").to_owned();
    Path::new("/sys/fs/cgroup").join(path)
}

fn value(group: &Path, file: &str) -> String {
    std::fs::read_to_string(group.join(file)).unwrap().trim().to_owned()
}

fn started(f: &Fixture, mut options: serde_json::Value) -> Container {
    if options.get("command").is_none() {
        options["command"] = json!(["sleep", "600"]);
    }
    block_on(f.rt.containers().run_detached("host", create(options))).unwrap()
}

fn forget(c: &Container) {
    let mut options = RemoveOptions::default();
    options.force = true;
    block_on(c.remove(options)).unwrap();
}

#[test]
fn limits_are_what_was_asked_for() {
    if !is_v2() {
        return;
    }
    let f = Fixture::new();
    assert_eq!(f.rt.info().unwrap().cgroup_version, "v2");
    let limits = json!({"mem_limit": "64m", "pids_limit": 7});
    let c = started(&f, limits);
    let own = group(&c);
    assert_eq!(value(&own, "memory.max"), (64u64 << 20).to_string());
    assert_eq!(value(&own, "pids.max"), "7");
    forget(&c);
    eventually("the group goes", || !own.exists());
    if has_all(&f) {
        let c = started(&f, json!({"cpus": 0.5, "cpu_shares": 1024, "cpuset_cpus": "0"}));
        let own = group(&c);
        assert_eq!(value(&own, "cpu.max"), "50000 100000");
        // The default of both versions.
        assert_eq!(value(&own, "cpu.weight"), "100");
        assert_eq!(value(&own, "cpuset.cpus.effective"), "0");
        assert_eq!(value(&own, "pids.max"), "2048");
        forget(&c);
    }
    f.finish_soon();
}

#[test]
fn a_detached_container_has_a_scope_of_its_own() {
    if !is_v2() {
        return;
    }
    if !Path::new("/run/systemd/system").is_dir() {
        eprintln!("passed over: systemd doesn't run this machine");
        return;
    }
    let f = Fixture::new();
    let c = started(&f, json!({"mem_limit": "64m"}));
    let scope = scope_of(&c);
    assert!(scope.file_name().unwrap().to_str().unwrap().contains(&c.id()[..12]), "{}", scope.display());
    let other = started(&f, json!({}));
    assert_ne!(scope, scope_of(&other));
    block_on(c.stop(Some(std::time::Duration::ZERO))).unwrap();
    eventually("the scope goes", || !scope.exists());
    block_on(c.start()).unwrap();
    assert!(scope_of(&c).exists());
    [c, other].iter().for_each(forget);
    f.finish_soon();
}

/// The unit of systemd that a container is in.
fn scope_of(c: &Container) -> PathBuf {
    let own = group(c);
    let is_scope = |p: &&Path| p.extension().is_some_and(|e| e == "scope");
    own.ancestors().find(is_scope).expect("a scope").to_owned()
}

#[test]
fn a_container_sees_its_group_as_the_root() {
    if !is_v2() {
        return;
    }
    let f = Fixture::new();
    let script =
        "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.controllers; mkdir /sys/fs/cgroup/x 2>&1";
    let options = run(json!({"command": ["sh", "-c", script], "mem_limit": "64m"}));
    let output = block_on(f.rt.containers().run_with("host", options)).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("0::/\n"), "{text}");
    assert_ne!(output.exit_code, 0, "{text}");
    f.finish_soon();
}

#[test]
fn a_paused_container_is_frozen_and_can_be_killed() {
    if !is_v2() {
        return;
    }
    let f = Fixture::new();
    let c = started(&f, json!({"command": ["sh", "-c", "sleep 600 & sleep 601 & wait"]}));
    let own = group(&c);
    block_on(c.pause()).unwrap();
    assert_eq!(c.status().unwrap(), Status::Paused);
    assert_eq!(value(&own, "cgroup.freeze"), "1");
    eventually("all are frozen", || value(&own, "cgroup.events").contains("frozen 1"));
    block_on(c.unpause()).unwrap();
    assert_eq!((value(&own, "cgroup.freeze"), c.status().unwrap()), ("0".to_owned(), Status::Running));
    block_on(c.pause()).unwrap();
    block_on(c.kill("KILL")).unwrap();
    assert_eq!(block_on(c.wait(None)).unwrap(), 137);
    eventually("the group goes", || !own.exists());
    forget(&c);
    f.finish_soon();
}

#[test]
fn a_fork_bomb_ends_with_its_container() {
    if !is_v2() {
        return;
    }
    let f = Fixture::new();
    let bomb = "i=0; while [ $i -lt 200 ]; do sleep 600 & i=$((i+1)); done; wait";
    let c = started(&f, json!({"command": ["bash", "-c", bomb], "pids_limit": 24}));
    let own = group(&c);
    eventually("it can't grow", || !value(&own, "pids.events").ends_with(" 0"));
    let members = value(&own, "cgroup.procs");
    assert!((2..=24).contains(&members.lines().count()), "{members}");
    block_on(c.kill("KILL")).unwrap();
    block_on(c.wait(None)).unwrap();
    eventually("the group goes", || !own.exists());
    forget(&c);
    f.finish_soon();
}

#[test]
fn memory_that_runs_out_is_told_of_a_child_too() {
    if !is_v2() {
        return;
    }
    let f = Fixture::new();
    // The kernel kills the child; the first process goes on and ends well.
    let options = json!({"command": ["sh", "-c", "tail /dev/zero; echo $?"], "mem_limit": "32m"});
    let output = block_on(f.rt.containers().run_with("host", run(options))).unwrap();
    assert_eq!((output.exit_code, output.oom_killed), (0, true));
    assert_eq!(output.stdout, b"137\n");
    f.finish_soon();
}
