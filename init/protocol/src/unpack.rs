//! Unpacking of one layer by a helper process.

use crate::Bytes;
use serde::{Deserialize, Serialize};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, also of several members.
    Gzip,
    /// Zstandard, also of several frames.
    Zstd,
}

/// What to do with an archive stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unpack {
    /// Compression of the stream; checked against its first bytes.
    pub compression: Compression,
    /// The uncompressed stream's SHA-256 must be this (64 hexadecimal digits); `None`: only reported.
    pub diff_id: Option<String>,
    /// Whiteouts become overlay whiteouts (a layer), or are refused (a root file system import).
    pub whiteouts: bool,
    /// Inside a user namespace: owners are mapped ids, devices are refused or skipped.
    pub rootless: bool,
    /// Single-id mapping: every owner becomes root.
    pub single_id: bool,
    /// The most bytes that may be unpacked.
    pub max_bytes: u64,
    /// The most entries that may be unpacked.
    pub max_entries: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// SHA-256 of the uncompressed stream, 64 hexadecimal digits.
    pub diff_id: String,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Entries passed over (devices when rootless), for `info`.
    pub skipped: u64,
    /// The layer hides everything below it (an opaque mark at its root).
    #[serde(default)]
    pub opaque_root: bool,
    /// Folders that the archive only implies by what lies in them; where a lower layer has them, its owner,
    /// mode and attributes count.
    #[serde(default)]
    pub implied: Vec<Bytes>,
}
