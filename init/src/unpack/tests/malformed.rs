//! Archives that two readers would take for different ones, and such that make no sense.

use super::build::{Item, archive, record};
use super::{Place, request};

fn global(key: &str, value: &str) -> Item {
    Item::raw_pax(b'g', &record(key.as_bytes(), value.as_bytes()))
}

fn raw(data: &[u8]) -> Item {
    Item::raw_pax(b'x', data)
}

fn file() -> Item {
    Item::file("f", "data")
}

fn changed(change: impl Fn(&mut Item)) -> Item {
    let mut item = file();
    change(&mut item);
    item
}

fn sparse(map: &str, size: &str) -> Item {
    Item::pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)])
}

#[test]
fn ambiguous_and_malformed_archives_are_refused() {
    let cases: Vec<(&str, Vec<Item>, &str)> = vec![
        ("size in PAX and header", vec![Item::pax(&[("size", "3")]), file()], "two sizes"),
        (
            "size only in PAX, though it fits",
            vec![
                Item::pax(&[("size", "4")]),
                changed(|i| {
                    i.size(0);
                }),
            ],
            "two sizes",
        ),
        ("negative size", vec![Item::pax(&[("size", "-4")]), file()], "malformed"),
        ("size with a plus", vec![Item::pax(&[("size", "+4")]), file()], "malformed"),
        ("size that overflows", vec![Item::pax(&[("size", "18446744073709551620")]), file()], "malformed"),
        (
            "huge size",
            vec![
                Item::pax(&[("size", "9223372036854775807")]),
                changed(|i| {
                    i.size(0);
                }),
            ],
            "more than",
        ),
        (
            "negative size in base 256",
            vec![changed(|i| {
                i.bytes(124, &[0xff; 12]);
            })],
            "negative",
        ),
        (
            "overflow in base 256",
            vec![changed(|i| {
                i.bytes(124, &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            })],
            "malformed",
        ),
        (
            "letters in the size",
            vec![changed(|i| {
                i.bytes(124, b"0000000000z\0");
            })],
            "malformed",
        ),
        (
            "letters in the mode",
            vec![changed(|i| {
                i.bytes(100, b"rwxr-x\0\0");
            })],
            "malformed",
        ),
        (
            "negative uid",
            vec![changed(|i| {
                i.bytes(108, &[0xff; 8]);
            })],
            "negative",
        ),
        ("uid that nobody can have", vec![Item::pax(&[("uid", "4294967295")]), file()], "no user"),
        ("gid that nobody can have", vec![Item::pax(&[("gid", "4294967296")]), file()], "no user"),
        ("the same record twice", vec![Item::pax(&[("path", "a"), ("path", "b")]), file()], "twice"),
        (
            "an attribute twice",
            vec![Item::pax(&[("SCHILY.xattr.user.a", "1"), ("SCHILY.xattr.user.a", "2")]), file()],
            "twice",
        ),
        ("empty path", vec![Item::pax(&[("path", "")]), file()], "malformed"),
        ("NUL in a path", vec![Item::pax(&[("path", "a\0b")]), file()], "malformed"),
        ("NUL in a key", vec![Item::pax(&[("pa\0th", "a")]), file()], "malformed"),
        ("record without length", vec![raw(b"path=a\n"), file()], "malformed"),
        ("record with a wrong length", vec![raw(b"99 path=a\n"), file()], "malformed"),
        ("record that is too short", vec![raw(b"7 path=a\n"), file()], "malformed"),
        ("record of length zero", vec![raw(b"0 path=a\n"), file()], "malformed"),
        ("record without an end of line", vec![raw(b"9 path=ab"), file()], "malformed"),
        ("record without equals", vec![raw(b"7 path\n\0"), file()], "malformed"),
        ("record without a key", vec![raw(b"6 =ab\n"), file()], "malformed"),
        ("mtime of letters", vec![Item::pax(&[("mtime", "now")]), file()], "malformed"),
        (
            "two PAX headers",
            vec![Item::pax(&[("path", "a")]), Item::pax(&[("path", "b")]), file()],
            "same kind",
        ),
        ("two long names", vec![Item::long(b'L', b"a"), Item::long(b'L', b"b"), file()], "same kind"),
        (
            "two long targets",
            vec![Item::long(b'K', b"a"), Item::long(b'K', b"b"), Item::symlink("l", "x")],
            "same kind",
        ),
        (
            "names that disagree",
            vec![Item::long(b'L', b"a"), Item::pax(&[("path", "b")]), file()],
            "two different names",
        ),
        ("bytes after a long name", vec![Item::long(b'L', b"a\0b"), file()], "after its end"),
        ("long name that is too long", vec![Item::long(b'L', &[b'a'; 5000]), file()], "more than"),
        (
            "extension that is too long",
            vec![changed(|i| {
                i.bytes(156, b"x").size(2 << 20);
            })],
            "more than",
        ),
        ("path for all entries", vec![global("path", "a"), file()], "for all entries"),
        ("size for all entries", vec![global("size", "1"), file()], "for all entries"),
        ("owner for all entries", vec![global("uid", "0"), file()], "for all entries"),
        ("malformed global header", vec![Item::raw_pax(b'g', b"junk"), file()], "malformed"),
        ("extension at the end", vec![file(), Item::pax(&[("path", "a")])], "after an extension"),
        ("long name at the end", vec![file(), Item::long(b'L', b"a")], "after an extension"),
        ("folder with data", vec![Item::new(b'5', "d").data(b"data").done()], "no file"),
        ("symbolic link with data", vec![Item::symlink("l", "x").data(b"data").done()], "no file"),
        (
            "hard link with data in PAX",
            vec![file(), Item::pax(&[("size", "4")]), Item::hard("h", "f")],
            "two sizes",
        ),
        ("unknown type", vec![Item::new(b'Z', "z")], "unknown type"),
        ("GNU dump folder", vec![Item::new(b'D', "d")], "unknown type"),
        ("continued file", vec![Item::new(b'M', "d")], "unknown type"),
        ("sparse type in a POSIX header", vec![Item::new(b'S', "s")], "unknown type"),
        ("empty symbolic link", vec![Item::symlink("l", "")], "no target"),
        ("sparse segments that overlap", vec![sparse("0,2,1,2", "9"), file()], "out of order"),
        ("sparse segments backwards", vec![sparse("4,2,0,2", "9"), file()], "out of order"),
        ("sparse segments beyond the end", vec![sparse("6,4", "9"), file()], "out of"),
        (
            "sparse segments that overflow",
            vec![sparse("9223372036854775807,4", "9223372036854775807"), file()],
            "out of",
        ),
        ("sparse map with too little data", vec![sparse("0,9", "9"), file()], "places"),
        ("sparse map with an odd number", vec![sparse("0,4,5", "9"), file()], "without a length"),
        ("sparse folder", vec![sparse("", "9"), Item::dir("d")], "sparse"),
        ("sparse without a size", vec![Item::pax(&[("GNU.sparse.map", "0,4")]), file()], "no size"),
        (
            "sparse of an unknown version",
            vec![Item::pax(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")]), file()],
            "unknown version",
        ),
        (
            "sparse map in the data that never ends",
            vec![
                Item::pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.realsize", "9"),
                ]),
                Item::new(b'0', "s").data(&[b'9'; 512]).done(),
            ],
            "malformed",
        ),
        (
            "sparse map of many entries",
            vec![
                Item::pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.realsize", "9"),
                ]),
                Item::new(b'0', "s").data(&[b"9999999999\n".to_vec(), vec![0; 501]].concat()).done(),
            ],
            "more than",
        ),
        ("sparse name alone", vec![Item::pax(&[("GNU.sparse.name", "s")]), file()], "no size"),
        ("unknown sparse record", vec![Item::pax(&[("GNU.sparse.new", "s")]), file()], "not known"),
    ];
    for (what, items, part) in cases {
        let place = Place::new();
        match place.unpack(&request(), &archive(&items)) {
            Err(failure) => {
                assert!(failure.detail.contains(part), "{what}: {failure:?}");
                assert!(matches!(failure.code.as_str(), "corrupt" | "limit_exceeded"), "{what}: {failure:?}");
                assert!(failure.detail.contains("at byte"), "{what}: {failure:?}");
            }
            Ok(unpacked) => panic!("{what}: {unpacked:?}"),
        }
    }
}

#[test]
fn a_wrong_checksum_names_the_place() {
    let mut stream = archive(&[file(), Item::file("g", "x")]);
    stream[1024 + 3] ^= 1;
    let place = Place::new();
    let failure = place.unpack(&request(), &stream).unwrap_err();
    assert!(failure.detail.contains("checksum") && failure.detail.contains("byte 1024"), "{failure:?}");
    // Checksums over signed bytes are those of some old tars.
    let mut item = Item::file("caf\u{e9}", "x").to_bytes();
    item[148..156].fill(b' ');
    let sum: i64 = item[..512].iter().map(|b| i64::from(*b as i8)).sum();
    item[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let place = Place::new();
    place.unpack(&request(), &item).unwrap();
}

#[test]
fn names_in_messages_are_bounded_and_printable() {
    let place = Place::new();
    let name = format!("a\u{1b}[31m\n{}", "b".repeat(1000));
    let failure = place
        .unpack(&request(), &archive(&[Item::long(b'L', name.as_bytes()), Item::new(b'Z', "x")]))
        .unwrap_err();
    assert!(failure.path.len() < 400 && !failure.path.contains(['\n', '\u{1b}']), "{failure:?}");
}
