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

/// An attribute by its option name: bits to set, bits to clear.
fn attribute(name: &str) -> Option<(u64, u64)> {
    Some(match name {
        "ro" => (MOUNT_ATTR_RDONLY, 0),
        "rw" => (0, MOUNT_ATTR_RDONLY),
        "nosuid" => (MOUNT_ATTR_NOSUID, 0),
        "suid" => (0, MOUNT_ATTR_NOSUID),
        "nodev" => (MOUNT_ATTR_NODEV, 0),
        "dev" => (0, MOUNT_ATTR_NODEV),
        "noexec" => (MOUNT_ATTR_NOEXEC, 0),
        "exec" => (0, MOUNT_ATTR_NOEXEC),
        "nodiratime" => (MOUNT_ATTR_NODIRATIME, 0),
        "diratime" => (0, MOUNT_ATTR_NODIRATIME),
        "nosymfollow" => (MOUNT_ATTR_NOSYMFOLLOW, 0),
        "symfollow" => (0, MOUNT_ATTR_NOSYMFOLLOW),
        "noatime" => (MOUNT_ATTR_NOATIME, ATIME),
        "strictatime" => (MOUNT_ATTR_STRICTATIME, ATIME),
        // The kernel's default, whose bits are zero.
        "relatime" => (0, ATIME),
        _ => return None,
    })
}

/// The same for a whole tree, where the times of access have one state and taking one back is the default.
fn recursive(name: &str) -> Option<(u64, u64)> {
    attribute(name).or_else(|| taken_back(name).map(|_| (0, ATIME)))
}

/// A propagation by its option name.
pub(in crate::oci) fn propagation(name: &str) -> Option<u64> {
    Some(match name {
        "private" => MS_PRIVATE,
        "rprivate" => MS_PRIVATE | MS_REC,
        "slave" => MS_SLAVE,
        "rslave" => MS_SLAVE | MS_REC,
        "shared" => MS_SHARED,
        "rshared" => MS_SHARED | MS_REC,
        "unbindable" => MS_UNBINDABLE,
        "runbindable" => MS_UNBINDABLE | MS_REC,
        _ => return None,
    })
}

/// Later options win over earlier ones.
fn apply(to: &mut (u64, u64), (set, clear): (u64, u64)) {
    to.0 = to.0 & !clear | set;
    to.1 = if clear == ATIME { to.1 | ATIME } else { (to.1 | clear) & !set };
}

/// Reads a list of options.
pub(super) fn parse(options: &[String]) -> Options {
    let mut all = Options::default();
    for option in options {
        match option.as_str() {
            "bind" => all.bind = Some(all.bind.unwrap_or(false)),
            "rbind" => all.bind = Some(true),
            "remount" => all.remount = true,
            "idmap" => all.idmap = Some(all.idmap.unwrap_or(false)),
            "ridmap" => all.idmap = Some(true),
            "tmpcopyup" => all.copy_up = true,
            // They change nothing: the defaults, and whether the kernel logs.
            "defaults" | "silent" | "loud" | "" => {}
            name => other(name, &mut all),
        }
    }
    all
}

/// An option that takes another one back, by its bits: the source of a bind keeps its own.
fn taken_back(name: &str) -> Option<u64> {
    match name {
        "atime" => Some(MOUNT_ATTR_NOATIME),
        "nostrictatime" => Some(MOUNT_ATTR_STRICTATIME),
        "norelatime" => Some(0),
        _ => None,
    }
}

fn other(name: &str, all: &mut Options) {
    if let Some(bits) = attribute(name) {
        apply(&mut all.attr, bits);
    } else if let Some(bits) = taken_back(name) {
        all.attr.0 &= !bits;
    } else if let Some(flag) = propagation(name) {
        all.propagation.push(flag);
    } else if let Some(bits) = name.strip_prefix('r').and_then(recursive) {
        apply(&mut all.attr_recursive, bits);
    } else {
        all.data.push(match name.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (name.to_owned(), None),
        });
    }
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
