//! TLS settings of one client: no global provider, the machine's roots, docker's `certs.d`.

use crate::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Settings for a server. `folders`: where `HOST:PORT/` may hold its certificates.
pub(super) fn config(host: &str, folders: &[PathBuf], insecure: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let local = Local::load(host, folders)?;
    let failed = |e: rustls::Error| Error::new(ErrorKind::Internal, "can't set up TLS").with_source(e);
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        let roots = Arc::new(roots(&local.authorities));
        if local.authorities.is_empty() {
            builder.with_root_certificates(roots)
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let inner = verifier.map_err(|e| failed(rustls::Error::General(e.to_string())))?;
            let verifier = SelfSignedToo { inner, trusted: local.authorities };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match local.identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, "the client certificate in certs.d can't be used")
                .with_context("registry", host)
                .with_source(e)
        })?,
        None => builder.with_no_client_auth(),
    };
    // One connection for each transfer: better for parallel layers than streams that share one.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(extra: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    // A machine without roots still reaches registries whose certificates are in certs.d.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store.add_parsable_certificates(extra.iter().cloned());
    store
}

/// What `certs.d` has for a server.
#[derive(Default)]
struct Local {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Local {
    fn load(host: &str, folders: &[PathBuf]) -> Result<Local> {
        let mut local = Local::default();
        // The host comes from a parsed reference or registries.conf; still, it must stay one path element.
        if host.contains('/') || host.starts_with('.') {
            return Ok(local);
        }
        for dir in folders.iter().map(|f| f.join(host)) {
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
            paths.sort();
            for path in paths {
                match path.extension().and_then(|e| e.to_str()) {
                    Some("crt") => local.authorities.extend(certificates(&path)?),
                    Some("cert") if local.identity.is_none() => {
                        let key = path.with_extension("key");
                        let key = PrivateKeyDer::from_pem_slice(&read(&key)?).map_err(|e| bad(&key, &e))?;
                        local.identity = Some((certificates(&path)?, key));
                    }
                    _ => {}
                }
            }
        }
        Ok(local)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(|e| bad(path, &e))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::io("can't read a file of certs.d", e).with_context("path", path.display().to_string())
    })
}

fn bad(path: &Path, e: &rustls::pki_types::pem::Error) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("a file of certs.d is not PEM: {e}"))
        .with_context("path", path.display().to_string())
}

/// The usual checks; besides, a server may show a certificate of `certs.d` itself, also when it is marked as
/// an authority's, as `openssl req -x509` makes them.
#[derive(Debug)]
struct SelfSignedToo {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for SelfSignedToo {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let error =
            match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                // The dates are checked before this is noticed; the name is not.
                Err(e) if is_authority(&e) && self.trusted.iter().any(|t| t == end_entity) => e,
                other => return other,
            };
        match ParsedCertificate::try_from(end_entity).and_then(|c| verify_server_name(&c, server_name)) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(rustls::Error::InvalidCertificate(e)) => Err(rustls::Error::InvalidCertificate(e)),
            Err(_) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_authority(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(e)) => {
            e.0.to_string() == "CaUsedAsEndEntity"
        }
        _ => false,
    }
}

/// Accepts whatever certificate a server shows, for registries declared insecure.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
