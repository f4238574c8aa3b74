//! What entries become.

use super::build::{Item, archive};
use super::{Place, is_root, names, request};
use rustix::fs::{getxattr, lgetxattr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

fn opaque(path: &Path) -> bool {
    let name = if is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut value = [0u8; 8];
    getxattr(path, name, &mut value).is_ok_and(|n| &value[..n] == b"y")
}

fn whiteout(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

#[test]
fn modes_times_and_owners() {
    let place = Place::new();
    let mut setuid = Item::file("setuid", "x");
    setuid.mode(0o4755).octal(108..116, 1234).octal(116..124, 4321);
    let mut sticky = Item::dir("tmp");
    sticky.mode(0o1777);
    let mut setgid = Item::dir("setgid");
    setgid.mode(0o2775).octal(116..124, 77);
    let mut inside = Item::file("setgid/inside", "");
    inside.mode(0o600);
    let mut inner = Item::dir("setgid/dir");
    inner.mode(0o700);
    let mut old = Item::file("old", "");
    old.bytes(136, &[0xff; 12]); // base 256: -1
    let fraction = Item::pax(&[("mtime", "-1.25")]);
    let mut root = Item::dir("./");
    root.mode(0o555);
    let mut late = Item::dir("late");
    late.octal(136..148, 12345);
    let items = [
        root,
        setuid,
        sticky,
        setgid,
        inside,
        inner,
        old,
        fraction,
        Item::file("older", ""),
        Item::symlink("link", "x"),
        late,
        Item::file("late/a", ""),
        Item::dir("other"),
        Item::file("late/b", ""),
        Item::hard("late/c", "late/b"),
        Item::file("late/b", "new"),
    ];
    place.unpack(&request(), &archive(&items)).unwrap();
    let meta = |name: &str| place.tree().join(name).symlink_metadata().unwrap();
    assert_eq!(meta("").mode() & 0o7777, 0o555);
    assert_eq!(meta("setuid").mode() & 0o7777, 0o4755);
    assert_eq!(meta("tmp").mode() & 0o7777, 0o1777);
    assert_eq!(meta("setgid").mode() & 0o7777, 0o2775);
    assert_eq!(meta("setgid/inside").mode() & 0o7777, 0o600);
    assert_eq!(meta("setgid/dir").mode() & 0o7777, 0o700);
    if is_root() {
        assert_eq!((meta("setuid").uid(), meta("setuid").gid()), (1234, 4321));
        assert_eq!((meta("setgid").gid(), meta("setgid/inside").gid(), meta("setgid/dir").gid()), (77, 0, 0));
    }
    assert_eq!((meta("old").mtime(), meta("old").mtime_nsec()), (-1, 0));
    assert_eq!((meta("older").mtime(), meta("older").mtime_nsec()), (-2, 750_000_000));
    for name in ["", "setuid", "tmp", "link", "setgid", "setgid/dir"] {
        assert_eq!(meta(name).mtime(), 1_000_000_000, "{name}");
    }
    assert_eq!(meta("late").mtime(), 12345);
    assert_eq!(meta("late/c").nlink(), 1);
    assert_eq!(std::fs::read_to_string(place.tree().join("late/b")).unwrap(), "new");
}

#[test]
fn the_last_of_two_entries_with_one_name_wins() {
    let place = Place::new();
    let items = [
        Item::file("f", "old"),
        Item::hard("g", "f"),
        Item::file("f", "new"),
        Item::dir("d"),
        Item::file("d/x", ""),
        Item::dir("d/y"),
        Item::file("d/y/z", ""),
        Item::file("d", "file"),
        Item::file("e", ""),
        Item::dir("e"),
        Item::file("e/inside", ""),
        Item::dir("kept"),
        Item::file("kept/x", ""),
        Item::dir("./kept/"),
        Item::dir("s"),
        Item::symlink("s", "kept"),
        Item::file("s/through", ""),
        Item::file("h", ""),
        Item::hard("h", "./h"),
        Item::file("Case", "1"),
        Item::file("case", "2"),
    ];
    place.unpack(&request(), &archive(&items)).unwrap();
    let read = |name: &str| std::fs::read_to_string(place.tree().join(name)).unwrap();
    assert_eq!((read("f"), read("g"), read("d")), ("new".into(), "old".into(), "file".into()));
    assert_eq!((read("Case"), read("case")), ("1".into(), "2".into()));
    let all = names(&place.tree());
    assert_eq!(
        all,
        ["Case", "case", "d", "e", "e/inside", "f", "g", "h", "kept", "kept/through", "kept/x", "s"]
    );
}

#[test]
fn whiteouts_act_on_the_layers_below_only() {
    let place = Place::new();
    let items = [
        Item::file("a/.wh.gone", ""),
        // Before and after an entry of the same name: the entry stays.
        Item::file("a/.wh.first", ""),
        Item::file("a/first", "here"),
        Item::file("a/second", "here"),
        Item::file("a/.wh.second", ""),
        // A folder that is there again does not show the one below.
        Item::file(".wh.again", ""),
        Item::dir("again"),
        Item::file("again/x", ""),
        Item::dir("anew"),
        Item::file("anew/x", ""),
        Item::file(".wh.anew", ""),
        Item::file(".wh.implied", ""),
        Item::file("implied/deep/x", ""),
        // Opaque before and after its siblings.
        Item::file("o/.wh..wh..opq", ""),
        Item::file("o/x", ""),
        Item::dir("p"),
        Item::file("p/x", ""),
        Item::file("p/.wh..wh..opq", ""),
        Item::file(".wh..wh.plnk/1.2", "aufs"),
        Item::hard("b/.wh.hard", ".wh..wh.aufs"),
    ];
    let unpacked = place.unpack(&request(), &archive(&items)).unwrap();
    let at = |name: &str| place.tree().join(name);
    assert!(whiteout(&at("a/gone")) && whiteout(&at("b/hard")));
    for name in ["a/first", "a/second", "again/x", "anew/x", "o/x", "p/x"] {
        assert!(at(name).is_file(), "{name}");
    }
    for name in ["again", "anew", "implied", "o", "p"] {
        assert!(opaque(&at(name)), "{name}");
    }
    assert!(!opaque(&at("a")));
    assert!(!unpacked.opaque_root);
    assert_eq!(unpacked.skipped, 1);
    let implied: Vec<String> = unpacked.implied.iter().map(|b| b.to_text()).collect();
    assert_eq!(implied, ["", "a", "b", "implied", "implied/deep", "o"]);
    assert!(!names(&place.tree()).iter().any(|n| n.contains(".wh.")));

    let place = Place::new();
    assert!(place.unpack(&request(), &archive(&[Item::file(".wh..wh..opq", "")])).unwrap().opaque_root);
    let mut import = request();
    import.whiteouts = false;
    for name in [".wh.a", ".wh..wh..opq"] {
        let place = Place::new();
        let failure = place.unpack(&import, &archive(&[Item::file(name, "")])).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.path.as_str()), ("corrupt", name));
    }
    let place = Place::new();
    let failure = place.unpack(&request(), &archive(&[Item::dir(".wh.a")])).unwrap_err();
    assert!(failure.detail.contains("whiteout"), "{failure:?}");
}

#[test]
fn special_files() {
    let items = [
        Item::device(b'3', "dev/null", 1, 3),
        Item::device(b'4', "dev/sda", 8, 0),
        Item::new(b'6', "dev/fifo"),
        Item::file("after", ""),
    ];
    let place = Place::new();
    let mut rootless = request();
    rootless.rootless = true;
    let unpacked = place.unpack(&rootless, &archive(&items)).unwrap();
    assert_eq!(unpacked.skipped, 2);
    assert_eq!(names(&place.tree()), ["after", "dev", "dev/fifo"]);
    if is_root() {
        let place = Place::new();
        let unpacked = place.unpack(&request(), &archive(&items)).unwrap();
        // Root may lack the right to make devices.
        if unpacked.skipped == 0 {
            assert_eq!(
                place.tree().join("dev/null").symlink_metadata().unwrap().rdev(),
                rustix::fs::makedev(1, 3)
            );
        }
    }
    let place = Place::new();
    let failure = place.unpack(&request(), &archive(&[Item::device(b'3', "w", 0, 0)])).unwrap_err();
    assert!(failure.detail.contains("whiteout"), "{failure:?}");
}

#[test]
fn attributes() {
    for name in ["trusted.overlay.opaque", "user.overlay.redirect", "trusted.overlay.overlay.x"] {
        let place = Place::new();
        let pax = Item::pax(&[(&format!("SCHILY.xattr.{name}"), "y")]);
        let failure = place.unpack(&request(), &archive(&[pax, Item::dir("d")])).unwrap_err();
        assert!(failure.detail.contains(name), "{failure:?}");
        assert_eq!(failure.path, "d");
    }
    let place = Place::new();
    let pax = |key: &str, value: &str| Item::pax(&[(&format!("SCHILY.xattr.{key}"), value)]);
    let capability = "\u{1}\0\0\u{2}\0\u{4}\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let items = [
        pax("user.a", "1\n2"),
        Item::file("f", ""),
        pax("user.a", "dir"),
        Item::dir("d"),
        pax("user.a", "link"),
        Item::symlink("l", "f"),
        pax("security.selinux", "label"),
        Item::file("s", ""),
        pax("system.posix_acl_access", "junk"),
        Item::file("acl", ""),
        pax("security.capability", capability),
        Item::file("cap", ""),
    ];
    place.unpack(&request(), &archive(&items)).unwrap();
    let read = |name: &str, key: &str| {
        let mut value = [0u8; 64];
        lgetxattr(place.tree().join(name), key, &mut value)
            .map(|n| String::from_utf8_lossy(&value[..n]).into_owned())
    };
    assert_eq!(read("f", "user.a").unwrap(), "1\n2");
    assert_eq!(read("d", "user.a").unwrap(), "dir");
    assert!(read("l", "user.a").is_err() && read("s", "security.selinux").is_err());
    if is_root() {
        assert!(read("cap", "security.capability").is_ok());
        let place = Place::new();
        let bad = [pax("security.capability", "x"), Item::file("cap", "")];
        assert!(place.unpack(&request(), &archive(&bad)).unwrap_err().detail.contains("capabilities"));
    }
}

#[test]
fn limits_are_kept_while_streaming() {
    let place = Place::new();
    let mut few = request();
    few.max_entries = 3;
    let failure = place.unpack(&few, &archive(&[Item::file("a/b/c/d", "")])).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.path.as_str()), ("limit_exceeded", "a/b/c/d"));
    let place = Place::new();
    let mut small = request();
    small.max_bytes = 10;
    let items = [Item::file("a", "12345"), Item::file("b", "123456")];
    let failure = place.unpack(&small, &archive(&items)).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.path.as_str()), ("limit_exceeded", "b"));
    assert_eq!(names(&place.tree()), ["a"]);
}

#[test]
fn long_and_deep_names() {
    let place = Place::new();
    let deep = vec!["d"; 1000].join("/");
    let long = vec!["x".repeat(255); 15].join("/") + "/" + &"y".repeat(200);
    let items = [
        Item::long(b'L', format!("{deep}/file").as_bytes()),
        Item::file("x", "deep"),
        Item::pax(&[("path", &long)]),
        Item::file("x", "long"),
    ];
    place.unpack(&request(), &archive(&items)).unwrap();
    assert_eq!(std::fs::read_to_string(place.tree().join(deep).join("file")).unwrap(), "deep");
    assert_eq!(names(&place.tree()).len(), 1001 + 16);
    for (name, code) in [("z".repeat(256), "corrupt"), (["z"; 2100].join("/"), "limit_exceeded")] {
        let place = Place::new();
        let failure = place
            .unpack(&request(), &archive(&[Item::pax(&[("path", &name)]), Item::file("x", "")]))
            .unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
    }
    // The deepest that fits, replaced by a file: neither stack nor descriptors run out.
    let place = Place::new();
    let deepest = vec!["d"; 2000].join("/");
    let items = [Item::pax(&[("path", &deepest)]), Item::dir("x"), Item::file("d", "flat")];
    place.unpack(&request(), &archive(&items)).unwrap();
    assert_eq!(names(&place.tree()), ["d"]);
}
