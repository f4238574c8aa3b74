//! Real cgroups of this machine: v1 or v2, whatever is there. They need root.

use super::*;
use crate::ErrorKind;
use oci_spec::runtime::Spec;
use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A name of its own.
pub(super) fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("containers-unit-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether cgroups can be made here; says why not.
pub(super) fn may() -> bool {
    let may = rustix::process::geteuid().is_root() && !crate::cgroup::hierarchy::visible().is_empty();
    if !may {
        println!("skipped: it needs root and cgroups");
    }
    may
}

pub(super) fn spec(path: &str, resources: &str) -> Spec {
    let json = format!(
        r#"{{"ociVersion":"1.2.0","root":{{"path":"r"}},"process":{{"cwd":"/","args":["a"],
            "user":{{"uid":0,"gid":0}}}},"linux":{{"cgroupsPath":{path:?},"resources":{resources}}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn create(path: &str, resources: &str) -> Result<Cgroup> {
    Cgroup::create(&spec(path, resources), "id", (Driver::Cgroupfs, &Machine::look()), false, None)
}

/// Moves a process into the cgroup. One that was forked a moment ago can't be moved yet (`EINVAL`).
fn enter(cgroup: &Cgroup, pid: i32) {
    cgroup.start_unit(pid).unwrap();
    for file in cgroup.entrances(false) {
        let mut tries = 0;
        while let Err(e) = std::fs::write(&file, pid.to_string()) {
            assert!(file::is(&e, libc::EINVAL) && tries < 5, "{}: {e}", file.display());
            tries += 1;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// A shell in the cgroup that waits for a line before it runs its script.
pub(super) struct Member(pub(super) Child);

impl Member {
    pub(super) fn new(cgroup: &Cgroup, script: &str) -> Member {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("read line; {script}")]);
        let child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let member = Member(child);
        enter(cgroup, member.0.id() as i32);
        member
    }

    pub(super) fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    pub(super) fn output(mut self) -> String {
        self.go();
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        text
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_gone(cgroup: &Cgroup) -> bool {
    cgroup.paths().values().all(|dir| !dir.exists())
}

#[test]
fn a_cgroup_lives_from_create_to_delete() {
    if !may() {
        return;
    }
    let path = format!("/{}", name());
    let cgroup = create(&path, r#"{"memory":{"limit":67108864},"pids":{"limit":20}}"#).unwrap();
    // Everything works from the stored state.
    let cgroup: Cgroup = serde_json::from_str(&serde_json::to_string(&cgroup).unwrap()).unwrap();
    assert!(cgroup.exists() && cgroup.pids().unwrap().is_empty());
    let mut member = Member::new(&cgroup, "sleep 1000 & sleep 1000");
    let pid = member.0.id() as i32;
    assert_eq!(cgroup.pids().unwrap(), [pid]);

    let stats = serde_json::to_value(cgroup.stats().unwrap()).unwrap();
    assert_eq!(stats["memory"]["usage"]["limit"], 67_108_864);
    assert_eq!((&stats["pids"]["limit"], &stats["pids"]["current"]), (&20.into(), &1.into()));

    cgroup.freeze().unwrap();
    assert!(cgroup.frozen().unwrap());
    member.go();
    assert_eq!(cgroup.pids().unwrap().len(), 1);
    cgroup.thaw().unwrap();
    assert!(!cgroup.frozen().unwrap());
    while cgroup.pids().unwrap().len() < 3 {
        std::thread::yield_now();
    }

    let warnings = cgroup.apply(&serde_json::from_str(r#"{"pids":{"limit":30}}"#).unwrap()).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(cgroup.stats().unwrap().pids.limit, 30);

    // Stopped ones die too.
    cgroup.freeze().unwrap();
    cgroup.kill(libc::SIGKILL).unwrap();
    member.0.wait().unwrap();
    cgroup.delete().unwrap();
    assert!(is_gone(&cgroup));
    cgroup.delete().unwrap();
    assert!(cgroup.pids().unwrap().is_empty());
}

#[test]
fn a_used_or_frozen_cgroup_is_refused_and_left_alone() {
    if !may() {
        return;
    }
    let path = format!("/{}", name());
    let first = create(&path, "{}").unwrap();
    let member = Member::new(&first, "");
    let e = create(&path, "{}").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InUse);
    assert!(e.to_string().contains("linux.cgroupsPath") && e.to_string().contains("not empty"), "{e}");
    assert_eq!(first.pids().unwrap().len(), 1);
    drop(member);
    first.freeze().unwrap();
    let e = create(&path, "{}").unwrap_err();
    assert!(e.kind() == ErrorKind::InUse && e.to_string().contains("frozen"), "{e}");
    assert!(first.paths().values().all(|dir| dir.is_dir()));
    first.thaw().unwrap();
    first.delete().unwrap();
    assert!(is_gone(&first));
}

#[test]
fn failures_leave_nothing() {
    if !may() {
        return;
    }
    let path = format!("/{}", name());
    for (resources, field) in [
        (r#"{"cpu":{"cpus":"5000"}}"#, "cpu.cpus"),
        (r#"{"hugepageLimits":[{"pageSize":"3MB","limit":1}]}"#, "hugepageLimits[0].limit"),
        (r#"{"devices":[{"allow":true,"type":"c","major":1,"access":"x"}]}"#, "devices[0]"),
    ] {
        let e = create(&path, resources).unwrap_err();
        assert!(e.to_string().contains(&format!("linux.resources.{field}")), "{e}");
        let machine = super::place::Machine::look();
        for h in &machine.hierarchies {
            assert!(!h.mount.join(&path[1..]).exists(), "{}", h.mount.display());
        }
    }
}

#[test]
fn devices_are_denied_unless_allowed() {
    if !may() {
        return;
    }
    let probe = "for d in zero kmsg null; do (: < /dev/$d) 2>/dev/null && echo $d; done";
    let run = |rules: &str| {
        let cgroup = create(&format!("/{}", name()), &format!(r#"{{"devices":{rules}}}"#)).unwrap();
        let text = Member::new(&cgroup, probe).output();
        cgroup.delete().unwrap();
        text
    };
    assert_eq!(run("[]"), "zero\nnull\n");
    let deny = r#"{"allow":false,"access":"rwm"}"#;
    assert_eq!(
        run(&format!(r#"[{deny},{{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}}]"#)),
        "zero\nkmsg\nnull\n"
    );
    assert_eq!(run(r#"[{"allow":true,"type":"a","access":"rwm"}]"#), "zero\nkmsg\nnull\n");
}

#[test]
fn device_rules_can_be_changed() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), "{}").unwrap();
    let probe = || Member::new(&cgroup, "(: < /dev/kmsg) 2>/dev/null && echo yes").output();
    let set = |json: &str| cgroup.apply(&serde_json::from_str(json).unwrap()).unwrap();
    assert_eq!(probe(), "");
    set(r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":11,"access":"rw"}]}"#);
    assert_eq!(probe(), "yes\n");
    set(r#"{"devices":[{"allow":false,"type":"a","access":"rwm"}]}"#);
    assert_eq!(probe(), "");
    cgroup.delete().unwrap();
}

#[test]
fn memory_and_swap_change_in_both_directions() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), r#"{"memory":{"limit":10485760,"swap":20971520}}"#);
    // Without swap accounting there is no limit for it.
    let Ok(cgroup) = cgroup else { return println!("skipped: {}", cgroup.unwrap_err()) };
    for (limit, swap) in [(40 << 20, 80 << 20), (8 << 20, 16 << 20), (-1, -1), (4 << 20, 4 << 20)] {
        let json = format!(r#"{{"memory":{{"limit":{limit},"swap":{swap}}}}}"#);
        cgroup.apply(&serde_json::from_str(&json).unwrap()).unwrap();
        let usage = cgroup.stats().unwrap().memory.usage.limit;
        assert!(usage == limit as u64 || limit == -1, "{usage} {limit}");
    }
    cgroup.delete().unwrap();
}

#[test]
fn quota_period_and_burst_change_together() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), r#"{"cpu":{"quota":50000,"period":100000}}"#).unwrap();
    for cpu in [
        r#"{"quota":200000,"period":200000,"burst":100000}"#,
        r#"{"quota":5000,"period":10000,"burst":5000}"#,
        r#"{"shares":2}"#,
        r#"{"quota":-1,"burst":0}"#,
    ] {
        let json = format!(r#"{{"cpu":{cpu}}}"#);
        cgroup.apply(&serde_json::from_str(&json).unwrap()).unwrap();
    }
    cgroup.delete().unwrap();
}

#[test]
fn want_of_memory_is_told() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), r#"{"memory":{"limit":8388608}}"#).unwrap();
    let mut events = cgroup.oom_events().unwrap();
    assert_eq!(events.take().unwrap().ooms, 0);
    // `tail` keeps what has no line ends.
    let mut member = Member::new(&cgroup, "head -c 200M /dev/zero | tail >/dev/null");
    member.go();
    let mut poll = [rustix::event::PollFd::new(&events, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut poll, None).unwrap();
    while cgroup.oom_kills() == 0 {
        std::thread::yield_now();
    }
    member.0.wait().unwrap();
    assert!(events.take().unwrap().ooms > 0);
    cgroup.kill(libc::SIGKILL).unwrap();
    cgroup.delete().unwrap();
}

#[test]
fn what_is_below_goes_with_it() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), "{}").unwrap();
    for dir in cgroup.paths().values() {
        std::fs::create_dir_all(dir.join("a/b")).unwrap_or_default();
        std::fs::create_dir_all(dir.join("c")).unwrap_or_default();
    }
    cgroup.delete().unwrap();
    assert!(is_gone(&cgroup));
}

#[test]
fn without_a_path_the_id_names_it() {
    if !may() {
        return;
    }
    let mut spec = spec("", "{}");
    let id = name().replace('/', "-");
    spec.linux_mut().as_mut().unwrap().set_cgroups_path(None);
    let cgroup = Cgroup::create(&spec, &id, (Driver::Cgroupfs, &Machine::look()), false, None).unwrap();
    assert!(cgroup.paths().values().all(|dir| dir.ends_with(&id) && dir.is_dir()));
    cgroup.delete().unwrap();
}

#[test]
fn signals_reach_everybody() {
    if !may() {
        return;
    }
    let cgroup = create(&format!("/{}", name()), "{}").unwrap();
    let member = Member::new(&cgroup, "");
    cgroup.kill(libc::SIGTERM).unwrap();
    let mut member = member;
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(member.0.wait().unwrap().signal(), Some(libc::SIGTERM));
    cgroup.delete().unwrap();
}
