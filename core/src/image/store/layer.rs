//! Bringing one layer in: compressed bytes go to its blob and, at the same time, to the unpacker.

use super::lock::{Named, TempDir};
use super::{BlobWriter, Store, answer, failed, make_private_dir, text};
use crate::image::digest::Digest;
use crate::{Error, ErrorKind, Result};
use containers_protocol::unpack::{Compression, Unpack, Unpacked};
use containers_protocol::{Bytes, control, launch};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of regular files one layer may have.
const MAX_BYTES: u64 = 256 << 30;
/// The most entries one layer may have.
const MAX_ENTRIES: u64 = 16 << 20;
/// What the pipe to the unpacker holds; the default of the kernel for the most an ordinary user may have.
const PIPE: usize = 1 << 20;

/// A layer as a manifest and a configuration describe it.
#[derive(Clone, Debug)]
pub(crate) struct LayerSpec {
    /// Digest and size of the blob; `None`: found out (an import).
    pub(crate) blob: Option<(Digest, u64)>,
    /// How the blob is compressed.
    pub(crate) compression: Compression,
    /// Digest of the uncompressed archive; `None`: not known (an import).
    pub(crate) diff_id: Option<Digest>,
    /// Its whiteouts apply to the layers below; otherwise names that mean whiteouts are refused.
    pub(crate) whiteouts: bool,
}

/// What is known of an unpacked layer, in the file `info` beside its tree.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LayerInfo {
    /// Bytes of regular files.
    pub(crate) bytes: u64,
    /// Entries.
    pub(crate) entries: u64,
    /// Entries passed over.
    pub(crate) skipped: u64,
    /// Hides everything below.
    pub(crate) opaque_root: bool,
    /// Folders whose attributes come from the layers below.
    pub(crate) implied: Vec<Bytes>,
    /// The blob it came from: digest, size, media type suffix (`gzip`, `zstd`, empty).
    pub(crate) blob: Option<(Digest, u64, String)>,
    /// The boot it was unpacked in: until a record in the database says that it has been flushed, it counts
    /// for this boot only.
    pub(crate) boot: String,
}

impl LayerSpec {
    /// What messages call the layer.
    fn name(&self) -> String {
        let known = self.blob.as_ref().map(|(digest, _)| digest).or(self.diff_id.as_ref());
        known.map_or_else(|| "import".to_owned(), Digest::to_string)
    }
}

/// A layer that has come in.
#[derive(Clone, Debug)]
pub(crate) struct NewLayer {
    /// Digest of the uncompressed archive.
    pub(crate) diff_id: Digest,
    /// Digest of the blob.
    pub(crate) blob: Digest,
    /// Size of the blob.
    pub(crate) size: u64,
}

/// What [`super::Ingest::layer`] found.
pub(crate) enum LayerSlot {
    /// The layer is here, unpacked.
    Ready,
    /// Nobody has it: stream its blob here.
    Fetch(Box<LayerSink>),
}

/// Takes the bytes of a layer's blob, once, from first to last.
pub(crate) struct LayerSink {
    store: Arc<Store>,
    temp: Option<TempDir>,
    spec: LayerSpec,
    blob: Option<BlobWriter>,
    pipe: Option<OwnedFd>,
    answers: OwnedFd,
    /// Whether the answer of the unpacker was received.
    answered: bool,
    /// The unpacker found the content wrong; the digest of the rest may tell why.
    wrong: Option<Error>,
    content: ErrorKind,
    _lock: Option<Named>,
}

impl LayerSink {
    /// Starts an unpacker. `content`: the kind of error for content that is not what it should be.
    pub(super) fn start(
        store: &Arc<Store>,
        spec: LayerSpec,
        lock: Option<Named>,
        content: ErrorKind,
    ) -> Result<LayerSink> {
        let temp = store.temp_dir()?;
        let blob = BlobWriter::new(temp.path(), spec.blob.clone(), content)?;
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::io("can't make a pipe", e.into()))?;
        // A smaller pipe only costs time.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE);
        let nonblocking = rustix::fs::fcntl_getfl(&writer).map(|f| f | OFlags::NONBLOCK);
        nonblocking
            .and_then(|f| rustix::fs::fcntl_setfl(&writer, f))
            .map_err(|e| Error::io("can't set up a pipe", e.into()))?;
        let answers = start_unpacker(store, temp.path(), &spec, &reader)?;
        Ok(LayerSink {
            store: store.clone(),
            temp: Some(temp),
            spec,
            blob: Some(blob),
            pipe: Some(writer),
            answers,
            answered: false,
            wrong: None,
            content,
            _lock: lock,
        })
    }

    /// Bytes taken so far: where a resumed transfer goes on.
    pub(crate) fn written(&self) -> u64 {
        self.blob.as_ref().map_or(0, BlobWriter::written)
    }

    /// Adds bytes; waits while the unpacker is behind.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(blob) = &mut self.blob {
            blob.write(bytes)?;
        }
        let mut left = bytes;
        while let Some(pipe) = &self.pipe
            && !left.is_empty()
        {
            match crate::sys::write_quietly(pipe.as_fd(), left) {
                Ok(n) => left = &left[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => crate::executor::writable(&pipe.as_fd())
                    .await
                    .map_err(|e| Error::io("can't wait for the unpacker", e))?,
                // The unpacker has given up: its answer says why.
                Err(Errno::PIPE) => {
                    self.pipe = None;
                    let why = self.answer().await.err().unwrap_or_else(|| {
                        Error::new(ErrorKind::Internal, "the unpacker ended before its input did")
                    });
                    if why.kind() != self.content {
                        return Err(why);
                    }
                    self.wrong = Some(why);
                }
                Err(e) => return Err(Error::io("can't send to the unpacker", e.into())),
            }
        }
        Ok(())
    }

    /// Ends the input, checks digests, and makes the layer visible.
    pub(crate) async fn finish(mut self) -> Result<NewLayer> {
        self.pipe = None;
        let unpacked = match self.wrong.take() {
            Some(wrong) => Err(wrong),
            None => self.answer().await,
        };
        let blob = self.blob.take().expect("taken only here");
        // The digest of the blob first: it says more about a broken transfer than the unpacker can.
        let (blob, size) = blob.commit(|digest| self.store.blob_path(digest))?;
        let unpacked = unpacked?;
        let temp = self.temp.take().expect("taken only here");
        let origin = Some((blob.clone(), size, suffix(self.spec.compression).to_owned()));
        let published = publish(&self.store, &temp, origin, unpacked);
        self.store.delete_later(vec![temp.path().to_path_buf()]);
        let (diff_id, _) = published?;
        Ok(NewLayer { diff_id, blob, size })
    }

    async fn answer(&mut self) -> Result<Unpacked> {
        let result = unpacker_answer(&self.answers, self.content).await;
        self.answered = true;
        result.map_err(|e| e.with_context("layer", self.spec.name()))
    }
}

impl Drop for LayerSink {
    fn drop(&mut self) {
        self.pipe = None;
        if let Some(temp) = self.temp.take() {
            if !self.answered {
                // The end of its input ends the unpacker; deleting below it would race with it.
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
                crate::sys::poll::wait_readable(&self.answers, deadline);
            }
            self.store.delete_later(vec![temp.path().to_path_buf()]);
        }
    }
}

/// Unpacks a layer from a file that starts at its beginning.
pub(super) async fn unpack_file(
    store: &Arc<Store>,
    spec: &LayerSpec,
    file: &std::fs::File,
    content: ErrorKind,
) -> Result<(Digest, LayerInfo)> {
    let temp = store.temp_dir()?;
    let result = async {
        let answers = start_unpacker(store, temp.path(), spec, file)?;
        let unpacked = unpacker_answer(&answers, content).await?;
        let origin = spec.blob.clone().map(|(blob, size)| (blob, size, suffix(spec.compression).to_owned()));
        publish(store, &temp, origin, unpacked)
    };
    let result = result.await.map_err(|e: Error| e.with_context("layer", spec.name()));
    store.delete_later(vec![temp.path().to_path_buf()]);
    result
}

fn start_unpacker(store: &Store, temp: &Path, spec: &LayerSpec, stream: &impl AsFd) -> Result<OwnedFd> {
    let tree = temp.join("layer/fs");
    make_private_dir(&temp.join("layer"))?;
    make_private_dir(&tree)?;
    let dir = rustix::fs::open(&tree, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::io("can't open the folder", e.into()).with_context("path", text(&tree)))?;
    let maps = store.support.id_maps();
    let request = launch::Request::Unpack(Unpack {
        compression: spec.compression,
        diff_id: spec.diff_id.as_ref().map(|d| d.hex().to_owned()),
        whiteouts: spec.whiteouts,
        rootless: maps.is_some(),
        single_id: maps.is_some_and(|m| m.uids.iter().map(|u| u64::from(u.count)).sum::<u64>() <= 1),
        max_bytes: MAX_BYTES,
        max_entries: MAX_ENTRIES,
    });
    store.support.request(&request, &[dir.as_fd(), stream.as_fd()])
}

/// The unpacker answers with an [`Unpacked`], or an event that says why not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Event(control::Event),
    Unpacked(Unpacked),
}

async fn unpacker_answer(socket: &OwnedFd, content: ErrorKind) -> Result<Unpacked> {
    match answer::<Answer>(socket).await? {
        Answer::Unpacked(unpacked) => Ok(unpacked),
        Answer::Event(control::Event::Failed(failure)) => Err(failed(failure, content)),
        Answer::Event(_) => Err(Error::new(ErrorKind::Internal, "the launcher gave an unexpected answer")),
    }
}

/// Moves an unpacked tree to its final name.
fn publish(
    store: &Store,
    temp: &TempDir,
    origin: Option<(Digest, u64, String)>,
    unpacked: Unpacked,
) -> Result<(Digest, LayerInfo)> {
    let diff_id = Digest::from_sha256_hex(&unpacked.diff_id)
        .map_err(|_| Error::new(ErrorKind::Internal, "the unpacker reported a malformed digest"))?;
    let info = LayerInfo {
        bytes: unpacked.bytes,
        entries: unpacked.entries,
        skipped: unpacked.skipped,
        opaque_root: unpacked.opaque_root,
        implied: unpacked.implied,
        blob: origin,
        boot: crate::sys::boot_id(),
    };
    let layer = temp.path().join("layer");
    let encoded = serde_json::to_vec(&info).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let path = layer.join("info");
    std::fs::write(&path, encoded)
        .map_err(|e| Error::io("can't write", e).with_context("path", text(&path)))?;
    let target = store.layer_dir(&diff_id);
    if target.symlink_metadata().is_ok() {
        if let Some(there) = store.layer_info(&diff_id)? {
            // An import found out only now that it had been here all along.
            return Ok((diff_id, there));
        }
        // What is there did not outlive a crash whole, or is damaged.
        let aside: PathBuf = temp.path().join("old");
        std::fs::rename(&target, &aside).map_err(|e| Error::io("can't replace a layer", e))?;
    }
    std::fs::rename(&layer, &target)
        .map_err(|e| Error::io("can't store a layer", e).with_context("path", text(&target)))?;
    Ok((diff_id, info))
}

/// The end of a layer's media type.
pub(super) fn suffix(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}

impl Store {
    /// What is known of a layer, if it is here whole.
    pub(crate) fn layer_info(&self, diff_id: &Digest) -> Result<Option<LayerInfo>> {
        let dir = self.layer_dir(diff_id);
        let Ok(bytes) = std::fs::read(dir.join("info")) else {
            return Ok(None);
        };
        let Ok(info) = serde_json::from_slice::<LayerInfo>(&bytes) else {
            return Ok(None);
        };
        if !dir.join("fs").symlink_metadata().is_ok_and(|m| m.is_dir()) {
            return Ok(None);
        }
        let flushed = info.boot == crate::sys::boot_id() || self.is_recorded(diff_id)?;
        Ok(flushed.then_some(info))
    }
}
