//! `run`: one command to its end.

mod common;

use common::{Fixture, is_root, run};
use containers::{ErrorKind, blocking::block_on};
use serde_json::json;

#[test]
fn output_code_and_streams() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let out =
        block_on(f.rt.containers().run("host", ["sh", "-c", "echo out; echo err >&2; exit 3"])).unwrap();
    assert_eq!(
        (out.exit_code, out.stdout.as_slice(), out.stderr.as_slice()),
        (3, &b"out\n"[..], &b"err\n"[..])
    );
    // The first process of a container is immune to its own signals, as in docker.
    let out = block_on(f.rt.containers().run("host", ["sh", "-c", "sh -c 'kill -9 $$'; exit $?"])).unwrap();
    assert_eq!((out.exit_code, out.signal), (137, None));
    f.finish();
}

#[test]
fn input_of_any_length() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let mut options = run(json!({"command": ["cat"]}));
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    options.input = Some(data.clone());
    let out = block_on(f.rt.containers().run_with("host", options)).unwrap();
    assert!(out.stdout == data);
    // Nobody reads it.
    let mut options = run(json!({"command": ["true"]}));
    options.input = Some(data);
    assert_eq!(block_on(f.rt.containers().run_with("host", options)).unwrap().exit_code, 0);
    f.finish();
}

#[test]
fn limits_of_time_and_output() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let slow = run(json!({"command": ["sh", "-c", "echo begun; sleep 60 & sleep 60"], "timeout": 4.0}));
    // What is made once for a root takes a while on a slow machine.
    block_on(f.rt.containers().run("host", ["true"])).unwrap();
    let e = block_on(f.rt.containers().run_with("host", slow)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ExecTimeout, "{e}");
    assert_eq!(e.output().unwrap().stdout, b"begun\n");
    let much = run(json!({"command": ["yes"], "max_output": 100_000}));
    let e = block_on(f.rt.containers().run_with("host", much)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::LimitExceeded, "{e}");
    let check = run(json!({"command": ["false"], "check": true}));
    let e = block_on(f.rt.containers().run_with("host", check)).unwrap_err();
    assert_eq!((e.kind(), e.output().unwrap().exit_code), (ErrorKind::ExitError, 1));
    f.finish();
}

#[test]
fn errors_name_what_was_wrong() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let fails = |options| block_on(f.rt.containers().run_with("host", run(options))).unwrap_err();
    let e = fails(json!({"command": ["no-such-command"]}));
    assert_eq!(e.kind(), ErrorKind::CommandNotFound);
    assert!(e.to_string().contains("command not found in the image: no-such-command"), "{e}");
    assert_eq!(fails(json!({"command": ["/etc/passwd"]})).kind(), ErrorKind::CommandNotFound);
    let e = fails(json!({"command": ["true"], "user": "nobody-here"}));
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
    assert!(e.context().contains(&("field", "user".into())), "{e}");
    f.finish();
}
