//! A client of the distribution API: manifests and blobs of one repository.
//!
//! Attempts are bounded, redirects are followed by hand, a secret goes to the scheme, host and port it is for
//! and nowhere else, and every byte is checked against its digest before anybody sees the whole.

mod blob;
#[cfg(test)]
mod blob_tests;
mod challenge;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod guard;
#[cfg(test)]
mod tests;
mod tls;
#[cfg(test)]
mod tls_tests;
mod token;
mod transport;

pub(crate) use blob::BlobReader;

use super::auth::{Sources, user_config_dir};
use super::digest::{Digest, quoted};
use super::manifest::{Descriptor, MAX_DOCUMENT};
use super::registries_conf::Source;
use crate::{Error, ErrorKind, Result};
use error::{Fault, Said, shown};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use token::Authenticator;
use transport::{Answer, Transport};

/// How much of an error's body is read.
const MAX_ERROR_BODY: usize = 8 << 10;

/// Bounds of time and attempts, and where certificates are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// For a connection, with its TLS greeting.
    pub(crate) connect: Duration,
    /// Without a byte.
    pub(crate) stall: Duration,
    /// For a whole manifest or configuration.
    pub(crate) document: Duration,
    /// The least bytes of a blob in each `stall`.
    pub(crate) least: u64,
    /// Attempts without progress.
    pub(crate) attempts: u32,
    /// The first pause between attempts; each further one is twice as long.
    pub(crate) backoff: Duration,
    /// The longest pause; a server that asks for a longer one is given up.
    pub(crate) longest_pause: Duration,
    /// Folders as docker's `certs.d`.
    pub(crate) certificates: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        let user = user_config_dir().map(|d| d.join("containers/certs.d"));
        let system = ["/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from);
        Settings {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            document: Duration::from_secs(90),
            least: 4096,
            attempts: 5,
            backoff: Duration::from_millis(300),
            longest_pause: Duration::from_secs(60),
            certificates: system.into_iter().chain(user).collect(),
        }
    }
}

/// One repository of a registry.
pub(crate) struct Client {
    transport: Transport,
    auth: Authenticator,
    repository: String,
    settings: Settings,
    /// It has answered anything at all.
    answered: AtomicBool,
}

/// A manifest or index as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Their digest, checked.
    pub(crate) digest: Digest,
    /// `Content-Type`.
    pub(crate) media_type: Option<String>,
}

impl Client {
    /// A client for a place an image can come from. `credentials`: those meant for it.
    pub(crate) fn new(source: &Source, credentials: Sources, settings: Settings) -> Result<Client> {
        let transport = Transport::new(&source.host, source.insecure, &settings)?;
        let auth = Authenticator::new(&source.host, &source.repository, credentials);
        Ok(Client {
            transport,
            auth,
            repository: source.repository.clone(),
            settings,
            answered: AtomicBool::new(false),
        })
    }

    /// A manifest by tag or digest. `image_not_found` when the registry does not have it.
    pub(crate) async fn manifest(&self, identifier: &str, digest: Option<&Digest>) -> Result<Fetched> {
        let mut retry = Retry::new(&self.settings);
        loop {
            let attempt = within(self.settings.document, self.try_manifest(identifier, digest)).await;
            match attempt {
                Ok(fetched) => return Ok(fetched),
                Err(fault) => retry.pause(fault, self.has_answered()).await?,
            }
        }
    }

    async fn try_manifest(&self, identifier: &str, digest: Option<&Digest>) -> Result<Fetched, Fault> {
        let mut headers = HeaderMap::new();
        let accept = HeaderValue::from_str(&error::accepted()).expect("media types are plain text");
        headers.insert(ACCEPT, accept);
        let answer = self.get(&format!("manifests/{identifier}"), headers).await?;
        let (status, url) = (answer.status(), answer.url().clone());
        if status != StatusCode::OK {
            let what = format!("the manifest {identifier} of {}", self.repository);
            return Err(self.refusal(answer, &what, ErrorKind::ImageNotFound).await);
        }
        let media_type = answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let announced = answer.headers().get("docker-content-digest").cloned();
        let bytes = answer.body(MAX_DOCUMENT).await?;
        let wrong =
            |why: String| Fault::Wrong(Error::new(ErrorKind::Registry, why).with_context("url", shown(&url)));
        if let Some(announced) = announced {
            let text = announced.to_str().unwrap_or("");
            let announced =
                Digest::parse(text).map_err(|e| wrong(format!("a bad Docker-Content-Digest: {e}")))?;
            if !announced.matches(&bytes) {
                return Err(wrong(format!(
                    "the manifest does not have the digest {announced} it was sent with"
                )));
            }
        }
        match digest {
            Some(digest) if !digest.matches(&bytes) => {
                Err(wrong(format!("the manifest has the digest {}, not {digest}", Digest::of(&bytes))))
            }
            Some(digest) => Ok(Fetched { digest: digest.clone(), bytes, media_type }),
            None => Ok(Fetched { digest: Digest::of(&bytes), bytes, media_type }),
        }
    }

    /// A small blob, whole.
    pub(crate) async fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if let Some(data) = &descriptor.data {
            return Ok(data.clone());
        }
        if descriptor.size > MAX_DOCUMENT {
            let message = format!("a configuration is larger than {MAX_DOCUMENT} bytes");
            return Err(
                Error::new(ErrorKind::Registry, message).with_context("digest", descriptor.digest.as_str())
            );
        }
        let mut again = true;
        loop {
            let mut reader = self.blob(descriptor);
            match read_all(&mut reader).await {
                Err(_) if reader.mismatched() && again => again = false,
                result => return result,
            }
        }
    }

    /// Begins to fetch a blob.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> BlobReader<'_> {
        BlobReader::new(self, descriptor)
    }

    /// A GET below the repository, authenticated when the registry asks for it.
    async fn get(&self, path: &str, mut headers: HeaderMap) -> Result<Answer, Fault> {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let url = self.url(path).await?;
        // A token may have expired, so there are two tries with a new one; a registry that then still wants
        // another one will always want one.
        for round in 0..3 {
            let current = self.auth.current().await;
            let answer = self.transport.get(url.clone(), headers.clone(), current.header.as_ref()).await?;
            self.answered.store(true, Ordering::Relaxed);
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            if !answer.own {
                // Whom the registry refers to gets no secrets, so it may not ask for any.
                let message = format!("{} wants credentials of its own", error::host_of(answer.url()));
                return Err(Error::new(ErrorKind::Registry, message)
                    .with_context("url", shown(answer.url()))
                    .into());
            }
            if round < 2 {
                let answer = answer.drained(MAX_ERROR_BODY as u64).await;
                self.auth.answer(&self.transport, &answer, &current).await?;
            } else {
                return Err(self.denied(answer).await);
            }
        }
        unreachable!("the last round returns")
    }

    fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    async fn url(&self, path: &str) -> Result<Url, Fault> {
        let base = self.transport.base().await?;
        let relative = format!("v2/{}/{path}", self.repository);
        base.join(&relative).map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, "this is no repository").with_source(e).into()
        })
    }

    /// The fault for an answer that is not the one hoped for. `missing`: the kind for what is not there.
    async fn refusal(&self, answer: Answer, what: &str, missing: ErrorKind) -> Fault {
        let (status, url, headers) = (answer.status(), answer.url().clone(), answer.headers().clone());
        let own = answer.own;
        if status == StatusCode::FORBIDDEN && own {
            return self.denied(answer).await;
        }
        let said = Said::parse(&answer.beginning(MAX_ERROR_BODY).await, &headers);
        if status == StatusCode::NOT_FOUND {
            let message = format!("{} does not have {what}", error::host_of(&url));
            return Fault::Final(Error::new(missing, message).with_context("url", shown(&url)));
        }
        error::status(status, &said, &url, &headers, what)
    }

    async fn denied(&self, answer: Answer) -> Fault {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let said = Said::parse(&answer.beginning(MAX_ERROR_BODY).await, &headers);
        let why = format!("{status} {} {}", said.code, said.message);
        let why = format!("{} (the repository may also not exist)", why.trim());
        Fault::Final(self.auth.refused(&why).await.with_context("repository", quoted(&self.repository)))
    }
}

/// Reads a blob whole; its size is bounded by its descriptor.
async fn read_all(reader: &mut BlobReader<'_>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Runs an attempt for at most `limit`.
async fn within<T>(limit: Duration, attempt: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
        let message = format!("the registry did not answer fully within {} seconds", limit.as_secs_f32());
        Err(Fault::Again(Error::new(ErrorKind::Registry, message), None))
    })
}

/// Counts attempts and waits between them.
struct Retry {
    left: u32,
    pause: Duration,
    settings: (u32, Duration, Duration),
    wrong: bool,
    made: u32,
}

impl Retry {
    fn new(settings: &Settings) -> Retry {
        Retry {
            left: settings.attempts.saturating_sub(1),
            pause: settings.backoff,
            settings: (settings.attempts, settings.backoff, settings.longest_pause),
            wrong: false,
            made: 0,
        }
    }

    /// Starts counting anew, after progress.
    fn reset(&mut self) {
        (self.left, self.pause) = (self.settings.0.saturating_sub(1), self.settings.1);
    }

    /// Waits before the next attempt, or says that there is none. `answered`: by the registry, before.
    async fn pause(&mut self, fault: Fault, answered: bool) -> Result<()> {
        let (error, after) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Wrong(error) if self.wrong => return Err(error),
            Fault::Wrong(_) => {
                self.wrong = true;
                return Ok(());
            }
            // Whoever mistyped a host should not wait for long; once it has answered, it will come back.
            Fault::Unreachable(error) if !answered => {
                self.left = self.left.min(1);
                (error, None)
            }
            Fault::Unreachable(error) => (error, None),
            Fault::Again(error, after) => (error, after),
        };
        self.made += 1;
        let longest = self.settings.2;
        if self.left == 0 {
            return Err(error.with_context("attempts", self.made.to_string()));
        }
        if let Some(after) = after.filter(|a| *a > longest) {
            return Err(error.with_context("retry_after", format!("{}s", after.as_secs())));
        }
        self.left -= 1;
        let mut spread = [0u8; 1];
        let _ = getrandom::fill(&mut spread);
        let own = self.pause.mul_f32(0.75 + f32::from(spread[0]) / 512.0).min(longest);
        self.pause = (self.pause * 2).min(longest);
        tokio::time::sleep(after.unwrap_or_default().max(own)).await;
        Ok(())
    }
}
