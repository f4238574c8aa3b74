//! Detached containers and their monitors.

mod common;

use common::{Connection, Launcher, eventually, is_alive, kill, listener, pipe, plans, read_all, root};
use containers_protocol::control::{Event, Exec, ExitRecord, Request, State};
use containers_protocol::launch;
use containers_protocol::plan::{Health, Plan, Restart, Stdio};
use containers_protocol::wire;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A detached container.
struct Detached {
    launcher: Launcher,
    plan: Plan,
    socket: PathBuf,
    pid: i32,
    monitor: i32,
}

impl Drop for Detached {
    /// A test that failed leaves no container behind.
    fn drop(&mut self) {
        if std::thread::panicking() && is_alive(self.monitor) {
            kill(self.monitor, 9);
        }
    }
}

impl Detached {
    fn start(launcher: Launcher, mut plan: Plan) -> Detached {
        let dir = launcher.scratch.0.join(&plan.id[52..]);
        std::fs::create_dir_all(&dir).unwrap();
        plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![] };
        plan.keep.log = Some(dir.join("log").as_path().into());
        plan.keep.exit_record = Some(dir.join("exit.json").as_path().into());
        let socket = dir.join("ctl");
        let listener = listener(&socket);
        let lock = OwnedFd::from(File::create(dir.join("lock")).unwrap());
        let request = launch::Request::StartDetached(Box::new(plan.clone()), false);
        let connection = launcher.request(&request, &[listener.as_fd(), lock.as_fd()]);
        let pid = connection.started().pid;
        let monitor = common::parent_of(pid).unwrap_or(0);
        Detached { launcher, plan, socket, pid, monitor }
    }

    fn shell(script: &str, change: impl FnOnce(&mut Plan)) -> Detached {
        let launcher = Launcher::new();
        let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
        let mut plan = plans::shell(&rootfs, &launcher.scratch.0, script);
        change(&mut plan);
        Detached::start(launcher, plan)
    }

    fn connect(&self) -> Connection {
        Connection::to(&self.socket, &self.plan.id)
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> &Path {
        self.plan.keep.log.as_ref().unwrap().as_path()
    }

    fn record(&self) -> Option<ExitRecord> {
        let path = self.plan.keep.exit_record.as_ref().unwrap().as_path();
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    fn state(&self) -> State {
        match self.connect().ask(&Request::State, &[]) {
            Event::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    fn monitor(&self) -> i32 {
        self.monitor
    }
}

#[test]
fn it_outlives_the_launcher() {
    if !root() {
        return;
    }
    let mut c = Detached::shell("echo begun; sleep 1000", |_| {});
    let (launcher, monitor) = (c.launcher.pid, c.monitor());
    assert_ne!(launcher, monitor);
    c.launcher.main = None;
    eventually("the launcher's end", || !is_alive(launcher));
    assert!(is_alive(c.pid) && is_alive(monitor));
    eventually("output", || c.log().contains("begun"));
    assert_eq!(c.state().status, "running");
    assert!(c.state().started.unwrap().start_time > 0);
    let waiter = c.connect();
    waiter.send(&Request::Wait, &[]);
    let killer = c.connect();
    killer.send(&Request::Kill { signal: 9 }, &[]);
    killer.done();
    assert_eq!(waiter.exited().signal, 9);
    assert_eq!(c.record().unwrap().code, 137);
    eventually("the monitor's end", || !is_alive(monitor));
}

#[test]
fn the_monitor_is_small() {
    if !root() {
        return;
    }
    let c = Detached::shell("while :; do echo line; sleep 0.01; done", |_| {});
    eventually("output", || c.log().len() > 200);
    let smaps = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", c.monitor())).unwrap();
    let private: u64 = smaps
        .lines()
        .filter(|l| l.starts_with("Private_Dirty:") || l.starts_with("Private_Clean:"))
        .filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    println!("{private} KiB private");
    assert!(private < 512, "{smaps}");
    c.connect().ask(&Request::Kill { signal: 9 }, &[]);
}

#[test]
fn exec_and_failures_work() {
    if !root() {
        return;
    }
    let c = Detached::shell("sleep 1000", |_| {});
    let connection = c.connect();
    let exec = Exec { args: vec!["true".into()], ..Exec::default() };
    connection.send(&Request::Exec(Box::new(exec)), &[]);
    connection.started();
    assert_eq!(connection.exited().code, 0);
    let monitor = c.monitor();
    c.connect().ask(&Request::Kill { signal: 9 }, &[]);
    eventually("the monitor's end", || !is_alive(monitor));
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["nope"]);
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![] };
    let listener = listener(&launcher.scratch.0.join("ctl"));
    let lock = OwnedFd::from(File::create(launcher.scratch.0.join("lock")).unwrap());
    let request = launch::Request::StartDetached(Box::new(plan), false);
    let connection = launcher.request(&request, &[listener.as_fd(), lock.as_fd()]);
    assert_eq!(connection.failed().code, "command_not_found");
}

#[test]
fn who_is_there_from_the_start_loses_nothing() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    // More than any queue or pipe on the way holds.
    let bytes = 5_000_000;
    let script = format!("yes 0123456789 | head -c {bytes}");
    let mut plan = plans::shell(&rootfs, &launcher.scratch.0, &script);
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![[None, Some(0), None]] };
    let listener = listener(&launcher.scratch.0.join("ctl"));
    let lock = OwnedFd::from(File::create(launcher.scratch.0.join("lock")).unwrap());
    let (out, out_w) = pipe();
    let request = launch::Request::StartDetached(Box::new(plan), false);
    let connection = launcher.request(&request, &[listener.as_fd(), lock.as_fd(), out_w.as_fd()]);
    drop(out_w);
    let pid = connection.started().pid;
    let monitor = common::parent_of(pid).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let got = read_all(out);
    assert_eq!(got.len(), bytes);
    assert!(got.chunks(11).all(|c| b"0123456789\n".starts_with(c)));
    eventually("the monitor's end", || !is_alive(monitor));
}

#[test]
fn a_killed_monitor_takes_it_along() {
    if !root() {
        return;
    }
    let c = Detached::shell("sleep 1000", |_| {});
    kill(c.monitor(), 9);
    eventually("the container's end", || !is_alive(c.pid));
    assert_eq!(c.record(), None);
}

#[test]
fn it_is_restarted() {
    if !root() {
        return;
    }
    let script = "echo run >> /tmp/runs; cat /tmp/runs | wc -l; exit 3";
    let c = Detached::shell(script, |plan| plan.keep.restart = Restart::OnFailure(Some(2)));
    let waiter = Connection::to(&c.socket, &c.plan.id);
    waiter.send(&Request::Wait, &[]);
    let record = waiter.exited();
    assert_eq!((record.code, record.restarts), (3, 2));
    let log = c.log();
    assert!(log.contains("1\n") && log.contains("2\n") && log.contains("3\n"), "the layer is kept: {log}");
    assert_eq!(c.record().unwrap(), record);
}

#[test]
fn a_stop_ends_restarts() {
    if !root() {
        return;
    }
    let c = Detached::shell("sleep 1000", |plan| plan.keep.restart = Restart::Always);
    let monitor = c.monitor();
    let first = c.pid;
    kill(first, 9);
    eventually("the restart", || {
        let started = c.state().started;
        started.is_some_and(|s| s.pid != 0 && s.pid != first)
    });
    assert_eq!(c.state().restarts, 1);
    let connection = c.connect();
    connection.send(&Request::NoRestart, &[]);
    connection.done();
    connection.send(&Request::Kill { signal: 9 }, &[]);
    connection.done();
    eventually("the monitor's end", || !is_alive(monitor));
    assert_eq!(c.record().unwrap().signal, 9);
    // And while it waits to be restarted.
    let c = Detached::shell("exit 1", |plan| plan.keep.restart = Restart::Always);
    eventually("a longer pause", || c.state().restarts >= 2 && c.state().status == "restarting");
    let connection = c.connect();
    connection.send(&Request::NoRestart, &[]);
    connection.done();
    eventually("the record", || c.record().is_some_and(|r| r.code == 1));
}

#[test]
fn its_health_is_checked() {
    if !root() {
        return;
    }
    let check = |script: &str| Health {
        args: ["sh", "-c", script].map(Into::into).to_vec(),
        interval_ms: 50,
        timeout_ms: 500,
        start_period_ms: 0,
        retries: 2,
    };
    let c = Detached::shell("sleep 1000", |plan| plan.keep.health = Some(check("test ! -e /tmp/ill")));
    assert_eq!(c.state().health, "starting");
    eventually("health", || c.state().health == "healthy");
    let connection = c.connect();
    let exec = Exec { args: ["touch", "/tmp/ill"].map(str::to_owned).to_vec(), ..Exec::default() };
    connection.send(&Request::Exec(Box::new(exec)), &[]);
    eventually("illness", || c.state().health == "unhealthy");
    c.connect().ask(&Request::Kill { signal: 9 }, &[]);
    let c = Detached::shell("sleep 1000", |plan| plan.keep.health = Some(check("sleep 100")));
    eventually("illness", || c.state().health == "unhealthy");
    c.connect().ask(&Request::Kill { signal: 9 }, &[]);
}

/// Where no cgroup of its own can be had, it says so for as long as it runs.
#[test]
fn a_place_of_its_own_that_is_refused_is_a_warning() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::shell(&rootfs, &launcher.scratch.0, "sleep 1000");
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![] };
    let (socket, id) = (launcher.scratch.0.join("ctl"), plan.id.clone());
    let listener = listener(&socket);
    let lock = OwnedFd::from(File::create(launcher.scratch.0.join("lock")).unwrap());
    let request = launch::Request::StartDetached(Box::new(plan), true);
    let connection = launcher.request(&request, &[listener.as_fd(), lock.as_fd()]);
    assert!(matches!(connection.event(), Event::Born { .. }));
    let apart = launch::Apart { base: launch::CgroupBase::None, warning: Some("no place".into()) };
    wire::send_postcard(&connection.0, &apart, &[]).unwrap();
    assert_eq!(connection.started().warnings[0], "no place");
    let client = Connection::to(&socket, &id);
    let Event::State(state) = client.ask(&Request::State, &[]) else { panic!("no state") };
    assert_eq!(state.started.unwrap().warnings[0], "no place");
    client.ask(&Request::Kill { signal: 9 }, &[]);
    assert_eq!(connection.exited().signal, 9);
}
