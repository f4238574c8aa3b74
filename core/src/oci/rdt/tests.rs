use super::*;
use serde_json::json;

/// A folder that looks like resctrl: what the kernel would make in a new group is not there.
struct Resctrl(PathBuf);

impl Resctrl {
    fn new(name: &str) -> Resctrl {
        let root = std::env::temp_dir().join(format!("containers-resctrl-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("mon_groups")).unwrap();
        fs::create_dir_all(root.join("info")).unwrap();
        fs::write(root.join("schemata"), "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n").unwrap();
        fs::write(root.join("info/last_cmd_status"), "ok\n").unwrap();
        Resctrl(root)
    }

    /// A class of service that somebody has made.
    fn class(&self, name: &str, schemata: &str) -> PathBuf {
        let dir = self.0.join(name);
        fs::create_dir_all(dir.join("mon_groups")).unwrap();
        fs::write(dir.join("schemata"), schemata).unwrap();
        dir
    }

    fn make(&self, rdt: serde_json::Value) -> Result<Group> {
        let rdt = serde_json::from_value(rdt).unwrap();
        let group = Group::planned(&rdt, "c1", &self.0);
        group.make(&rdt).map(|()| group)
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_container_without_a_class_gets_its_own_and_takes_it_away() {
    let resctrl = Resctrl::new("own");
    let group = resctrl
        .make(
            json!({"l3CacheSchema": "L3:0=7f0", "memBwSchema": "MB:0=20", "schemata": ["L2:0=f", "MB:0=30"]}),
        )
        .unwrap();
    let dir = resctrl.0.join("c1");
    assert_eq!(fs::read_to_string(dir.join("schemata")).unwrap(), "L3:0=7f0\nMB:0=20\nL2:0=f\nMB:0=30\n");
    group.change(&["MB:0=40"]).unwrap();
    assert_eq!(fs::read_to_string(dir.join("schemata")).unwrap(), "MB:0=40\n");
    group.enter(77).unwrap();
    assert_eq!(fs::read_to_string(dir.join("tasks")).unwrap(), "77");
    // The kernel's files go with the folder; these don't.
    fs::remove_file(dir.join("schemata")).unwrap();
    fs::remove_file(dir.join("tasks")).unwrap();
    group.delete().unwrap();
    assert!(!dir.exists());
    group.delete().unwrap();
}

#[test]
fn a_folder_that_was_there_stays() {
    let resctrl = Resctrl::new("there");
    let dir = resctrl.class("c1", "");
    let group = resctrl.make(json!({})).unwrap();
    group.delete().unwrap();
    assert!(dir.exists());
}

#[test]
fn a_class_of_service_is_made_or_joined_and_never_removed() {
    let resctrl = Resctrl::new("class");
    let group = resctrl.make(json!({"closID": "fast", "schemata": ["L3:0=f"]})).unwrap();
    group.delete().unwrap();
    assert!(resctrl.0.join("fast").is_dir());
    let joined = resctrl.make(json!({"closID": "fast"})).unwrap();
    assert_eq!(joined, group);
    let root = resctrl.make(json!({"closID": "/"})).unwrap();
    assert_eq!(root.dir, resctrl.0);
    assert!(!root.own);
    // Nothing is said about what it has, so nothing is written.
    assert!(fs::read_to_string(resctrl.0.join("schemata")).unwrap().contains("fffff"));
    let missing = resctrl.make(json!({"closID": "none"})).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::PathNotFound);
    assert!(missing.to_string().contains("linux.intelRdt.closID"), "{missing}");
}

#[test]
fn a_class_that_exists_has_to_be_what_is_said_of_it() {
    let resctrl = Resctrl::new("compare");
    resctrl.class("fast", "    MB:0=100;1= 70\n    L3:0=007f0;1=0001f\n");
    for same in [
        json!({"closID": "fast", "l3CacheSchema": "L3:0=7f0;1=1f"}),
        json!({"closID": "fast", "l3CacheSchema": "L3:01=01F"}),
        json!({"closID": "fast", "memBwSchema": "MB:1=70", "l3CacheSchema": "L3:0=7f0"}),
    ] {
        let text = same.to_string();
        resctrl.class("fast", "    MB:0=100;1= 70\n    L3:0=007f0;1=0001f\n");
        resctrl.make(same).expect(&text);
    }
    resctrl.class("fast", "    MB:0=100;1= 70\n    L3:0=007f0;1=0001f\n");
    for (other, field) in [
        (json!({"closID": "fast", "l3CacheSchema": "L3:0=ff"}), "l3CacheSchema"),
        (json!({"closID": "fast", "l3CacheSchema": "L3:2=ff"}), "l3CacheSchema"),
        (json!({"closID": "fast", "l3CacheSchema": "L3CODE:0=7f0"}), "l3CacheSchema"),
        (json!({"closID": "fast", "memBwSchema": "MB:1=10"}), "memBwSchema"),
    ] {
        let e = resctrl.make(other).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert!(e.to_string().contains(field), "{e}");
    }
}

#[test]
fn a_monitoring_group_is_the_containers_own() {
    let resctrl = Resctrl::new("monitor");
    let dir = resctrl.class("fast", "    L3:0=ff\n");
    let group = resctrl.make(json!({"closID": "fast", "enableMonitoring": true})).unwrap();
    let monitor = dir.join("mon_groups/c1");
    group.enter(78).unwrap();
    assert_eq!(fs::read_to_string(monitor.join("tasks")).unwrap(), "78");
    let domain = monitor.join("mon_data/mon_L3_00");
    fs::create_dir_all(&domain).unwrap();
    fs::write(domain.join("llc_occupancy"), "4096\n").unwrap();
    fs::write(domain.join("mbm_total_bytes"), "Unavailable\n").unwrap();
    fs::write(domain.join("mbm_local_bytes"), "7\n").unwrap();
    assert_eq!(
        group.stats(&resctrl.0).unwrap(),
        json!({
            "l3_cache_schema": "L3:0=ff", "l3_cache_schema_root": "L3:0=fffff;1=fffff",
            "mem_bw_schema_root": "MB:0=100;1=100", "schemata": ["L3:0=ff"],
            "mbm_stats": [{"mbm_local_bytes": 7}], "cmt_stats": [{"llc_occupancy": 4096}],
        })
    );
    fs::remove_dir_all(&domain).unwrap();
    fs::remove_dir_all(monitor.join("mon_data")).unwrap();
    fs::remove_file(monitor.join("tasks")).unwrap();
    group.delete().unwrap();
    assert!(dir.exists() && !monitor.exists());
}

#[test]
fn the_kernels_reason_is_in_the_error() {
    let resctrl = Resctrl::new("reason");
    fs::write(resctrl.0.join("info/last_cmd_status"), "Out of CLOSIDs\n").unwrap();
    fs::remove_dir(resctrl.0.join("mon_groups")).unwrap();
    let e = resctrl.make(json!({"closID": "/", "enableMonitoring": true})).unwrap_err();
    assert!(e.to_string().contains("Out of CLOSIDs") && e.to_string().contains(FIELD), "{e}");
}

#[test]
fn it_is_found_where_it_is_mounted() {
    let mounts = "22 1 0:20 / /proc rw - proc proc rw\n30 1 0:30 / /run/a\\040b rw - resctrl resctrl rw\n";
    assert_eq!(point_of(mounts).unwrap(), Path::new("/run/a b"));
    assert_eq!(point_of("22 1 0:20 / /resctrl rw - proc proc rw\n"), None);
}
