//! What the conformance table does not say: restarts, health, user namespaces, removal, streams at their limits.

mod common;

use common::{Fixture, create, eventually, is_root, open};
use containers::blocking::block_on;
use containers::{ErrorKind, ExecOptions, ListOptions, LogOptions, RemoveOptions, Status, StdioStream};
use serde_json::json;
use std::time::{Duration, Instant};

fn exec(options: serde_json::Value) -> ExecOptions {
    serde_json::from_value(options).unwrap()
}

fn force() -> RemoveOptions {
    let mut options = RemoveOptions::default();
    options.force = true;
    options
}

#[test]
fn a_failing_container_is_started_again() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let options =
        create(json!({"command": ["sh", "-c", "echo try; exit 3"], "restart_policy": "on-failure:2"}));
    let c = block_on(f.rt.containers().run_detached("host", options)).unwrap();
    let started = Instant::now();
    assert_eq!(block_on(c.wait(Some(Duration::from_secs(50)))).unwrap(), 3);
    assert_eq!(c.logs(&LogOptions::default()).unwrap(), b"try\ntry\ntry\n", "after {:?}", started.elapsed());
    assert_eq!(c.inspect().unwrap()["RestartCount"], 2);
    block_on(c.remove(force())).unwrap();
    // One that always runs again stays stopped when it was stopped.
    let options = create(json!({"command": ["sleep", "600"], "restart_policy": "always"}));
    let c = block_on(f.rt.containers().run_detached("host", options)).unwrap();
    let first = c.pid().unwrap().unwrap();
    block_on(c.exec_run(exec(json!({"command": ["sh", "-c", "kill -9 -1"]})), false)).unwrap();
    assert_eq!(c.pid().unwrap(), Some(first), "process 1 is immune to its own container's signals");
    block_on(c.stop(Some(Duration::ZERO))).unwrap();
    assert_eq!(c.status().unwrap(), Status::Exited);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(c.status().unwrap(), Status::Exited);
    block_on(c.remove(RemoveOptions::default())).unwrap();
    f.finish_soon();
}

#[test]
fn quick_restarts_are_counted_and_lose_nothing() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let options =
        || create(json!({"command": ["sh", "-c", "echo try; exit 3"], "restart_policy": "on-failure:1"}));
    // What is asked the moment that the end is known: the monitor may still be there, or not any more.
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..5 {
                    let c = block_on(f.rt.containers().run_detached("host", options())).unwrap();
                    assert_eq!(block_on(c.wait(None)).unwrap(), 3);
                    let document = c.inspect().unwrap();
                    assert_eq!(document["RestartCount"], 1);
                    assert_eq!(document["State"]["ExitCode"], 3);
                    assert_eq!(c.logs(&LogOptions::default()).unwrap(), b"try\ntry\n");
                    block_on(c.remove(RemoveOptions::default())).unwrap();
                }
            });
        }
    });
    let options = create(json!({"command": ["sleep", "600"], "restart_policy": "always"}));
    let c = block_on(f.rt.containers().run_detached("host", options)).unwrap();
    let mut pids = std::collections::HashSet::new();
    for _ in 0..20 {
        pids.insert(c.pid().unwrap().unwrap());
        block_on(c.restart(Some(Duration::ZERO))).unwrap();
        assert_eq!(c.status().unwrap(), Status::Running);
    }
    assert!(pids.len() > 1, "{pids:?}");
    block_on(c.remove(force())).unwrap();
    f.finish_soon();
}

#[test]
fn health_is_checked() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let check = json!({"test": ["CMD-SHELL", "test -e /well"], "interval": 0.1, "retries": 2, "timeout": 20});
    let options = create(json!({"command": ["sleep", "600"], "healthcheck": check}));
    let c = block_on(f.rt.containers().run_detached("host", options)).unwrap();
    let health = || c.inspect().unwrap()["State"]["Health"]["Status"].as_str().unwrap_or_default().to_owned();
    eventually("it is ill", || health() == "unhealthy");
    block_on(c.exec_run(exec(json!({"command": ["touch", "/well"]})), true)).unwrap();
    eventually("it is well", || health() == "healthy");
    block_on(c.remove(force())).unwrap();
    f.finish_soon();
}

#[test]
fn a_user_namespace_of_its_own() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let options = common::run(json!({
        "command": ["sh", "-c", "id -u; cat /proc/self/uid_map; touch /usr/mine; stat -c %u /usr/mine /usr"],
        "userns": "auto",
    }));
    let out = block_on(f.rt.containers().run_with("host", options)).unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "0", "{text} {}", String::from_utf8_lossy(&out.stderr));
    let outside: u32 = lines[1].split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(outside > 0, "{text}");
    assert_eq!(lines[2..], ["0", "0"], "files of the image belong to the container's root");
    f.finish();
}

#[test]
fn one_that_removes_itself_is_gone() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let options =
        || create(json!({"command": ["sh", "-c", "exit 4"], "auto_remove": true, "name": "fleeting"}));
    for _ in 0..3 {
        // Nobody waits for it, and its name is free again.
        let c = block_on(f.rt.containers().run_detached("host", options())).unwrap();
        drop(c);
        eventually("it is gone", || f.rt.containers().get("fleeting").is_err());
    }
    let c = block_on(f.rt.containers().run_detached("host", options())).unwrap();
    assert_eq!(block_on(c.wait(None)).unwrap(), 4);
    assert_eq!(c.status().unwrap_err().kind(), ErrorKind::ContainerNotFound);
    f.finish_soon();
}

#[test]
fn a_process_that_takes_too_long_is_killed_though_nobody_waits() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let c = block_on(f.rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
        .unwrap();
    block_on(c.start()).unwrap();
    let p = block_on(c.exec(exec(json!({"command": ["sleep", "500"], "timeout": 0.5})))).unwrap();
    let count = || {
        let out = block_on(c.exec_run(
            exec(json!({"command": ["sh", "-c", "grep -l 500 /proc/[0-9]*/cmdline | wc -l"]})),
            false,
        ));
        String::from_utf8(out.unwrap().stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    // The shell and grep are counted, too.
    let base = 2;
    eventually("it is gone", || count() <= base);
    assert_eq!(block_on(p.wait(None)).unwrap_err().kind(), ErrorKind::ExecTimeout);
    drop(p);
    drop(c);
    f.finish_soon();
}

#[test]
fn output_is_lossless_and_waits_for_its_reader() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let c = block_on(f.rt.containers().create_with("host", create(json!({"command": ["sh", "-c", script]}))))
        .unwrap();
    let p = block_on(c.attach()).unwrap();
    block_on(c.start()).unwrap();
    // Nobody reads for a while: it waits.
    std::thread::sleep(Duration::from_millis(300));
    let mut all = Vec::new();
    while let Some((stream, data)) = block_on(p.next()).unwrap() {
        assert_eq!(stream, StdioStream::Stdout);
        all.extend(data);
    }
    let expected: String = (0..20000).map(|i| format!("line {i}\n")).collect();
    assert!(all == expected.as_bytes());
    assert_eq!(block_on(p.wait(None)).unwrap(), 0);
    assert!(c.logs(&LogOptions::default()).unwrap() == expected.as_bytes());
    drop((p, c));
    f.finish_soon();
}

#[test]
fn abandoned_processes_leave_nothing() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let c = block_on(f.rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
        .unwrap();
    block_on(c.start()).unwrap();
    let fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    drop(block_on(c.exec(exec(json!({"command": ["cat"], "stdin": true})))).unwrap());
    let before = fds();
    for _ in 0..50 {
        drop(block_on(c.exec(exec(json!({"command": ["cat"], "stdin": true})))).unwrap());
        drop(block_on(c.attach()).unwrap());
    }
    // Other tests of this program open some, too.
    eventually("descriptors are given back", || fds() <= before + 60);
    let running = || {
        let out =
            block_on(c.exec_run(exec(json!({"command": ["sh", "-c", "ls -d /proc/[0-9]* | wc -l"]})), false));
        String::from_utf8(out.unwrap().stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    eventually("processes are killed", || running() <= 4);
    drop(c);
    f.finish_soon();
}

#[test]
fn others_see_attached_containers_and_do_not_own_them() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let other = open(&f.root());
    let options = create(json!({"command": ["sleep", "600"], "name": "seen", "labels": {"a": "b"}}));
    let c = block_on(f.rt.containers().create_with("host", options)).unwrap();
    let seen = other.containers().get("seen").unwrap();
    assert_eq!(seen.status().unwrap(), Status::Created);
    assert_eq!(block_on(seen.start()).unwrap_err().kind(), ErrorKind::Conflict);
    block_on(c.start()).unwrap();
    assert_eq!(seen.status().unwrap(), Status::Running);
    assert_eq!(seen.pid().unwrap(), c.pid().unwrap());
    let rows = other.containers().list(&ListOptions::default()).unwrap();
    assert_eq!((rows.len(), rows[0].name.as_str(), rows[0].detached), (1, "seen", false));
    assert_eq!(
        block_on(seen.exec_run(exec(json!({"command": ["echo", "x"]})), true)).unwrap().stdout,
        b"x\n"
    );
    block_on(seen.kill("KILL")).unwrap();
    assert_eq!(block_on(seen.wait(None)).unwrap(), 137);
    assert_eq!(block_on(c.wait(None)).unwrap(), 137);
    assert_eq!(seen.status().unwrap(), Status::Exited);
    drop(seen);
    block_on(other.close()).unwrap();
    assert_eq!(c.status().unwrap(), Status::Exited);
    drop(c);
    f.finish_soon();
}

#[test]
fn who_comes_too_late_learns_that_it_has_ended_or_gone() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let others: Vec<_> = (0..3).map(|_| open(&f.root())).collect();
    for _ in 0..10 {
        let options = create(json!({"command": ["sleep", "600"], "name": "wanted"}));
        let id = block_on(f.rt.containers().run_detached("host", options)).unwrap().id().to_owned();
        std::thread::scope(|s| {
            for (i, rt) in others.iter().enumerate() {
                let id = &id;
                s.spawn(move || {
                    let Ok(c) = rt.containers().get(id) else { return };
                    let other = match i {
                        0 => block_on(c.kill("KILL")),
                        1 => block_on(c.stop(Some(Duration::ZERO))),
                        _ => block_on(c.exec_run(exec(json!({"command": ["true"]})), false)).map(drop),
                    };
                    for outcome in [other, block_on(c.remove(force()))] {
                        if let Err(e) = outcome {
                            let known = [ErrorKind::ContainerNotFound, ErrorKind::NotRunning];
                            assert!(known.contains(&e.kind()), "{e}");
                        }
                    }
                });
            }
        });
        let mut everything = ListOptions::default();
        everything.all = true;
        assert!(f.rt.containers().list(&everything).unwrap().is_empty());
    }
    drop(others);
    f.finish_soon();
}

#[test]
fn the_end_can_be_polled() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let c = block_on(f.rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
        .unwrap();
    assert_eq!(c.exit_fd().unwrap_err().kind(), ErrorKind::NotRunning);
    block_on(c.start()).unwrap();
    let fd = c.exit_fd().unwrap();
    let ready = |limit: i32| {
        let mut fds = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&fd), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::try_from(limit).unwrap()).unwrap() > 0
    };
    assert!(!ready(50));
    block_on(c.kill("KILL")).unwrap();
    assert!(ready(20_000));
    let again = c.exit_fd().unwrap();
    drop((again, fd, c));
    f.finish_soon();
}
