//! Mount options, as `mount(8)` and runc know them.

use libc::{
    MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME, MS_PRIVATE, MS_REC, MS_SHARED,
    MS_SLAVE, MS_UNBINDABLE,
};

/// All of the access time flags.
pub(super) const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// What a list of options says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::oci) struct Options {
    /// `bind` or `rbind`: with or without the mounts below.
    pub(in crate::oci) bind: Option<bool>,
    /// `remount`.
    pub(in crate::oci) remount: bool,
    /// Attributes set, cleared.
    pub(in crate::oci) attr: (u64, u64),
    /// Attributes set, cleared, for the whole tree.
    pub(in crate::oci) attr_recursive: (u64, u64),
    /// Propagation flags in order.
    pub(in crate::oci) propagation: Vec<u64>,
    /// `idmap` or `ridmap`: with or without the mounts below.
    pub(in crate::oci) idmap: Option<bool>,
    /// `tmpcopyup`.
    pub(in crate::oci) copy_up: bool,
    /// What is for the file system: `key` or `key=value`.
    pub(in crate::oci) data: Vec<(String, Option<String>)>,
}

/// What an option means.
#[derive(Clone, Copy)]
enum Meaning {
    /// The default, or whether the kernel logs.
    Nothing,
    /// `bind`; of the whole tree.
    Bind(bool),
    Remount,
    /// `idmap`; of the whole tree.
    IdMap(bool),
    CopyUp,
    /// Attributes set, cleared. With an `r` before its name, of the whole tree.
    Attribute(u64, u64),
    /// Takes another option back, by its bits: the source of a bind keeps its own. In a whole tree, where the times of
    /// access have one state, that is the default.
    Back(u64),
    Propagation(u64),
    /// For every file system, whose superblock has it.
    Superblock,
}

/// All options but those of file systems of one kind.
const OPTIONS: [(&str, Meaning); 42] = {
    use Meaning::*;
    [
        ("async", Superblock),
        ("atime", Back(MOUNT_ATTR_NOATIME)),
        ("bind", Bind(false)),
        ("defaults", Nothing),
        ("dev", Attribute(0, MOUNT_ATTR_NODEV)),
        ("diratime", Attribute(0, MOUNT_ATTR_NODIRATIME)),
        ("dirsync", Superblock),
        ("exec", Attribute(0, MOUNT_ATTR_NOEXEC)),
        ("idmap", IdMap(false)),
        ("lazytime", Superblock),
        ("loud", Nothing),
        ("mand", Superblock),
        ("noatime", Attribute(MOUNT_ATTR_NOATIME, ATIME)),
        ("nodev", Attribute(MOUNT_ATTR_NODEV, 0)),
        ("nodiratime", Attribute(MOUNT_ATTR_NODIRATIME, 0)),
        ("noexec", Attribute(MOUNT_ATTR_NOEXEC, 0)),
        ("nolazytime", Superblock),
        ("nomand", Superblock),
        ("norelatime", Back(0)),
        ("nostrictatime", Back(MOUNT_ATTR_STRICTATIME)),
        ("nosuid", Attribute(MOUNT_ATTR_NOSUID, 0)),
        ("nosymfollow", Attribute(MOUNT_ATTR_NOSYMFOLLOW, 0)),
        ("private", Propagation(MS_PRIVATE)),
        ("rbind", Bind(true)),
        // The kernel's default, whose bits are zero.
        ("relatime", Attribute(0, ATIME)),
        ("remount", Remount),
        ("ridmap", IdMap(true)),
        ("ro", Attribute(MOUNT_ATTR_RDONLY, 0)),
        ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
        ("rshared", Propagation(MS_SHARED | MS_REC)),
        ("rslave", Propagation(MS_SLAVE | MS_REC)),
        ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
        ("rw", Attribute(0, MOUNT_ATTR_RDONLY)),
        ("shared", Propagation(MS_SHARED)),
        ("silent", Nothing),
        ("slave", Propagation(MS_SLAVE)),
        ("strictatime", Attribute(MOUNT_ATTR_STRICTATIME, ATIME)),
        ("suid", Attribute(0, MOUNT_ATTR_NOSUID)),
        ("symfollow", Attribute(0, MOUNT_ATTR_NOSYMFOLLOW)),
        ("sync", Superblock),
        ("tmpcopyup", CopyUp),
        ("unbindable", Propagation(MS_UNBINDABLE)),
    ]
};

fn meaning(name: &str) -> Option<Meaning> {
    OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// Attributes for a whole tree, by the name without its `r`.
fn recursive(name: &str) -> Option<(u64, u64)> {
    match meaning(name)? {
        Meaning::Attribute(set, clear) => Some((set, clear)),
        Meaning::Back(_) => Some((0, ATIME)),
        _ => None,
    }
}

/// The names of all options but those of file systems of one kind.
pub(in crate::oci) fn names() -> Vec<String> {
    let trees =
        OPTIONS.iter().filter(|(name, _)| recursive(name).is_some()).map(|(name, _)| format!("r{name}"));
    let mut all: Vec<String> = OPTIONS.iter().map(|(name, _)| (*name).to_owned()).chain(trees).collect();
    all.sort_unstable();
    all
}

/// A propagation by its option name.
pub(in crate::oci) fn propagation(name: &str) -> Option<u64> {
    match meaning(name)? {
        Meaning::Propagation(flags) => Some(flags),
        _ => None,
    }
}

/// Later options win over earlier ones.
fn apply(to: &mut (u64, u64), (set, clear): (u64, u64)) {
    to.0 = to.0 & !clear | set;
    to.1 = if clear == ATIME { to.1 | ATIME } else { (to.1 | clear) & !set };
}

/// Reads a list of options.
pub(super) fn parse(options: &[String]) -> Options {
    let mut all = Options::default();
    for option in options.iter().filter(|option| !option.is_empty()) {
        match meaning(option) {
            Some(Meaning::Nothing) => {}
            Some(Meaning::Bind(tree)) => all.bind = Some(tree || all.bind.unwrap_or(false)),
            Some(Meaning::Remount) => all.remount = true,
            Some(Meaning::IdMap(tree)) => all.idmap = Some(tree || all.idmap.unwrap_or(false)),
            Some(Meaning::CopyUp) => all.copy_up = true,
            Some(Meaning::Attribute(set, clear)) => apply(&mut all.attr, (set, clear)),
            Some(Meaning::Back(bits)) => all.attr.0 &= !bits,
            Some(Meaning::Propagation(flags)) => all.propagation.push(flags),
            Some(Meaning::Superblock) | None => other(option, &mut all),
        }
    }
    all
}

/// An option for a whole tree, or of a file system.
fn other(name: &str, all: &mut Options) {
    if let Some(bits) = name.strip_prefix('r').and_then(recursive) {
        return apply(&mut all.attr_recursive, bits);
    }
    all.data.push(match name.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (name.to_owned(), None),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> Options {
        parse(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_option_has_its_meaning() {
        let cases: &[(&str, u64, u64)] = &[
            ("ro", MOUNT_ATTR_RDONLY, 0),
            ("rw", 0, MOUNT_ATTR_RDONLY),
            ("nosuid", MOUNT_ATTR_NOSUID, 0),
            ("suid", 0, MOUNT_ATTR_NOSUID),
            ("nodev", MOUNT_ATTR_NODEV, 0),
            ("dev", 0, MOUNT_ATTR_NODEV),
            ("noexec", MOUNT_ATTR_NOEXEC, 0),
            ("exec", 0, MOUNT_ATTR_NOEXEC),
            ("nodiratime", MOUNT_ATTR_NODIRATIME, 0),
            ("diratime", 0, MOUNT_ATTR_NODIRATIME),
            ("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0),
            ("symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW),
            ("noatime", MOUNT_ATTR_NOATIME, ATIME),
            ("strictatime", MOUNT_ATTR_STRICTATIME, ATIME),
            ("relatime", 0, ATIME),
        ];
        for name in ["atime", "norelatime", "nostrictatime"] {
            assert_eq!(of(&[name]), Options::default(), "{name}");
            assert_eq!(of(&[&format!("r{name}")]).attr_recursive, (0, ATIME), "r{name}");
        }
        assert_eq!(of(&["noatime", "atime"]).attr, (0, ATIME));
        for &(name, set, clear) in cases {
            assert_eq!(of(&[name]), Options { attr: (set, clear), ..Options::default() }, "{name}");
            let recursive = format!("r{name}");
            let wanted = Options { attr_recursive: (set, clear), ..Options::default() };
            assert_eq!(of(&[&recursive]), wanted, "{recursive}");
        }
        let propagations = [
            ("private", MS_PRIVATE),
            ("slave", MS_SLAVE),
            ("shared", MS_SHARED),
            ("unbindable", MS_UNBINDABLE),
        ];
        for (name, flag) in propagations {
            assert_eq!(of(&[name]).propagation, [flag]);
            assert_eq!(of(&[&format!("r{name}")]).propagation, [flag | MS_REC]);
        }
        assert_eq!(of(&["defaults", "silent", "loud"]), Options::default());
    }

    #[test]
    fn the_last_one_wins() {
        assert_eq!(of(&["ro", "rw"]).attr, (0, MOUNT_ATTR_RDONLY));
        assert_eq!(of(&["rw", "ro"]).attr, (MOUNT_ATTR_RDONLY, 0));
        assert_eq!(of(&["noatime", "strictatime"]).attr, (MOUNT_ATTR_STRICTATIME, ATIME));
        assert_eq!(of(&["noatime", "relatime"]).attr, (0, ATIME));
        assert_eq!(of(&["rbind", "bind"]).bind, Some(true));
        assert_eq!(of(&["ridmap", "idmap"]).idmap, Some(true));
    }

    #[test]
    fn every_name_is_known() {
        let names = names();
        for name in ["rbind", "rro", "rnosymfollow", "ratime", "slave", "sync", "tmpcopyup"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        for name in &names {
            let superblock = matches!(meaning(name), Some(Meaning::Superblock));
            assert_eq!(of(&[name]).data.len(), usize::from(superblock), "{name}");
        }
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_rest_is_for_the_file_system() {
        let data = of(&["mode=755", "newinstance", "x=a=b", "rootcontext"]).data;
        let pair = |k: &str, v: Option<&str>| (k.to_owned(), v.map(str::to_owned));
        assert_eq!(
            data,
            [
                pair("mode", Some("755")),
                pair("newinstance", None),
                pair("x", Some("a=b")),
                pair("rootcontext", None)
            ]
        );
    }
}
