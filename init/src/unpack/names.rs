//! What names in an archive mean.

use super::fault::{Fault, Result};

const WHITEOUT: &[u8] = b".wh.";
/// What begins so belongs to aufs; only the opaque mark has a meaning elsewhere.
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the entry of a name does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// It is `.1` in the folder `.0`.
    Entry(&'a [u8], &'a [u8]),
    /// It is the root folder itself.
    Root,
    /// It hides `.1` in the folder `.0` of the layers below.
    Whiteout(&'a [u8], &'a [u8]),
    /// It hides all that the layers below have in this folder.
    Opaque(&'a [u8]),
    /// It means nothing here.
    Ignored,
}

/// The name without empty parts and `.`, so that one folder has one name; `..` is refused. Empty: the root.
pub(super) fn normalise(name: &[u8]) -> Result<Vec<u8>> {
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Fault::content("a name leads upwards with ..")),
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Ok(path)
}

/// Folder and last part of a normalised path; `None`: the root.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    })
}

/// What a normalised path means.
pub(super) fn meaning(path: &[u8]) -> Result<Meaning<'_>> {
    let Some((parent, name)) = split(path) else {
        return Ok(Meaning::Root);
    };
    for part in parent.split(|b| *b == b'/') {
        if part.starts_with(META) {
            return Ok(Meaning::Ignored);
        }
        if part.starts_with(WHITEOUT) {
            return Err(Fault::content("it lies in a whiteout"));
        }
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(Meaning::Entry(parent, name)),
        Some(_) if name == OPAQUE => Ok(Meaning::Opaque(parent)),
        Some(_) if name.starts_with(META) => Ok(Meaning::Ignored),
        Some(b"" | b"." | b"..") => Err(Fault::content("a whiteout names nothing that could be hidden")),
        Some(hidden) => Ok(Meaning::Whiteout(parent, hidden)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_or_refused() {
        for (name, path) in [
            (&b"./a//b/"[..], &b"a/b"[..]),
            (b"/etc/passwd", b"etc/passwd"),
            (b"./", b""),
            (b".", b""),
            (b"/", b""),
            (b"a/./b", b"a/b"),
            (b"...", b"..."),
            (b"\xff/\xfe", b"\xff/\xfe"),
        ] {
            assert_eq!(normalise(name).unwrap(), path);
        }
        for name in [&b".."[..], b"../x", b"a/../b", b"a/..", b"/.."] {
            assert!(normalise(name).is_err());
        }
    }

    #[test]
    fn whiteouts() {
        assert_eq!(meaning(b"a/.wh.b").unwrap(), Meaning::Whiteout(b"a", b"b"));
        assert_eq!(meaning(b".wh.b").unwrap(), Meaning::Whiteout(b"", b"b"));
        assert_eq!(meaning(b"a/.wh..b").unwrap(), Meaning::Whiteout(b"a", b".b"));
        assert_eq!(meaning(b"a/.wh..wh..opq").unwrap(), Meaning::Opaque(b"a"));
        assert_eq!(meaning(b".wh..wh.plnk/1.2").unwrap(), Meaning::Ignored);
        assert_eq!(meaning(b".wh..wh.aufs").unwrap(), Meaning::Ignored);
        assert_eq!(meaning(b"a.wh.b").unwrap(), Meaning::Entry(b"", b"a.wh.b"));
        assert_eq!(meaning(b"").unwrap(), Meaning::Root);
        for bad in [&b".wh."[..], b".wh..", b".wh...", b".wh.a/b", b"x/.wh.a/b"] {
            assert!(meaning(bad).is_err());
        }
    }
}
