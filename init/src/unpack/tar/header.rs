//! The 512-byte header block.

use super::super::fault::{Fault, Result};
use super::Kind;
use super::sparse::Segment;

/// Size of a block.
pub(super) const BLOCK: usize = 512;

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const FLAG: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const MAJOR: std::ops::Range<usize> = 329..337;
const MINOR: std::ops::Range<usize> = 337..345;
const PREFIX: std::ops::Range<usize> = 345..500;
/// What star writes: a shorter prefix, times, and its own mark at the end.
const STAR_PREFIX: std::ops::Range<usize> = 345..476;
const STAR_MARK: std::ops::Range<usize> = 508..512;
/// GNU's sparse map in the header: four pairs, whether more blocks follow, and the file's length.
const SPARSE: usize = 386;
const SPARSE_MORE: usize = 482;
const SPARSE_SIZE: std::ops::Range<usize> = 483..495;

/// A header whose checksum is right.
pub(super) struct Header([u8; BLOCK]);

impl Header {
    /// Checks the checksum, which old tars computed over signed bytes.
    pub(super) fn check(block: [u8; BLOCK]) -> Result<Header> {
        let stored = number(&block[CHECKSUM], "checksum")?;
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (i, byte) in block.iter().enumerate() {
            let byte = if CHECKSUM.contains(&i) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte as i8);
        }
        if stored != unsigned && stored != signed {
            return Err(Fault::content(
                "a header has a wrong checksum: this is no tar archive, or it is damaged",
            ));
        }
        Ok(Header(block))
    }

    pub(super) fn flag(&self) -> u8 {
        self.0[FLAG]
    }

    fn is_posix(&self) -> bool {
        self.0[MAGIC].starts_with(b"ustar\0")
    }

    fn is_gnu(&self) -> bool {
        &self.0[MAGIC] == b"ustar  \0"
    }

    /// What the entry is. A name with a slash at its end makes a file a folder, as before ustar.
    pub(super) fn kind(&self, slash: bool) -> Result<Kind> {
        Ok(match self.flag() {
            b'0' | 0 | b'7' if slash => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' if self.is_gnu() => Kind::File,
            other => {
                let flag = (other as char).escape_default();
                return Err(Fault::content(format!("an entry is of the unknown type '{flag}'")));
            }
        })
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = match () {
            () if !self.is_posix() => &[],
            () if &self.0[STAR_MARK] == b"tar\0" => text(&self.0[STAR_PREFIX]),
            () => text(&self.0[PREFIX]),
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[LINK]).to_vec()
    }

    pub(super) fn size(&self) -> Result<u64> {
        positive(&self.0[SIZE], "size")
    }

    pub(super) fn mode(&self) -> Result<u32> {
        Ok((number(&self.0[MODE], "mode")? & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<i64> {
        number(&self.0[UID], "uid")
    }

    pub(super) fn gid(&self) -> Result<i64> {
        number(&self.0[GID], "gid")
    }

    pub(super) fn mtime(&self) -> Result<i64> {
        number(&self.0[MTIME], "mtime")
    }

    pub(super) fn device(&self) -> Result<(u32, u32)> {
        if !self.is_posix() && !self.is_gnu() {
            return Err(Fault::content("a device has no numbers"));
        }
        let part = |field, what| {
            u32::try_from(number(field, what)?)
                .map_err(|_| Fault::content(format!("a device has a bad {what} number")))
        };
        Ok((part(&self.0[MAJOR], "major")?, part(&self.0[MINOR], "minor")?))
    }

    /// Length, the first segments of the map, and whether blocks with more follow.
    pub(super) fn sparse(&self) -> Result<(u64, Vec<Segment>, bool)> {
        let mut map = Vec::new();
        segments(&self.0[SPARSE..SPARSE + 4 * 24], &mut map)?;
        Ok((positive(&self.0[SPARSE_SIZE], "sparse size")?, map, self.0[SPARSE_MORE] != 0))
    }
}

/// Reads one more block of a sparse map; whether another one follows.
pub(super) fn more_sparse(block: &[u8; BLOCK], map: &mut Vec<Segment>) -> Result<bool> {
    segments(&block[..21 * 24], map)?;
    Ok(block[21 * 24] != 0)
}

fn segments(fields: &[u8], map: &mut Vec<Segment>) -> Result<()> {
    for pair in fields.chunks_exact(24) {
        // An unused pair ends the map.
        if pair[0] == 0 || pair[12] == 0 {
            break;
        }
        map.push(Segment {
            offset: positive(&pair[..12], "sparse offset")?,
            length: positive(&pair[12..], "sparse length")?,
        });
    }
    Ok(())
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|b| *b == 0).unwrap_or(field.len())]
}

fn positive(field: &[u8], what: &str) -> Result<u64> {
    u64::try_from(number(field, what)?).map_err(|_| Fault::content(format!("a header has a negative {what}")))
}

/// A number: octal digits, or base 256 when the first bit is set.
fn number(field: &[u8], what: &str) -> Result<i64> {
    let bad = || Fault::content(format!("a header has a malformed {what}"));
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let first = i128::from(field[0] & 0x3f) - if negative { 0x40 } else { 0 };
        let value = field[1..]
            .iter()
            .fold(first, |value, byte| value.saturating_mul(256).saturating_add((*byte).into()));
        return i64::try_from(value).map_err(|_| bad());
    }
    let field = text(field).trim_ascii();
    // A field may also be filled with zeros at its beginning and have its end at the last byte.
    if field.iter().any(|b| !(b'0'..=b'7').contains(b)) {
        return Err(bad());
    }
    Ok(field.iter().fold(0i64, |value, digit| value * 8 + i64::from(digit - b'0')))
}
