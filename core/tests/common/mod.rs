//! What integration tests share: a runtime on a root of its own, and a look at what was left behind.

#![allow(dead_code, reason = "each test program uses a part of it")]

use containers::{CreateOptions, ListOptions, RemoveOptions, RunOptions, Runtime, blocking::block_on};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails; slow machines included.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Whether the tests can run; says why not otherwise.
pub fn is_root() -> bool {
    // SAFETY-free: through procfs, so that tests need no system call of their own.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|l| l.starts_with("Uid:") && l.split_ascii_whitespace().nth(2) == Some("0"));
    if !root {
        eprintln!("passed over: needs root");
    }
    root
}

/// A folder that is deleted in the end. After a test that failed, the detached containers of the root in it are
/// removed first.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("containers-core-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let root = self.0.join("root");
        if std::thread::panicking() && root.exists() {
            remove_all(&root);
        }
        let _ = std::process::Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

/// Removes all containers of a root, as far as that can be done.
fn remove_all(root: &Path) {
    let Ok(rt) = block_on(Runtime::builder().root(root).open()) else { return };
    let mut all = ListOptions::default();
    all.all = true;
    let mut force = RemoveOptions::default();
    force.force = true;
    for row in rt.containers().list(&all).unwrap_or_default() {
        if let Ok(container) = rt.containers().get(&row.id) {
            let _ = block_on(container.remove(force));
        }
    }
    let _ = block_on(rt.close());
}

/// A child that is killed in the end.
pub struct Killed(pub std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A runtime on a fresh root; the leak check runs when it goes.
pub struct Fixture {
    pub rt: Runtime,
    pub scratch: Scratch,
}

impl Fixture {
    pub fn new() -> Fixture {
        let scratch = Scratch::new();
        let rt = open(&scratch.0.join("root"));
        Fixture { rt, scratch }
    }

    pub fn root(&self) -> PathBuf {
        self.scratch.0.join("root")
    }

    /// [`Fixture::finish`] after containers that clean up by themselves.
    pub fn finish_soon(self) {
        let root = self.rt.root().to_path_buf();
        let run_root = self.rt.info().unwrap().run_root;
        block_on(self.rt.close()).unwrap();
        drop(self.rt);
        nothing_left_soon(&root, &run_root);
    }

    /// Closes the runtime and checks that nothing is left.
    pub fn finish(self) {
        let root = self.rt.root().to_path_buf();
        let run_root = self.rt.info().unwrap().run_root;
        block_on(self.rt.close()).unwrap();
        drop(self.rt);
        assert_nothing_left(&root, &run_root);
    }
}

pub fn open(root: &Path) -> Runtime {
    block_on(Runtime::builder().root(root).open()).unwrap()
}

/// No mounts, cgroups, container folders or records of a root.
pub fn assert_nothing_left(root: &Path, run_root: &Path) {
    let left = left_over(root, run_root);
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// The same after some time, where nobody waited for the end.
pub fn nothing_left_soon(root: &Path, run_root: &Path) {
    let start = Instant::now();
    while !left_over(root, run_root).is_empty() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_nothing_left(root, run_root);
}

/// What is left of a root in mounts, cgroups, folders and records.
pub fn left_over(root: &Path, run_root: &Path) -> Vec<String> {
    let text = root.display().to_string();
    let hash = run_root.file_name().unwrap().to_string_lossy().into_owned();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut left: Vec<String> = mounts
        .lines()
        .filter(|l| l.contains(&text) || l.contains(&hash))
        .map(|l| format!("mount {l}"))
        .collect();
    left.extend(entries(&root.join("containers")).into_iter().map(|n| format!("folder {n}")));
    let run = entries(run_root).into_iter().filter(|n| n.starts_with("l-") || n.starts_with("c-"));
    left.extend(run.map(|n| format!("run folder {n}")));
    left.extend(entries(&run_root.join("names")).into_iter().map(|n| format!("name {n}")));
    left.extend(find_cgroups(&hash).into_iter().map(|c| format!("cgroup {}", c.display())));
    left
}

/// Names in a folder.
pub fn entries(dir: &Path) -> Vec<String> {
    let Ok(list) = std::fs::read_dir(dir) else { return Vec::new() };
    list.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// cgroup folders that carry a root's hash.
pub fn find_cgroups(hash: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, hash: &str, depth: usize, found: &mut Vec<PathBuf>) {
        let Ok(list) = std::fs::read_dir(dir) else { return };
        for entry in list.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            if entry.file_name().to_string_lossy() == hash {
                found.push(entry.path());
            } else if depth > 0 {
                walk(&entry.path(), hash, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), hash, 6, &mut found);
    found
}

/// Waits for a condition.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Create options from JSON.
pub fn create(options: serde_json::Value) -> CreateOptions {
    serde_json::from_value(options).expect("the test's options have the right types")
}

/// Run options from JSON.
pub fn run(options: serde_json::Value) -> RunOptions {
    let input = options.get("input").and_then(|i| i.as_str()).map(|i| i.as_bytes().to_vec());
    let mut options = options;
    options.as_object_mut().unwrap().remove("input");
    let mut options: RunOptions =
        serde_json::from_value(options).expect("the test's options have the right types");
    options.input = input;
    options
}
