//! Root file systems and requests that mean harm.

mod common;

use common::{Launcher, Scratch, eventually, pair, plans, readable, root};
use containers_protocol::Bytes;
use containers_protocol::launch::{Request, SOCKET};
use containers_protocol::plan::{Bind, CgroupWrite, Plan, Stdio, Step};
use containers_protocol::wire;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A launcher, a root file system of its own, and a folder outside that must not change.
struct Attack {
    launcher: Launcher,
    rootfs: PathBuf,
    outside: PathBuf,
}

impl Attack {
    fn new() -> Attack {
        let launcher = Launcher::new();
        let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
        let outside = launcher.scratch.0.join("outside");
        std::fs::create_dir_all(outside.join("sub")).unwrap();
        std::fs::write(outside.join("file"), "canary").unwrap();
        Attack { launcher, rootfs, outside }
    }

    fn plan(&self, script: &str) -> Plan {
        plans::shell(&self.rootfs, &self.launcher.scratch.0, script)
    }

    /// Replaces something in the root file system by a link.
    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let at = self.rootfs.join(path);
        let _ = std::fs::remove_dir_all(&at).or_else(|_| std::fs::remove_file(&at));
        symlink(target, at).unwrap();
    }

    /// The outside is as it was.
    fn check(&self) {
        let list = |dir: &Path| {
            let names =
                std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        assert_eq!(list(&self.outside), ["file", "sub"]);
        assert_eq!(list(&self.outside.join("sub")), Vec::<String>::new());
        assert_eq!(std::fs::read(self.outside.join("file")).unwrap(), b"canary");
        assert_eq!(std::fs::metadata(self.outside.join("file")).unwrap().uid(), 0);
    }
}

#[test]
fn kernel_folders_must_be_real() {
    if !root() {
        return;
    }
    for path in ["proc", "sys", "dev"] {
        let attack = Attack::new();
        attack.link(path, &attack.outside);
        let failed = attack.launcher.run(&attack.plan("true")).unwrap_err();
        assert!(["mount", "dev"].contains(&failed.step.as_str()), "{failed:?}");
        assert_eq!(failed.path, format!("/{path}"));
        attack.link(path, "tmp");
        assert!(attack.launcher.run(&attack.plan("true")).is_err(), "a link inside is one too many");
        attack.check();
        let pooled = plans::pooled(attack.plan("true"), &attack.launcher.scratch.0);
        assert!(attack.launcher.run(&pooled).is_err());
        attack.check();
    }
}

#[test]
fn links_in_dev_lead_nowhere() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    for name in ["null", "console", "pts", "shm", "ptmx"] {
        attack.link(&format!("dev/{name}"), attack.outside.join("file"));
    }
    let plan = attack.plan("echo x > /dev/null; stat -c %t:%T /dev/null; chown 1000 /dev/null");
    let (record, out, _) = attack.launcher.run(&plan).unwrap();
    assert_eq!((record.code, out.as_str()), (0, "1:3\n"));
    let with_terminal = || {
        let mut plan = attack.plan("true");
        plan.process.tty = Some((24, 80));
        plan.stdio = Stdio::Direct([None; 3]);
        plan
    };
    let owner = attack.launcher.start(&with_terminal(), &[]);
    owner.started();
    owner.exited();
    // Without a /dev of its own, a terminal has no devpts to come from.
    let mut plan = with_terminal();
    let of_dev = |s: &Step| match s {
        Step::DefaultDev => true,
        Step::Mount(m) => m.target.0.starts_with(b"/dev/"),
        _ => false,
    };
    plan.steps.retain(|s| !of_dev(s));
    assert_eq!(attack.launcher.start(&plan, &[]).failed().step, "tty");
    attack.check();
}

#[test]
fn mount_points_stay_inside() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    attack.link("out", &attack.outside);
    attack.link("up", "../../../../../../../..");
    attack.link("dangling", attack.outside.join("made"));
    attack.link("etc/hosts", attack.outside.join("made-too"));
    let file = |path: &str| Step::File { path: path.into(), content: "text\n".into(), mode: 0o644 };
    let inside = attack.outside.to_str().unwrap();
    let mut plan =
        attack.plan(&format!("cat /etc/hosts {inside}/made-too; ls {inside}; mount | grep -c sub"));
    let at = plan.steps.iter().position(|s| matches!(s, Step::Mask(_))).unwrap();
    let steps = [
        plans::tmpfs("/out/sub"),
        plans::tmpfs(&format!("/up{inside}/sub")),
        plans::tmpfs("/dangling"),
        file("/etc/hosts"),
        Step::Mask(vec!["/out/file".into()]),
        Step::ReadOnly(vec!["/out/sub".into()]),
    ];
    for step in steps.into_iter().rev() {
        plan.steps.insert(at, step);
    }
    let (record, out, err) = attack.launcher.run(&plan).unwrap();
    assert_eq!(record.code, 0, "{out} {err}");
    assert!(out.starts_with("text\ntext\n"), "{out}");
    attack.check();
}

#[test]
fn a_swapped_bind_source_is_refused() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    let bind = |identity| {
        let mut plan = attack.plan("cat /bound/file; touch /bound/new");
        plan.steps.insert(
            6,
            Step::Bind(Bind {
                source: attack.outside.as_path().into(),
                identity,
                target: "/bound".into(),
                attr: 0,
                recursive: true,
                propagation: 0,
                attr_recursive: libc::MOUNT_ATTR_RDONLY,
            }),
        );
        plan
    };
    let stat = std::fs::metadata(&attack.outside).unwrap();
    let (record, out, err) = attack.launcher.run(&bind(Some((stat.dev(), stat.ino())))).unwrap();
    assert_eq!((record.code, out.as_str()), (1, "canary"), "{err}");
    let failed = attack.launcher.run(&bind(Some((stat.dev(), stat.ino() + 1)))).unwrap_err();
    assert_eq!((failed.step.as_str(), failed.path.as_str()), ("bind", attack.outside.to_str().unwrap()));
    attack.check();
}

#[test]
fn working_directories_are_inside() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    attack.link("out", &attack.outside);
    for fd in 3..12 {
        let mut plan = attack.plan("pwd");
        plan.process.cwd = format!("/proc/self/fd/{fd}").as_str().into();
        assert_eq!(attack.launcher.run(&plan).unwrap_err().step, "cwd");
    }
    let mut plan = attack.plan("pwd");
    plan.process.cwd = "/out/sub".into();
    assert_eq!(attack.launcher.run(&plan).unwrap_err().code, "path_not_found");
    // Another one: what that one wrote to is being removed.
    let mut plan = attack.plan("pwd");
    plan.process.cwd = "/out/sub".into();
    plan.process.create_cwd = true;
    assert_eq!(attack.launcher.run(&plan).unwrap().1, format!("{}/sub\n", attack.outside.display()));
    attack.check();
}

#[test]
fn users_are_looked_up_with_care() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    let run = |user: &str| {
        let mut plan = attack.plan("id -u; id -g; id -G; echo $HOME");
        plan.process.user = user.into();
        attack.launcher.run(&plan).map(|(_, out, _)| out.replace('\n', " "))
    };
    std::fs::write(attack.rootfs.join("etc/passwd"), "0:x:5:5::/zero:/bin/sh\nme:x:7:8::/home/me:/bin/sh\n")
        .unwrap();
    assert_eq!(run("me").unwrap(), "7 8 8 10 /home/me ");
    assert_eq!(run("me:wheel").unwrap(), "7 10 10 /home/me ");
    assert_eq!(run("0").unwrap(), "0 0 0 /root ");
    assert_eq!(run("12:34").unwrap(), "12 34 34 / ");
    for bad in ["nobody", "me:nogroup", "4294967295", "99999999999999", "-1", "2147483648"] {
        let failed = run(bad).unwrap_err();
        assert_eq!((failed.code.as_str(), failed.step.as_str()), ("invalid_argument", "user"), "{bad}");
    }
    // A passwd file that is none.
    std::fs::remove_file(attack.rootfs.join("etc/passwd")).unwrap();
    let fifo = attack.rootfs.join("etc/passwd");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(run("me").unwrap_err().path, "/etc/passwd");
}

#[test]
fn limits_name_their_option() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    let with = |option: Option<&str>, write: CgroupWrite| {
        let mut plan = attack.plan("true");
        plan.cgroup.as_mut().unwrap().writes.push(CgroupWrite { option: option.map(str::to_owned), ..write });
        plan
    };
    let memory = plans::limit("memory", plans::MEMORY_FILES, "nonsense", None);
    let missing = plans::limit("nosuch", ["nosuch.limit"; 2], "1", None);
    let failed = attack.launcher.run(&with(Some("mem_limit"), memory.clone())).unwrap_err();
    assert_eq!(
        (failed.code.as_str(), failed.step.as_str(), failed.path.as_str()),
        ("invalid_argument", "cgroup", "mem_limit")
    );
    let failed = attack.launcher.run(&with(Some("cpus"), missing)).unwrap_err();
    assert_eq!((failed.code.as_str(), failed.path.as_str()), ("unsupported", "cpus"));
    let plan = with(None, memory.clone());
    let (_out, out_w) = common::pipe();
    let owner = attack.launcher.start(&plan, &[out_w.as_fd(), out_w.as_fd()]);
    let warnings = owner.started().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains(&memory.file), "{warnings:?}");
    owner.exited();
    attack.launcher.settle();
    assert!(attack.launcher.cgroups.children().is_empty());
}

#[test]
fn descriptors_of_the_host_do_not_arrive() {
    if !root() {
        return;
    }
    let launcher = Launcher::with(common::Cgroups::none(), None, |command| {
        let file = std::fs::File::open("/etc/hostname").unwrap().as_raw_fd();
        // SAFETY: dup2 is async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                for target in [4, 7, 100] {
                    libc::dup2(file, target);
                }
                Ok(())
            });
        }
    });
    let fds = std::fs::read_dir(format!("/proc/{}/fd", launcher.pid)).unwrap();
    for fd in fds.flatten() {
        let target = std::fs::read_link(fd.path()).unwrap();
        assert_ne!(target, Path::new("/etc/hostname"));
    }
    assert_eq!(SOCKET, 3);
    assert_eq!(launcher.shell("ls /proc/self/fd"), "0\n1\n2\n3\n");
}

#[test]
fn nonsense_is_answered() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let main = launcher.main.as_ref().unwrap();
    for payload in [&b""[..], b"\xff\xff\xff", &[0; 5000], &[1; 100_000]] {
        let (ours, theirs) = pair();
        wire::send(main, payload, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        assert!(readable(&ours, common::LIMIT));
    }
    wire::send(main, b"no descriptor", &[]).unwrap();
    let mut plan = plans::plan(Path::new("/nonexistent"), &launcher.scratch.0, &["true"]);
    assert_eq!(launcher.run(&plan).unwrap_err().path, "/nonexistent");
    plan.namespaces = 0;
    assert_eq!(launcher.run(&plan).unwrap_err().step, "plan");
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["true"]);
    plan.process.args = vec![Bytes(b"a\0b".to_vec())];
    assert_eq!(launcher.run(&plan).unwrap_err().step, "exec");
    plan.process.args = vec!["true".into()];
    plan.stdio = Stdio::Direct([Some(9), None, None]);
    assert_eq!(launcher.run(&plan).unwrap_err().step, "stdio");
    assert!(launcher.is_alive());
    launcher.request(&Request::Settle, &[]).done();
}

#[test]
fn commands_that_are_none() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    std::fs::write(attack.rootfs.join("bin/text"), "no program").unwrap();
    std::fs::set_permissions(
        attack.rootfs.join("bin/text"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let run = |args: &[&str]| {
        let plan = plans::plan(&attack.rootfs, &attack.launcher.scratch.0, args);
        let failed = attack.launcher.run(&plan).unwrap_err();
        (failed.code, failed.step, failed.path)
    };
    let not_found = |path: &str| ("command_not_found".to_owned(), "exec".to_owned(), path.to_owned());
    assert_eq!(run(&["nope"]), not_found("nope"));
    assert_eq!(run(&["/nope"]), not_found("/nope"));
    assert_eq!(run(&["/etc/passwd"]), not_found("/etc/passwd"));
    assert_eq!(run(&["/bin"]), not_found("/bin"));
    assert_eq!(run(&["text"]), not_found("/bin/text"));
    assert_eq!(run(&[""]), not_found(""));
    assert_eq!(run(&[]).0, "invalid_argument");
}

#[test]
fn a_pooled_layer_is_fresh_each_time() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    let scripts = [
        "ls -a / /tmp /dev/shm",
        "touch /tmp/zzmark",
        "echo zzmark > /zzmark",
        "chmod 700 / && chmod 755 /",
        "touch /dev/shm/zzmark /dev/zzmark",
        "rm /dev/null; rm -r /etc",
        "chmod 600 /dev/null",
        "ln -s a /link && rm /link",
    ];
    let look =
        "ls -laR / 2>/dev/null | grep -c zzmark; ls -l /dev/null | cut -c 1-10; ls -d /etc; stat -c %a /";
    let want = "0\ncrw-rw-rw-\n/etc\n755\n";
    for script in scripts {
        let plan = plans::pooled(attack.plan(script), &attack.launcher.scratch.0);
        attack.launcher.run(&plan).unwrap();
        let plan = plans::pooled(attack.plan(look), &attack.launcher.scratch.0);
        let (_, out, err) = attack.launcher.run(&plan).unwrap();
        assert_eq!(out, want, "after {script}: {err}");
    }
    // And several at a time.
    let plans: Vec<Plan> = (0..4)
        .map(|i| {
            plans::pooled(
                attack.plan(&format!("echo {i} > /zzmark; sleep 0.2; cat /zzmark")),
                &attack.launcher.scratch.0,
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for (i, plan) in plans.iter().enumerate() {
            let launcher = &attack.launcher;
            scope.spawn(move || assert_eq!(launcher.run(plan).unwrap().1, format!("{i}\n")));
        }
    });
    let pool = attack.launcher.scratch.0.join("pool");
    let mut attack = attack;
    attack.launcher.main = None;
    eventually("the launcher's end", || !attack.launcher.is_alive());
    assert!(!pool.exists());
}

#[test]
fn process_one_can_be_an_init() {
    if !root() {
        return;
    }
    let attack = Attack::new();
    let mut plan = attack.plan("echo $$; (sleep 0.1 & ) ; sleep 0.3; ps | grep -c '\\[sleep\\]'; exit 6");
    plan.process.init = true;
    let (record, out, _) = attack.launcher.run(&plan).unwrap();
    assert_eq!((record.code, out.as_str()), (6, "2\n0\n"));
    let mut plan = attack.plan("trap 'echo term; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    plan.process.init = true;
    let (out, out_w) = common::pipe();
    let owner = attack.launcher.start(&plan, &[out_w.as_fd(), out_w.as_fd()]);
    drop(out_w);
    owner.started();
    assert!(readable(&out, common::LIMIT));
    owner.send(&containers_protocol::control::Request::Kill { signal: 15 }, &[]);
    owner.done();
    assert_eq!(owner.exited().code, 3);
    let mut plan = plans::plan(&attack.rootfs, &attack.launcher.scratch.0, &["nope"]);
    plan.process.init = true;
    assert_eq!(attack.launcher.run(&plan).unwrap_err().code, "command_not_found");
}

#[test]
fn a_scratch_image_gets_what_it_lacks() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = Scratch::new();
    std::fs::create_dir(rootfs.0.join("bin")).unwrap();
    std::fs::copy("/bin/busybox", rootfs.0.join("bin/sh")).unwrap();
    for _ in 0..3 {
        let mut plan = plans::shell(
            &rootfs.0,
            &launcher.scratch.0,
            "read x < /etc/hosts; echo $x; read y < /proc/self/stat && echo ok",
        );
        plan.steps
            .insert(6, Step::File { path: "/etc/hosts".into(), content: "hosts\n".into(), mode: 0o644 });
        plan = plans::pooled(plan, &launcher.scratch.0);
        let (_, out, err) = launcher.run(&plan).unwrap();
        assert_eq!(out, "hosts\nok\n", "{err}");
    }
}
