//! Starting attached containers.

mod common;

use common::{Launcher, plans, root};

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
