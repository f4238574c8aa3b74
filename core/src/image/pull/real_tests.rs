//! Against a real registry with images that other tools made; see `tests/registry/start.py`.

use super::harness::Root;
use super::*;
use crate::executor::block_on;
use crate::image::{Auth, Digest};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A registry that stops when it is dropped.
struct Server {
    child: Child,
    values: BTreeMap<String, String>,
}

impl Server {
    /// `None`: a program that it takes is not installed.
    fn start(arguments: &[&str]) -> Option<Server> {
        for program in ["python3", "docker-registry", "skopeo", "umoci", "openssl", "perl"] {
            let there =
                std::env::split_paths(&std::env::var_os("PATH")?).any(|dir| dir.join(program).is_file());
            if !there {
                eprintln!("passed over: {program} is not installed");
                return None;
            }
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/registry/start.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut values = BTreeMap::new();
        let mut ready = false;
        for line in lines {
            match line.split_once('=') {
                Some((key, value)) => values.insert(key.to_owned(), value.to_owned()),
                None => {
                    ready = line == "ready";
                    break;
                }
            };
        }
        let server = Server { child, values };
        assert!(ready, "the registry did not start");
        Some(server)
    }

    fn pull(&self, root: &Root, reference: &str, options: PullOptions) -> Result<Arc<ImageRecord>> {
        // As certs.d has it: a folder named by host and port.
        let certificates = root.0.join("certs.d");
        if let Some(ca) = self.values.get("ca") {
            let dir = certificates.join(&self.values["registry"]);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::copy(ca, dir.join("ca.crt")).unwrap();
        }
        let surroundings = |o: &PullOptions| {
            Ok(Surroundings {
                registries: Registries::default(),
                credentials: Sources { explicit: o.auth.clone(), ..Sources::default() },
                settings: Settings { certificates: vec![certificates], ..Settings::default() },
            })
        };
        block_on(pull_with(&root.store(), reference, options, surroundings))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if let Some(ca) = self.values.get("ca") {
            assert!(!PathBuf::from(ca).exists(), "the registry left its folder");
        }
    }
}

#[test]
fn images_of_every_form() {
    let Some(server) = Server::start(&[]) else { return };
    let mut ids = BTreeMap::new();
    for name in ["oci", "schema2", "zstd", "index", "configured"] {
        let root = Root::new();
        let record = server.pull(&root, &server.values[name], PullOptions::default()).unwrap();
        assert_eq!(record.tags, [server.values[name].as_str()], "{name}");
        assert_eq!(record.stack.iter().filter(|l| !l.inherits).count(), 2, "{name}");
        root.check_tidy();
        // And the same by its digest, into a root that knows nothing.
        let other = Root::new();
        let again = server.pull(&other, &record.digests[0], PullOptions::default()).unwrap();
        assert_eq!((again.id.clone(), again.tags.len()), (record.id.clone(), 0), "{name}");
        ids.insert(name, record);
    }
    assert_eq!(ids["oci"].id, ids["schema2"].id);
    assert_eq!(ids["oci"].id, ids["zstd"].id);
    assert_eq!(ids["oci"].id, ids["index"].id);
    assert_ne!(ids["oci"].manifest, ids["zstd"].manifest);
    assert_ne!(ids["index"].digests, ids["oci"].digests);
    assert_eq!(ids["configured"].config.entrypoint, ["echo", "entry"]);
    assert_eq!(ids["configured"].config.user, "app");

    let root = Root::new();
    let platform = |p: &str| PullOptions { platform: Some(p.parse().unwrap()), ..PullOptions::default() };
    let other = if manifest::machine().architecture == "arm64" { "linux/amd64" } else { "linux/arm64" };
    let foreign = server.pull(&root, &server.values["index"], platform(other)).unwrap();
    assert_ne!(foreign.id, ids["index"].id);
    let error = server.pull(&root, &server.values["index"], platform("linux/s390x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);

    let registry = &server.values["registry"];
    for missing in [format!("{registry}/busybox:none"), format!("{registry}/none:latest")] {
        let error = server.pull(&root, &missing, PullOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageNotFound, "{missing}");
    }
    let unknown = format!("{registry}/busybox@{}", Digest::of(b"none"));
    let error = server.pull(&root, &unknown, PullOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
}

#[test]
fn credentials_and_certificates() {
    let Some(server) = Server::start(&["--auth", "bob:s3cret:x", "--tls", "--images", "oci"]) else { return };
    let root = Root::new();
    let with = |password: &str| PullOptions {
        auth: Some(Auth { username: "bob".into(), password: password.into(), identity_token: None }),
        ..PullOptions::default()
    };
    let image = &server.values["oci"];
    for options in [PullOptions::default(), with("wrong")] {
        let error = server.pull(&root, image, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(error.context().contains(&("registry", server.values["registry"].clone())));
    }
    root.check_empty();
    server.pull(&root, image, with("s3cret:x")).unwrap();
}
