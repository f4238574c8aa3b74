//! What OCI configurations ask of the helper: entries of `mounts`, nodes, ways to leave the old root, and the
//! further properties of a process.

mod common;

use common::{Launcher, plans, root};
use containers_protocol::Bytes;
use containers_protocol::control::Failure;
use containers_protocol::extra::{Extra, Leave, MountEntry, MountWhat, ProcessExtra, Scheduler};
use containers_protocol::plan::{Device, IdMap, IdMaps, Plan, Rootfs, Step};
use libc::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MS_REC};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn entry(what: MountWhat, target: &str) -> MountEntry {
    MountEntry {
        unasked: 0,
        what,
        target: target.into(),
        set: 0,
        clear: 0,
        set_recursive: 0,
        clear_recursive: 0,
        propagation: vec![],
        idmap: None,
        copy_up: false,
    }
}

fn new(fstype: &str, target: &str, options: &[(&str, &str)]) -> MountEntry {
    let option = |(k, v): &(&str, &str)| ((*k).to_owned(), (!v.is_empty()).then(|| (*v).to_owned()));
    let options = options.iter().map(option).collect();
    entry(MountWhat::New { fstype: fstype.into(), source: fstype.into(), options }, target)
}

fn bind(source: impl Into<PathBuf>, target: &str, recursive: bool) -> MountEntry {
    entry(MountWhat::Bind { source: Bytes::from(source.into()), recursive }, target)
}

fn step(entry: MountEntry) -> Step {
    Step::MountEntry(Box::new(entry))
}

fn node(path: &str, mode: u32, major: u32, minor: u32) -> Step {
    let source = path.into();
    Step::Node(Device { path: path.into(), source, mode, major, minor, uid: 0, gid: 0 })
}

/// A launcher with a root file system of its own.
struct Bench {
    launcher: Launcher,
    rootfs: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let launcher = Launcher::new();
        let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
        Bench { launcher, rootfs }
    }

    /// The plan of a configuration: `/proc`, `/dev` and these steps.
    fn plan(&self, script: &str, steps: Vec<Step>) -> Plan {
        let mut plan = plans::shell(&self.rootfs, &self.launcher.scratch.0, script);
        plan.rootfs = Rootfs::Dir { path: self.rootfs.as_path().into() };
        plan.extra = Some(Box::default());
        plan.cgroup = None;
        plan.steps = vec![
            step(new("proc", "/proc", &[])),
            step(new("tmpfs", "/dev", &[("mode", "755")])),
            node("/dev/null", libc::S_IFCHR | 0o666, 1, 3),
        ];
        plan.steps.extend(steps);
        plan.steps.push(Step::PivotRoot { readonly: false, how: Leave::Pivot, propagation: 0 });
        plan
    }

    fn run(&self, script: &str, steps: Vec<Step>) -> String {
        self.run_plan(&self.plan(script, steps))
    }

    fn run_plan(&self, plan: &Plan) -> String {
        let (exit, out, err) = self.launcher.run(plan).unwrap_or_else(|f| panic!("{f:?}"));
        assert_eq!((exit.code, err.as_str()), (0, ""), "{out}");
        out
    }

    fn fail(&self, steps: Vec<Step>) -> Failure {
        self.launcher.run(&self.plan("true", steps)).expect_err("it must fail")
    }
}

fn with(mut entry: MountEntry, change: impl FnOnce(&mut MountEntry)) -> Step {
    change(&mut entry);
    step(entry)
}

#[test]
fn file_systems_have_their_options() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    std::fs::create_dir_all(bench.rootfs.join("full/sub")).unwrap();
    std::fs::write(bench.rootfs.join("full/sub/file"), "kept").unwrap();
    let quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    let out = bench.run(
        "cut -d' ' -f5,6,9- /proc/self/mountinfo; cat /full/sub/file; touch /full/x 2>&1; touch /small/y && echo writable",
        vec![
            with(new("tmpfs", "/small", &[("size", "4096k"), ("mode", "1777")]), |e| e.set = quiet),
            with(new("tmpfs", "/full", &[]), |e| (e.set, e.copy_up) = (MOUNT_ATTR_RDONLY, true)),
            step(new("devpts", "/dev/pts", &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")])),
            step(new("mqueue", "/dev/mqueue", &[])),
            with(new("sysfs", "/sys", &[]), |e| e.set = MOUNT_ATTR_RDONLY),
            with(new("ramfs", "/ram", &[]), |e| (e.set, e.clear) = (libc::MOUNT_ATTR_NOATIME, libc::MOUNT_ATTR__ATIME)),
        ],
    );
    assert!(out.contains("/small rw,nosuid,nodev,noexec,relatime "), "{out}");
    assert!(out.contains("size=4096k"), "{out}");
    assert!(out.contains("/dev/pts rw,relatime ") && out.contains("gid=5,mode=620,ptmxmode=666"), "{out}");
    assert!(out.contains("/dev/mqueue ") && out.contains("/sys ro,"), "{out}");
    assert!(out.contains("/ram rw,noatime "), "{out}");
    assert!(
        out.contains("kept") && out.contains("Read-only file system") && out.ends_with("writable\n"),
        "{out}"
    );
    let failed = bench.fail(vec![step(new("nosuchfs", "/x", &[]))]);
    assert!(failed.detail.contains("nosuchfs") && failed.path == "/x", "{failed:?}");
    let failed = bench.fail(vec![step(new("tmpfs", "/x", &[("colour", "red")]))]);
    assert!(failed.detail.contains("colour"), "{failed:?}");
}

#[test]
fn binds_have_their_flags_and_propagation() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let source = bench.launcher.scratch.0.join("source");
    std::fs::create_dir_all(source.join("dir")).unwrap();
    std::fs::write(source.join("file"), "text").unwrap();
    let out = bench.run(
        "cat /new/deep/file; echo x 2>/dev/null >/new/deep/file || echo read-only; grep -o ' /data[^ ]* [^ ]* .*' /proc/self/mountinfo",
        vec![
            with(bind(source.join("file"), "/new/deep/file", false), |e| e.set = MOUNT_ATTR_RDONLY),
            with(bind(&source, "/data1", true), |e| {
                e.set_recursive = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
                e.propagation = vec![libc::MS_SHARED | MS_REC];
            }),
            with(bind(&source, "/data2", true), |e| {
                (e.set, e.clear) = (libc::MOUNT_ATTR_STRICTATIME, libc::MOUNT_ATTR__ATIME);
                e.propagation = vec![libc::MS_UNBINDABLE];
            }),
            with(entry(MountWhat::Remount, "/data2"), |e| e.set = MOUNT_ATTR_NOSUID),
        ],
    );
    assert!(out.starts_with("textread-only\n"), "{out}");
    let line = |name: &str| out.lines().find(|l| l.contains(name)).unwrap_or_default().to_owned();
    assert!(line("/data1 ").contains("ro,noexec") && line("/data1 ").contains("shared:"), "{out}");
    assert!(line("/data2 ").contains("nosuid") && line("/data2 ").contains("unbindable"), "{out}");
    assert!(!line("/data2 ").contains("relatime"), "{out}");
    let failed = bench.fail(vec![step(bind("/no/such/source", "/x", false))]);
    assert_eq!((failed.step.as_str(), failed.path.as_str()), ("bind", "/no/such/source"));
}

#[test]
fn id_maps_show_other_owners() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let source = bench.launcher.scratch.0.join("source");
    std::fs::create_dir_all(&source).unwrap();
    let map = vec![IdMap { inside: 0, outside: 5000, count: 10 }];
    let maps = IdMaps { uids: map.clone(), gids: map, tools: None };
    let idmap = Some(containers_protocol::extra::IdMapping { maps: Some(maps), recursive: false });
    let run = |e: MountEntry| bench.launcher.run(&bench.plan("stat -c %u:%g /mapped", vec![step(e)]));
    match run(MountEntry { idmap, ..bind(&source, "/mapped", false) }) {
        Ok((_, out, err)) => assert_eq!((out.as_str(), err.as_str()), ("5000:5000\n", "")),
        Err(failed) => assert_eq!(failed.code, "unsupported", "{failed:?}"),
    }
}

#[test]
fn nodes_and_links() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let out = bench.run(
        "stat -c '%n %a %t:%T' /dev/mine /dev/fifo; readlink /dev/fd; echo x >/dev/null",
        vec![
            node("/dev/null", libc::S_IFCHR | 0o666, 1, 3),
            node("/dev/mine", libc::S_IFCHR | 0o640, 1, 5),
            node("/dev/fifo", libc::S_IFIFO | 0o600, 0, 0),
            Step::Link { target: "/proc/self/fd".into(), path: "/dev/fd".into() },
        ],
    );
    assert_eq!(out, "/dev/mine 640 1:5\n/dev/fifo 600 0:0\n/proc/self/fd\n");
    let failed = bench.fail(vec![node("/dev/null", libc::S_IFCHR | 0o666, 1, 5)]);
    assert_eq!((failed.code.as_str(), failed.path.as_str()), ("conflict", "/dev/null"));
}

#[test]
fn cgroups_are_the_containers_own() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let script = "ls /cg; cut -d' ' -f4,5,6 /proc/self/mountinfo | grep ' /cg'";
    let wanted = || with(entry(MountWhat::Cgroup, "/cg"), |e| e.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
    let own = bench.run(script, vec![wanted()]);
    let lines: Vec<&str> = own.lines().filter(|l| l.contains(" /cg")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|l| l.contains(" ro,")), "{own}");
    assert!(lines.iter().all(|l| l.starts_with("/ ")), "nothing above its own is there: {own}");
    let mut plan = bench.plan(script, vec![wanted()]);
    plan.namespaces &= !(libc::CLONE_NEWCGROUP as u64);
    let shared = bench.run_plan(&plan);
    assert!(shared.lines().filter(|l| l.contains(" /cg")).all(|l| l.contains(" ro,")), "{shared}");
}

#[test]
fn the_old_root_is_left_in_three_ways() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let script = "ls -d /bin /etc/passwd; cat /etc/passwd | head -1; ls /proc/1/root/home; touch /x 2>&1";
    let mut outputs = Vec::new();
    for (how, readonly) in [(Leave::Pivot, true), (Leave::Move, true)] {
        let mut plan = bench.plan(script, vec![]);
        plan.steps.pop();
        plan.steps.push(Step::PivotRoot { readonly, how, propagation: 0 });
        let (_, out, err) = bench.launcher.run(&plan).unwrap();
        assert!(
            out.contains("root:x:0:0") && out.contains("me") && out.contains("Read-only"),
            "{how:?} {out} {err}"
        );
        outputs.push(out);
    }
    assert_eq!(outputs[0], outputs[1]);
    for (flag, shown) in [
        (libc::MS_SHARED, " shared:"),
        (libc::MS_SHARED | MS_REC, " shared:"),
        (libc::MS_UNBINDABLE, " unbindable"),
        (libc::MS_PRIVATE | MS_REC, " - "),
        (libc::MS_SLAVE | MS_REC, " "),
    ] {
        let mut plan = bench.plan("grep ' / / \\| /[^ ]*rootfs / ' /proc/self/mountinfo", vec![]);
        plan.steps.pop();
        plan.steps.push(Step::PivotRoot { readonly: false, how: Leave::Pivot, propagation: flag });
        plan.extra = Some(Box::new(Extra { propagation: flag, ..Extra::default() }));
        let out = bench.run_plan(&plan);
        assert!(out.contains(shown), "{flag:x} {out}");
    }
}

#[test]
fn links_of_the_image_lead_nowhere_else() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let outside = bench.launcher.scratch.0.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let links = [("proc", "/proc"), ("dev", outside.to_str().unwrap()), ("data", outside.to_str().unwrap())];
    for (name, target) in links {
        let at = bench.rootfs.join(name);
        let _ = std::fs::remove_dir_all(&at);
        symlink(target, &at).unwrap();
        let steps = match name {
            "proc" => vec![step(new("proc", "/proc", &[]))],
            "dev" => vec![node("/dev/null2", libc::S_IFCHR | 0o666, 1, 3)],
            _ => vec![step(new("tmpfs", "/data/sub", &[]))],
        };
        let mut plan = bench.plan("true", vec![]);
        let first = if name == "data" { 3 } else { 0 };
        plan.steps.splice(first..3, steps);
        let ran = bench.launcher.run(&plan);
        assert_eq!(ran.is_err(), name != "data", "{name} {ran:?}");
        std::fs::remove_file(&at).unwrap();
        std::fs::create_dir(&at).unwrap();
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    // Something else at `/proc` that only looks like it.
    let failed = bench.fail(vec![step(bind(&outside, "/proc", false))]);
    assert!(failed.detail.contains("procfs"), "{failed:?}");
    // A masked path that is a link into `/proc`'s own links.
    let failed = bench.fail(vec![Step::Mask(vec!["/proc/self".into()])]);
    assert_eq!((failed.step.as_str(), failed.path.as_str()), ("mask", "/proc/self"));
}

#[test]
fn a_process_has_its_further_properties() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let mut plan = bench.plan(
        "cut -d' ' -f19,41 /proc/self/stat; cat /proc/self/personality; cat /proc/self/oom_score_adj; umask; ionice -p 1; uname -m",
        vec![],
    );
    plan.process.umask = Some(0o077);
    plan.process.oom_score_adj = Some(123);
    plan.process.extra = Some(Box::new(ProcessExtra {
        scheduler: Some(Scheduler { policy: libc::SCHED_BATCH as u32, nice: 7, ..Scheduler::default() }),
        io_priority: Some(2 << 13 | 3),
        personality: Some(8),
        memory_policy: Some((4, vec![])),
        keep_keyring: true,
        ..ProcessExtra::default()
    }));
    let out = bench.run_plan(&plan);
    let machine = if cfg!(target_arch = "x86_64") { "i686" } else { "armv8l" };
    assert_eq!(out, format!("7 3\n00000008\n123\n0077\nbest-effort: prio 3\n{machine}\n"));
    plan.process.extra =
        Some(Box::new(ProcessExtra { apparmor: Some("none".into()), ..ProcessExtra::default() }));
    if !std::path::Path::new("/sys/module/apparmor").exists() {
        let failed = bench.launcher.run(&plan).expect_err("there is no AppArmor");
        assert_eq!(failed.step, "apparmor", "{failed:?}");
    }
}

#[test]
fn sysctls_go_to_the_true_procfs() {
    if !root() {
        return;
    }
    let bench = Bench::new();
    let fake = bench.launcher.scratch.0.join("fake");
    std::fs::create_dir_all(fake.join("net/ipv4")).unwrap();
    std::fs::write(fake.join("net/ipv4/ip_forward"), "fake").unwrap();
    let sysctl = |key: &str, value: &str| Step::Sysctl { key: key.into(), value: value.into() };
    let out = bench.run(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/net/ipv4/conf/lo/rp_filter",
        vec![
            sysctl("net.ipv4.ip_forward", "1"),
            sysctl("kernel.shmmni", "17"),
            sysctl("net/ipv4/conf/lo/rp_filter", "2"),
        ],
    );
    assert_eq!(out, "1\n17\n2\n");
    let failed = bench.fail(vec![sysctl("net.no.such", "1")]);
    assert_eq!((failed.step.as_str(), failed.path.as_str()), ("sysctl", "net.no.such"));
    assert_eq!(std::fs::read(fake.join("net/ipv4/ip_forward")).unwrap(), b"fake");
}
