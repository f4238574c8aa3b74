//! Streams through the parent, logs, clients, terminals.

mod common;

use common::{Connection, Launcher, pipe, plans, read_all, readable, root};
use containers_protocol::control::{Event, Request};
use containers_protocol::log::{HEAD, STDERR, STDOUT, parse_head};
use containers_protocol::plan::{Plan, Stdio};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

fn parented(launcher: &Launcher, script: &str) -> Plan {
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::shell(&rootfs, &launcher.scratch.0, script);
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![] };
    plan.keep.log = Some(launcher.scratch.0.join(format!("{}.log", plan.id)).as_path().into());
    plan
}

/// The records of a log: stream and data.
fn records(plan: &Plan) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = std::fs::read(plan.keep.log.as_ref().unwrap().as_path()).unwrap();
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (stream, time, len) = parse_head(&bytes).unwrap();
        assert!(time > 1_500_000_000_000_000_000);
        let rest = bytes.split_off(HEAD + len as usize);
        all.push((stream, bytes[HEAD..].to_vec()));
        bytes = rest;
    }
    all
}

fn text_of(records: &[(u8, Vec<u8>)], stream: u8) -> String {
    let parts = records.iter().filter(|(s, _)| *s == stream).flat_map(|(_, data)| data.clone());
    String::from_utf8(parts.collect()).unwrap()
}

#[test]
fn output_is_logged() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let plan = parented(&launcher, "echo out; sleep 0.1; echo err >&2; sleep 0.1; echo more");
    let owner = launcher.start(&plan, &[]);
    owner.started();
    assert_eq!(owner.exited().code, 0);
    let found = records(&plan);
    assert_eq!(text_of(&found, STDOUT), "out\nmore\n");
    assert_eq!(text_of(&found, STDERR), "err\n");
    assert_eq!(found[1].0, STDERR, "in order of arrival");
}

#[test]
fn clients_attach_before_and_after() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let mut plan = parented(&launcher, "while read l; do echo got $l; echo e$l >&2; done; echo end");
    plan.stdio = Stdio::Parent { stdin: true, stdin_once: true, attached: vec![[Some(0), Some(1), Some(2)]] };
    let (input_r, input) = pipe();
    let (out, out_w) = pipe();
    let (err, err_w) = pipe();
    let owner = launcher.start(&plan, &[input_r.as_fd(), out_w.as_fd(), err_w.as_fd()]);
    drop((input_r, out_w, err_w));
    owner.started();
    let client = Connection::to(&launcher.control(), &plan.id);
    let (out2, out2_w) = pipe();
    client.send(&Request::Attach { stdin: false, stdout: true, stderr: false }, &[out2_w.as_fd()]);
    client.done();
    drop((out2_w, client));
    let mut input = File::from(input);
    input.write_all(b"a\nb\n").unwrap();
    drop(input);
    assert_eq!(owner.exited().code, 0);
    assert_eq!(read_all(out), b"got a\ngot b\nend\n");
    assert_eq!(read_all(err), b"ea\neb\n");
    assert_eq!(read_all(out2), b"got a\ngot b\nend\n");
    assert_eq!(text_of(&records(&plan), STDOUT), "got a\ngot b\nend\n");
}

#[test]
fn a_slow_client_loses_nothing() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let bytes = 5_000_000;
    let mut plan = parented(&launcher, &format!("yes 0123456789 | head -c {bytes}"));
    plan.keep.log = None;
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![[None, Some(0), None]] };
    let (out, out_w) = pipe();
    let owner = launcher.start(&plan, &[out_w.as_fd()]);
    drop(out_w);
    owner.started();
    assert!(!readable(&owner.0, Duration::from_millis(300)), "it must wait for its client");
    let got = read_all(out);
    assert_eq!(got.len(), bytes);
    assert!(got.chunks(11).all(|c| b"0123456789\n".starts_with(c)));
    assert_eq!(owner.exited().code, 0);
}

#[test]
fn an_abandoned_client_does_no_harm() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let mut plan = parented(&launcher, "yes 0123456789 | head -c 1000000; echo done >&2");
    plan.stdio = Stdio::Parent { stdin: false, stdin_once: false, attached: vec![[None, Some(0), None]] };
    let (out, out_w) = pipe();
    let owner = launcher.start(&plan, &[out_w.as_fd()]);
    drop((out, out_w));
    owner.started();
    assert_eq!(owner.exited().code, 0);
    assert_eq!(text_of(&records(&plan), STDERR), "done\n");
}

#[test]
fn logs_are_rotated() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let mut plan = parented(&launcher, "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done");
    plan.keep.log_max = 1000;
    let owner = launcher.start(&plan, &[]);
    owner.started();
    owner.exited();
    let path = plan.keep.log.as_ref().unwrap().to_text();
    assert!(text_of(&records(&plan), STDOUT).ends_with("line 4999\n"));
    assert!(std::path::Path::new(&format!("{path}.1")).exists());
}

fn read_terminal(master: OwnedFd) -> String {
    let (mut text, mut buf, mut master) = (Vec::new(), [0; 1024], File::from(master));
    while let Ok(n @ 1..) = master.read(&mut buf) {
        text.extend_from_slice(&buf[..n]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_direct_terminal_is_handed_over() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let script = "tty; stty size; ls -l /dev/console; id -u; echo to console > /dev/console; cat /proc/self/stat | cut -d' ' -f 7";
    let mut plan = parented(&launcher, script);
    plan.stdio = Stdio::Direct([None; 3]);
    plan.process.tty = Some((20, 90));
    plan.process.user = "me".into();
    let owner = launcher.start(&plan, &[]);
    let (event, mut fds) = owner.next();
    assert!(matches!(event, Event::Started(_)), "{event:?}");
    let text = read_terminal(fds.remove(0));
    assert!(text.starts_with("/dev/pts/0\r\n20 90\r\ncrw"), "{text}");
    assert!(text.contains("1000") && text.contains("to console"), "{text}");
    assert!(!text.ends_with("\r\n0\r\n"), "it has a controlling terminal: {text}");
    owner.exited();
}

#[test]
fn a_terminal_of_the_parent() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let mut plan = parented(&launcher, "stty size; read x; stty size; echo got $x");
    plan.process.tty = Some((20, 90));
    plan.stdio = Stdio::Parent { stdin: true, stdin_once: false, attached: vec![] };
    let owner = launcher.start(&plan, &[]);
    owner.started();
    common::eventually("the first size", || text_of(&records(&plan), STDOUT).starts_with("20 90"));
    let client = Connection::to(&launcher.control(), &plan.id);
    let (input_r, input) = pipe();
    let (out, out_w) = pipe();
    let attach = Request::Attach { stdin: true, stdout: true, stderr: false };
    client.send(&attach, &[input_r.as_fd(), out_w.as_fd()]);
    client.done();
    drop((input_r, out_w));
    client.send(&Request::Resize { rows: 40, cols: 100 }, &[]);
    client.done();
    File::from(input).write_all(b"word\n").unwrap();
    assert_eq!(owner.exited().code, 0);
    let text = String::from_utf8(read_all(out)).unwrap();
    assert!(text.contains("40 100") && text.contains("got word"), "{text}");
}
