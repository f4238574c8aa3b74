//! kill -9 of every process that a runtime has, at rest and in the middle of many runs: the host gets an error
//! or an answer, never neither, and nothing is left.

mod common;

use common::{Scratch, create, eventually, is_root, nothing_left_soon, open};
use containers::blocking::block_on;
use containers::{ErrorKind, RemoveOptions, Result, Runtime, Status};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs at the same time.
const RUNS: usize = 50;

/// Which processes are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Janitor,
    Launcher,
    JanitorThenLauncher,
}

fn stat(pid: i32) -> Option<(char, i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, parent, fields.nth(1)?.parse().ok()?))
}

fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, ..)| !matches!(state, 'Z' | 'X'))
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// The launcher of the only open runtime of a root: it leads a session and holds the lock of its folder.
fn launcher(run_root: &Path) -> i32 {
    let holds_lock = |pid: i32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
        targets.any(|path| is_lock(run_root, &path))
    };
    let mut found = all_pids()
        .filter(|pid| *pid != std::process::id() as i32 && stat(*pid).is_some_and(|s| s.2 == *pid))
        .filter(|pid| holds_lock(*pid));
    found.next().expect("a launcher")
}

fn is_lock(run_root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(run_root) else { return false };
    inside.to_string_lossy().starts_with("l-") && inside.ends_with("lock")
}

/// Children of a launcher in its own process namespace.
fn janitors(launcher: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let here = namespace(launcher);
    let child = |pid: &i32| stat(*pid).is_some_and(|(state, parent, _)| parent == launcher && state != 'Z');
    all_pids().filter(child).filter(|pid| namespace(*pid) == here).collect()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// Everything that one of a runtime's processes has to do with; the runtime is used again afterwards.
struct Attack {
    scratch: Scratch,
    root: PathBuf,
    run_root: PathBuf,
    rt: Runtime,
}

impl Attack {
    fn new() -> Attack {
        let scratch = Scratch::new();
        let root = scratch.0.join("root");
        let rt = open(&root);
        let run_root = rt.info().unwrap().run_root;
        Attack { scratch, root, run_root, rt }
    }

    fn strike(&self, target: Target) {
        let launcher = launcher(&self.run_root);
        if target != Target::Launcher {
            janitors(launcher).into_iter().for_each(kill);
        }
        if target != Target::Janitor {
            kill(launcher);
        }
    }

    fn run(&self) -> Result<i32> {
        block_on(self.rt.containers().run("host", ["true"])).map(|output| output.exit_code)
    }

    /// Closes it, opens it again, uses it: as if nothing had happened.
    fn end(self) {
        let _ = block_on(self.rt.close());
        drop(self.rt);
        nothing_left_soon(&self.root, &self.run_root);
        let rt = open(&self.root);
        assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
        block_on(rt.close()).unwrap();
        drop(rt);
        nothing_left_soon(&self.root, &self.run_root);
        drop(self.scratch);
    }
}

/// What a request may say when the launcher is killed.
fn assert_typed(e: &containers::Error) {
    assert!(matches!(e.kind(), ErrorKind::Io | ErrorKind::Internal), "{e}");
    assert!(e.to_string().contains("is gone") || e.to_string().contains("was killed"), "{e}");
}

#[test]
fn at_rest() {
    if !is_root() {
        return;
    }
    for target in [Target::Janitor, Target::Launcher, Target::JanitorThenLauncher] {
        let attack = Attack::new();
        let c = block_on(
            attack.rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))),
        );
        let c = c.unwrap();
        block_on(c.start()).unwrap();
        assert_eq!(attack.run().unwrap(), 0);
        let pid = c.pid().unwrap().unwrap();
        attack.strike(target);
        if target == Target::Janitor {
            assert!((0..5).all(|_| attack.run().unwrap() == 0));
            assert_eq!(c.status().unwrap(), Status::Running);
        } else {
            eventually("the container's end", || !is_alive(pid));
            // Another launcher is started, and even the container can be.
            assert_eq!(attack.run().unwrap(), 0);
            assert_eq!(c.status().unwrap(), Status::Exited);
            assert_eq!(block_on(c.wait(None)).unwrap(), 137);
            block_on(c.start()).unwrap();
            assert_eq!(c.status().unwrap(), Status::Running);
            assert!((0..5).all(|_| attack.run().unwrap() == 0));
        }
        drop(c);
        attack.end();
    }
}

#[test]
fn in_the_middle_of_many_runs() {
    if !is_root() {
        return;
    }
    for target in [Target::Janitor, Target::Launcher, Target::JanitorThenLauncher] {
        let attack = Attack::new();
        assert_eq!(attack.run().unwrap(), 0);
        let begun = AtomicBool::new(false);
        std::thread::scope(|s| {
            let runs: Vec<_> = (0..RUNS)
                .map(|_| {
                    s.spawn(|| {
                        let first = attack.run();
                        begun.store(true, Ordering::Relaxed);
                        first.and_then(|_| attack.run())
                    })
                })
                .collect();
            while !begun.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            attack.strike(target);
            for run in runs {
                match run.join().unwrap() {
                    Ok(code) => assert_eq!(code, 0),
                    Err(e) if target != Target::Janitor => assert_typed(&e),
                    Err(e) => panic!("{e}"),
                }
            }
        });
        attack.end();
    }
}

/// Nobody who comes after its end notices, in a user namespace neither.
#[test]
fn many_at_once_need_another_launcher() {
    if !is_root() {
        return;
    }
    for rootless in [false, true] {
        let scratch = Scratch::new();
        let root = scratch.0.join("root");
        let rt = block_on(Runtime::builder().root(&root).rootless(rootless).open()).unwrap();
        let run_root = rt.info().unwrap().run_root;
        let run = || block_on(rt.containers().run("host", ["sh", "-c", "echo x >/made && cat /made"]));
        for _ in 0..2 {
            assert_eq!(run().unwrap().stdout, b"x\n");
            let before = launcher(&run_root);
            kill(before);
            eventually("the launcher's end", || !is_alive(before));
            std::thread::scope(|s| {
                let runs: Vec<_> = (0..RUNS / 5).map(|_| s.spawn(run)).collect();
                runs.into_iter().for_each(|run| assert_eq!(run.join().unwrap().unwrap().stdout, b"x\n"));
            });
            assert_ne!(launcher(&run_root), before);
        }
        block_on(rt.close()).unwrap();
        drop(rt);
        nothing_left_soon(&root, &run_root);
    }
}

#[test]
fn a_monitor_and_the_container_is_used_on() {
    if !is_root() {
        return;
    }
    let attack = Attack::new();
    let options = create(json!({"command": ["sleep", "600"], "name": "lost", "mem_limit": "64m"}));
    let c = block_on(attack.rt.containers().run_detached("host", options)).unwrap();
    for again in [true, false] {
        let pid = c.pid().unwrap().unwrap();
        kill(stat(pid).unwrap().1);
        eventually("the container's end", || !is_alive(pid));
        assert_eq!(block_on(c.wait(None)).unwrap(), 137);
        assert_eq!(c.status().unwrap(), Status::Exited);
        if again {
            // In the same runtime, which has not been opened since.
            block_on(c.start()).unwrap();
            assert_eq!(c.status().unwrap(), Status::Running);
        }
    }
    block_on(c.remove(RemoveOptions::default())).unwrap();
    attack.end();
}

#[test]
fn monitors_among_many_starts() {
    if !is_root() {
        return;
    }
    let attack = Attack::new();
    let ended = std::thread::scope(|s| {
        let starts: Vec<_> = (0..10)
            .map(|i| {
                let attack = &attack;
                s.spawn(move || {
                    let options = create(json!({"command": ["sleep", "600"], "name": format!("c{i}")}));
                    let c = block_on(attack.rt.containers().run_detached("host", options)).unwrap();
                    let pid = c.pid().unwrap().unwrap();
                    let monitor = stat(pid).unwrap().1;
                    kill(monitor);
                    let code = block_on(c.wait(Some(Duration::from_secs(60))));
                    let mut force = RemoveOptions::default();
                    force.force = true;
                    block_on(c.remove(force)).unwrap();
                    (pid, monitor, code)
                })
            })
            .collect();
        starts.into_iter().map(|s| s.join().unwrap()).collect::<Vec<_>>()
    });
    for (pid, monitor, code) in ended {
        assert_eq!(code.unwrap(), 137);
        eventually("the end of both", || !is_alive(pid) && !is_alive(monitor));
    }
    attack.end();
}
