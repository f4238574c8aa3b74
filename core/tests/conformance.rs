//! Replays the conformance table (`tests/conformance`, see the README there) through the Rust interface.
//!
//! `CONFORMANCE=text cargo test --test conformance` replays only cases whose name contains the text.

#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/matchers.rs"]
mod matchers;
#[path = "conformance/replay.rs"]
mod replay;
#[path = "conformance/session.rs"]
mod session;

use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn replay_file(file: &str) {
    let beside_sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance");
    let folder = std::env::var("CONFORMANCE_TABLE").unwrap_or_else(|_| beside_sources.into());
    let path = format!("{folder}/{file}");
    let text = std::fs::read_to_string(&path).expect("the table is part of the source");
    let table: Value = serde_json::from_str(&text).expect("the table is JSON");
    let wanted = std::env::var("CONFORMANCE").unwrap_or_default();
    let session = session::Session::open();
    let mut failures = Vec::new();
    let mut passed = 0;
    for case in table["cases"].as_array().expect("cases is a list") {
        let name = case["name"].as_str().expect("a case has a name");
        if !name.contains(&wanted) {
            continue;
        }
        if let Some(why) = session.reason_to_skip(case) {
            println!("skip {name}: {why}");
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| session.replay(case))) {
            Ok(Ok(())) => passed += 1,
            Ok(Err(why)) => failures.push(format!("{name}: {why}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                failures.push(format!("{name}: panic: {}", text.unwrap_or_default()));
            }
        }
    }
    session.close();
    println!("{file}: {passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "{} cases of {file} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn run() {
    replay_file("run.json");
}

#[test]
fn isolation() {
    replay_file("isolation.json");
}

#[test]
fn errors() {
    replay_file("errors.json");
}

#[test]
fn lifecycle() {
    replay_file("lifecycle.json");
}

#[test]
fn images() {
    replay_file("images.json");
}

/// The same cases once more as a user who is not root and has no ids granted.
#[test]
fn as_an_ordinary_user() {
    const USER: u32 = 61_234;
    if !nix::unistd::geteuid().is_root() {
        println!("skip: the other tests are those of an ordinary user already");
        return;
    }
    let tmp = session::TempDir::new();
    let program = tmp.0.join("conformance");
    std::fs::copy(std::env::current_exe().expect("procfs is there"), &program).expect("there is room");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("the file is ours");
    let table = tmp.0.join("table");
    std::fs::create_dir(&table).expect("the folder is ours");
    for file in ["run.json", "isolation.json", "errors.json", "lifecycle.json", "images.json"] {
        let from = format!("{}/../tests/conformance/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(from, table.join(file)).expect("the table is part of the source");
    }
    let own = |name: &str| {
        let path = tmp.0.join(name);
        std::fs::create_dir(&path).expect("the folder is ours");
        chown(&path, Some(USER), Some(USER)).expect("root may");
        path
    };
    let status = std::process::Command::new(program)
        .args(["--nocapture", "--skip", "as_an_ordinary_user"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("CONFORMANCE_TABLE", table)
        .env("CONFORMANCE", std::env::var_os("CONFORMANCE").unwrap_or_default())
        .envs(session::registry().map(|address| ("REGISTRY", address)))
        .env("HOME", own("home"))
        .env("TMPDIR", own("tmp"))
        .env("XDG_RUNTIME_DIR", own("run"))
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .status();
    assert!(status.expect("the copy starts").success(), "see the output above");
}
