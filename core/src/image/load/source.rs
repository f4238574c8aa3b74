//! Where files are loaded from: a folder, or an archive, also a compressed one.

use super::{WRONG, compression, wrong};
use crate::image::store::Ingest;
use crate::{Error, ErrorKind, Result};
use containers_protocol::unpack::Compression;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};
use std::sync::Arc;

/// The most files in an archive.
const MAX_FILES: usize = 100_000;
/// The most bytes that a compressed archive may have when unpacked.
const MAX_ARCHIVE: u64 = 256 << 30;
/// Links followed in an archive.
const MAX_LINKS: usize = 8;

/// A folder or an archive.
pub(super) enum Source {
    Folder(OwnedFd),
    Archive { file: Arc<File>, files: HashMap<String, Member> },
}

/// A file in an archive.
pub(super) enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

/// The bytes of one file.
#[derive(Clone)]
pub(super) struct Content {
    file: Arc<File>,
    offset: u64,
    size: u64,
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Its first bytes.
    pub(super) fn head(&self) -> Result<Vec<u8>> {
        let mut head = vec![0u8; 8.min(self.size as usize)];
        self.file.read_exact_at(&mut head, self.offset).map_err(unreadable)?;
        Ok(head)
    }

    pub(super) fn reader(&self) -> Result<impl Read + Send + use<>> {
        Ok(Range { file: self.file.clone(), at: self.offset, end: self.offset + self.size })
    }

    /// All of it, when it has at most `limit` bytes.
    pub(super) fn bytes(&self, limit: u64) -> Result<Vec<u8>> {
        if self.size > limit {
            return Err(wrong(format!("the file has {} bytes, more than {limit}", self.size)));
        }
        let mut bytes = vec![0u8; self.size as usize];
        self.file.read_exact_at(&mut bytes, self.offset).map_err(unreadable)?;
        Ok(bytes)
    }
}

struct Range {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Range {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buf[..n], self.at)?;
        if n == 0 && !buf.is_empty() && self.at < self.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

/// Fills as much of `buffer` as there is.
pub(super) fn read(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match from.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
    Ok(done)
}

fn unreadable(e: io::Error) -> Error {
    if e.raw_os_error().is_none() {
        // What decoders make of bad content.
        return Error::new(WRONG, "the file is damaged or truncated").with_source(e);
    }
    Error::io("can't read the file", e)
}

impl Source {
    /// Opens a folder or an archive. A compressed archive is unpacked into a temporary file first.
    pub(super) fn open(path: &Path, ingest: &Ingest) -> Result<Source> {
        let meta = path.metadata().map_err(|e| Error::io("can't open the image file", e))?;
        if meta.is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(path, flags, Mode::empty());
            return Ok(Source::Folder(fd.map_err(|e| Error::io("can't open the folder", e.into()))?));
        }
        if !meta.is_file() {
            return Err(wrong("it is neither a file nor a folder"));
        }
        let mut file = File::open(path).map_err(|e| Error::io("can't open the image file", e))?;
        let mut head = [0u8; 6];
        let n = read(&mut file, &mut head)?;
        file.rewind().map_err(unreadable)?;
        if let Some(name) = foreign(&head[..n]) {
            let what = format!("the file is compressed with {name}; use gzip or zstd");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let file = match compression(&head[..n]) {
            Compression::None => file,
            Compression::Gzip => expand(flate2::read::MultiGzDecoder::new(file), ingest)?,
            Compression::Zstd => expand(zstd::Decoder::new(file).map_err(unreadable)?, ingest)?,
        };
        Source::archive(file)
    }

    fn archive(file: File) -> Result<Source> {
        let bad = |e: io::Error| wrong("the file is no tar archive, or it is damaged").with_source(e);
        let length = file.metadata().map_err(unreadable)?.len();
        let mut files = HashMap::new();
        let mut archive = tar::Archive::new(BufReader::with_capacity(1024, &file));
        for entry in archive.entries_with_seek().map_err(bad)? {
            let entry = entry.map_err(bad)?;
            let name = plain_name(&entry.path_bytes())?;
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let member = match entry.header().entry_type() {
                kind if kind.is_file() => {
                    if offset.checked_add(size).is_none_or(|end| end > length) {
                        return Err(wrong("the archive is truncated").with_context("file", name));
                    }
                    Member::File { offset, size }
                }
                kind if kind.is_symlink() => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    Member::Link(link_target(&name, &target)?)
                }
                kind if kind.is_hard_link() => {
                    Member::Link(plain_name(&entry.link_name_bytes().unwrap_or_default())?)
                }
                _ => continue,
            };
            if files.len() == MAX_FILES {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("the archive has more than {MAX_FILES} files"),
                ));
            }
            files.insert(name, member);
        }
        drop(archive);
        Ok(Source::Archive { file: Arc::new(file), files })
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.find(name, false), Ok(Some(_)))
    }

    /// A file; in an archive, links are followed only with `links`, in a folder never.
    pub(super) fn get(&self, name: &str, links: bool) -> Result<Content> {
        let found = self.find(name, links).map_err(|e| e.with_context("file", name))?;
        found.ok_or_else(|| wrong("a file is missing in the image").with_context("file", name))
    }

    fn find(&self, name: &str, links: bool) -> Result<Option<Content>> {
        let name = plain_name(name.as_bytes())?;
        match self {
            Source::Folder(folder) => find_in_folder(folder, &name),
            Source::Archive { file, files } => {
                let mut name = &name;
                for _ in 0..MAX_LINKS {
                    match files.get(name) {
                        None => return Ok(None),
                        Some(Member::File { offset, size }) => {
                            return Ok(Some(Content { file: file.clone(), offset: *offset, size: *size }));
                        }
                        Some(Member::Link(target)) if links => name = target,
                        Some(Member::Link(_)) => return Err(wrong("a link is in the place of a file")),
                    }
                }
                Err(wrong("links in the archive lead in a circle"))
            }
        }
    }
}

fn find_in_folder(folder: &OwnedFd, name: &str) -> Result<Option<Content>> {
    // Not blocking, for it may be a FIFO.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let fd = match openat2(folder, name, flags, Mode::empty(), resolve) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(wrong("a link is in the place of a file")),
        Err(e) => return Err(Error::io("can't open a file of the image", e.into())),
    };
    let stat = fstat(&fd).map_err(|e| Error::io("can't look at a file of the image", e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(wrong("something else is in the place of a file"));
    }
    Ok(Some(Content { file: Arc::new(File::from(fd)), offset: 0, size: stat.st_size.max(0) as u64 }))
}

fn foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("bzip2"),
        _ => None,
    }
}

/// Writes the uncompressed archive to a file without a name.
fn expand(mut from: impl Read, ingest: &Ingest) -> Result<File> {
    let mut file = ingest.scratch_file()?;
    let mut buffer = vec![0u8; super::CHUNK];
    let mut written = 0u64;
    loop {
        let n = read(&mut from, &mut buffer)?;
        if n == 0 {
            break;
        }
        written += n as u64;
        if written > MAX_ARCHIVE {
            let what = format!("the archive has more than {MAX_ARCHIVE} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, what));
        }
        file.write_all(&buffer[..n]).map_err(|e| Error::io("can't write a temporary file", e))?;
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(file)
}

/// A name in an archive, without `./`; one that leads elsewhere is refused.
fn plain_name(name: &[u8]) -> Result<String> {
    let bad = |what: &str| wrong(what).with_context("file", String::from_utf8_lossy(name).into_owned());
    let text = std::str::from_utf8(name).map_err(|_| bad("a name in the image is no UTF-8"))?;
    if text.contains('\0') || text.len() > 4096 {
        return Err(bad("a name in the image is malformed"));
    }
    let mut parts = Vec::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            _ => return Err(bad("a name in the image leads out of it")),
        }
    }
    Ok(parts.join("/"))
}

/// The name that a symbolic link in an archive stands for.
fn link_target(link: &str, target: &[u8]) -> Result<String> {
    let out = || wrong("a link in the archive leads out of it").with_context("file", link);
    let target = std::str::from_utf8(target).map_err(|_| out())?;
    if target.starts_with('/') {
        return Err(out());
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(out)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
