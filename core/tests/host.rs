//! A library lives in somebody else's process: nothing of that process may change, whatever it does itself.

mod common;

use common::{
    LIMIT, Scratch, assert_nothing_left, create, eventually, is_root, nothing_left_soon, open, run,
};
use containers::ErrorKind;
use containers::blocking::{Runtime, block_on};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs one test of this program in a process of its own: these look at, or change, the whole process.
fn alone(role: &str) {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("HOST_ROLE", role)
        .env("HOST_ROOT", scratch.0.join("root"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{role}: {:?}\n{text}", child.status.signal());
    assert!(text.contains("the role was played"), "{role}: {text}");
}

#[test]
fn child() {
    let (Ok(role), Ok(root)) = (std::env::var("HOST_ROLE"), std::env::var("HOST_ROOT")) else { return };
    let root = Path::new(&root);
    match role.as_str() {
        "unchanged" => unchanged(root),
        "ignores-children" => with_waits(root, true),
        "loops-on-wait" => with_waits(root, false),
        "forks" => forks(root),
        "odd-umask" => odd_umask(root),
        "flat" => flat(root),
        "large" => large(root),
        "streams" => streams(root),
        other => panic!("no such role: {other}"),
    }
    println!("the role was played");
}

#[test]
fn nothing_of_the_host_changes() {
    alone("unchanged");
}

#[test]
fn a_host_that_ignores_its_children() {
    alone("ignores-children");
}

#[test]
fn a_host_that_reaps_everything() {
    alone("loops-on-wait");
}

#[test]
fn a_host_that_forks() {
    alone("forks");
}

#[test]
fn a_host_with_an_odd_umask() {
    alone("odd-umask");
}

#[test]
fn thousands_of_attached_streams_leave_no_descriptor() {
    alone("streams");
}

#[test]
fn memory_and_descriptors_stay_flat() {
    alone("flat");
}

#[test]
fn a_large_host_pays_nothing_more() {
    alone("large");
}

/// What others can see of this process.
fn snapshot() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in status.lines() {
        let (key, value) = line.split_once(':').unwrap();
        let moves = key.starts_with("Vm")
            || key.starts_with("Rss")
            || key.contains("ctxt_switches")
            || key == "HugetlbPages";
        if !moves {
            all.insert(key.to_owned(), value.trim().to_owned());
        }
    }
    for file in [
        "limits",
        "oom_score_adj",
        "coredump_filter",
        "cgroup",
        "mountinfo",
        "loginuid",
        "personality",
        "timerslack_ns",
    ] {
        all.insert(
            file.to_owned(),
            std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default(),
        );
    }
    for link in ["cwd", "root", "ns/mnt", "ns/user", "ns/net"] {
        let target = std::fs::read_link(format!("/proc/self/{link}")).unwrap();
        all.insert(link.to_owned(), target.display().to_string());
    }
    let mut fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|e| {
            let e = e.unwrap();
            let target = std::fs::read_link(e.path()).ok()?.display().to_string();
            // The listing itself.
            (!target.contains("/proc/")).then(|| format!("{} {target}", e.file_name().display()))
        })
        .collect();
    fds.sort();
    all.insert("fds".into(), fds.join("\n"));
    let mut threads: Vec<String> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|e| std::fs::read_to_string(e.unwrap().path().join("comm")).unwrap_or_default())
        .collect();
    threads.sort();
    all.insert("threads".into(), threads.concat());
    all.insert("children".into(), children());
    all.insert("environment".into(), format!("{:?}", std::env::vars_os().collect::<Vec<_>>()));
    all
}

/// Processes whose parent is this one.
fn children() -> String {
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((_, rest)) = stat.rsplit_once(") ")
            && rest.split(' ').nth(1) == Some(&me)
        {
            found.push(stat);
        }
    }
    found.join("")
}

fn use_everything(root: &Path) {
    let rt = Runtime::open_with(containers::Runtime::builder().root(root)).unwrap();
    assert_eq!(rt.containers().run("host", ["true"]).unwrap().exit_code, 0);
    let c = rt
        .containers()
        .create_with("host", create(json!({"command": ["sleep", "60"], "mem_limit": "64m"})))
        .unwrap();
    c.start().unwrap();
    let options = serde_json::from_value(json!({"command": ["echo", "x"]})).unwrap();
    assert_eq!(c.exec_run(options, true).unwrap().stdout, b"x\n");
    c.stop(Some(std::time::Duration::ZERO)).unwrap();
    drop(c);
    rt.close().unwrap();
}

fn unchanged(root: &Path) {
    // What the C library and SQLite keep once for all is not counted.
    use_everything(&root.join("first"));
    let before = snapshot();
    use_everything(root);
    let after = snapshot();
    for (key, value) in &before {
        assert_eq!(Some(value), after.get(key), "{key} has changed");
    }
    assert_eq!(before.len(), after.len());
}

/// A host that ignores SIGCHLD, or that reaps whatever ends, whoever it is.
fn with_waits(root: &Path, ignore: bool) {
    use nix::sys::signal::{SigHandler, Signal, signal};
    use nix::sys::wait::wait;
    if ignore {
        // SAFETY: no handler runs: the signal is ignored.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
    } else {
        std::thread::spawn(|| {
            loop {
                if wait().is_err() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
    }
    for _ in 0..3 {
        use_everything(root);
    }
    let rt = open(root);
    let out = block_on(rt.containers().run("host", ["sh", "-c", "exit 7"])).unwrap();
    assert_eq!(out.exit_code, 7);
    block_on(rt.close()).unwrap();
}

fn forks(root: &Path) {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    let rt = open(root);
    let c =
        block_on(rt.containers().create_with("host", create(json!({"command": ["sleep", "60"]})))).unwrap();
    block_on(c.start()).unwrap();
    let other = root.join("../other");
    // SAFETY: this program has one thread besides the test's, which holds no lock of ours.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let checks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let closed = ErrorKind::HandleClosed;
                assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap_err().kind(), closed);
                assert_eq!(c.status().unwrap_err().kind(), closed);
                assert_eq!(block_on(c.wait(None)).unwrap_err().kind(), closed);
                assert_eq!(rt.images().list().unwrap_err().kind(), closed);
                assert_eq!(
                    rt.containers().list(&containers::ListOptions::default()).unwrap_err().kind(),
                    closed
                );
                assert_eq!(block_on(rt.close()).unwrap_err().kind(), closed);
                drop(c);
                drop(rt);
                let own = open(&other);
                assert_eq!(block_on(own.containers().run("host", ["true"])).unwrap().exit_code, 0);
                block_on(own.close()).unwrap();
            }));
            std::process::exit(i32::from(checks.is_err()));
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
        }
    }
    // The child's drops did nothing here.
    assert_eq!(c.status().unwrap(), containers::Status::Running);
    assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
    let run_root = rt.info().unwrap().run_root;
    drop(c);
    block_on(rt.close()).unwrap();
    assert_nothing_left(root, &run_root);
    // A child that lives on, with all our descriptors, keeps nothing alive.
    let rt = open(root);
    let c =
        block_on(rt.containers().create_with("host", create(json!({"command": ["sleep", "60"]})))).unwrap();
    block_on(c.start()).unwrap();
    // SAFETY: as above; the child only sleeps.
    let child = match unsafe { fork() }.unwrap() {
        ForkResult::Child => loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        },
        ForkResult::Parent { child } => child,
    };
    drop(c);
    drop(rt);
    nothing_left_soon(root, &run_root);
    nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
    waitpid(child, None).unwrap();
}

fn odd_umask(root: &Path) {
    use nix::sys::stat::{Mode, umask};
    use std::os::unix::fs::PermissionsExt;
    let private = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for odd in [0o777, 0o000] {
        umask(Mode::from_bits_truncate(odd));
        let root = root.join(format!("{odd:o}"));
        use_everything(&root);
        assert_eq!(umask(Mode::from_bits_truncate(0o022)).bits(), odd);
        for path in ["", "containers", "layers", "tmp"] {
            assert_eq!(private(&root.join(path)), 0o700, "{path}");
        }
        assert_eq!(private(&root.join("db.sqlite")), 0o600);
    }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn flat(root: &Path) {
    let rt = open(root);
    let some = |n| {
        for _ in 0..n {
            let options = run(json!({"command": ["echo", "text"], "mem_limit": "64m"}));
            assert_eq!(block_on(rt.containers().run_with("host", options)).unwrap().exit_code, 0);
        }
    };
    some(100);
    let fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (memory, open_fds) = (resident(), fds());
    some(300);
    assert_eq!(fds(), open_fds);
    assert!(resident() < memory + 1024, "{memory} kB, then {} kB", resident());
    block_on(rt.close()).unwrap();
}

fn streams(root: &Path) {
    let rt = open(root);
    let options = create(json!({"command": ["sleep", "600"], "stdin": true}));
    let c = block_on(rt.containers().create_with("host", options)).unwrap();
    block_on(c.start()).unwrap();
    // The parent of the container is the launcher, of which this is the only one with this root.
    let parent = {
        let status = std::fs::read_to_string(format!("/proc/{}/status", c.pid().unwrap().unwrap())).unwrap();
        let line = status.lines().find(|l| l.starts_with("PPid:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().to_owned()
    };
    let fds = |pid: &str| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let attach = |times: usize| (0..times).for_each(|_| drop(block_on(c.attach()).unwrap()));
    let execute = |times: usize| {
        for _ in 0..times {
            let options = serde_json::from_value(json!({"command": ["true"]})).unwrap();
            let out = block_on(c.exec_run(options, true)).unwrap();
            assert_eq!(out.exit_code, 0);
        }
    };
    attach(50);
    execute(5);
    let before = fds("self");
    attach(10_000);
    execute(300);
    assert_eq!(fds("self"), before);
    eventually("the launcher has let go of them", || fds(&parent) < 60);
    drop(c);
    let run_root = rt.info().unwrap().run_root;
    block_on(rt.close()).unwrap();
    nothing_left_soon(root, &run_root);
}

/// Time of a run in milliseconds, the best of several.
fn time_of_a_run(rt: &containers::Runtime) -> f64 {
    let one = |_| {
        let start = Instant::now();
        assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..40).map(one).fold(f64::MAX, f64::min)
}

fn large(root: &Path) {
    let rt = open(root);
    let mut memory = Vec::new();
    // A machine that does other work may be slower the second time: then both are measured again.
    let holds = (0..10).any(|_| {
        drop(std::mem::take(&mut memory));
        let before = time_of_a_run(&rt);
        memory = vec![0u8; 600 << 20];
        for page in memory.chunks_mut(4096) {
            page[0] = 1;
        }
        let after = time_of_a_run(&rt);
        println!("{before:.2} ms, with 600 MB resident {after:.2} ms");
        after < before * 1.5 + 1.0
    });
    assert!(holds, "a large host pays more");
    let start = Instant::now();
    let second = open(&root.join("../second"));
    assert!(start.elapsed() < LIMIT);
    block_on(second.close()).unwrap();
    drop(memory);
    block_on(rt.close()).unwrap();
    eventually("the launcher is gone", || children().is_empty());
}
