//! Whoever runs out of file descriptors is told so, and can go on when there are some again.

mod common;

use common::{LIMIT, Scratch, create, is_root, nothing_left_soon, run};
use containers::blocking::{Runtime, block_on};
use containers::{ErrorKind, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// The limit on descriptors in the child.
const MOST: u64 = 200;

#[test]
fn descriptors_that_run_out_are_a_limit() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("LIMITS_ROOT", scratch.0.join("root"))
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("all was tried"), "{text}");
}

/// Opens files until only so many descriptors are left.
fn leave(free: usize) -> Vec<File> {
    let mut files: Vec<File> =
        std::iter::from_fn(|| File::open("/dev/null").ok()).take(MOST as usize).collect();
    files.truncate(files.len().saturating_sub(free));
    files
}

/// Calls something with 0 to 40 descriptors left: it says what is missing, or works.
fn starve(what: &str, mut call: impl FnMut() -> Result<()>) {
    let mut worked = false;
    for free in 0..40 {
        let files = leave(free);
        let outcome = call();
        drop(files);
        match outcome {
            Ok(()) => worked = true,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::LimitExceeded, "{what} with {free} left: {e:?}");
            }
        }
    }
    assert!(worked, "{what} never worked");
    call().unwrap_or_else(|e| panic!("{what} with enough of them: {e:?}"));
}

#[test]
fn child() {
    let Ok(root) = std::env::var("LIMITS_ROOT") else { return };
    let root = Path::new(&root);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, MOST, hard).unwrap();
    let rt = Runtime::open_with(containers::Runtime::builder().root(root)).unwrap();
    let run_root = rt.info().unwrap().run_root;
    let command = || run(json!({"command": ["echo", "x"], "timeout": LIMIT.as_secs_f64()}));
    starve("run", || rt.containers().run_with("host", command()).map(drop));
    starve("create, start, exec", || {
        let c = rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]})))?;
        c.start()?;
        c.exec_run(serde_json::from_value(json!({"command": ["true"]})).unwrap(), true).map(drop)
    });
    starve("list and get", || rt.containers().list(&Default::default()).map(drop));
    rt.close().unwrap();
    starve("open", || {
        let rt = block_on(containers::Runtime::builder().root(root).open())?;
        block_on(rt.close())
    });
    nothing_left_soon(root, &run_root);
    println!("all was tried");
}
