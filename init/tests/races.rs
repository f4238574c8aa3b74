//! What is swapped while it is used, and what tries to look out of a container while others come in.

mod common;

use common::{Connection, Launcher, pipe, plans, read_all, root};
use containers_protocol::control::{Exec, Request};
use containers_protocol::plan::{Bind, Stdio, Step};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts while mount points are swapped.
const TRIES: usize = 150;

/// Swaps `at` between a folder and a link that leads out, until it is told to stop.
fn swap(at: &Path, outside: &Path, stop: &AtomicBool) {
    let (folder, link) = (at.with_extension("folder"), at.with_extension("link"));
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    symlink(outside, &link).unwrap();
    while !stop.load(Ordering::Relaxed) {
        for one in [&folder, &link] {
            // While it was away, a start may have made the mount point.
            while std::fs::rename(one, at).is_err() {
                let _ = std::fs::remove_dir_all(at);
            }
            std::thread::yield_now();
            std::fs::rename(at, one).unwrap();
        }
    }
}

#[test]
fn mount_points_that_are_swapped_stay_inside() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let volume = launcher.scratch.0.join("volume");
    let outside = launcher.scratch.0.join("outside");
    std::fs::create_dir_all(&volume).unwrap();
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    std::fs::write(outside.join("file"), "canary").unwrap();
    let before = std::fs::metadata(&outside).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&volume.join("x"), &outside, &stop));
        let mut started = 0;
        for _ in 0..TRIES {
            let mut plan = plans::shell(&rootfs, &launcher.scratch.0, "true");
            let at = plan.steps.iter().position(|s| matches!(s, Step::Mask(_))).unwrap();
            let bind = Bind {
                source: volume.as_path().into(),
                identity: None,
                target: "/volume".into(),
                attr: 0,
                recursive: true,
                propagation: 0,
                attr_recursive: 0,
            };
            let steps = [
                Step::Bind(bind),
                plans::tmpfs("/volume/x/sub"),
                Step::File { path: "/volume/x/file".into(), content: "text".into(), mode: 0o644 },
                Step::Mask(vec!["/volume/x/file".into()]),
            ];
            for step in steps.into_iter().rev() {
                plan.steps.insert(at, step);
            }
            // It works, or says what it was that did not.
            match launcher.run(&plan) {
                Ok(_) => started += 1,
                Err(failed) => assert!(!failed.step.is_empty() && failed.errno != 0, "{failed:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        println!("{started} of {TRIES} started");
    });
    let names: Vec<_> = std::fs::read_dir(&outside).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(std::fs::read(outside.join("file")).unwrap(), b"canary");
    assert_eq!(std::fs::read_dir(outside.join("sub")).unwrap().count(), 0);
    assert_eq!(std::fs::metadata(&outside).unwrap().ctime_nsec(), before.ctime_nsec());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(outside.to_str().unwrap()));
}

#[test]
fn who_comes_in_can_not_be_looked_into() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    // Looks at every process that is not a program of the image, as long as it lasts.
    let script = "while [ ! -e /tmp/stop ]; do for p in /proc/[0-9]*; do \
                  case $(readlink $p/exe) in ''|/bin/busybox) ;; *) echo exe $(readlink $p/exe); \
                  echo x 2>/dev/null >> $p/exe && echo written ;; esac; \
                  for f in $p/fd/*; do case $(readlink $f) in \
                  ''|/dev/*|/proc*|/tmp/*|pipe:*|/|anon_inode*) ;; *) echo fd $f $(readlink $f);; esac; done; \
                  case $(readlink $p/cwd) in ''|/*) ;; *) echo cwd $(readlink $p/cwd);; esac; \
                  done; done; echo over";
    let plan = plans::shell(&rootfs, &launcher.scratch.0, script);
    let (out, out_w) = pipe();
    let owner = launcher.start(&plan, &[out_w.as_fd(), out_w.as_fd()]);
    drop(out_w);
    owner.started();
    let all = std::thread::spawn(move || read_all(out));
    for _ in 0..40 {
        assert_eq!(exec(&launcher, &plan.id, &["true"]), 0);
    }
    // The container may end, and take this one with it, as soon as the file is there.
    exec(&launcher, &plan.id, &["touch", "/tmp/stop"]);
    let said = String::from_utf8(all.join().unwrap()).unwrap();
    assert_eq!(said.lines().filter(|l| !l.contains("No such")).collect::<Vec<_>>(), ["over"]);
    assert_eq!(owner.exited().code, 0);
}

/// The exit code.
fn exec(launcher: &Launcher, id: &str, args: &[&str]) -> i32 {
    let connection = Connection::to(&launcher.control(), id);
    let args = args.iter().map(|a| (*a).to_owned()).collect();
    connection.send(&Request::Exec(Box::new(Exec { args, ..Exec::default() })), &[]);
    connection.started();
    connection.exited().code
}

#[test]
fn capabilities_of_further_processes_are_those_of_the_container() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["sleep", "1000"]);
    plan.stdio = Stdio::Direct([None; 3]);
    let owner = launcher.start(&plan, &[]);
    owner.started();
    let (out, out_w) = pipe();
    let connection = Connection::to(&launcher.control(), &plan.id);
    let args = ["grep", "-E", "^(Cap|NoNewPrivs|Seccomp:)", "/proc/self/status"].map(str::to_owned).to_vec();
    let exec = Exec { args, stdio: [false, true, false], ..Exec::default() };
    connection.send(&Request::Exec(Box::new(exec)), &[out_w.as_fd()]);
    drop(out_w);
    connection.started();
    let status = String::from_utf8(read_all(out)).unwrap();
    let (caps, none) = (format!("{:016x}", plans::CAPS), "0000000000000000");
    let wanted = format!(
        "CapInh:\t{none}\nCapPrm:\t{caps}\nCapEff:\t{caps}\nCapBnd:\t{caps}\nCapAmb:\t{none}\n\
         NoNewPrivs:\t1\nSeccomp:\t2\n"
    );
    assert_eq!(status, wanted);
}
