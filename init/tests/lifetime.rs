//! What ends when something else ends.

mod common;

use common::{Cgroups, Connection, Killed, Launcher, eventually, is_alive, kill, plans, root};
use containers_protocol::control::{Event, Request};
use containers_protocol::launch::{self, Ready};
use containers_protocol::plan::{Plan, Stdio};
use std::process::Command;

fn sleeping(launcher: &Launcher) -> Plan {
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["sh", "-c", "sleep 1001 & sleep 1000"]);
    plan.stdio = Stdio::Direct([None; 3]);
    plan
}

#[test]
fn an_owner_that_leaves_takes_it_along() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let plan = sleeping(&launcher);
    let owner = launcher.start(&plan, &[]);
    let pid = owner.started().pid;
    drop(owner);
    eventually("its end", || !is_alive(pid));
    launcher.settle();
    assert!(launcher.cgroups.children().is_empty());
    assert!(!plan.keep.delete[0].as_path().exists());
}

#[test]
fn a_library_that_closes_takes_all_along() {
    if !root() {
        return;
    }
    let mut launcher = Launcher::new();
    let plans = [sleeping(&launcher), sleeping(&launcher)];
    let owners: Vec<Connection> = plans.iter().map(|p| launcher.start(p, &[])).collect();
    let pids: Vec<i32> = owners.iter().map(|o| o.started().pid).collect();
    launcher.main = None;
    eventually("the launcher's end", || !launcher.is_alive());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert!(launcher.cgroups.all().is_empty());
    assert!(plans.iter().all(|p| !p.keep.delete[0].as_path().exists()));
}

#[test]
fn a_dead_host_is_noticed_even_if_its_socket_is_held() {
    if !root() {
        return;
    }
    let host = Killed(Command::new("sleep").arg("1000").spawn().unwrap());
    let pid = rustix::process::Pid::from_raw(host.0.id() as i32).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let holder = Launcher { main: None, pid: 0, scratch: common::Scratch::new(), cgroups: Cgroups::none() };
    std::fs::create_dir_all(holder.run_dir()).unwrap();
    let (ready, main) = holder.spawn(None, pidfd, |_| {});
    let Ready::Ready { pid } = ready else { panic!("{ready:?}") };
    let mut launcher = holder;
    (launcher.pid, launcher.main) = (pid, Some(main));
    let mut plan = sleeping(&launcher);
    plan.cgroup = None;
    let owner = launcher.start(&plan, &[]);
    let container = owner.started().pid;
    drop(host);
    eventually("the launcher's end", || !launcher.is_alive());
    assert!(!is_alive(container));
}

#[test]
fn a_killed_launcher_takes_all_along() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let plan = sleeping(&launcher);
    let owner = launcher.start(&plan, &[]);
    let pid = owner.started().pid;
    kill(launcher.pid, 9);
    eventually("the container's end", || !is_alive(pid));
    for dir in launcher.cgroups.all() {
        eventually("an empty cgroup", || std::fs::remove_dir(&dir).is_ok());
    }
}

#[test]
fn the_launcher_is_nobodys_child() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", launcher.pid)).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_ne!(fields[1].parse::<u32>().unwrap(), std::process::id());
    assert_eq!(fields[3].parse::<i32>().unwrap(), launcher.pid, "a session of its own");
    let environment = std::fs::read(format!("/proc/{}/environ", launcher.pid)).unwrap_or_default();
    assert!(environment.is_empty());
}

#[test]
fn others_can_ask_wait_and_kill() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let plan = sleeping(&launcher);
    let owner = launcher.start(&plan, &[]);
    let pid = owner.started().pid;
    let client = Connection::to(&launcher.control(), &plan.id);
    match client.ask(&Request::State, &[]) {
        Event::State(state) => {
            assert_eq!((state.status.as_str(), state.started.unwrap().pid), ("running", pid));
        }
        other => panic!("{other:?}"),
    }
    let waiter = Connection::to(&launcher.control(), &plan.id);
    waiter.send(&Request::Wait, &[]);
    client.send(&Request::Kill { signal: 99 }, &[]);
    assert_eq!(client.failed().code, "invalid_argument");
    client.send(&Request::Kill { signal: 9 }, &[]);
    client.done();
    assert_eq!(waiter.exited().signal, 9);
    assert_eq!(owner.exited().code, 137);
    // Later than that, too.
    let late = Connection::to(&launcher.control(), &plan.id);
    late.send(&Request::Wait, &[]);
    assert_eq!(late.exited().code, 137);
    late.send(&Request::Kill { signal: 9 }, &[]);
    assert_eq!(late.failed().code, "not_running");
}

#[test]
fn it_is_frozen_and_thawed() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let plan = sleeping(&launcher);
    let owner = launcher.start(&plan, &[]);
    owner.started();
    let state = || match owner.ask(&Request::State, &[]) {
        Event::State(state) => state.status,
        other => panic!("{other:?}"),
    };
    owner.send(&Request::Pause, &[]);
    owner.done();
    assert_eq!(state(), "paused");
    owner.send(&Request::Unpause, &[]);
    owner.done();
    assert_eq!(state(), "running");
    owner.send(&Request::Pause, &[]);
    owner.done();
    owner.send(&Request::Kill { signal: 9 }, &[]);
    owner.done();
    assert_eq!(owner.exited().signal, 9);
    launcher.settle();
    assert_eq!(launcher.cgroups.children(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_paused_one_ends_with_its_owner() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let pause = || {
        let owner = launcher.start(&sleeping(&launcher), &[]);
        let pid = owner.started().pid;
        owner.send(&Request::Pause, &[]);
        owner.done();
        (owner, pid)
    };
    let (owner, pid) = pause();
    drop(owner);
    eventually("its end", || !is_alive(pid));
    launcher.settle();
    assert_eq!(launcher.cgroups.children(), Vec::<std::path::PathBuf>::new());
    let (_owner, pid) = pause();
    let mut launcher = launcher;
    launcher.main = None;
    eventually("the launcher's end", || !launcher.is_alive());
    assert!(!is_alive(pid));
    assert_eq!(launcher.cgroups.all(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn memory_that_runs_out_is_told() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["sh", "-c", "x=a; while :; do x=$x$x; done"]);
    plan.stdio = Stdio::Direct([None; 3]);
    plan.cgroup.as_mut().unwrap().writes[0].value = "16777216".into();
    let owner = launcher.start(&plan, &[]);
    owner.started();
    let record = owner.exited();
    assert!(record.oom_killed, "{record:?}");
    assert_eq!(record.signal, 9);
}

#[test]
fn nothing_accumulates() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let fds = || std::fs::read_dir(format!("/proc/{}/fd", launcher.pid)).unwrap().count();
    let memory = || {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", launcher.pid)).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4
    };
    let run = |n| {
        for i in 0..n {
            let command = if i % 5 == 4 { "nope" } else { "true" };
            let plan = plans::plan(&rootfs, &launcher.scratch.0, &[command]);
            assert_eq!(launcher.run(&plan).is_ok(), command == "true");
        }
        launcher.settle();
    };
    run(50);
    let (fds_before, memory_before) = (fds(), memory());
    run(200);
    let (fds_after, memory_after) = (fds(), memory());
    // A cgroup may or may not be ready.
    assert!(fds_before.abs_diff(fds_after) <= 8, "{fds_before} to {fds_after}");
    assert!(memory_after - memory_before < 200, "{memory_before} to {memory_after} KiB");
}

#[test]
fn trees_are_deleted() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let tree = launcher.scratch.0.join("tree");
    for i in 0..50 {
        std::fs::create_dir_all(tree.join(format!("{i}/a/b"))).unwrap();
        std::fs::write(tree.join(format!("{i}/a/b/file")), "").unwrap();
    }
    launcher.request(&launch::Request::Delete(vec![tree.as_path().into()]), &[]).done();
    assert!(!tree.exists());
    launcher.request(&launch::Request::Delete(vec!["relative".into()]), &[]).failed();
}
