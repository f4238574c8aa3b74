//! From answers and failures of the network to this library's errors.

use crate::image::manifest::media;
use crate::{Error, ErrorKind};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use std::error::Error as StdError;
use std::time::Duration;

/// What went wrong, and whether to try again.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may be better next time, after this long if the server said so.
    Again(Error, Option<Duration>),
    /// There was no connection.
    Unreachable(Error),
    /// The content is not what its digest says: worth one more try.
    Wrong(Error),
    /// It will not get better.
    Final(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Final(error)
    }
}

impl Fault {
    /// A failure below HTTP.
    pub(super) fn network(error: reqwest::Error, url: &Url, what: &str) -> Fault {
        let hopeless = error.is_builder() || certificate_error(&error);
        let connecting = error.is_connect();
        let host = host_of(url);
        let error = Error::new(ErrorKind::Registry, format!("{what} {host}"))
            .with_context("url", shown(url))
            .with_source(causes(&error.without_url()));
        match (hopeless, connecting) {
            (true, _) => Fault::Final(error),
            (false, true) => Fault::Unreachable(error),
            (false, false) => Fault::Again(error, None),
        }
    }

    /// No bytes for too long.
    pub(super) fn stalled(url: &Url, after: Duration) -> Fault {
        let message = format!("{} sent nothing for {} seconds", host_of(url), after.as_secs_f32());
        Fault::Again(Error::new(ErrorKind::Registry, message).with_context("url", shown(url)), None)
    }
}

/// Whether the server's certificate is at fault: plain HTTP must not be tried instead.
pub(super) fn certificate_error(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(e) = cause {
        if let Some(tls) = e.downcast_ref::<rustls::Error>() {
            return matches!(
                tls,
                rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
            );
        }
        // What an I/O error wraps is not its source.
        let wrapped = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|w| w as &(dyn StdError + 'static)).or_else(|| e.source());
    }
    false
}

/// The causes of a network failure as one line, without repetitions.
fn causes(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(e) = cause {
        let text = e.to_string();
        if !parts.iter().any(|p| p.contains(&text)) {
            parts.push(text);
        }
        cause = e.source();
    }
    // The first ones only say that sending a request failed.
    let from = parts.len().saturating_sub(2);
    parts[from..].join(": ")
}

/// A URL for a message: without user, query and fragment, which can hold secrets.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Host and port of a URL.
pub(super) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => shown(url),
    }
}

/// How long a server asks to wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = at.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(wait.max(0) as u64))
}

/// What a registry says in the body of an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `MANIFEST_UNKNOWN`…
    pub(super) code: String,
    /// A sentence, bounded and without control characters; empty when there is none.
    pub(super) message: String,
}

impl Said {
    /// Reads the distribution API's error document, or takes the beginning of a text.
    pub(super) fn parse(body: &[u8], headers: &HeaderMap) -> Said {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        if let Ok(Errors { errors }) = serde_json::from_slice(body)
            && let Some(first) = errors.into_iter().next()
        {
            return Said { code: clean(&first.code, 60), message: clean(&first.message, 300) };
        }
        let kind = headers.get(reqwest::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        // A web page would only hide what matters.
        let text =
            if kind.contains("html") { String::new() } else { clean(&String::from_utf8_lossy(body), 300) };
        Said { code: String::new(), message: text }
    }

    /// As the end of a sentence.
    fn suffix(&self) -> String {
        match (&*self.code, &*self.message) {
            ("", "") => String::new(),
            (code, "") => format!(": {code}"),
            ("", message) => format!(": {message}"),
            (code, message) => format!(": {code}: {message}"),
        }
    }
}

fn clean(text: &str, max: usize) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = line.take(max).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error for an answer that is not the one hoped for (401 is handled before).
pub(super) fn status(code: StatusCode, said: &Said, url: &Url, headers: &HeaderMap, what: &str) -> Fault {
    let message = format!("{} answered {code} to the request for {what}{}", host_of(url), said.suffix());
    let error = |kind| Error::new(kind, message).with_context("url", shown(url));
    match code {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Fault::Again(error(ErrorKind::Registry), retry_after(headers))
        }
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
            Fault::Final(error(ErrorKind::Registry))
        }
        c if c.is_server_error() => Fault::Again(error(ErrorKind::Registry), retry_after(headers)),
        _ => Fault::Final(error(ErrorKind::Registry)),
    }
}

/// The value of `Accept` for manifests.
pub(super) fn accepted() -> String {
    media::ACCEPTED.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_registry_are_short_and_clean() {
        let json = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\n\u001b[31munknown","detail":{"x":1}}]}"#;
        let said = Said::parse(json, &HeaderMap::new());
        assert_eq!(said.code, "MANIFEST_UNKNOWN");
        assert_eq!(said.message, "manifest [31munknown");
        let long = "x".repeat(10_000);
        assert_eq!(Said::parse(long.as_bytes(), &HeaderMap::new()).message.len(), 300);
        assert_eq!(Said::parse(&[0xff, 0, 10], &HeaderMap::new()).code, "");
        let mut html = HeaderMap::new();
        html.insert(reqwest::header::CONTENT_TYPE, "text/html".parse().unwrap());
        assert_eq!(Said::parse(b"<html>", &html), Said::default());
    }

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = Url::parse("https://u:p@s3.example:8443/a/b?X-Amz-Signature=secret#f").unwrap();
        assert_eq!(shown(&url), "https://s3.example:8443/a/b");
        assert_eq!(host_of(&url), "s3.example:8443");
    }

    #[test]
    fn waits() {
        let after = |v: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, v.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }
}
