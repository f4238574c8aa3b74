//! Plans as the library makes them.

use containers_protocol::Bytes;
use containers_protocol::extra::Leave;
use containers_protocol::plan::*;
use std::path::{Path, PathBuf};

/// docker's capabilities without `MKNOD`, `NET_RAW` and `AUDIT_WRITE`.
pub const CAPS: u64 = 0x8004_05fb & !(1 << 13) | 1 << 10 | 1 << 31;

const SAFE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

/// All namespaces but the user's.
pub const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// A root file system with busybox, made once.
pub fn busybox(at: &Path) -> PathBuf {
    if at.exists() {
        return at.to_owned();
    }
    for dir in ["bin", "proc", "sys", "dev", "tmp", "etc", "root", "home/me"] {
        std::fs::create_dir_all(at.join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", at.join("bin/busybox")).expect("Debian's busybox-static");
    let applets = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap();
    for name in String::from_utf8(applets.stdout).unwrap().lines().filter(|n| *n != "busybox") {
        let _ = std::os::unix::fs::symlink("busybox", at.join("bin").join(name));
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
    std::fs::write(at.join("etc/passwd"), passwd).unwrap();
    std::fs::write(at.join("etc/group"), "root:x:0:\nme:x:1000:\nwheel:x:10:root,me\n").unwrap();
    at.to_owned()
}

fn mount(fstype: &str, target: &str, attr: u64, options: &[(&str, &str)]) -> Step {
    let option = |(k, v): &(&str, &str)| ((*k).to_owned(), (!v.is_empty()).then(|| (*v).to_owned()));
    Step::Mount(Mount {
        fstype: fstype.into(),
        target: target.into(),
        attr,
        options: options.iter().map(option).collect(),
        copy_up: false,
    })
}

/// An empty file system in memory.
pub fn tmpfs(target: &str) -> Step {
    mount("tmpfs", target, 0, &[])
}

fn paths(list: &[&str]) -> Vec<Bytes> {
    list.iter().map(|p| Bytes::from(*p)).collect()
}

/// The steps of a default container.
pub fn steps() -> Vec<Step> {
    vec![
        mount("proc", "/proc", SAFE, &[]),
        Step::DefaultDev,
        mount(
            "devpts",
            "/dev/pts",
            libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
            &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")],
        ),
        mount("tmpfs", "/dev/shm", SAFE, &[("mode", "1777"), ("size", "64m")]),
        mount("mqueue", "/dev/mqueue", SAFE, &[]),
        mount("sysfs", "/sys", SAFE | libc::MOUNT_ATTR_RDONLY, &[]),
        Step::Mask(paths(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/sys/devices/virtual/powercap",
            "/sys/firmware",
            "/sys/fs/selinux",
        ])),
        Step::ReadOnly(paths(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])),
        Step::PivotRoot { readonly: false, how: Leave::Pivot, propagation: 0 },
        Step::Hostname("test".into()),
        Step::Loopback,
    ]
}

/// What limits memory, v1 and v2.
pub const MEMORY_FILES: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];

/// A value for a cgroup file that has a name on v1 and one on v2.
pub fn limit(controller: &str, files: [&str; 2], value: &str, option: Option<&str>) -> CgroupWrite {
    let v2 = super::is_v2();
    CgroupWrite {
        controller: if v2 { String::new() } else { controller.into() },
        file: files[usize::from(v2)].into(),
        value: value.into(),
        option: option.map(str::to_owned),
    }
}

/// A container over a root file system, its writable layer below `scratch`, output to descriptors 0 and 1.
pub fn plan(rootfs: &Path, scratch: &Path, args: &[&str]) -> Plan {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let writable = scratch.join(format!("writable-{n}"));
    std::fs::create_dir_all(&writable).unwrap();
    Plan {
        id: format!("{n:064x}"),
        namespaces: NAMESPACES,
        id_maps: None,
        rootfs: Rootfs::Overlay(Overlay {
            lower: vec![rootfs.into()],
            writable: Some(writable.as_path().into()),
            in_memory: false,
            volatile: true,
            pool: None,
        }),
        cgroup: Some(CgroupPlan {
            writes: vec![
                limit("memory", MEMORY_FILES, "268435456", None),
                limit("pids", ["pids.max", "pids.max"], "2048", None),
            ],
            watch_oom: true,
        }),
        steps: steps(),
        process: ProcessPlan {
            args: args.iter().map(|a| Bytes::from(*a)).collect(),
            env: paths(&["PATH=/bin", "TERM=xterm"]),
            cwd: "/".into(),
            caps: CapSets { bounding: CAPS, effective: CAPS, permitted: CAPS, inheritable: 0, ambient: 0 },
            no_new_privs: true,
            seccomp: Bytes(allow_all()),
            ..ProcessPlan::default()
        },
        stdio: Stdio::Direct([None, Some(0), Some(1)]),
        keep: Keep { delete: vec![writable.as_path().into()], ..Keep::default() },
        quiet: false,
        extra: None,
    }
}

/// The plan with a throw-away layer of the launcher's.
pub fn pooled(mut plan: Plan, scratch: &Path) -> Plan {
    if let Rootfs::Overlay(o) = &mut plan.rootfs {
        (o.writable, o.pool) = (None, Some(scratch.join("pool").as_path().into()));
    }
    plan
}

/// A plan that runs a shell script.
pub fn shell(rootfs: &Path, scratch: &Path, script: &str) -> Plan {
    plan(rootfs, scratch, &["sh", "-c", script])
}

/// A seccomp program of one instruction: `SECCOMP_RET_ALLOW`.
fn allow_all() -> Vec<u8> {
    let mut program = 6u16.to_ne_bytes().to_vec();
    program.extend([0, 0]);
    program.extend(0x7fff_0000u32.to_ne_bytes());
    program
}
