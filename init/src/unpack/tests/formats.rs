//! Compressions and dialects.

use super::build::{Item, archive, record};
use super::{Place, names, request};
use containers_protocol::unpack::{Compression, Unpack};
use sha2::{Digest, Sha256};
use std::io::Write;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).unwrap()
}

fn compressed(compression: Compression) -> Unpack {
    Unpack { compression, ..request() }
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

fn sample() -> Vec<u8> {
    archive(&[Item::file("a", &"line\n".repeat(400_000)), Item::file("b", "x")])
}

#[test]
fn all_compressions_give_the_digest_of_what_they_hold() {
    let plain = sample();
    let (front, back) = plain.split_at(700_001);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&plain)].concat();
    for (compression, stream) in [
        (Compression::None, plain.clone()),
        (Compression::Gzip, gzip(&plain)),
        (Compression::Gzip, [gzip(front), gzip(back), gzip(b"")].concat()),
        (Compression::Zstd, zstd(&plain)),
        (Compression::Zstd, [zstd(front), zstd(back)].concat()),
        (Compression::Zstd, skippable),
    ] {
        let place = Place::new();
        let mut wanted = compressed(compression);
        wanted.diff_id = Some(hex(&plain));
        let unpacked = place.unpack(&wanted, &stream).unwrap();
        assert_eq!(unpacked.diff_id, hex(&plain));
        assert_eq!((unpacked.bytes, unpacked.entries), (2_000_001, 2));
        assert_eq!(names(&place.tree()), ["a", "b"]);
    }
}

#[test]
fn a_pipe_that_gives_single_bytes() {
    let stream = zstd(&archive(&[Item::file("a", "hello")]));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        for byte in stream {
            writer.write_all(&[byte]).unwrap();
        }
    });
    let place = Place::new();
    place.unpack_fd(&compressed(Compression::Zstd), reader.into()).unwrap();
    writing.join().unwrap();
    assert_eq!(std::fs::read_to_string(place.tree().join("a")).unwrap(), "hello");
}

#[test]
fn wrong_streams_are_refused() {
    let plain = sample();
    let gz = gzip(&plain);
    let zst = zstd(&plain);
    let mut bad_crc = gz.clone();
    let at = bad_crc.len() - 6;
    bad_crc[at] ^= 1;
    let mut bad_middle = zst.clone();
    let at = bad_middle.len() / 2;
    bad_middle[at] ^= 0xff;
    let xz = [&[0xfd, b'7', b'z', b'X', b'Z', 0][..], &[0; 20]].concat();
    let mut wrong_digest = request();
    wrong_digest.diff_id = Some("0".repeat(64));
    let cases: Vec<(&str, Unpack, Vec<u8>, &str, &str)> = vec![
        ("empty", request(), vec![], "corrupt", "empty"),
        ("gzip as plain", request(), gz.clone(), "corrupt", "compressed with gzip"),
        ("plain as gzip", compressed(Compression::Gzip), plain.clone(), "corrupt", "not compressed"),
        ("zstd as gzip", compressed(Compression::Gzip), zst.clone(), "corrupt", "compressed with zstd"),
        ("xz", request(), xz.clone(), "unsupported", "xz"),
        ("xz as gzip", compressed(Compression::Gzip), xz, "unsupported", "xz"),
        ("bzip2", request(), b"BZh91AY".to_vec(), "unsupported", "bzip2"),
        ("truncated gzip", compressed(Compression::Gzip), gz[..gz.len() / 2].to_vec(), "corrupt", ""),
        ("gzip without its end", compressed(Compression::Gzip), gz[..gz.len() - 4].to_vec(), "corrupt", ""),
        (
            "gzip with rubbish after it",
            compressed(Compression::Gzip),
            [&gz[..], b"rubbish, more"].concat(),
            "corrupt",
            "",
        ),
        ("wrong checksum", compressed(Compression::Gzip), bad_crc, "corrupt", ""),
        ("truncated zstd", compressed(Compression::Zstd), zst[..zst.len() - 3].to_vec(), "corrupt", ""),
        (
            "zstd with rubbish after it",
            compressed(Compression::Zstd),
            [&zst[..], b"rubbish"].concat(),
            "corrupt",
            "",
        ),
        ("damaged zstd", compressed(Compression::Zstd), bad_middle, "corrupt", ""),
        ("truncated tar", request(), plain[..1_000_000].to_vec(), "corrupt", "truncated"),
        ("half a header", request(), plain[..300].to_vec(), "corrupt", "truncated"),
        ("no tar", request(), vec![b'x'; 2000], "corrupt", ""),
        ("data after the end", request(), [&plain[..], &plain[..512]].concat(), "corrupt", "follows the end"),
        ("wrong digest", wrong_digest, plain.clone(), "corrupt", "digest"),
    ];
    for (what, request, stream, code, part) in cases {
        let place = Place::new();
        let failure = place.unpack(&request, &stream).unwrap_err();
        assert_eq!(failure.code, code, "{what}: {failure:?}");
        assert!(failure.detail.contains(part), "{what}: {failure:?}");
    }
    // Ends that all readers accept: none, one block of zeros, many.
    let item = Item::file("a", "x").to_bytes();
    for zeros in [0, 512, 1024, 10240, 10241] {
        let place = Place::new();
        let stream = [&item[..], &vec![0; zeros]].concat();
        assert!(place.unpack(&request(), &stream).is_ok(), "{zeros}");
    }
    // Without the last padding, or a part of it; but not without a byte of the data.
    for (length, accepted) in [(513, true), (600, true), (1023, true), (512, false)] {
        let result = Place::new().unpack(&request(), &item[..length]);
        assert_eq!(result.is_ok(), accepted, "{length}: {result:?}");
    }
}

#[test]
fn a_bomb_is_stopped_by_the_limit() {
    let mut item = Item::new(b'0', "zeros");
    item.size(4 << 30);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&item.to_bytes()[..512]).unwrap();
    encoder.write_all(&vec![0; 32 << 20]).unwrap();
    let stream = encoder.finish().unwrap();
    let place = Place::new();
    let mut small = compressed(Compression::Gzip);
    small.max_bytes = 1 << 20;
    assert_eq!(place.unpack(&small, &stream).unwrap_err().code, "limit_exceeded");
    let length = place.tree().join("zeros").metadata().map_or(0, |m| m.len());
    assert!(length <= 1 << 20);
}

#[test]
fn sparse_files() {
    let data = |n: usize| vec![b'd'; n];
    let check = |place: &Place, name: &str| {
        let bytes = std::fs::read(place.tree().join(name)).unwrap();
        assert_eq!(bytes.len(), 5000, "{name}");
        assert!(
            bytes[1000..1700].iter().all(|b| *b == b'd') && bytes[4000..4300].iter().all(|b| *b == b'd'),
            "{name}"
        );
        assert_eq!(bytes.iter().filter(|b| **b != 0).count(), 1000, "{name}");
    };
    let mut old = Item::new(b'S', "old");
    old.gnu().octal(386..398, 1000).octal(398..410, 700).octal(410..422, 4000).octal(422..434, 300);
    old.octal(483..495, 5000).data(&data(1000));
    let mut extended = Item::new(b'S', "extended");
    extended.gnu().octal(386..398, 1000).octal(398..410, 700).octal(483..495, 5000).bytes(482, &[1]);
    let mut more = vec![0u8; 512];
    more[..24].copy_from_slice(b"00000007640\x0000000000454\0");
    extended.octal(124..136, 1000).extra(&[&more[..], &data(1000)].concat());
    let zero_one = [
        ("GNU.sparse.size", "5000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.name", "zero-one"),
        ("GNU.sparse.map", "1000,700,4000,300"),
    ];
    let zero_zero: Vec<u8> = [
        ("GNU.sparse.size", "5000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "1000"),
        ("GNU.sparse.numbytes", "700"),
        ("GNU.sparse.offset", "4000"),
        ("GNU.sparse.numbytes", "300"),
    ]
    .iter()
    .flat_map(|(k, v)| record(k.as_bytes(), v.as_bytes()))
    .collect();
    let one_zero = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "one-zero"),
        ("GNU.sparse.realsize", "5000"),
    ];
    let mut map = b"2\n1000\n700\n4000\n300\n".to_vec();
    map.resize(512, 0);
    let file = |name: &str, data: &[u8]| Item::new(b'0', name).data(data).done();
    let items = [
        old,
        extended,
        Item::pax(&zero_one),
        file("x", &data(1000)),
        Item::raw_pax(b'x', &zero_zero),
        file("zero-zero", &data(1000)),
        Item::pax(&one_zero),
        file("x", &[&map[..], &data(1000)].concat()),
        Item::file("after", "aligned"),
    ];
    let place = Place::new();
    place.unpack(&request(), &archive(&items)).unwrap();
    for name in ["old", "extended", "zero-one", "zero-zero", "one-zero"] {
        check(&place, name);
    }
    assert_eq!(std::fs::read_to_string(place.tree().join("after")).unwrap(), "aligned");
}

#[test]
fn numbers_and_names_in_all_dialects() {
    let mut v7 = Item::file("v7", "x");
    v7.bytes(257, &[0; 8]);
    let mut v7_dir = Item::new(b'\0', "v7dir/");
    v7_dir.bytes(257, &[0; 8]);
    let mut prefixed = Item::file("name", "x");
    prefixed.bytes(345, b"a/prefix");
    let mut star = Item::file("star", "x");
    star.bytes(345, b"in").bytes(476, b"00000000000 00000000000 ").bytes(508, b"tar\0");
    let mut big = Item::file("big", "x");
    big.bytes(108, &[0x80, 0, 0, 0, 0, 0, 0x30, 0x39]);
    let mut spaces = Item::file("spaces", "x");
    spaces.bytes(100, b"   644 \0").bytes(124, b"          1 ");
    let items = [
        v7,
        v7_dir,
        prefixed,
        star,
        big,
        spaces,
        Item::long(b'K', b"to/somewhere"),
        Item::long(b'L', b"gnu/long"),
        Item::symlink("short", "short"),
        Item::pax(&[
            ("path", "pax/na\u{ef}ve"),
            ("size", "1"),
            ("uid", "7"),
            ("comment", "c"),
            ("VENDOR.x", "y"),
        ]),
        Item::file("short", "x"),
        Item::raw_pax(b'g', &record(b"comment", b"made by git")),
        Item::file("after-global", ""),
        Item::new(b'7', "contiguous"),
    ];
    let place = Place::new();
    place.unpack(&request(), &archive(&items)).unwrap();
    let all = names(&place.tree());
    for name in [
        "v7",
        "v7dir",
        "a/prefix/name",
        "in/star",
        "big",
        "spaces",
        "gnu/long",
        "pax/na\u{ef}ve",
        "after-global",
        "contiguous",
    ] {
        assert!(all.iter().any(|n| n == name), "{name} in {all:?}");
    }
    assert!(place.tree().join("v7dir").is_dir());
    assert_eq!(std::fs::read_link(place.tree().join("gnu/long")).unwrap().to_str(), Some("to/somewhere"));
    if super::is_root() {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(place.tree().join("big").metadata().unwrap().uid(), 12345);
        assert_eq!(place.tree().join("pax/na\u{ef}ve").metadata().unwrap().uid(), 7);
    }
}
