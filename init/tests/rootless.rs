//! Launchers in a user namespace: as an ordinary user, started by root.

mod common;

use common::{Cgroups, Connection, Launcher, eventually, is_alive, pipe, plans, read_all};
use containers_protocol::control::{Exec, Request};
use containers_protocol::launch;
use containers_protocol::plan::{IdMap, IdMaps, Plan, Stdio, Step};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// An ordinary user's id; it needs no account.
const USER: u32 = 54_321;

fn may_run() -> bool {
    let most = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if !rustix::process::geteuid().is_root() || most.trim() == "0" {
        eprintln!("passed over: needs root, and user namespaces");
        return false;
    }
    true
}

fn single() -> IdMaps {
    let one = vec![IdMap { inside: 0, outside: USER, count: 1 }];
    IdMaps { uids: one.clone(), gids: one, tools: None }
}

/// A launcher of the user's. Its folder is the user's, too.
fn launcher(maps: IdMaps, user: u32) -> Launcher {
    launcher_as(maps, user, |command| {
        command.uid(user).gid(user);
    })
}

fn launcher_as(maps: IdMaps, user: u32, become_user: impl FnOnce(&mut Command)) -> Launcher {
    let prepare = |launcher: &Launcher| {
        for dir in [&launcher.scratch.0, &launcher.run_dir()] {
            std::os::unix::fs::chown(dir, Some(user), Some(user)).unwrap();
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        }
    };
    Launcher::prepared(Cgroups::none(), Some(maps), prepare, become_user)
}

fn plan(launcher: &Launcher, script: &str) -> Plan {
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::shell(&rootfs, &launcher.scratch.0, script);
    plan.cgroup = None;
    let user = std::fs::metadata(&launcher.scratch.0).unwrap().uid();
    std::os::unix::fs::chown(plan.keep.delete[0].as_path(), Some(user), Some(user)).unwrap();
    // The user's own tree.
    let owner = format!("{user}:{user}");
    assert!(Command::new("chown").args(["-R", &owner]).arg(&rootfs).status().unwrap().success());
    for step in &mut plan.steps {
        if let Step::Mount(m) = step {
            // One id is all there may be.
            m.options.retain(|(key, _)| key != "gid");
        }
    }
    plan
}

#[test]
fn a_single_id_is_enough() {
    if !may_run() {
        return;
    }
    let launcher = launcher(single(), USER);
    let script = "id -u; echo $$; hostname; touch /made /etc/x && ls -ln /made | cut -c 1-20; echo x > /dev/null; \
                  ls /proc/self/fd; cat /proc/self/uid_map; head -c 1 /proc/keys | wc -c; ls /proc/acpi /sys/firmware; \
                  touch /proc/sys/x 2>/dev/null || echo ro";
    let (record, out, err) = launcher.run(&plan(&launcher, script)).unwrap();
    assert_eq!((record.code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("0\n1\ntest\n-rw-r--r--"), "{out}");
    assert!(out.contains("\n0\n1\n2\n3\n") && out.ends_with("ro\n"), "{out}");
    let plan = plans::pooled(plan(&launcher, "touch /a; ls /"), &launcher.scratch.0);
    for _ in 0..2 {
        assert!(launcher.run(&plan).unwrap().1.contains("a\n"));
    }
    launcher.settle();
}

#[test]
fn ids_that_are_not_mapped_are_named_with_the_fix() {
    if !may_run() {
        return;
    }
    let launcher = launcher(single(), USER);
    for (user, groups) in [("1000", None), ("0:1000", None), ("1000:1000", None), ("0", Some("1000"))] {
        let mut plan = plan(&launcher, "id");
        plan.process.user = user.into();
        plan.process.groups.extend(groups.map(str::to_owned));
        let failed = launcher.run(&plan).unwrap_err();
        assert_eq!(
            (failed.code.as_str(), failed.step.as_str()),
            ("unsupported", "user"),
            "{user}: {failed:?}"
        );
        assert!(failed.path.contains("1000"), "{failed:?}");
        for fix in ["/etc/subuid", "/etc/subgid", "uidmap"] {
            assert!(failed.detail.contains(fix), "{failed:?}");
        }
    }
    launcher.settle();
}

#[test]
fn its_files_are_deleted() {
    if !may_run() {
        return;
    }
    let launcher = launcher(single(), USER);
    let plan = plan(&launcher, "mkdir -p /d/e; touch /d/e/f; chmod 0 /d/e; rm -r /etc");
    launcher.run(&plan).unwrap();
    launcher.settle();
    eventually("deletion", || !plan.keep.delete[0].as_path().exists());
    let tree = launcher.scratch.0.join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::os::unix::fs::chown(&tree, Some(USER), Some(USER)).unwrap();
    launcher.request(&launch::Request::Delete(vec![tree.as_path().into()]), &[]).done();
    assert!(!tree.exists());
}

#[test]
fn processes_join_and_terminals_open() {
    if !may_run() {
        return;
    }
    let launcher = launcher(single(), USER);
    let mut plan = plan(&launcher, "tty; sleep 1000");
    plan.stdio = Stdio::Direct([None; 3]);
    plan.process.tty = Some((24, 80));
    let owner = launcher.start(&plan, &[]);
    let (event, fds) = owner.next();
    assert_eq!(fds.len(), 1, "{event:?}");
    let connection = Connection::to(&launcher.control(), &plan.id);
    let (out, out_w) = pipe();
    let exec = Exec {
        args: ["sh", "-c", "id -u; hostname"].map(str::to_owned).to_vec(),
        stdio: [false, true, false],
        ..Exec::default()
    };
    connection.send(&Request::Exec(Box::new(exec)), &[out_w.as_fd()]);
    drop(out_w);
    connection.started();
    assert_eq!(read_all(out), b"0\ntest\n");
    assert_eq!(connection.exited().code, 0);
    owner.send(&Request::Kill { signal: 9 }, &[]);
    owner.done();
    assert_eq!(owner.exited().signal, 9);
}

#[test]
fn its_end_is_the_containers() {
    if !may_run() {
        return;
    }
    let launcher = launcher(single(), USER);
    let mut plan = plan(&launcher, "sleep 1000");
    plan.stdio = Stdio::Direct([None; 3]);
    let owner = launcher.start(&plan, &[]);
    let pid = owner.started().pid;
    common::kill(launcher.pid, 9);
    eventually("the container's end", || !is_alive(pid));
}

#[test]
fn ranges_come_from_newuidmap() {
    if !may_run() {
        return;
    }
    let tools = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];
    if !tools.iter().all(|t| std::path::Path::new(t).exists()) {
        eprintln!("passed over: no newuidmap");
        return;
    }
    // The tools see files in which the user exists and is granted a range.
    let files = common::Scratch::new();
    let mut mounts = Vec::new();
    for (name, content) in [
        ("passwd", format!("root:x:0:0::/root:/bin/sh\ntester:x:{USER}:{USER}::/:/bin/sh\n")),
        ("group", format!("root:x:0:\ntester:x:{USER}:\n")),
        ("subuid", "tester:700000:65535\n".to_owned()),
        ("subgid", "tester:700000:65535\n".to_owned()),
    ] {
        let path = files.0.join(name);
        std::fs::write(&path, content).unwrap();
        let target = std::path::Path::new("/etc").join(name);
        if target.exists() {
            let text = |p: &std::path::Path| std::ffi::CString::new(p.to_str().unwrap()).unwrap();
            mounts.push((text(&path), text(&target)));
        }
    }
    let map = vec![
        IdMap { inside: 0, outside: USER, count: 1 },
        IdMap { inside: 1, outside: 700_000, count: 65_535 },
    ];
    let maps = IdMaps { uids: map.clone(), gids: map, tools: Some((tools[0].into(), tools[1].into())) };
    let launcher = launcher_as(maps, USER, move |command| {
        // SAFETY: only system calls, with strings that are ready.
        unsafe {
            command.pre_exec(move || enter_user(&mounts));
        }
    });
    let mut plan = plan(&launcher, "id -u; id -G; touch /tmp/x; stat -c %u:%g /tmp/x");
    plan.process.user = "1000:1000".into();
    for step in &mut plan.steps {
        if let Step::Mount(m) = step
            && m.fstype == "devpts"
        {
            m.options.push(("gid".into(), Some("5".into())));
        }
    }
    std::fs::set_permissions(launcher.scratch.0.join("rootfs/tmp"), PermissionsExt::from_mode(0o1777))
        .unwrap();
    let (_, out, err) = launcher.run(&plan).unwrap();
    assert_eq!(out, "1000\n1000\n1000:1000\n", "{err}");
    // Its files belong to an id that only the launcher can delete.
    eventually("deletion", || !plan.keep.delete[0].as_path().exists());
}

/// In a child: a mount namespace with other files in `/etc`, then the user.
fn enter_user(mounts: &[(std::ffi::CString, std::ffi::CString)]) -> std::io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
    // SAFETY: the child has one thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)? };
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    for (source, target) in mounts {
        mount_bind(source.as_c_str(), target.as_c_str())?;
    }
    let id = (rustix::process::Uid::from_raw(USER), rustix::process::Gid::from_raw(USER));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(id.1, id.1, id.1)?;
    rustix::thread::set_thread_res_uid(id.0, id.0, id.0)?;
    Ok(())
}
