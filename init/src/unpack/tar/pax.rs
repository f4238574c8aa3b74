//! PAX extended headers.

use super::super::fault::{Fault, Result, shown};
use super::sparse::{self, Segment};
use std::collections::HashSet;

const XATTR: &[u8] = b"SCHILY.xattr.";

/// What a PAX header says about the entry after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse_size: Option<u64>,
    pub(super) sparse_map: Option<Vec<Segment>>,
    sparse_in_data: bool,
}

impl Extension {
    pub(super) fn has_sparse(&self) -> bool {
        self.sparse_map.is_some() || self.sparse_in_data
    }

    /// Reads the records of an `x` header.
    pub(super) fn parse(data: &[u8]) -> Result<Extension> {
        let mut extension = Extension::default();
        let mut sparse = Sparse::default();
        let mut seen = HashSet::new();
        for record in Records(data) {
            let (key, value) = record?;
            // Format 0.0 of sparse files repeats these two, in pairs.
            if matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
                sparse.pair(key, value)?;
                continue;
            }
            if !seen.insert(key) {
                return Err(Fault::content(format!("the PAX record {} is there twice", shown(key))));
            }
            if let Some(name) = key.strip_prefix(XATTR) {
                if name.is_empty() || name.contains(&0) {
                    return Err(malformed(key));
                }
                extension.xattrs.push((name.to_vec(), value.to_vec()));
            } else if key.starts_with(b"GNU.sparse.") {
                sparse.record(key, value)?;
            } else {
                extension.record(key, value)?;
            }
        }
        sparse.into_extension(&mut extension)?;
        Ok(extension)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"path" => self.path = Some(path(key, value)?),
            b"linkpath" => self.link = Some(path(key, value)?),
            b"size" => self.size = Some(decimal(key, value)?),
            b"uid" => self.uid = Some(decimal(key, value)?),
            b"gid" => self.gid = Some(decimal(key, value)?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(|| malformed(key))?),
            // Other times, names of users, comments, and what only their makers know.
            _ => {}
        }
        Ok(())
    }
}

/// A global header changes all entries after it for some readers and none for others: only what has no
/// meaning here is accepted (git writes a comment).
pub(super) fn check_global(data: &[u8]) -> Result<()> {
    for record in Records(data) {
        let (key, _) = record?;
        let known: [&[u8]; 6] = [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"];
        if known.contains(&key) || key.starts_with(XATTR) || key.starts_with(b"GNU.sparse.") {
            return Err(Fault::content(format!("the PAX record {} is set for all entries", shown(key))));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Sparse {
    version: (Option<u64>, Option<u64>),
    name: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    count: Option<u64>,
    pairs: Vec<u64>,
    map: Option<Vec<u64>>,
}

impl Sparse {
    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let is_offset = key == b"GNU.sparse.offset";
        if is_offset != self.pairs.len().is_multiple_of(2) {
            return Err(malformed(key));
        }
        self.pairs.push(decimal(key, value)?);
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"GNU.sparse.major" => self.version.0 = Some(decimal(key, value)?),
            b"GNU.sparse.minor" => self.version.1 = Some(decimal(key, value)?),
            b"GNU.sparse.name" => self.name = Some(path(key, value)?),
            b"GNU.sparse.size" => self.size = Some(decimal(key, value)?),
            b"GNU.sparse.realsize" => self.real_size = Some(decimal(key, value)?),
            b"GNU.sparse.numblocks" => self.count = Some(decimal(key, value)?),
            b"GNU.sparse.map" => {
                let numbers = value.split(|b| *b == b',').filter(|n| !n.is_empty());
                self.map = Some(numbers.map(|n| decimal(key, n)).collect::<Result<_>>()?);
            }
            _ => return Err(Fault::content(format!("the PAX record {} is not known", shown(key)))),
        }
        Ok(())
    }

    fn into_extension(self, extension: &mut Extension) -> Result<()> {
        let contradiction = || Fault::content("the PAX records of a sparse file contradict each other");
        if self.size.is_some() && self.real_size.is_some() {
            return Err(contradiction());
        }
        extension.sparse_size = self.real_size.or(self.size);
        extension.sparse_name = self.name;
        match self.version {
            (Some(1), Some(0)) if self.map.is_none() && self.pairs.is_empty() => {
                extension.sparse_in_data = true
            }
            (None, None) | (Some(0), Some(0 | 1)) => {
                let numbers = match (self.map, self.pairs) {
                    (Some(map), pairs) if pairs.is_empty() => map,
                    (None, pairs) if !pairs.is_empty() => pairs,
                    (None, _) if extension.sparse_size.is_none() && extension.sparse_name.is_none() => {
                        return Ok(());
                    }
                    (None, pairs) => pairs,
                    _ => return Err(contradiction()),
                };
                let segments = sparse::pairs(&numbers)?;
                if self.count.is_some_and(|count| count != segments.len() as u64) {
                    return Err(contradiction());
                }
                extension.sparse_map = Some(segments);
            }
            _ => return Err(Fault::content("a sparse file is of an unknown version")),
        }
        Ok(())
    }
}

/// `length key=value\n`, one after the other.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers fill up with zeros.
        if self.0.iter().all(|b| *b == 0) {
            return None;
        }
        let record = split(self.0);
        match record {
            Some((key, value, rest)) => {
                self.0 = rest;
                Some(Ok((key, value)))
            }
            None => {
                self.0 = &[];
                Some(Err(Fault::content("a PAX record is malformed")))
            }
        }
    }
}

fn split(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(21).position(|b| *b == b' ')?;
    let length = usize::try_from(digits(&data[..space])?).ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    if key.is_empty() || key.contains(&0) {
        return None;
    }
    Some((key, value, &data[length..]))
}

fn malformed(key: &[u8]) -> Fault {
    Fault::content(format!("the PAX record {} is malformed", shown(key)))
}

fn path(key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    if value.is_empty() || value.contains(&0) {
        return Err(malformed(key));
    }
    Ok(value.to_vec())
}

fn decimal(key: &[u8], value: &[u8]) -> Result<u64> {
    digits(value).filter(|n| *n <= i64::MAX as u64).ok_or_else(|| malformed(key))
}

/// Decimal digits and nothing else.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`; the fraction counts away from zero, nanoseconds always forward.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, fraction) = match value.iter().position(|b| *b == b'.') {
        Some(dot) => (&value[..dot], &value[dot + 1..]),
        None => (value, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(digits(whole)?).ok()?;
    let nanoseconds =
        fraction.iter().chain(std::iter::repeat(&b'0')).take(9).fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    Some(match (negative, nanoseconds) {
        (false, n) => (seconds, n),
        (true, 0) => (-seconds, 0),
        (true, n) => (-seconds - 1, 1_000_000_000 - n),
    })
}
