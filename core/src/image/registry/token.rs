//! Answering a registry's challenge: Basic, or a bearer token from its token server.

use super::challenge::{self, Challenge};
use super::error::{Fault, Said, host_of, retry_after, shown};
use super::transport::{Answer, Transport};
use crate::image::auth::{Credentials, Found, Sources};
use crate::{Error, ErrorKind};
use base64::Engine as _;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

/// The largest token answer that is read.
const MAX_TOKEN: u64 = 1 << 20;
const CLIENT_ID: &str = "embedded-containers";

/// What a registry is shown, for one repository.
pub(super) struct Authenticator {
    registry: String,
    repository: String,
    sources: Sources,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    header: Option<HeaderValue>,
    /// Counts headers, so that of several requests refused with the same one only one gets a new one.
    generation: u64,
    found: Option<Found>,
}

/// What to send with a request, and which version of it this is.
pub(super) struct Current {
    pub(super) header: Option<HeaderValue>,
    pub(super) generation: u64,
}

impl Authenticator {
    /// `registry`: the name credentials are kept under. `repository`: at the registry.
    pub(super) fn new(registry: &str, repository: &str, sources: Sources) -> Authenticator {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Authenticator { registry, repository, sources, state: Mutex::default() }
    }

    /// What to send now.
    pub(super) async fn current(&self) -> Current {
        let state = self.state.lock().await;
        Current { header: state.header.clone(), generation: state.generation }
    }

    /// Makes a new header for the challenge of an answer to a request sent with `used`.
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        answer: &Answer,
        used: &Current,
    ) -> Result<(), Fault> {
        let mut state = self.state.lock().await;
        if state.generation != used.generation {
            return Ok(());
        }
        if state.found.is_none() {
            state.found = Some(self.sources.find(&self.registry, &self.repository).await);
        }
        let found = state.found.clone().unwrap_or_default();
        let challenges = challenges(answer.headers()).ok_or_else(|| {
            let message = format!("{} answered 401 with a challenge that can't be understood", self.registry);
            Error::new(ErrorKind::Registry, message).with_context("url", shown(answer.url()))
        })?;
        let scheme = |name: &str| challenges.iter().find(|c| c.scheme == name);
        let value = match (scheme("bearer"), scheme("basic"), &found.credentials) {
            (Some(_), _, Some(Credentials::RegistryToken(token))) if used.header.is_none() => {
                format!("Bearer {}", token.expose())
            }
            (Some(_), _, Some(Credentials::RegistryToken(_))) => {
                return Err(refused(&self.registry, &found, "").into());
            }
            (Some(bearer), _, credentials) => {
                format!(
                    "Bearer {}",
                    self.token(transport, bearer, answer, credentials.as_ref(), &found).await?
                )
            }
            (None, Some(_), Some(Credentials::Password { username, password })) if used.header.is_none() => {
                basic(username, password.expose())
            }
            (None, Some(_), _) => return Err(refused(&self.registry, &found, "").into()),
            (None, None, _) => {
                let schemes: Vec<_> = challenges.iter().map(|c| &*c.scheme).collect();
                let why = format!("it asks for the unknown scheme {:?}", schemes.join(", "));
                return Err(refused(&self.registry, &found, &why).into());
            }
        };
        state.header = Some(secret_header(value, &self.registry)?);
        state.generation += 1;
        Ok(())
    }

    /// The error for a request that is refused for good.
    pub(super) async fn refused(&self, why: &str) -> Error {
        let found = self.state.lock().await.found.clone();
        let found = match found {
            Some(found) => found,
            None => self.sources.find(&self.registry, &self.repository).await,
        };
        refused(&self.registry, &found, why)
    }

    async fn token(
        &self,
        transport: &Transport,
        challenge: &Challenge,
        answer: &Answer,
        credentials: Option<&Credentials>,
        found: &Found,
    ) -> Result<String, Fault> {
        let bad = |why: &str| {
            let message = format!("the token server that {} names is refused: {why}", self.registry);
            Fault::Final(Error::new(ErrorKind::Registry, message).with_context("url", shown(answer.url())))
        };
        let realm = challenge.params.get("realm").ok_or_else(|| bad("it has no realm"))?;
        let mut realm = Url::parse(realm).map_err(|_| bad("its realm is no URL"))?;
        if let Some(why) = transport.guard().refuses(&realm, answer.url().scheme() == "https") {
            return Err(bad(&why));
        }
        realm.set_fragment(None);
        // Only what a pull needs, whatever the registry asks for.
        let scope = format!("repository:{}:pull", self.repository);
        let service = challenge.params.get("service").map(String::as_str).unwrap_or_default();
        let response = if let Some(Credentials::IdentityToken(token)) = credentials {
            let fields = [
                ("grant_type", "refresh_token"),
                ("service", service),
                ("client_id", CLIENT_ID),
                ("scope", &scope),
                ("refresh_token", token.expose()),
            ];
            let mut form = Url::parse("data:,").expect("a valid URL");
            form.query_pairs_mut().extend_pairs(fields);
            transport.post_form(&realm, form.query().unwrap_or_default().to_owned()).await?
        } else {
            let mut header = None;
            {
                let mut query = realm.query_pairs_mut();
                query.append_pair("service", service).append_pair("scope", &scope);
                if let Some(Credentials::Password { username, password }) = credentials {
                    query.append_pair("account", username);
                    header = Some(secret_header(basic(username, password.expose()), &self.registry)?);
                }
            }
            transport.get(realm, HeaderMap::new(), header.as_ref()).await?
        };
        self.read_token(response, found).await
    }

    async fn read_token(&self, response: Answer, found: &Found) -> Result<String, Fault> {
        let (status, url) = (response.status(), response.url().clone());
        let headers = response.headers().clone();
        let failed = |why: String| {
            let message = format!("the token server {} {why}", host_of(&url));
            Error::new(ErrorKind::Registry, message).with_context("url", shown(&url))
        };
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) {
            let said = Said::parse(&response.beginning(4096).await, &headers);
            let why = format!("its token server answered {status} {}", said.message);
            return Err(refused(&self.registry, found, why.trim()).into());
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Fault::Again(failed(format!("answered {status}")), retry_after(&headers)));
        }
        if status != StatusCode::OK {
            return Err(failed(format!("answered {status}")).into());
        }
        #[derive(Deserialize)]
        struct Tokens {
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            access_token: Option<String>,
        }
        let body = response.body(MAX_TOKEN).await?;
        let tokens: Tokens =
            serde_json::from_slice(&body).map_err(|_| failed("sent no token document".into()))?;
        let token = tokens.token.filter(|t| !t.is_empty()).or(tokens.access_token).filter(|t| !t.is_empty());
        token.ok_or_else(|| failed("sent no token".into()).into())
    }
}

/// All challenges of an answer; `None`: one can't be understood.
fn challenges(headers: &HeaderMap) -> Option<Vec<Challenge>> {
    let mut all = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        all.extend(challenge::parse(value.to_str().ok()?)?);
    }
    (!all.is_empty()).then_some(all)
}

fn basic(username: &str, password: &str) -> String {
    let pair = format!("{username}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn secret_header(value: String, registry: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(&value).map_err(|_| {
        let message = "the token or password for this registry has characters that can't be sent";
        Error::new(ErrorKind::Auth, message).with_context("registry", registry)
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The `auth` error: what was shown, or where credentials were looked for.
fn refused(registry: &str, found: &Found, why: &str) -> Error {
    let mut message = match &found.source {
        Some(source) => format!("{registry} refuses the credentials from {source}"),
        None => format!("{registry} wants credentials, and there are none for it"),
    };
    if !why.is_empty() {
        message.push_str(": ");
        message.push_str(why);
    }
    let mut error = Error::new(ErrorKind::Auth, message).with_context("registry", registry);
    if found.source.is_none() && !found.searched.is_empty() {
        error = error.with_context("searched", found.searched.join("; "));
    }
    error
}
