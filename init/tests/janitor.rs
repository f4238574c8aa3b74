//! A janitor that is killed, or hangs: it is a help, and nobody needs it.

mod common;

use common::{Killed, LIMIT, Launcher, eventually, is_alive, kill, pair, plans, readable, root};
use containers_protocol::launch::Request;
use containers_protocol::plan::{Plan, Stdio};
use containers_protocol::wire;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn plan(launcher: &Launcher, args: &[&str]) -> Plan {
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    plans::pooled(plans::plan(&rootfs, &launcher.scratch.0, args), &launcher.scratch.0)
}

fn run(launcher: &Launcher) {
    let (record, out, err) = launcher.run(&plan(launcher, &["echo", "fine"])).unwrap();
    assert_eq!((record.code, out.as_str()), (0, "fine\n"), "{err}");
}

/// The janitor, once there is one.
fn janitor(launcher: &Launcher) -> i32 {
    let mut found = None;
    eventually("a janitor", || {
        found = launcher.helpers().first().copied();
        found.is_some()
    });
    found.unwrap()
}

/// Closes the library's end: the launcher ends, and nothing of it is left.
fn end(mut launcher: Launcher) {
    launcher.main = None;
    eventually("the launcher's end", || !launcher.is_alive());
    assert_eq!(launcher.helpers(), Vec::<i32>::new());
    assert_eq!(launcher.cgroups.all(), Vec::<std::path::PathBuf>::new());
    assert!(!launcher.run_dir().exists());
    assert!(!launcher.scratch.0.join("pool").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(launcher.scratch.0.to_str().unwrap()));
}

#[test]
fn a_killed_janitor_is_replaced() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    for _ in 0..5 {
        run(&launcher);
        let old = janitor(&launcher);
        kill(old, 9);
        eventually("another one", || {
            run(&launcher);
            launcher.helpers().first().is_some_and(|pid| *pid != old)
        });
    }
    launcher.settle();
    // What the dead ones had made or were to remove is not left to the end.
    assert!(launcher.cgroups.children().is_empty());
    end(launcher);
}

#[test]
fn nothing_piles_up_behind_one_that_hangs() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    run(&launcher);
    let janitor = janitor(&launcher);
    kill(janitor, libc::SIGSTOP);
    let fds = || std::fs::read_dir(format!("/proc/{}/fd", launcher.pid)).unwrap().count();
    let mut most = 0;
    for _ in 0..500 {
        run(&launcher);
        most = most.max(fds());
    }
    // What fits into the socket is out of sight; beyond that, two or three descriptors each.
    assert!(most < 400, "{most} descriptors");
    end(launcher);
    assert!(!is_alive(janitor));
}

#[test]
fn one_that_is_killed_again_and_again_spoils_no_run() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    run(&launcher);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut killed = 0;
            while !over.load(Ordering::Relaxed) {
                for pid in launcher.helpers() {
                    let _ = Command::new("kill")
                        .args(["-9", &pid.to_string()])
                        .stderr(std::process::Stdio::null())
                        .status();
                    killed += 1;
                }
                std::thread::sleep(Duration::from_millis(3));
            }
            killed
        });
        let runners: Vec<_> = (0..10).map(|_| scope.spawn(|| (0..5).for_each(|_| run(&launcher)))).collect();
        let done: Vec<_> = runners.into_iter().map(|r| r.join()).collect();
        over.store(true, Ordering::Relaxed);
        assert!(killer.join().unwrap() > 0);
        assert!(done.iter().all(Result::is_ok));
    });
    launcher.settle();
    assert!(launcher.cgroups.children().is_empty());
    end(launcher);
}

#[test]
fn a_killed_launcher_takes_its_helpers_along() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let mut sleeping = plan(&launcher, &["sleep", "1000"]);
    sleeping.stdio = Stdio::Direct([None; 3]);
    let owners: Vec<_> = (0..3).map(|_| launcher.start(&sleeping, &[])).collect();
    let mut pids: Vec<i32> = owners.iter().map(|owner| owner.started().pid).collect();
    pids.push(janitor(&launcher));
    // A deletion that goes on for long, and an answer that is waited for.
    let tree = launcher.scratch.0.join("tree");
    fill(&tree);
    let deleting = launcher.request(&Request::Delete(vec![tree.as_path().into()]), &[]);
    kill(launcher.pid, 9);
    // Nobody who waits has to wait for a helper that still holds the connection.
    for connection in owners.iter().chain([&deleting]) {
        assert!(readable(&connection.0, LIMIT));
    }
    eventually("the end of all", || pids.iter().all(|pid| !is_alive(*pid)) && launcher.helpers().is_empty());
    assert!(wire::recv(&owners[0].0).unwrap().is_none());
    for dir in launcher.cgroups.all() {
        eventually("an empty cgroup", || std::fs::remove_dir(&dir).is_ok());
    }
}

fn fill(tree: &Path) {
    for i in 0..200 {
        let dir = tree.join(i.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        (0..20).for_each(|n| std::fs::write(dir.join(n.to_string()), "").unwrap());
    }
}

#[test]
fn both_may_be_killed_at_once() {
    if !root() {
        return;
    }
    for first in [true, false] {
        let launcher = Launcher::new();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let mut plan = plan(&launcher, &["sleep", "1000"]);
                plan.stdio = Stdio::Direct([None; 3]);
                launcher.start(&plan, &[])
            })
            .collect();
        let janitor = janitor(&launcher);
        let mut pids = [launcher.pid, janitor];
        if first {
            pids.reverse();
        }
        pids.iter().for_each(|pid| kill(*pid, 9));
        for connection in &waiting {
            // Started or not: it ends.
            while readable(&connection.0, LIMIT) && wire::recv(&connection.0).unwrap().is_some() {}
        }
        eventually("the end of both", || pids.iter().all(|pid| !is_alive(*pid)));
        for dir in launcher.cgroups.all() {
            eventually("an empty cgroup", || std::fs::remove_dir(&dir).is_ok());
        }
    }
}

#[test]
fn a_host_that_is_killed_with_the_janitor_leaves_nothing() {
    if !root() {
        return;
    }
    let host = Killed(Command::new("sleep").arg("1000").spawn().unwrap());
    let pid = rustix::process::Pid::from_raw(host.0.id() as i32).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let mut launcher =
        Launcher { main: None, pid: 0, scratch: common::Scratch::new(), cgroups: common::Cgroups::new() };
    std::fs::create_dir_all(launcher.run_dir()).unwrap();
    let (ready, main) = launcher.spawn(None, pidfd, |_| {});
    let containers_protocol::launch::Ready::Ready { pid } = ready else { panic!("{ready:?}") };
    (launcher.pid, launcher.main) = (pid, Some(main));
    let (_held, theirs) = pair();
    let mut plan = plan(&launcher, &["sleep", "1000"]);
    plan.stdio = Stdio::Direct([None; 3]);
    let owner = launcher.request(&Request::Start(Box::new(plan)), &[theirs.as_fd()]);
    owner.started();
    kill(janitor(&launcher), 9);
    drop(host);
    end(launcher);
}
