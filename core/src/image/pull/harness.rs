//! For tests of pulling: a root whose launcher unpacks nothing, and the content of a registry.

use crate::Result;
use crate::db::Db;
use crate::image::Digest;
use crate::image::manifest::media;
use crate::image::registry::fake::{Reply, Request};
use crate::image::store::{Store, Support};
use containers_protocol::plan::IdMaps;
use containers_protocol::unpack::{Compression, Unpack, Unpacked};
use containers_protocol::{control, launch, wire};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stands in for the launcher: checks a layer's stream and unpacks nothing.
pub(super) struct Stub;

impl Support for Stub {
    fn request(&self, request: &launch::Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let kind = rustix::net::SocketType::SEQPACKET;
        let (ours, theirs) =
            rustix::net::socketpair(rustix::net::AddressFamily::UNIX, kind, flags, None).unwrap();
        match request {
            launch::Request::Unpack(unpack) => {
                let (unpack, stream) = (unpack.clone(), fds[1].try_clone_to_owned().unwrap());
                std::thread::spawn(move || {
                    let _ = match check(&unpack, stream) {
                        Ok(unpacked) => wire::send_json(theirs.as_fd(), &unpacked, &[]),
                        Err(detail) => {
                            let code = "corrupt".to_owned();
                            let failure = control::Failure { code, detail, ..Default::default() };
                            wire::send_json(theirs.as_fd(), &control::Event::Failed(failure), &[])
                        }
                    };
                });
            }
            launch::Request::Delete(paths) => {
                for path in paths {
                    let _ = std::fs::remove_dir_all(path.as_path());
                }
                wire::send_json(theirs.as_fd(), &control::Event::Done, &[]).unwrap();
            }
            other => panic!("{other:?}"),
        }
        Ok(ours)
    }

    fn id_maps(&self) -> Option<&IdMaps> {
        None
    }

    fn images_in_use(&self) -> Result<HashSet<String>> {
        Ok(HashSet::new())
    }

    fn check_open(&self) -> Result<()> {
        Ok(())
    }
}

pub(super) fn check(unpack: &Unpack, stream: OwnedFd) -> std::result::Result<Unpacked, String> {
    let stream = std::fs::File::from(stream);
    let mut archive = Vec::new();
    let read = match unpack.compression {
        Compression::None => (&stream).read_to_end(&mut archive),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(&stream).read_to_end(&mut archive),
        Compression::Zstd => zstd::Decoder::new(&stream).and_then(|mut d| d.read_to_end(&mut archive)),
    };
    read.map_err(|e| format!("the stream is damaged: {e}"))?;
    let diff_id = crate::image::digest::to_hex(&sha2::Sha256::digest(&archive));
    if unpack.diff_id.as_ref().is_some_and(|wanted| *wanted != diff_id) {
        return Err("the archive has another diff id".into());
    }
    Ok(Unpacked { diff_id, bytes: archive.len() as u64, entries: 1, ..Default::default() })
}

/// A root that is removed at the end.
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    pub(super) fn new() -> Root {
        let mut name = [0u8; 8];
        getrandom::fill(&mut name).unwrap();
        let path = std::env::temp_dir().join(format!("pull-test-{}", crate::image::digest::to_hex(&name)));
        std::fs::create_dir(&path).unwrap();
        Root(path)
    }

    pub(super) fn store(&self) -> Arc<Store> {
        let db = Arc::new(Db::open(&self.0.join("db.sqlite")).unwrap());
        Store::open(&self.0, db, Arc::new(Stub)).unwrap()
    }

    /// Names of files and folders below a part of the root.
    pub(super) fn names(&self, part: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(part)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Nothing is left of work in progress.
    pub(super) fn check_tidy(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.names("tmp").is_empty() {
            assert!(Instant::now() < until, "left in tmp: {:?}", self.names("tmp"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn check_empty(&self) {
        self.check_tidy();
        assert!(self.names("layers").is_empty());
        assert!(self.names("blobs/sha256").is_empty(), "{:?}", self.names("blobs/sha256"));
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The content of a registry.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// Tag or digest, media type, bytes.
    pub(super) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
}

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, different for each seed.
pub(super) fn archive(seed: u8, length: usize) -> Vec<u8> {
    let mut block = sha2::Sha256::digest([seed]);
    let mut all = Vec::new();
    while all.len() < length {
        all.extend_from_slice(&block);
        block = sha2::Sha256::digest(block);
    }
    all
}

impl Content {
    pub(super) fn blob(&mut self, bytes: Vec<u8>) -> (String, usize) {
        let digest = Digest::of(&bytes).to_string();
        let size = bytes.len();
        self.blobs.insert(digest.clone(), bytes);
        (digest, size)
    }

    /// Adds an image of layers made from these archives; its manifest's descriptor.
    pub(super) fn image(&mut self, archives: &[Vec<u8>], architecture: &str) -> Value {
        let layers: Vec<Value> = archives
            .iter()
            .map(|a| {
                let (digest, size) = self.blob(gzip(a));
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size})
            })
            .collect();
        let diff_ids: Vec<_> = archives.iter().map(|a| Digest::of(a).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let (digest, size) = self.blob(config.to_string().into_bytes());
        let config = json!({"mediaType": media::OCI_CONFIG, "digest": digest, "size": size});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": layers,
        });
        let mut descriptor = self.document(&manifest);
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    /// Adds a manifest or index under its digest; its descriptor.
    pub(super) fn document(&mut self, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let (digest, size) = (Digest::of(&bytes).to_string(), bytes.len());
        let kind = document["mediaType"].as_str().unwrap().to_owned();
        self.manifests.insert(digest.clone(), (kind.clone(), bytes));
        json!({"mediaType": kind, "digest": digest, "size": size})
    }

    pub(super) fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests});
        self.document(&index)
    }

    pub(super) fn tag(&mut self, tag: &str, descriptor: &Value) {
        let entry = self.manifests[descriptor["digest"].as_str().unwrap()].clone();
        self.manifests.insert(tag.into(), entry);
    }

    pub(super) fn serve(&self, request: &Request) -> Reply {
        let name = request.path.rsplit('/').next().unwrap();
        if request.path.contains("/blobs/") {
            return self.blobs.get(name).map_or(Reply::new(404, ""), |bytes| Reply::new(200, bytes.clone()));
        }
        match self.manifests.get(name) {
            Some((kind, bytes)) => Reply::new(200, bytes.clone()).header("Content-Type", kind),
            None => {
                Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
            }
        }
    }
}
