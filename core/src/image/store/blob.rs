//! Writing and reading blobs.

use super::{Store, text};
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A blob on its way in: bytes are hashed and counted as they are written to a temporary file.
pub(crate) struct BlobWriter {
    file: File,
    path: PathBuf,
    hash: Hasher,
    written: u64,
    expected: Option<(Digest, u64)>,
    content: ErrorKind,
}

impl BlobWriter {
    /// A file in the folder `temp`. `expected`: digest and size, where they are known; `content`: the kind of
    /// error for other content.
    pub(super) fn new(
        temp: &Path,
        expected: Option<(Digest, u64)>,
        content: ErrorKind,
    ) -> Result<BlobWriter> {
        let path = temp.join("blob");
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|e| Error::io("can't make the file", e).with_context("path", text(&path)))?;
        let algorithm = expected.as_ref().map_or(Algorithm::Sha256, |(digest, _)| digest.algorithm());
        Ok(BlobWriter { file, path, hash: Hasher::new(algorithm), written: 0, expected, content })
    }

    /// Adds bytes. More than the declared size is an error at once.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        if let Some((_, size)) = &self.expected
            && self.written > *size
        {
            return Err(self.wrong(format!("is longer than the {size} bytes it should have")));
        }
        self.hash.update(bytes);
        self.file
            .write_all(bytes)
            .map_err(|e| Error::io("can't write a blob", e).with_context("path", text(&self.path)))
    }

    /// Bytes so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Checks size and digest and moves the blob to where `target` says; its digest and size.
    pub(super) fn commit(self, target: impl Fn(&Digest) -> PathBuf) -> Result<(Digest, u64)> {
        let actual = self.hash.clone().finish();
        if let Some((digest, size)) = &self.expected {
            if self.written != *size {
                return Err(self.wrong(format!("has {} bytes, not the {size} it should have", self.written)));
            }
            if actual != *digest {
                return Err(self.wrong(format!("has the digest {actual}")));
            }
        }
        let target = target(&actual);
        std::fs::rename(&self.path, &target)
            .map_err(|e| Error::io("can't store a blob", e).with_context("path", text(&target)))?;
        Ok((actual, self.written))
    }

    fn wrong(&self, what: String) -> Error {
        let error = Error::new(self.content, format!("the content {what}"));
        match &self.expected {
            Some((digest, _)) => error.with_context("digest", digest.to_string()),
            None => error,
        }
    }
}

impl Store {
    /// Whether a blob of this digest and size is here. Its content is checked when it is read.
    pub(crate) fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        std::fs::symlink_metadata(self.blob_path(digest)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// A blob's bytes, at most `limit`, with its digest checked. `None`: it is not here; `corrupt`: it is
    /// damaged.
    pub(crate) fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("can't read a blob", e).with_context("path", text(&path))),
        };
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("can't read a blob", e).with_context("path", text(&path)))?;
        if bytes.len() as u64 > limit || !digest.matches(&bytes) {
            return Err(damaged_blob(&path, digest));
        }
        Ok(Some(bytes))
    }

    /// Opens a blob.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(|e| Error::io("can't read a blob", e).with_context("path", text(&path)))
    }

    /// Whether a whole blob has the digest of its name.
    pub(crate) fn verify_blob(&self, digest: &Digest) -> Result<bool> {
        let path = self.blob_path(digest);
        let Ok(mut file) = File::open(&path) else {
            return Ok(false);
        };
        let mut hash = Hasher::new(digest.algorithm());
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.finish() == *digest),
                Ok(n) => hash.update(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("can't read a blob", e).with_context("path", text(&path))),
            }
        }
    }
}

fn damaged_blob(path: &Path, digest: &Digest) -> Error {
    Error::new(ErrorKind::Corrupt, "a stored blob is damaged; pull or load its image again")
        .with_context("digest", digest.to_string())
        .with_context("path", text(path))
}
