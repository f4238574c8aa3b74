//! The systemd driver, where systemd runs the machine (`tests/vm/run --systemd`).

use super::tests::{Member, may, name, spec};
use super::*;
use crate::ErrorKind;
use crate::cgroup::systemd;
use oci_spec::runtime::Spec;
use std::process::Command;

fn has_systemd() -> bool {
    let has = may() && systemd::is_running();
    if !has {
        println!("skipped: systemd doesn't run this machine");
    }
    has
}

fn create(path: &str, resources: &str) -> Result<Cgroup> {
    Cgroup::create(&spec(path, resources), "id", (Driver::Systemd, &Machine::look()), false, None)
}

/// A property of a unit.
fn show(unit: &str, property: &str) -> String {
    let out = Command::new("systemctl").args(["show", "--value", "-p", property, unit]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn with_annotation(mut spec: Spec, name: &str, value: &str) -> Spec {
    let pair = (format!("org.systemd.property.{name}"), value.to_owned());
    spec.set_annotations(Some(std::collections::HashMap::from([pair])));
    spec
}

#[test]
fn a_scope_lives_from_enter_to_delete() {
    if !has_systemd() {
        return;
    }
    let name = name();
    let unit = format!("ct-{name}.scope");
    let resources = r#"{"memory":{"limit":67108864,"reservation":1048576},"pids":{"limit":20},
        "cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0"}}"#;
    let spec = spec(&format!("machine-unit.slice:ct:{name}"), resources);
    let spec = with_annotation(spec, "TimeoutStopSec", "123");
    let cgroup = Cgroup::create(&spec, "id", (Driver::Systemd, &Machine::look()), false, None).unwrap();
    assert!(!cgroup.exists());
    let member = Member::new(&cgroup, "sleep 1000");
    // From here on the stored state is enough.
    let cgroup: Cgroup = serde_json::from_str(&serde_json::to_string(&cgroup).unwrap()).unwrap();
    assert!(cgroup.exists());
    let second = Member::new(&cgroup, "sleep 1000");
    assert_eq!(cgroup.pids().unwrap().len(), 2);
    let wanted = format!("/machine.slice/machine-unit.slice/{unit}");
    assert_eq!(show(&unit, "ControlGroup"), wanted);
    for (property, value) in [
        ("MemoryMax", "67108864"),
        ("MemoryLow", "1048576"),
        ("TasksMax", "20"),
        ("Delegate", "yes"),
        ("AllowedCPUs", "0"),
        ("TimeoutStopUSec", "2min 3s"),
        ("DevicePolicy", "strict"),
    ] {
        assert_eq!(show(&unit, property), value, "{property}");
    }
    cgroup
        .apply(&serde_json::from_str(r#"{"memory":{"limit":33554432},"pids":{"limit":30}}"#).unwrap())
        .unwrap();
    assert_eq!(show(&unit, "MemoryMax"), "33554432");
    // What systemd writes again is the same.
    assert!(Command::new("systemctl").arg("daemon-reload").status().unwrap().success());
    let stats = cgroup.stats().unwrap();
    assert_eq!((stats.memory.usage.limit, stats.pids.limit), (33_554_432, 30));
    cgroup.freeze().unwrap();
    cgroup.kill(libc::SIGKILL).unwrap();
    drop((member, second));
    cgroup.delete().unwrap();
    assert!(!cgroup.exists() && show(&unit, "LoadState") == "not-found");
    cgroup.delete().unwrap();
}

#[test]
fn devices_are_denied_in_scopes_too() {
    if !has_systemd() {
        return;
    }
    let name = name();
    let kmsg = r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#;
    for (resources, wanted) in [("{}", "zero\n"), (kmsg, "zero\nkmsg\n")] {
        let cgroup = create(&format!(":ct:{name}"), resources).unwrap();
        let probe = "for d in zero kmsg; do (: < /dev/$d) 2>/dev/null && echo $d; done";
        assert_eq!(Member::new(&cgroup, probe).output(), wanted);
        cgroup.delete().unwrap();
    }
}

#[test]
fn a_unit_that_runs_is_refused_and_one_that_failed_is_not() {
    if !has_systemd() {
        return;
    }
    let path = format!(":ct:{}", name());
    let first = create(&path, r#"{"memory":{"limit":8388608}}"#).unwrap();
    let mut member = Member::new(&first, "head -c 200M /dev/zero | tail >/dev/null");
    let second = create(&path, "{}").unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InUse);
    member.go();
    member.0.wait().unwrap();
    drop(member);
    first.kill(libc::SIGKILL).unwrap();
    while first.exists() {
        std::thread::yield_now();
    }
    let third = create(&path, "{}").unwrap();
    let member = Member::new(&third, "sleep 1000");
    drop(member);
    third.kill(libc::SIGKILL).unwrap();
    third.delete().unwrap();
}

#[test]
fn wrong_paths_and_properties_are_errors() {
    if !has_systemd() {
        return;
    }
    for path in ["/a/b", "a.slice:x", "a.slice:p:b.slice", "a--b.slice:p:n"] {
        let e = create(path, "{}").unwrap_err();
        assert!(e.to_string().contains("linux.cgroupsPath"), "{e}");
    }
    let spec = with_annotation(spec(&format!(":ct:{}", name()), "{}"), "NoSuchThing", "true");
    let cgroup = Cgroup::create(&spec, "id", (Driver::Systemd, &Machine::look()), false, None).unwrap();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let e = cgroup.start_unit(child.id() as i32).unwrap_err();
    assert!(e.to_string().contains("NoSuchThing"), "{e}");
    child.kill().unwrap();
    child.wait().unwrap();
    cgroup.delete().unwrap();
}
