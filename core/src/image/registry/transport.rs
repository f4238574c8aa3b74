//! Sending one request: timeouts, redirects by hand, and secrets only to whom they belong.

use super::error::{Fault, certificate_error, host_of, shown};
use super::guard::{Guard, is_loopback_host};
use super::{Settings, tls};
use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

const MAX_REDIRECTS: usize = 10;
/// How long a server on this machine may think about a TLS greeting before plain HTTP is tried.
const PROBE: Duration = Duration::from_secs(5);

/// An answer with its headers; the body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    response: reqwest::Response,
    url: Url,
    stall: Duration,
    /// It is from the origin that was asked, not from one it referred to.
    pub(super) own: bool,
}

impl Answer {
    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Where it is from.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The length the server announced.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.headers().get(reqwest::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The next bytes; `None`: the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        match timeout(self.stall, self.response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(e)) => Err(Fault::network(e, &self.url, "the connection broke to")),
            Err(_) => Err(Fault::stalled(&self.url, self.stall)),
        }
    }

    /// The whole body, which must not be longer than `limit`.
    pub(super) async fn body(mut self, limit: u64) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if (body.len() + bytes.len()) as u64 > limit {
                let message = format!("the answer of {} is longer than {limit} bytes", host_of(&self.url));
                let error = Error::new(ErrorKind::Registry, message).with_context("url", shown(&self.url));
                return Err(Fault::Final(error));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    /// The same after a short body was read, so that the connection can be used again.
    pub(super) async fn drained(mut self, limit: u64) -> Answer {
        if self.content_length().is_some_and(|length| length <= limit) {
            while let Ok(Some(_)) = self.chunk().await {}
        }
        self
    }

    /// The beginning of a body that only explains; what can't be had is left out.
    pub(super) async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < limit
            && let Ok(Some(bytes)) = self.chunk().await
        {
            body.extend_from_slice(&bytes[..bytes.len().min(limit - body.len())]);
        }
        body
    }
}

/// The connections to one registry and to what it refers to.
pub(super) struct Transport {
    host: String,
    insecure: bool,
    settings: Settings,
    /// For the registry's own host.
    own: Client,
    guard: Guard,
    /// For all others.
    foreign: OnceLock<Client>,
    base: OnceCell<Url>,
}

impl Transport {
    /// For a registry by host and port.
    pub(super) fn new(host: &str, insecure: bool, settings: &Settings) -> Result<Transport> {
        let host = if host == crate::image::reference::DOCKER_HUB { "registry-1.docker.io" } else { host };
        let url = base_url("https", host)?;
        let tls = tls::config(host, &settings.certificates, insecure)?;
        let mut builder = builder(settings, tls);
        if is_loopback_host(url.host_str().unwrap_or_default()) {
            // As every other client has it: a proxy could not reach it.
            builder = builder.no_proxy();
        }
        Ok(Transport {
            host: host.to_owned(),
            insecure,
            settings: settings.clone(),
            own: build(builder)?,
            guard: Guard::new(&url),
            foreign: OnceLock::new(),
            base: OnceCell::new(),
        })
    }

    /// The registry's address with its scheme. HTTPS, but for one on this machine and an insecure one that
    /// does not speak it.
    pub(super) async fn base(&self) -> Result<&Url, Fault> {
        self.base.get_or_try_init(|| self.find_base()).await
    }

    async fn find_base(&self) -> Result<Url, Fault> {
        let https = base_url("https", &self.host)?;
        let local = is_loopback_host(https.host_str().unwrap_or_default());
        if !local && !self.insecure {
            return Ok(https);
        }
        let probe = https.join("v2/").expect("a relative path can be joined");
        let limit = PROBE.min(self.settings.connect.max(self.settings.stall));
        match timeout(limit, self.own.get(probe.clone()).send()).await {
            Ok(Ok(_)) => Ok(https),
            Ok(Err(e)) if certificate_error(&e) => Err(Fault::network(e, &probe, "can't trust")),
            Ok(Err(_)) | Err(_) => Ok(base_url("http", &self.host)?),
        }
    }

    /// What a registry may refer to.
    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Sends a GET and follows redirects. `authorization` goes to the origin of `url` alone.
    pub(super) async fn get(
        &self,
        url: Url,
        headers: HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let origin = url.origin();
        let mut url = url;
        for _ in 0..=MAX_REDIRECTS {
            let own = url.origin() == origin;
            let answer =
                self.send(Method::GET, &url, headers.clone(), authorization.filter(|_| own), None).await?;
            let answer = Answer { own, ..answer };
            let redirects = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !redirects {
                return Ok(answer);
            }
            url = self.next(&answer)?;
        }
        let message = format!("{} redirects more than {MAX_REDIRECTS} times", self.host);
        Err(Fault::Final(Error::new(ErrorKind::Registry, message).with_context("url", shown(&url))))
    }

    /// Sends a form; redirects are not followed.
    pub(super) async fn post_form(&self, url: &Url, form: String) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(reqwest::header::CONTENT_TYPE, kind);
        self.send(Method::POST, url, headers, None, Some(form)).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        authorization: Option<&HeaderValue>,
        body: Option<String>,
    ) -> Result<Answer, Fault> {
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let mut request = self.client_for(url)?.request(method, url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let limit = self.settings.connect + self.settings.stall;
        match timeout(limit, request.send()).await {
            Ok(Ok(response)) => {
                Ok(Answer { response, url: url.clone(), stall: self.settings.stall, own: true })
            }
            Ok(Err(e)) => Err(Fault::network(e, url, "can't reach")),
            Err(_) => Err(Fault::stalled(url, limit)),
        }
    }

    fn client_for(&self, url: &Url) -> Result<&Client> {
        if self.guard.is_own(url) {
            return Ok(&self.own);
        }
        if let Some(client) = self.foreign.get() {
            return Ok(client);
        }
        // Its own trust: what certs.d or `insecure` grant is granted to one registry.
        let tls = tls::config(url.host_str().unwrap_or_default(), &[], false)?;
        let client = build(builder(&self.settings, tls).dns_resolver(Arc::new(self.guard.clone())))?;
        Ok(self.foreign.get_or_init(|| client))
    }

    fn next(&self, answer: &Answer) -> Result<Url, Fault> {
        let refuse = |why: String| {
            let message = format!("a redirect of {} is refused: {why}", host_of(answer.url()));
            Fault::Final(Error::new(ErrorKind::Registry, message).with_context("url", shown(answer.url())))
        };
        let location = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        let location = location.ok_or_else(|| refuse("it does not say where to".into()))?;
        let next = answer.url().join(location).map_err(|e| refuse(e.to_string()))?;
        match self.guard.refuses(&next, answer.url().scheme() == "https") {
            Some(why) => Err(refuse(why)),
            None => Ok(next),
        }
    }
}

fn base_url(scheme: &str, host: &str) -> Result<Url> {
    let url = Url::parse(&format!("{scheme}://{host}/")).ok().filter(|u| {
        u.path() == "/"
            && u.username().is_empty()
            && u.query().is_none()
            && u.fragment().is_none()
            && u.has_host()
    });
    url.ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "this is no host of a registry").with_context("registry", host)
    })
}

fn builder(settings: &Settings, tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(settings.connect)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(concat!("embedded-containers/", env!("CARGO_PKG_VERSION")))
}

fn build(builder: reqwest::ClientBuilder) -> Result<Client> {
    builder.build().map_err(|e| Error::new(ErrorKind::Internal, "can't set up an HTTP client").with_source(e))
}
