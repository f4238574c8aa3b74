//! Certificates that are trusted, and those that must not be.

use super::tests::{quick, run};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that answers every request with an empty manifest.
struct Server {
    port: u16,
    /// Requests that came in over TLS, and connections that were no TLS.
    requests: Arc<AtomicUsize>,
    plain: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(authority: &Issuer, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Server {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        Server::start_with(CertificateDer::from(certificate), &key)
    }

    fn start_with(certificate: CertificateDer<'static>, key: &KeyPair) -> Server {
        let chain = vec![certificate];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, plain) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (served, refused, stopped) = (requests.clone(), plain.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let mut first = [0];
                if stream.peek(&mut first).is_ok_and(|n| n == 1) && first[0] != 0x16 {
                    refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                if answer(rustls::StreamOwned::new(connection, stream)).is_ok() {
                    served.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Server { port, requests, plain, stop, thread: Some(thread) }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn fetch(&self, insecure: bool, certificates: &std::path::Path) -> Result<Fetched> {
        let source = Source { host: self.host(), repository: "app".into(), insecure, mirror: false };
        let settings = Settings { certificates: vec![certificates.to_path_buf()], ..quick() };
        let client = Client::new(&source, Sources::default(), settings)?;
        run(async move { client.manifest("1", None).await })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn answer(mut stream: rustls::StreamOwned<rustls::ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A `certs.d` that trusts the authority for this server.
fn trusting(authority: &Issuer, host: &str) -> PathBuf {
    let mut name = [0u8; 8];
    getrandom::fill(&mut name).unwrap();
    let dir = std::env::temp_dir().join(format!("certs-test-{}", crate::image::digest::to_hex(&name)));
    std::fs::create_dir_all(dir.join(host)).unwrap();
    std::fs::write(dir.join(host).join("ca.crt"), authority.pem()).unwrap();
    dir
}

#[test]
fn an_authority_of_certs_d_is_trusted_for_its_server_alone() {
    let authority = authority();
    let server = Server::start(&authority, "localhost", |_| {});
    let certificates = trusting(&authority, &server.host());
    assert_eq!(server.fetch(false, &certificates).unwrap().bytes, b"{}");
    let other = Server::start(&authority, "localhost", |_| {});
    let error = other.fetch(false, &certificates).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    assert_eq!(other.fetch(true, &certificates).unwrap().bytes, b"{}");
    std::fs::write(certificates.join(server.host()).join("ca.crt"), "-----BEGIN CERTIFICATE-----\n!\n")
        .unwrap();
    let error = server.fetch(false, &certificates).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    std::fs::remove_dir_all(&certificates).unwrap();
}

#[test]
fn bad_certificates_are_refused_and_plain_http_is_not_tried() {
    let authority = authority();
    let expired = Server::start(&authority, "localhost", |p| {
        (p.not_before, p.not_after) = (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
    });
    let misnamed = Server::start(&authority, "other.example", |_| {});
    for server in [&expired, &misnamed] {
        let certificates = trusting(&authority, &server.host());
        let error = server.fetch(false, &certificates).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Registry);
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!((server.requests.load(Ordering::SeqCst), server.plain.load(Ordering::SeqCst)), (0, 0));
        assert!(server.fetch(true, &certificates).is_ok());
        std::fs::remove_dir_all(&certificates).unwrap();
    }
}

#[test]
fn a_certificate_of_certs_d_may_be_shown_itself() {
    let own = |name: &str, from: i32, to: i32| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let good = own("localhost", 2001, 2099);
    let misnamed = own("other.example", 2001, 2099);
    let expired = own("localhost", 2001, 2002);
    for (certificate, accepted) in [(&good, true), (&misnamed, false), (&expired, false)] {
        let server = Server::start_with(certificate.der().clone(), certificate.key());
        let certificates = trusting(certificate, &server.host());
        match server.fetch(false, &certificates) {
            Ok(_) => assert!(accepted),
            Err(e) => assert!(!accepted && e.kind() == ErrorKind::Registry, "{e}"),
        }
        // Another one of the same name is not that one.
        let other = own("localhost", 2001, 2099);
        std::fs::write(certificates.join(server.host()).join("ca.crt"), other.pem()).unwrap();
        assert_eq!(server.fetch(false, &certificates).unwrap_err().kind(), ErrorKind::Registry);
        assert_eq!(server.plain.load(Ordering::SeqCst), 0);
        std::fs::remove_dir_all(&certificates).unwrap();
    }
}
