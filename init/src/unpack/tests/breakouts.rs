//! Archives that try to reach outside of the root folder.

use super::build::{Item, archive};
use super::{Place, names, request, snapshot};

/// Whatever the archive says: beside the tree nothing changes. `Some`: it is refused, with this in the message;
/// `None`: it is unpacked.
fn table() -> Vec<(&'static str, Vec<Item>, Option<&'static str>)> {
    let (file, dir, symlink, hard) = (Item::file, Item::dir, Item::symlink, Item::hard);
    vec![
        ("absolute name", vec![file("/canary/file", "x")], None),
        ("dot dot", vec![file("../canary/file", "x")], Some("..")),
        ("inner dot dot", vec![dir("a"), file("a/../../canary/file", "x")], Some("..")),
        ("dot dot folder", vec![dir("..")], Some("..")),
        ("dot dot folder with slash", vec![dir("../")], Some("..")),
        ("absolute link, then through it", vec![symlink("l", "/canary"), file("l/file", "x")], None),
        ("upward link, then through it", vec![symlink("l", "../canary"), file("l/file", "x")], None),
        ("far upward link", vec![symlink("l", "../../../../../../../../etc"), file("l/passwd", "x")], None),
        ("link to the root", vec![symlink("l", "/"), file("l/etc/passwd", "x")], None),
        ("link to dot dot", vec![symlink("l", ".."), file("l/canary/file", "x")], None),
        (
            "chain of links",
            vec![symlink("a", "/b"), symlink("b", "../c"), symlink("c", "/../d"), file("a/f", "x")],
            None,
        ),
        (
            "chain through folders",
            vec![dir("a"), symlink("a/b", "../.."), symlink("c", "a/b/canary"), file("c/file", "x")],
            None,
        ),
        ("loop of links", vec![symlink("a", "b"), symlink("b", "a"), file("a/f", "x")], Some("circle")),
        ("link to itself", vec![symlink("a", "a"), file("a/f", "x")], Some("circle")),
        ("folder through a link", vec![symlink("l", "../canary"), dir("l/folder")], None),
        ("folder in place of a link", vec![symlink("l", "../canary"), dir("l")], None),
        ("file in place of a link", vec![symlink("l", "../canary/file"), file("l", "x")], None),
        ("device in place of a link", vec![symlink("l", "../canary/file"), Item::new(b'6', "l")], None),
        ("hard link outside", vec![hard("h", "../canary/file")], Some("..")),
        ("absolute hard link", vec![hard("h", "/canary/file")], Some("not in the archive")),
        (
            "hard link through a link",
            vec![symlink("l", "../canary"), hard("h", "l/file")],
            Some("not in the archive"),
        ),
        (
            "hard link to a link, then over it",
            vec![symlink("l", "../canary/file"), hard("h", "l"), file("h", "x")],
            None,
        ),
        ("hard link to a folder", vec![dir("d"), hard("h", "d")], Some("folder")),
        ("hard link forward", vec![hard("h", "f"), file("f", "x")], Some("not in the archive")),
        ("hard link without target", vec![hard("h", "")], Some("not in the archive")),
        ("whiteout through a link", vec![symlink("l", "../canary"), file("l/.wh.file", "")], None),
        ("opaque through a link", vec![symlink("l", "../canary"), file("l/.wh..wh..opq", "")], None),
        ("link to the name of a whiteout", vec![symlink("l", ".wh.x"), file("l/f", "x")], Some("whiteout")),
        ("whiteout of dot", vec![file(".wh..", "")], Some("nothing")),
        ("whiteout of dot dot", vec![dir("a"), file("a/.wh...", "")], Some("nothing")),
        ("whiteout of nothing", vec![file(".wh.", "")], Some("nothing")),
        ("whiteout with a slash", vec![file(".wh.a/b", "")], Some("whiteout")),
        ("whiteout upwards", vec![file("../.wh.canary", "")], Some("..")),
        ("root as a link", vec![symlink("/", "../canary")], Some("root")),
        ("root as a file", vec![file(".", "x")], Some("root")),
        ("root as a hard link", vec![file("f", "x"), hard("./", "f")], Some("root")),
        ("root removed", vec![file("a", ""), symlink("./.", "../canary")], Some("root")),
        ("no name", vec![Item::new(b'0', "")], Some("no name")),
        ("file as a folder", vec![file("a", "x"), file("a/b", "x")], Some("folder")),
        ("procfs link", vec![symlink("l", "/proc/self/root/canary"), file("l/file", "x")], None),
        (
            "link swapped",
            vec![dir("a"), file("a/f", "1"), symlink("a", "../canary"), file("a/file", "x")],
            None,
        ),
    ]
}

#[test]
fn nothing_outside_changes() {
    for (what, items, refused) in table() {
        let place = Place::new();
        let canary = snapshot(&place.path.join("canary"));
        let result = place.unpack(&request(), &archive(&items));
        assert_eq!(snapshot(&place.path.join("canary")), canary, "{what}");
        let beside = std::fs::read_dir(&place.path).unwrap().count();
        assert_eq!(beside, 2, "{what}");
        match (result, refused) {
            (Ok(_), None) => {}
            (Err(failure), Some(part)) => {
                let text = format!("{} {}", failure.detail, failure.path);
                assert!(text.contains(part), "{what}: {failure:?}");
                assert!(failure.detail.contains("at byte"), "{what}: {failure:?}");
                assert_eq!(failure.code, "corrupt", "{what}: {failure:?}");
            }
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn links_lead_where_they_lead_in_a_container() {
    let place = Place::new();
    let items = [
        Item::symlink("lib", "usr/lib"),
        Item::file("lib/a", "1"),
        Item::symlink("abs", "/usr/lib"),
        Item::file("abs/b", "2"),
        Item::dir("usr/lib/"),
        Item::symlink("up", "../../../usr"),
        Item::file("up/lib/c", "3"),
        Item::dir("var"),
        Item::symlink("var/run", "../run"),
        Item::file("var/run/x", "4"),
    ];
    let unpacked = place.unpack(&request(), &archive(&items)).unwrap();
    for (name, content) in [("usr/lib/a", "1"), ("usr/lib/b", "2"), ("usr/lib/c", "3"), ("run/x", "4")] {
        assert_eq!(std::fs::read_to_string(place.tree().join(name)).unwrap(), content);
    }
    assert!(place.tree().join("lib").symlink_metadata().unwrap().is_symlink());
    let implied: Vec<String> = unpacked.implied.iter().map(|b| b.to_text()).collect();
    assert_eq!(
        implied,
        ["", "usr"].map(String::from).into_iter().chain(["var/../run".to_owned()]).collect::<Vec<_>>()
    );
    assert!(names(&place.tree()).contains(&"run".to_owned()));
}
