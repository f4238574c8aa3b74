//! `auth.json` and docker's `config.json`.

use super::{Credentials, Secret};
use crate::image::reference::DOCKER_HUB;
use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest credential file that is read.
const MAX_FILE: u64 = 4 << 20;

/// Reads a file; the error is a few words.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let reason = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    };
    // Non-blocking, for it could be a pipe.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = std::fs::File::options().read(true).custom_flags(flags).open(path).map_err(reason)?;
    if !file.metadata().map_err(reason)?.is_file() {
        return Err("no regular file".into());
    }
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(reason)?;
    if read as u64 > MAX_FILE {
        return Err("too large".into());
    }
    Ok(text)
}

/// What such a file says.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl AuthFile {
    /// Reads the text of one. The error has no part of the text.
    pub(super) fn parse(text: &str) -> Result<AuthFile, String> {
        serde_json::from_str(text).map_err(|e| format!("not understood at line {}", e.line()))
    }

    /// The credential helper that answers for a registry.
    pub(super) fn helper_for(&self, registry: &str) -> Option<&str> {
        let named = self.cred_helpers.iter().find(|(key, _)| normalise(key) == registry);
        let helper = named.map_or(self.creds_store.as_str(), |(_, helper)| helper);
        Some(helper).filter(|h| !h.is_empty())
    }

    /// The entry with the longest key that covers a repository: `host/team/app`, `host/team`, `host`.
    pub(super) fn entry_for(&self, registry: &str, repository: &str) -> Result<Option<Credentials>, String> {
        let full = format!("{registry}/{repository}");
        let covers =
            |key: &str| full.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let candidates = self.auths.iter().map(|(key, entry)| (normalise(key), entry));
        match candidates.filter(|(key, _)| covers(key)).max_by_key(|(key, _)| key.len()) {
            Some((_, entry)) => entry.credentials(),
            None => Ok(None),
        }
    }
}

/// A key as `host[:port][/path]`. One with a scheme is docker's and names a whole registry.
fn normalise(key: &str) -> String {
    let stripped = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match stripped {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = match key.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (key, None),
    };
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    match path {
        Some(path) => format!("{host}/{path}"),
        None => host.to_owned(),
    }
}

impl Entry {
    fn credentials(&self) -> Result<Option<Credentials>, String> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credentials::RegistryToken(Secret::new(&self.registrytoken))));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(Secret::new(&self.identitytoken))));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            decode(&self.auth).ok_or("an `auth` is not base64 of user:password")?
        };
        if username.is_empty() {
            // What docker leaves behind for a registry whose credentials are in a store.
            return Ok(None);
        }
        Ok(Some(Credentials::Password { username, password: Secret::new(password) }))
    }
}

fn decode(auth: &str) -> Option<(String, String)> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    // Docker pads passwords with NULs in some versions.
    let (username, password) = text.trim_end_matches('\0').split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}
