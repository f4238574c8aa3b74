//! A user namespace for one container, as root.

mod common;

use common::{Launcher, plans, root};
use containers_protocol::plan::{IdMap, IdMaps, Plan, Step};

fn plan(launcher: &Launcher, script: &str) -> Plan {
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    let mut plan = plans::shell(&rootfs, &launcher.scratch.0, script);
    let map = vec![IdMap { inside: 0, outside: 800_000, count: 65_536 }];
    plan.id_maps = Some(IdMaps { uids: map.clone(), gids: map, tools: None });
    plan.namespaces |= libc::CLONE_NEWUSER as u64;
    plan
}

#[test]
fn root_inside_is_nobody_outside() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let script = "id -u; cat /proc/self/uid_map | tr -s ' '; stat -c %u /etc/passwd; touch /made && stat -c %u /made; \
                  echo x > /dev/null; ls /proc/self/fd | wc -l";
    let (record, out, err) = launcher.run(&plan(&launcher, script)).unwrap();
    assert_eq!((record.code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "0\n 0 800000 65536\n0\n0\n4\n");
    let mut as_user = plan(&launcher, "id -u; touch /tmp/x; stat -c %u /tmp/x");
    as_user.process.user = "me".into();
    assert!(launcher.run(&as_user).unwrap().1.starts_with("1000\n"));
}

#[test]
fn its_own_cgroups_are_shown_there_too() {
    if !root() || common::is_v2() {
        return;
    }
    let launcher = Launcher::new();
    for _ in 0..2 {
        let mut plan =
            plan(&launcher, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; mount | grep -c ' cgroup (ro'");
        let at = plan.steps.iter().position(|s| matches!(s, Step::Mask(_))).unwrap();
        plan.steps.insert(at, Step::OwnCgroups { attr: libc::MOUNT_ATTR_RDONLY });
        let (_, out, err) = launcher.run(&plan).unwrap();
        assert_eq!(out, "268435456\n2\n", "{err}");
    }
}
