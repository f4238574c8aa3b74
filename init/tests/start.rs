//! Starting attached containers.

mod common;

use common::{Launcher, plans, root};
use containers_protocol::plan::Step;

#[test]
fn a_command_runs() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let plan = plans::shell(&rootfs, &launcher.scratch.0, "echo out; echo err >&2; exit 7");
    let (record, out, err) = launcher.run(&plan).unwrap();
    assert_eq!((record.code, record.signal), (7, 0));
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    launcher.settle();
    assert_eq!(launcher.cgroups.children(), Vec::<std::path::PathBuf>::new());
    assert!(!plan.keep.delete[0].as_path().exists());
}

#[test]
fn it_is_isolated() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    assert_eq!(launcher.shell("echo $$; hostname; cat /proc/sys/kernel/hostname"), "1\ntest\ntest\n");
    assert_eq!(launcher.shell("ls /proc/self/fd"), "0\n1\n2\n3\n");
    assert_eq!(launcher.shell("env | sort"), "HOME=/root\nPATH=/bin\nPWD=/\nSHLVL=1\nTERM=xterm\n");
    let status = launcher.shell("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    let caps = format!("{:016x}", plans::CAPS);
    let none = "0000000000000000";
    let wanted = format!(
        "CapInh:\t{none}\nCapPrm:\t{caps}\nCapEff:\t{caps}\nCapBnd:\t{caps}\nCapAmb:\t{none}\n\
         NoNewPrivs:\t1\nSeccomp:\t2\n"
    );
    assert_eq!(status, wanted);
    println!("{}", launcher.shell("cat /proc/self/mountinfo; ls -la /dev; cat /proc/self/cgroup; ip a"));
}

#[test]
fn its_own_cgroups_are_shown() {
    if !root() {
        return;
    }
    if common::is_v2() {
        eprintln!("passed over: needs cgroup v1");
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let script = "cd /sys/fs/cgroup; ls | tr '\\n' ' '; cat memory/memory.limit_in_bytes pids/pids.max; \
                  grep -c ' - cgroup ' /proc/self/mountinfo; grep -q \"^$$\" memory/cgroup.procs && echo me; \
                  for f in memory/memory.limit_in_bytes pids/tasks; do echo 1 2>/dev/null > $f || echo ro; done; \
                  mkdir memory/x 2>/dev/null || echo ro; mkdir x 2>/dev/null || echo ro; ls memory | grep -c run-";
    let want = "memory pids 268435456\n2048\n2\nme\nro\nro\nro\nro\n0\n";
    // Mounted by the first process, and made ahead.
    for _ in 0..4 {
        let mut plan = plans::shell(&rootfs, &launcher.scratch.0, script);
        let at = plan.steps.iter().position(|s| matches!(s, Step::Mask(_))).unwrap();
        let attr = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
        plan.steps.insert(at, Step::OwnCgroups { attr: attr | libc::MOUNT_ATTR_RDONLY });
        let (_, out, err) = launcher.run(&plan).unwrap();
        assert_eq!(out, want, "{err}");
    }
    launcher.settle();
    assert!(launcher.cgroups.children().is_empty());
}
