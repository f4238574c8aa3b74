//! Who lives how long: attached and detached containers, hosts that are killed or fork, roots that are opened
//! again.

mod common;

use common::{
    Fixture, Killed, Scratch, assert_nothing_left, create, eventually, is_root, nothing_left_soon, open, run,
};
use containers::blocking::block_on;
use containers::{ErrorKind, ListOptions, LogOptions, RemoveOptions, Status};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A role that this program plays when it runs itself again.
fn again(role: &str, root: &Path) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("LIFETIME_ROLE", role)
        .env("LIFETIME_ROOT", root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Killed(child)
}

/// Waits for a line that begins with `=` and gives the rest.
fn said(child: &mut Killed) -> String {
    let mut lines = BufReader::new(child.0.stdout.as_mut().unwrap()).lines();
    loop {
        let line = lines.next().expect("the child ended early").unwrap();
        if let Some((_, rest)) = line.split_once('=') {
            return rest.to_owned();
        }
    }
}

/// Not a test of its own: what the children of other tests do.
#[test]
fn child() {
    let (Ok(role), Ok(root)) = (std::env::var("LIFETIME_ROLE"), std::env::var("LIFETIME_ROOT")) else {
        return;
    };
    let rt = open(Path::new(&root));
    match role.as_str() {
        "attached" => {
            let c = block_on(
                rt.containers()
                    .create_with("host", create(json!({"command": ["sleep", "600"], "name": "kept"}))),
            );
            let c = c.unwrap();
            block_on(c.start()).unwrap();
            println!("={}", c.pid().unwrap().unwrap());
            let sleep = ["sh", "-c", "sleep 600"];
            let _ = block_on(rt.containers().run("host", sleep));
        }
        "detached" => {
            let options = create(json!({"command": ["sh", "-c", "echo up; sleep 600"], "name": "alone"}));
            let c = block_on(rt.containers().run_detached("host", options)).unwrap();
            println!("={}", c.id());
            std::thread::sleep(Duration::from_secs(600));
        }
        other => panic!("no such role: {other}"),
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_killed_host_takes_its_attached_containers_along() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    let rt = open(&root);
    let mut host = again("attached", &root);
    let pid: i32 = said(&mut host).parse().unwrap();
    // Others see it while it lives.
    eventually("both are listed", || rt.containers().list(&ListOptions::default()).unwrap().len() == 2);
    let seen = rt.containers().get("kept").unwrap();
    assert_eq!(seen.status().unwrap(), Status::Running);
    let e =
        block_on(rt.containers().create_with("host", create(json!({"command": ["true"], "name": "kept"}))));
    assert_eq!(e.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(is_alive(pid));
    host.0.kill().unwrap();
    let killed = std::time::Instant::now();
    host.0.wait().unwrap();
    eventually("the container dies", || !is_alive(pid));
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    eventually("its records go", || rt.containers().list(&ListOptions::default()).unwrap().is_empty());
    eventually("its name is free", || {
        block_on(rt.containers().create_with("host", create(json!({"command": ["true"], "name": "kept"}))))
            .is_ok()
    });
    let run_root = rt.info().unwrap().run_root;
    block_on(rt.close()).unwrap();
    drop(seen);
    nothing_left_soon(&root, &run_root);
}

#[test]
fn a_detached_container_outlives_its_maker() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    let mut host = again("detached", &root);
    let id = said(&mut host);
    drop(host);
    let rt = open(&root);
    let c = rt.containers().get("alone").unwrap();
    assert_eq!(c.id(), id);
    assert_eq!(c.status().unwrap(), Status::Running);
    eventually("its log is there", || c.logs(&LogOptions::default()).unwrap() == b"up\n");
    assert_eq!(
        block_on(c.exec_run(exec(json!({"command": ["echo", "in"]})), false)).unwrap().stdout,
        b"in\n"
    );
    block_on(c.stop(Some(Duration::from_millis(100)))).unwrap();
    assert_eq!(block_on(c.wait(None)).unwrap(), 137);
    assert_eq!(c.status().unwrap(), Status::Exited);
    // And again.
    block_on(c.start()).unwrap();
    eventually("it runs again", || c.logs(&LogOptions::default()).unwrap() == b"up\nup\n");
    block_on(c.remove(RemoveOptions::default())).unwrap_err();
    let mut force = RemoveOptions::default();
    force.force = true;
    block_on(c.remove(force)).unwrap();
    assert_eq!(rt.containers().get("alone").unwrap_err().kind(), ErrorKind::ContainerNotFound);
    let run_root = rt.info().unwrap().run_root;
    block_on(rt.close()).unwrap();
    // Its monitor cleans up by itself.
    nothing_left_soon(&root, &run_root);
}

fn exec(options: serde_json::Value) -> containers::ExecOptions {
    serde_json::from_value(options).unwrap()
}

#[test]
fn a_killed_launcher_leaves_nothing_for_long() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    let rt = open(&root);
    let c =
        block_on(rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]})))).unwrap();
    block_on(c.start()).unwrap();
    let pid = c.pid().unwrap().unwrap();
    let launcher = parent_of(pid);
    kill(launcher);
    eventually("the container dies with its launcher", || !is_alive(pid));
    assert_eq!(block_on(c.wait(Some(Duration::from_secs(20)))).unwrap(), 137);
    drop(c);
    let _ = block_on(rt.close());
    // No other launcher was needed; the next open puts everything in order.
    let rt = open(&root);
    assert!(rt.containers().list(&all()).unwrap().is_empty());
    assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
    let run_root = rt.info().unwrap().run_root;
    block_on(rt.close()).unwrap();
    nothing_left_soon(&root, &run_root);
}

#[test]
fn a_killed_monitor_leaves_an_end() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    let rt = open(&root);
    let options = create(json!({"command": ["sleep", "600"], "name": "lost"}));
    let c = block_on(rt.containers().run_detached("host", options)).unwrap();
    let pid = c.pid().unwrap().unwrap();
    kill(parent_of(pid));
    eventually("the container dies with its monitor", || !is_alive(pid));
    eventually("its state is known", || c.status().unwrap() == Status::Exited);
    assert_eq!(block_on(c.wait(Some(Duration::from_secs(20)))).unwrap(), 137);
    let run_root = rt.info().unwrap().run_root;
    block_on(rt.close()).unwrap();
    let rt = open(&root);
    let c = rt.containers().get("lost").unwrap();
    assert_eq!(c.status().unwrap(), Status::Exited);
    block_on(c.remove(RemoveOptions::default())).unwrap();
    block_on(rt.close()).unwrap();
    assert_nothing_left(&root, &run_root);
}

fn all() -> ListOptions {
    let mut options = ListOptions::default();
    options.all = true;
    options
}

fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(1).unwrap().parse().unwrap()
}

fn kill(pid: i32) {
    assert!(pid > 1);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[test]
fn dropped_handles_and_runtimes_leave_nothing() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    let run_root = {
        let rt = open(&root);
        let c = block_on(rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
            .unwrap();
        block_on(c.start()).unwrap();
        let pid = c.pid().unwrap().unwrap();
        drop(c);
        eventually("it dies with its handle", || !is_alive(pid));
        assert!(rt.containers().list(&all()).unwrap().is_empty());
        let c = block_on(rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
            .unwrap();
        block_on(c.start()).unwrap();
        rt.info().unwrap().run_root
    };
    nothing_left_soon(&root, &run_root);
}

#[test]
fn two_processes_and_one_name() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let others: Vec<_> = (0..4).map(|_| open(&f.root())).collect();
    let winners: Vec<_> = std::thread::scope(|s| {
        let tries: Vec<_> = others
            .iter()
            .enumerate()
            .map(|(i, rt)| {
                let options = create(json!({"command": ["true"], "name": "one", "detach": i % 2 == 0}));
                s.spawn(move || block_on(rt.containers().create_with("host", options)))
            })
            .collect();
        tries.into_iter().filter_map(|t| t.join().unwrap().ok()).collect()
    });
    assert_eq!(winners.len(), 1);
    let c = f.rt.containers().get("one").unwrap();
    assert_eq!(c.id(), winners[0].id());
    let mut force = RemoveOptions::default();
    force.force = true;
    block_on(winners[0].remove(force)).unwrap();
    drop(winners);
    for rt in others {
        block_on(rt.close()).unwrap();
    }
    f.finish();
}

#[test]
fn names_are_taken_while_others_open_the_root() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    std::thread::scope(|s| {
        for i in 0..4 {
            let root = f.root();
            s.spawn(move || {
                for n in 0..15 {
                    let rt = open(&root);
                    let options =
                        create(json!({"command": ["true"], "name": format!("n{i}-{n}"), "detach": true}));
                    let c = block_on(rt.containers().create_with("host", options)).unwrap();
                    block_on(c.remove(RemoveOptions::default())).unwrap();
                    block_on(rt.close()).unwrap();
                }
            });
        }
    });
    f.finish();
}

#[test]
fn many_runs_at_once() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    std::thread::scope(|s| {
        for i in 0..8 {
            let rt = &f.rt;
            s.spawn(move || {
                for n in 0..5 {
                    let text = format!("{i}-{n}");
                    let options = run(json!({"command": ["echo", text], "mem_limit": "64m"}));
                    let out = block_on(rt.containers().run_with("host", options)).unwrap();
                    assert_eq!(out.stdout, format!("{text}\n").into_bytes());
                }
            });
        }
    });
    f.finish();
}
