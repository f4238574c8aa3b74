//! Machines that forbid executable memory files (`vm.memfd_noexec` is 2, which is said for each process namespace).

mod common;

use common::{Scratch, create, eventually, is_root, nothing_left_soon, open, run};
use containers::RemoveOptions;
use containers::blocking::block_on;
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[test]
fn the_helper_comes_from_a_private_file() {
    if !is_root() {
        return;
    }
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        eprintln!("passed over: the kernel has no vm.memfd_noexec");
        return;
    }
    let scratch = Scratch::new();
    let script =
        "echo 2 > /proc/sys/vm/memfd_noexec && exec \"$0\" --exact child --nocapture --test-threads=1";
    let child = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("MEMORY_FILES_ROOT", scratch.0.join("root"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("all of it ran"), "{text}");
}

/// Not a test of its own: what runs in the process namespace.
#[test]
fn child() {
    let Ok(root) = std::env::var("MEMORY_FILES_ROOT") else { return };
    let flags = rustix::fs::MemfdFlags::EXEC;
    assert_eq!(rustix::fs::memfd_create("x", flags).unwrap_err(), rustix::io::Errno::ACCESS);
    let root = Path::new(&root);
    let rt = open(root);
    let run_root = rt.info().unwrap().run_root;
    let here = std::fs::read_dir(root).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    let known =
        ["containers", "tmp", "images", "layers", "blobs", "db.sqlite", "db.sqlite-wal", "db.sqlite-shm"];
    let strange: Vec<String> =
        here.filter(|name| name.contains("init") && !known.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "the file has a name: {strange:?}");
    assert_eq!(block_on(rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
    // A message too long for a datagram travels in a memory file of its own.
    let long = "x".repeat(100_000);
    let options = run(json!({"command": ["sh", "-c", "echo ${#LONG}"], "environment": {"LONG": long}}));
    assert_eq!(block_on(rt.containers().run_with("host", options)).unwrap().stdout, b"100000\n");
    let c =
        block_on(rt.containers().run_detached("host", create(json!({"command": ["sleep", "600"]})))).unwrap();
    let mut force = RemoveOptions::default();
    force.force = true;
    block_on(c.remove(force)).unwrap();
    block_on(rt.close()).unwrap();
    drop(rt);
    eventually("the monitor's end", || !run_root.join("lock").exists());
    nothing_left_soon(root, &run_root);
    println!("all of it ran");
}
