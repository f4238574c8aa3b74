//! Reading tar, strictly: ustar, PAX and GNU. What two readers could take for different things is refused.

mod header;
mod pax;
mod sparse;

use super::fault::{Fault, Result};
use super::stream::{Source, truncated};
use header::{BLOCK, Header};
use pax::Extension;
pub(super) use sparse::Segment;

/// The largest extension (long name, PAX records) that is read.
const MAX_EXTENSION: u64 = 1 << 20;
/// The longest name: the kernel's `PATH_MAX`.
const MAX_NAME: usize = 4096;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

/// One entry. Its data is read through the [`Archive`] before the next entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its header begins.
    pub(super) offset: u64,
    pub(super) kind: Kind,
    /// As in the archive.
    pub(super) name: Vec<u8>,
    /// Target of a link.
    pub(super) link: Vec<u8>,
    /// Permission bits, with set-id and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds since the epoch; the seconds may be negative.
    pub(super) mtime: (i64, u32),
    /// Bytes of data in the archive.
    pub(super) size: u64,
    /// Major and minor number of a device.
    pub(super) device: (u32, u32),
    /// Extended attributes.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// A sparse file: its length, and where the data goes.
    pub(super) sparse: Option<(u64, Vec<Segment>)>,
}

/// What precedes an entry and changes it.
#[derive(Default)]
struct Prefix {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Extension>,
}

/// The entries of a stream.
pub(super) struct Archive {
    source: Source,
    /// Bytes of the current entry's data that are left.
    left: u64,
    /// Bytes after them up to the next block.
    padding: u64,
    ended: bool,
}

impl Archive {
    pub(super) fn new(source: Source) -> Archive {
        Archive { source, left: 0, padding: 0, ended: false }
    }

    /// The next entry; `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        let mut prefix = Prefix::default();
        loop {
            self.skip_data()?;
            let offset = self.source.position();
            let at = |fault: Fault| fault.at(b"", offset);
            let Some(header) = self.header()? else {
                if prefix.name.is_some() || prefix.link.is_some() || prefix.pax.is_some() {
                    return Err(at(Fault::content("the archive ends after an extension header")));
                }
                return Ok(None);
            };
            let size = header.size().map_err(at)?;
            match header.flag() {
                b'L' => set_once(&mut prefix.name, self.long_name(size).map_err(at)?).map_err(at)?,
                b'K' => set_once(&mut prefix.link, self.long_name(size).map_err(at)?).map_err(at)?,
                b'x' => {
                    let records = self.extension(size).map_err(at)?;
                    set_once(&mut prefix.pax, Extension::parse(&records).map_err(at)?).map_err(at)?;
                }
                b'g' => {
                    let records = self.extension(size).map_err(at)?;
                    pax::check_global(&records).map_err(at)?;
                }
                _ => return self.entry(&header, prefix, offset).map(Some),
            }
        }
    }

    /// Some of the current entry's data; empty at its end.
    pub(super) fn peek(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let part = self.source.peek()?;
        if part.is_empty() {
            return Err(truncated());
        }
        Ok(&part[..part.len().min(left)])
    }

    /// Takes `n` bytes of what [`Archive::peek`] gave.
    pub(super) fn consume(&mut self, n: usize) {
        self.source.consume(n);
        self.left -= n as u64;
    }

    /// Reads to the end of the stream, and returns the digest of all of it.
    pub(super) fn finish(mut self) -> Result<String> {
        loop {
            let part = self.source.peek()?;
            let n = part.len();
            if n == 0 {
                break;
            }
            if part.iter().any(|b| *b != 0) {
                return Err(Fault::content("data follows the end of the archive"));
            }
            self.source.consume(n);
        }
        self.source.finish()
    }

    fn skip_data(&mut self) -> Result<()> {
        let (left, padding) = (std::mem::take(&mut self.left), std::mem::take(&mut self.padding));
        self.source.skip(left)?;
        // An archive whose writer was not closed ends without its last padding (`umoci insert` makes such
        // ones); other readers take it, and what was cut off elsewhere has another digest.
        let mut block = [0u8; BLOCK];
        self.source.fill(&mut block[..padding as usize])?;
        Ok(())
    }

    /// The next header block; `None`: the end of the archive, with or without blocks of zeros.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.source.position();
        let mut block = [0u8; BLOCK];
        let n = self.source.fill(&mut block)?;
        if n == 0 {
            self.ended = true;
            return Ok(None);
        }
        if n < BLOCK {
            return Err(truncated().at(b"", offset));
        }
        if block != [0u8; BLOCK] {
            return Header::check(block).map(Some).map_err(|f| f.at(b"", offset));
        }
        let n = self.source.fill(&mut block)?;
        if block[..n].iter().any(|b| *b != 0) {
            return Err(Fault::content("a block of zeros stands alone between entries").at(b"", offset));
        }
        self.ended = true;
        Ok(None)
    }

    /// The data of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(Fault::limit(format!(
                "an extension header has {size} bytes, more than {MAX_EXTENSION}"
            )));
        }
        self.begin_data(size);
        let mut data = vec![0u8; size as usize];
        if self.source.fill(&mut data)? < data.len() {
            return Err(truncated());
        }
        self.left = 0;
        Ok(data)
    }

    /// A GNU long name: ends with NUL bytes.
    fn long_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.extension(size)?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        if name[end..].iter().any(|b| *b != 0) {
            return Err(Fault::content("a long name has bytes after its end"));
        }
        name.truncate(end);
        Ok(name)
    }

    fn begin_data(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn entry(&mut self, header: &Header, prefix: Prefix, offset: u64) -> Result<Entry> {
        let name = self.name(header, &prefix).map_err(|f| f.at(b"", offset))?;
        self.rest_of_entry(header, prefix, offset, name.clone()).map_err(|f| f.at(&name, offset))
    }

    fn name(&self, header: &Header, prefix: &Prefix) -> Result<Vec<u8>> {
        let pax = prefix.pax.as_ref();
        let from_pax = pax.and_then(|p| p.sparse_name.as_ref().or(p.path.as_ref()));
        let name = agree("names", prefix.name.as_ref(), from_pax)?.unwrap_or_else(|| header.name());
        if name.is_empty() {
            return Err(Fault::content("an entry has no name"));
        }
        check_name(&name)?;
        Ok(name)
    }

    fn rest_of_entry(
        &mut self,
        header: &Header,
        prefix: Prefix,
        offset: u64,
        name: Vec<u8>,
    ) -> Result<Entry> {
        let pax = prefix.pax.unwrap_or_default();
        let kind = header.kind(name.ends_with(b"/"))?;
        let link =
            agree("link targets", prefix.link.as_ref(), pax.link.as_ref())?.unwrap_or_else(|| header.link());
        check_name(&link)?;
        let size = data_size(header, kind, pax.size)?;
        self.begin_data(size);
        let sparse = if header.flag() == b'S' {
            if pax.has_sparse() {
                return Err(Fault::content("an entry is sparse in two ways"));
            }
            Some(self.old_sparse(header)?)
        } else if pax.has_sparse() {
            if kind != Kind::File {
                return Err(Fault::content("an entry that is no file is sparse"));
            }
            Some(self.pax_sparse(&pax)?)
        } else {
            None
        };
        let size = self.left;
        if let Some((length, map)) = &sparse {
            sparse::check(*length, map, size)?;
        }
        Ok(Entry {
            offset,
            kind,
            link,
            mode: header.mode()?,
            uid: owner("uid", pax.uid, header.uid()?)?,
            gid: owner("gid", pax.gid, header.gid()?)?,
            mtime: match pax.mtime {
                Some(time) => time,
                None => (header.mtime()?, 0),
            },
            size,
            device: if matches!(kind, Kind::Char | Kind::Block) { header.device()? } else { (0, 0) },
            xattrs: pax.xattrs,
            sparse,
            name,
        })
    }

    /// GNU's old format: the map is in the header and in blocks after it, which are not counted as data.
    fn old_sparse(&mut self, header: &Header) -> Result<(u64, Vec<Segment>)> {
        let (length, mut map, mut more) = header.sparse()?;
        while more {
            let mut block = [0u8; BLOCK];
            if self.source.fill(&mut block)? < BLOCK {
                return Err(truncated());
            }
            more = header::more_sparse(&block, &mut map)?;
            sparse::check_count(map.len())?;
        }
        Ok((length, map))
    }

    /// The PAX formats: 0.x have the map in the records, 1.0 at the beginning of the data.
    fn pax_sparse(&mut self, pax: &Extension) -> Result<(u64, Vec<Segment>)> {
        let length = pax.sparse_size.ok_or_else(|| Fault::content("a sparse file has no size"))?;
        if let Some(map) = &pax.sparse_map {
            return Ok((length, map.clone()));
        }
        let mut map = sparse::MapReader::new();
        while !map.is_complete() {
            if self.left < BLOCK as u64 {
                return Err(Fault::content("a sparse map is longer than its entry"));
            }
            let mut block = [0u8; BLOCK];
            if self.source.fill(&mut block)? < BLOCK {
                return Err(truncated());
            }
            self.left -= BLOCK as u64;
            map.block(&block)?;
        }
        Ok((length, map.into_map()))
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::content("an entry has two extension headers of the same kind")),
    }
}

/// The value that two ways of saying it agree on.
fn agree(what: &str, gnu: Option<&Vec<u8>>, pax: Option<&Vec<u8>>) -> Result<Option<Vec<u8>>> {
    match (gnu, pax) {
        (Some(a), Some(b)) if a != b => Err(Fault::content(format!("an entry has two different {what}"))),
        (a, b) => Ok(b.or(a).cloned()),
    }
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Fault::limit(format!("a name has {} bytes, more than {MAX_NAME}", name.len())));
    }
    if name.contains(&0) {
        return Err(Fault::content("a name has a NUL byte"));
    }
    Ok(())
}

/// The header can say up to 8 GiB less one byte, or more in base 256; a PAX record is for what does not fit.
/// One that says something else about what fits is read differently by different readers.
fn data_size(header: &Header, kind: Kind, pax: Option<u64>) -> Result<u64> {
    const FITS: u64 = 0o77_777_777_777;
    let own = header.size()?;
    let size = match pax {
        Some(size) if size != own && (own != 0 || size <= FITS) => {
            return Err(Fault::content(format!("an entry has two sizes: {own} and {size} bytes")));
        }
        Some(size) => size,
        // Old archives repeat the size of the file at each further link to it; no reader expects data there.
        None if kind == Kind::HardLink => 0,
        None => own,
    };
    if size != 0 && kind != Kind::File {
        return Err(Fault::content(format!("an entry that is no file has {size} bytes of data")));
    }
    Ok(size)
}

fn owner(what: &str, pax: Option<u64>, header: i64) -> Result<u32> {
    let id = match pax {
        Some(id) => id,
        None => {
            u64::try_from(header).map_err(|_| Fault::content(format!("an entry has a negative {what}")))?
        }
    };
    // The last one means "leave it" to the kernel.
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Fault::content(format!("an entry has the {what} {id}, which no user can have"))),
    }
}
