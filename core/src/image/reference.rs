//! Image references: docker's grammar, normalised.

use super::digest::{Digest, bounded, quoted};
use crate::{Error, ErrorKind, Result};
use std::fmt;

/// The registry that names without one belong to.
pub(crate) const DOCKER_HUB: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// The longest `registry/path`.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// What an image is called: registry, repository, and a tag, a digest or both.
///
/// `debian` is read as `docker.io/library/debian:latest`, as docker does. With a digest, the tag only
/// documents: the digest decides.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference as a user writes it.
    pub(crate) fn parse(text: &str) -> Result<Reference> {
        parse(text).map_err(|reason| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{} is no image reference: {reason}", quoted(text)),
            )
            .with_context("field", "reference")
            .with_context("ref", bounded(text))
        })
    }

    /// The registry, with its port: `docker.io`, `localhost:5000`.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The tag; `latest` when neither tag nor digest was given.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `registry/path`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// What the registry is asked for: the digest, else the tag.
    pub(crate) fn identifier(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }

    /// The same name with this digest and no tag.
    pub(crate) fn with_digest(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The name without what [`Reference::parse`] adds: `debian`, `user/app`, `localhost:5000/app`.
    pub(crate) fn familiar_name(&self) -> String {
        if self.domain != DOCKER_HUB {
            return self.name();
        }
        match self.path.strip_prefix("library/") {
            // `library/a/b` must keep its prefix, else it would read as the user's `a/b`.
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The short form that docker shows: `debian:latest`.
    pub(crate) fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    fn with_suffix(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(digest.as_str());
        }
        name
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference> {
        Reference::parse(text)
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > MAX_NAME + MAX_TAG + 256 {
        return Err("it is too long".into());
    }
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("64 hexadecimal digits are an image's id, not a name".into());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(|e| e.to_string())?)),
        None => (text, None),
    };
    // A colon after the last slash starts the tag; one before it, a port.
    let after_slash = rest.rfind('/').map_or(0, |i| i + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(colon) => (&rest[..after_slash + colon], Some(&rest[after_slash + colon + 1..])),
        None => (rest, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        let rule = "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with no `.` or `-`";
        return Err(format!("tag {}: {rule}", quoted(tag)));
    }
    let (domain, path) = split_domain(name);
    check_domain(&domain)?;
    check_path(&path)?;
    if domain.len() + 1 + path.len() > MAX_NAME {
        return Err(format!("the name is longer than {MAX_NAME} bytes"));
    }
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Reference { domain, path, tag, digest })
}

/// The first component is a registry when it looks like a host: it has a dot, a port, capitals, or is
/// `localhost`.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, name),
    };
    let domain = if domain == "index.docker.io" { DOCKER_HUB } else { domain };
    let path =
        if domain == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    (domain.to_owned(), path)
}

fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    matches!(bytes.first(), Some(b) if b.is_ascii_alphanumeric() || *b == b'_')
        && bytes.len() <= MAX_TAG
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn check_domain(domain: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("registry {}: {why}", quoted(domain)));
    let (host, port) = if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return bad("`]` is missing");
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return bad("no IPv6 address (zones are not allowed)");
        }
        match after.strip_prefix(':') {
            None if !after.is_empty() => return bad("only a port may follow the address"),
            port => ("", port),
        }
    } else {
        match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        }
    };
    if let Some(port) = port {
        let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        if !digits || port.parse::<u16>().map_or(true, |p| p == 0) {
            return bad("the port is no number from 1 to 65535");
        }
    }
    if domain.starts_with('[') {
        return Ok(());
    }
    let label = |l: &str| {
        let b = l.as_bytes();
        !b.is_empty()
            && b.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && b[0] != b'-'
            && b[b.len() - 1] != b'-'
    };
    if !host.split('.').all(label) {
        return bad("a host name has letters, digits and inner `-`, with single dots between");
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("repository {} must be lower case", quoted(path)));
    }
    for component in path.split('/') {
        if !is_path_component(component) {
            let rule = "a component has lower-case letters and digits, with `.`, `_`, `__` or dashes between";
            return Err(format!("repository {}: {rule}", quoted(path)));
        }
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = |b: Option<&u8>| b.is_some_and(|b| alphanumeric(*b));
    if !ends_well(bytes.first()) || !ends_well(bytes.last()) {
        return false;
    }
    bytes
        .split(|b| alphanumeric(*b))
        .filter(|separator| !separator.is_empty())
        .all(|s| matches!(s, b"." | b"_" | b"__") || s.iter().all(|b| *b == b'-'))
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
