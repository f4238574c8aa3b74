//! Broken and ambiguous documents.

use super::*;

const GOOD: &str = r#"{"ociVersion":"1.2.0","root":{"path":"rootfs"},"process":{"user":{"uid":0,"gid":0},"cwd":"/","args":["sh"]}}"#;

fn context(e: &Error, key: &str) -> String {
    e.context().iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone()).unwrap_or_default()
}

#[test]
fn a_minimal_document_is_read() {
    let spec = parse(GOOD.as_bytes(), &|_| {}).unwrap();
    assert_eq!(spec.process().as_ref().unwrap().args().as_ref().unwrap(), &["sh"]);
    // Unknown properties are allowed, and a null is absent.
    let with_more = GOOD.replace(r#""root""#, r#""some.new":[1.5,{"a":null}],"mounts":null,"root""#);
    assert!(parse(with_more.as_bytes(), &|_| {}).unwrap().mounts().is_none());
}

#[test]
fn broken_documents_are_refused_with_their_place() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = GOOD.replacen('{', &format!(r#"{{"annotations":{{"x":{deep}}},"#), 1);
    let cases: &[(&str, String, &str, &str)] = &[
        ("byte order mark", format!("\u{feff}{GOOD}"), "", "0"),
        ("empty", String::new(), "(document)", "0"),
        ("not an object", "[]".into(), "(document)", ""),
        ("truncated", GOOD[..60].into(), "process", "59"),
        ("trailing text", format!("{GOOD} x"), "(document)", &(GOOD.len() + 1).to_string()),
        ("duplicate", GOOD.replace(r#""cwd""#, r#""cwd":"/x","cwd""#), "process.cwd", ""),
        ("duplicate null", GOOD.replace(r#""cwd""#, r#""cwd":null,"cwd""#), "process.cwd", ""),
        ("nested", nested, "annotations.x[0]", ""),
        ("NUL", GOOD.replace("sh", "s\\u0000h"), "process.args[0]", ""),
        ("NUL in a key", GOOD.replace("cwd", "c\\u0000d"), "process.c", ""),
        ("wrong type", GOOD.replace(r#""uid":0"#, r#""uid":"root""#), "process.user.uid", ""),
        ("negative id", GOOD.replace(r#""uid":0"#, r#""uid":-1"#), "process.user.uid", ""),
        ("too big id", GOOD.replace(r#""uid":0"#, r#""uid":4294967296"#), "process.user.uid", ""),
        ("missing", GOOD.replace(r#""cwd":"/","#, ""), "process", ""),
        ("control character", GOOD.replace("sh", "s\nh"), "process.args[0]", ""),
    ];
    for (name, text, field, offset) in cases {
        let e = parse(text.as_bytes(), &|_| {}).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{name}: {e}");
        assert!(context(&e, "field").starts_with(field), "{name}: {e}");
        if !offset.is_empty() {
            assert_eq!(&context(&e, "offset"), offset, "{name}: {e}");
        }
        assert!(e.to_string().len() < 1000, "{name}");
    }
}

#[test]
fn unknown_values_of_enumerations_name_their_place() {
    let cases = [
        (r#""linux":{"namespaces":[{"type":"pid"},{"type":"moon"}]}"#, "linux.namespaces[1].type"),
        (r#""linux":{"devices":[{"type":"z","path":"/dev/x"}]}"#, "linux.devices[0].type"),
        (r#""linux":{"seccomp":{"defaultAction":"SCMP_ACT_MAYBE"}}"#, "linux.seccomp.defaultAction"),
        (r#""linux":{"personality":{"domain":"BSD"}}"#, "linux.personality.domain"),
        (r#""linux":{"memoryPolicy":{"mode":"MPOL_NONE"}}"#, "linux.memoryPolicy.mode"),
    ];
    for (part, field) in cases {
        let text = GOOD.replacen('{', &format!("{{{part},"), 1);
        let e = parse(text.as_bytes(), &|_| {}).unwrap_err();
        assert_eq!(context(&e, "field"), field, "{e}");
    }
    let process = [
        (r#""rlimits":[{"type":"RLIMIT_MOON","hard":1,"soft":1}]"#, "process.rlimits[0].type"),
        (r#""scheduler":{"policy":"SCHED_LATER"}"#, "process.scheduler.policy"),
        (r#""ioPriority":{"class":"IOPRIO_CLASS_BEST","priority":1}"#, "process.ioPriority.class"),
        (r#""execCPUAffinity":{"initial":"a-b"}"#, "process.execCPUAffinity.initial"),
    ];
    for (part, field) in process {
        let text = GOOD.replace(r#""cwd""#, &format!(r#"{part},"cwd""#));
        let e = parse(text.as_bytes(), &|_| {}).unwrap_err();
        assert_eq!(context(&e, "field"), field, "{e}");
    }
}

#[test]
fn the_scheduler_flag_is_known_by_the_name_of_the_specification() {
    let part = r#""scheduler":{"policy":"SCHED_DEADLINE","flags":["SCHED_FLAG_DL_OVERRUN"]},"cwd""#;
    let spec = parse(GOOD.replace(r#""cwd""#, part).as_bytes(), &|_| {}).unwrap();
    let scheduler = spec.process().as_ref().unwrap().scheduler().as_ref().unwrap();
    assert_eq!(
        scheduler.flags().as_ref().unwrap(),
        &[oci_spec::runtime::LinuxSchedulerFlag::SchedFlagDLOverrun]
    );
}

#[test]
fn files_that_are_no_configuration() {
    let dir = std::env::temp_dir().join(format!("containers-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(NAME);
    assert_eq!(load(&dir, &|_| {}).unwrap_err().kind(), ErrorKind::PathNotFound);
    std::fs::write(&path, vec![b' '; (MAX_SIZE + 1) as usize]).unwrap();
    assert_eq!(load(&dir, &|_| {}).unwrap_err().kind(), ErrorKind::LimitExceeded);
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(load(&dir, &|_| {}).unwrap_err().kind(), ErrorKind::InvalidArgument);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let e = load(&dir, &|_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    assert!(e.to_string().contains("config.json"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, GOOD).unwrap();
    load(&dir, &|_| {}).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn an_unknown_capability_is_warned_of_and_left_out() {
    let part = r#""capabilities":{"bounding":["CAP_CHOWN","CAP_MOON"],"permitted":["CAP_SUN"]},"cwd""#;
    let text = GOOD.replace(r#""cwd""#, part);
    let warnings = std::cell::RefCell::new(Vec::new());
    let spec = parse(text.as_bytes(), &|w| warnings.borrow_mut().push(w.to_owned())).unwrap();
    let sets = spec.process().clone().unwrap().capabilities().clone().unwrap();
    assert_eq!(sets.bounding().as_ref().unwrap().len(), 1);
    assert!(sets.permitted().as_ref().unwrap().is_empty());
    let warnings = warnings.into_inner();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("process.capabilities.bounding: there is no \"CAP_MOON\""),
        "{warnings:?}"
    );
}

#[test]
fn a_process_without_a_user_is_roots() {
    let process = parse_process(br#"{"args":["true"],"cwd":"/"}"#, &|_| {}).unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (0, 0));
}

#[test]
fn a_key_twice_among_many_is_found() {
    for count in [2, 31, 32, 33, 34, 100_000] {
        let mut all: Vec<String> = (0..count).map(|i| format!(r#""k{i}":null"#)).collect();
        let text = |all: &[String]| GOOD.replacen('{', &format!(r#"{{"x":{{{}}},"#, all.join(",")), 1);
        parse(text(&all).as_bytes(), &|_| {}).unwrap();
        // Escapes don't make another key of it.
        for (again, key) in [(r#""k1":1"#, "x.k1"), (r#""\u006b0":1"#, "x.k0")] {
            all.push(again.into());
            let e = parse(text(&all).as_bytes(), &|_| {}).unwrap_err();
            assert_eq!(context(&e, "field"), key, "{count}: {e}");
            all.pop();
        }
    }
}

#[test]
fn an_object_is_no_list_of_its_values() {
    for (from, to, field) in [
        (r#""user":{"uid":0,"gid":0}"#, r#""user":[0,0]"#, "process.user"),
        (r#""root":{"path":"rootfs"}"#, r#""root":["rootfs"]"#, "root"),
        (r#""args":["sh"]"#, r#""args":{"0":"sh"}"#, "process.args"),
        (r#""cwd":"/""#, r#""cwd":"/","rlimits":[{"type":{"RLIMIT_CPU":null}}]"#, "process.rlimits[0].type"),
    ] {
        let e = parse(GOOD.replace(from, to).as_bytes(), &|_| {}).unwrap_err();
        assert_eq!((e.kind(), context(&e, "field").as_str()), (ErrorKind::InvalidArgument, field), "{e}");
    }
}

#[test]
fn resources_alone_are_read_as_strictly() {
    let limits = parse_resources(br#"{"pids":{"limit":3},"memory":null,"cpu":{"cpus":"\u0030"}}"#).unwrap();
    assert_eq!(limits.cpu().as_ref().unwrap().cpus().as_deref(), Some("0"));
    assert!(limits.memory().is_none());
    for (text, field) in [
        (r#"{"pids":{"limit":"x"}}"#, "pids.limit"),
        (r#"{"pids":{"limit":1,"limit":2}}"#, "pids.limit"),
        (r#"{"devices":[{"allow":true},{"allow":1}]}"#, "devices[1].allow"),
        ("[]", "(document)"),
    ] {
        let e = parse_resources(text.as_bytes()).unwrap_err();
        assert_eq!((e.kind(), context(&e, "field").as_str()), (ErrorKind::InvalidArgument, field), "{e}");
    }
}
