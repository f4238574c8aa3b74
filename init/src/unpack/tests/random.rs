//! Archives made at random: nothing panics, nothing leaves the root folder, and time is linear.

use super::build::{Item, archive};
use super::{Place, names, request, snapshot};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned()), 1 => Just("canary".to_owned()),
        1 => "\\.wh\\.[abc]", 1 => Just(".wh..wh..opq".to_owned()), 1 => Just(String::new()),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn item() -> impl Strategy<Value = Item> {
    (0..8u8, name(), name(), 0..8u64).prop_map(|(kind, name, other, bits)| match kind {
        0 | 1 => Item::file(&name, &other),
        2 | 3 => Item::dir(&name).mode(0o700 | bits << 9).done(),
        4 | 5 => {
            Item::symlink(&name, &format!("{}{other}", ["", "/", "../", "../../canary/"][bits as usize % 4]))
        }
        6 => Item::hard(&name, &other),
        _ => Item::new(b'6', &name),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_outside_changes(items in prop::collection::vec(item(), 1..12)) {
        let place = Place::new();
        let canary = snapshot(&place.path.join("canary"));
        let result = place.unpack(&request(), &archive(&items));
        prop_assert_eq!(snapshot(&place.path.join("canary")), canary);
        prop_assert_eq!(std::fs::read_dir(&place.path).unwrap().count(), 2);
        if result.is_ok() {
            prop_assert!(!names(&place.tree()).iter().any(|n| n.contains(".wh.")));
        }
    }

    #[test]
    fn damaged_archives_never_panic(at in 0usize..6000, byte: u8, cut in 0usize..6000) {
        let mut stream = archive(&[
            Item::pax(&[("path", "a/b"), ("mtime", "1.5"), ("SCHILY.xattr.user.x", "y")]), Item::file("x", "data"),
            Item::long(b'L', b"long"), Item::symlink("l", "a"), Item::hard("h", "a/b"), Item::dir("d"),
        ]);
        let place = Place::new();
        let at = at % stream.len();
        stream[at] = byte;
        let _ = place.unpack(&request(), &stream);
        stream.truncate(cut.max(1));
        let place = Place::new();
        let _ = place.unpack(&request(), &stream);
    }
}

#[test]
fn time_grows_with_the_size_of_the_archive_only() {
    // Each entry would cost more and more if anything were looked through: folders that are only implied, files in
    // one folder, replacements.
    let time = |many: usize| {
        let mut items = Vec::new();
        for i in 0..many {
            items.push(Item::file(&format!("implied{i}/f"), ""));
            items.push(Item::file(&format!("one/{i}"), ""));
            items.push(Item::file("replaced", ""));
        }
        let stream = archive(&items);
        let place = Place::new();
        let started = std::time::Instant::now();
        place.unpack(&request(), &stream).unwrap();
        started.elapsed()
    };
    // Eight times the entries: 64 times the time, if it were quadratic. The machine may be busy.
    let (few, many) = (time(500), time(4000));
    assert!(many < few * 30, "{few:?} {many:?}");
}
