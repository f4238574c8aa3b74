//! Further processes.

mod common;

use common::{Connection, Launcher, pipe, plans, read_all, readable, root};
use containers_protocol::control::{Event, Exec, Request};
use containers_protocol::plan::Plan;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

/// A launcher with a container that sleeps, its owner connection and plan.
fn sleeping() -> (Launcher, Connection, Plan) {
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["sleep", "1000"]);
    plan.stdio = containers_protocol::plan::Stdio::Direct([None; 3]);
    let owner = launcher.start(&plan, &[]);
    owner.started();
    (launcher, owner, plan)
}

fn request(args: &[&str]) -> Exec {
    Exec { args: args.iter().map(|a| (*a).to_owned()).collect(), ..Exec::default() }
}

/// Runs a shell script in the container: exit code and output.
fn shell(launcher: &Launcher, plan: &Plan, script: &str, change: impl FnOnce(&mut Exec)) -> (i32, String) {
    let connection = Connection::to(&launcher.control(), &plan.id);
    let (out, out_w) = pipe();
    let mut exec = request(&["sh", "-c", script]);
    exec.stdio = [false, true, true];
    change(&mut exec);
    connection.send(&Request::Exec(Box::new(exec)), &[out_w.as_fd(), out_w.as_fd()]);
    drop(out_w);
    connection.started();
    let text = String::from_utf8(read_all(out)).unwrap();
    (connection.exited().code, text)
}

#[test]
fn a_process_joins() {
    if !root() {
        return;
    }
    let (launcher, _owner, plan) = sleeping();
    let script = "hostname; cat /proc/1/cmdline | tr '\\0' ' '; echo; pwd; id -u; exit 3";
    let (code, text) = shell(&launcher, &plan, script, |_| {});
    assert_eq!((code, text.as_str()), (3, "test\nsleep 1000 \n/\n0\n"));
    let fds = shell(&launcher, &plan, "ls /proc/self/fd", |_| {}).1;
    assert_eq!(fds, "0\n1\n2\n3\n");
    let confined = "grep -E '^(CapEff|CapBnd|CapInh|NoNewPrivs|Seccomp:)' /proc/self/status";
    let inside = shell(&launcher, &plan, confined, |_| {}).1;
    let caps = format!("{:016x}", plans::CAPS);
    assert_eq!(
        inside,
        format!("CapInh:\t0000000000000000\nCapEff:\t{caps}\nCapBnd:\t{caps}\nNoNewPrivs:\t1\nSeccomp:\t2\n")
    );
    let cgroup = shell(&launcher, &plan, "cat /proc/self/cgroup", |_| {}).1;
    let own = if common::is_v2() { "0::/\n" } else { ":memory:/\n" };
    assert!(cgroup.contains(own), "{cgroup}");
}

#[test]
fn what_is_said_counts() {
    if !root() {
        return;
    }
    let (launcher, _owner, plan) = sleeping();
    let (code, text) = shell(&launcher, &plan, "id; pwd; echo $HOME $NEW $TERM", |exec| {
        exec.user = Some("me".into());
        exec.cwd = Some("/tmp".into());
        exec.env = vec!["NEW=1".into(), "TERM=dumb".into()];
    });
    assert_eq!(code, 0);
    assert_eq!(text, "uid=1000(me) gid=1000(me) groups=10(wheel),1000(me)\n/tmp\n/home/me 1 dumb\n");
    let (_, text) = shell(&launcher, &plan, "grep CapEff /proc/self/status", |exec| exec.privileged = true);
    assert_ne!(text, format!("CapEff:\t{:016x}\n", plans::CAPS));
}

#[test]
fn failures_are_named() {
    if !root() {
        return;
    }
    let (launcher, owner, plan) = sleeping();
    let fail = |change: &dyn Fn(&mut Exec)| {
        let connection = Connection::to(&launcher.control(), &plan.id);
        let mut exec = request(&["true"]);
        change(&mut exec);
        connection.send(&Request::Exec(Box::new(exec)), &[]);
        let failed = connection.failed();
        (failed.code, failed.step, failed.path)
    };
    let triple = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(fail(&|e| e.args = vec!["nope".into()]), triple("command_not_found", "exec", "nope"));
    assert_eq!(
        fail(&|e| e.args = vec!["/etc/passwd".into()]),
        triple("command_not_found", "exec", "/etc/passwd")
    );
    assert_eq!(fail(&|e| e.user = Some("nobody".into())), triple("invalid_argument", "user", "nobody"));
    assert_eq!(
        fail(&|e| e.user = Some("4294967295".into())),
        triple("invalid_argument", "user", "4294967295")
    );
    assert_eq!(fail(&|e| e.cwd = Some("/nope".into())), triple("path_not_found", "cwd", "/nope"));
    assert_eq!(fail(&|e| e.cwd = Some("/proc/self/fd/7".into())).1, "cwd");
    assert_eq!(fail(&|e| e.env = vec!["bad".into()]), triple("invalid_argument", "exec", "bad"));
    assert_eq!(fail(&|e| e.args.clear()), triple("invalid_argument", "exec", "command"));
    let connection = Connection::to(&launcher.control(), &plan.id);
    owner.send(&Request::Kill { signal: 9 }, &[]);
    owner.done();
    assert_eq!(owner.exited().signal, 9);
    connection.send(&Request::Exec(Box::new(request(&["true"]))), &[]);
    assert_eq!(connection.failed().code, "not_running");
}

#[test]
fn its_group_is_killed() {
    if !root() {
        return;
    }
    let (launcher, _owner, plan) = sleeping();
    let start = |kill_on_close| {
        let connection = Connection::to(&launcher.control(), &plan.id);
        let (out, out_w) = pipe();
        let mut exec = request(&["sh", "-c", "sleep 500 & echo here; wait"]);
        exec.stdio = [false, true, false];
        exec.kill_on_close = kill_on_close;
        connection.send(&Request::Exec(Box::new(exec)), &[out_w.as_fd()]);
        drop(out_w);
        connection.started();
        assert!(readable(&out, common::LIMIT));
        (connection, out)
    };
    let (connection, out) = start(false);
    connection.send(&Request::Kill { signal: 15 }, &[]);
    connection.done();
    assert_eq!(connection.exited().signal, 15);
    // The child of the shell held the pipe open: the end arrives because it is gone, too.
    assert_eq!(read_all(out), b"here\n");
    let (connection, out) = start(true);
    drop(connection);
    assert_eq!(read_all(out), b"here\n");
    let (connection, out) = start(false);
    drop(connection);
    let mut buf = [0; 16];
    rustix::io::read(&out, &mut buf).unwrap();
    assert!(!readable(&out, Duration::from_millis(200)), "it should live on");
}

#[test]
fn it_gets_a_terminal() {
    if !root() {
        return;
    }
    let (launcher, _owner, plan) = sleeping();
    let connection = Connection::to(&launcher.control(), &plan.id);
    let mut exec = request(&["sh", "-c", "tty; stty size; read line; echo got $line; exit 4"]);
    exec.tty = Some((33, 111));
    connection.send(&Request::Exec(Box::new(exec)), &[]);
    let (event, mut fds) = connection.next();
    assert!(matches!(event, Event::Started(_)), "{event:?}");
    let mut master = std::fs::File::from(fds.remove(0));
    master.write_all(b"word\n").unwrap();
    assert_eq!(connection.exited().code, 4);
    let mut text = Vec::new();
    let mut buf = [0; 1024];
    while let Ok(n @ 1..) = std::io::Read::read(&mut master, &mut buf) {
        text.extend_from_slice(&buf[..n]);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("/dev/pts/0") && text.contains("33 111") && text.contains("got word"), "{text}");
}
