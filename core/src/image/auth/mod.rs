//! Credentials for registries: where they are looked for, and in which order.
//!
//! Explicit → `DOCKER_AUTH_CONFIG` → `$XDG_RUNTIME_DIR/containers/auth.json` →
//! `~/.config/containers/auth.json` → `$DOCKER_CONFIG/config.json` or `~/.docker/config.json` → anonymous. In
//! each file a `credHelpers` entry for the registry is asked first, then `credsStore`, then `auths`. With
//! `credential-helpers` in registries.conf, those programs are asked in their order, and the files where that
//! list says `containers-auth.json`.
//!
//! A source that can't be read does not stop a pull that may need no credentials; it is named in the error
//! when the registry refuses.

mod file;
mod helper;
#[cfg(test)]
mod tests;

use super::Auth;
use super::reference::DOCKER_HUB;
use crate::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What stands for the files in `credential-helpers`.
const FILES: &str = "containers-auth.json";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one who needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What to show to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A user name and a password.
    Password { username: String, password: Secret },
    /// An OAuth2 refresh token.
    IdentityToken(Secret),
    /// A bearer token for the registry itself.
    RegistryToken(Secret),
}

/// What came of looking for credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// `None`: anonymous.
    pub(crate) credentials: Option<Credentials>,
    /// Where they come from.
    pub(crate) source: Option<String>,
    /// Where they were looked for, with what went wrong there.
    pub(crate) searched: Vec<String>,
}

/// Where to look.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// Given by the caller, for the registry of the reference alone.
    pub(crate) explicit: Option<Auth>,
    /// The content of `DOCKER_AUTH_CONFIG`.
    pub(crate) inline: Option<String>,
    /// Files, the first one first.
    pub(crate) files: Vec<PathBuf>,
    /// `credential-helpers` of registries.conf; empty: the files alone.
    pub(crate) helpers: Vec<String>,
    /// Folders with credential helpers, as in `PATH`.
    pub(crate) helper_path: OsString,
    /// How long a credential helper may take.
    pub(crate) helper_timeout: Duration,
}

impl Sources {
    /// Those of this process's environment.
    pub(crate) fn from_environment(explicit: Option<Auth>) -> Sources {
        let mut files = Vec::new();
        if let Some(dir) = env_path("XDG_RUNTIME_DIR") {
            files.push(dir.join("containers/auth.json"));
        }
        if let Some(dir) = user_config_dir() {
            files.push(dir.join("containers/auth.json"));
        }
        match (env_path("DOCKER_CONFIG"), home_dir()) {
            (Some(dir), _) => files.push(dir.join("config.json")),
            (None, Some(home)) => files.push(home.join(".docker/config.json")),
            (None, None) => {}
        }
        let inline = std::env::var("DOCKER_AUTH_CONFIG").ok().filter(|v| !v.is_empty());
        let helper_path = std::env::var_os("PATH").unwrap_or_default();
        let helper_timeout = Duration::from_secs(30);
        Sources { explicit, inline, files, helpers: Vec::new(), helper_path, helper_timeout }
    }

    /// The same with `credential-helpers` of registries.conf.
    pub(crate) fn with_helpers(self, helpers: &[String]) -> Sources {
        Sources { helpers: helpers.to_vec(), ..self }
    }

    /// The same without what was given for another registry.
    pub(crate) fn without_explicit(&self) -> Sources {
        Sources { explicit: None, ..self.clone() }
    }

    /// Looks for credentials for a repository of a registry.
    pub(crate) async fn find(&self, registry: &str, repository: &str) -> Found {
        let mut found = Found::default();
        if let Some(auth) = &self.explicit {
            found.credentials = Some(explicit(auth));
            found.source = Some("the caller".into());
            return found;
        }
        if let Some(text) = &self.inline
            && self
                .look("DOCKER_AUTH_CONFIG".into(), Ok(text.clone()), registry, repository, &mut found)
                .await
        {
            return found;
        }
        let usual = [FILES.to_owned()];
        for helper in if self.helpers.is_empty() { &usual } else { &self.helpers[..] } {
            let is_found = match helper.as_str() {
                FILES => self.look_in_files(registry, repository, &mut found).await,
                helper => self.look_in_helper(helper, registry, &mut found).await,
            };
            if is_found {
                break;
            }
        }
        found
    }

    async fn look_in_files(&self, registry: &str, repository: &str, found: &mut Found) -> bool {
        for path in &self.files {
            let name = path.display().to_string();
            if self.look(name, file::read(path), registry, repository, found).await {
                return true;
            }
        }
        false
    }

    /// Asks one of `credential-helpers`.
    async fn look_in_helper(&self, helper: &str, registry: &str, found: &mut Found) -> bool {
        let name = format!("docker-credential-{helper} (credential-helpers)");
        match self.ask(helper, registry).await {
            Ok(credentials) => {
                found.searched.push(name.clone());
                found.source = credentials.is_some().then_some(name);
                found.credentials = credentials;
                found.credentials.is_some()
            }
            Err(why) => {
                found.searched.push(format!("{name} ({why})"));
                false
            }
        }
    }

    /// Looks into the text of one file; whether there were credentials.
    async fn look(
        &self,
        name: String,
        text: Result<String, String>,
        registry: &str,
        repository: &str,
        found: &mut Found,
    ) -> bool {
        let looked = match text.and_then(|text| file::AuthFile::parse(&text)) {
            Ok(config) => self.find_in(&config, registry, repository).await,
            Err(why) => Err(why),
        };
        match looked {
            Ok((Some(credentials), from)) => {
                found.source = Some(format!("{name}{from}"));
                found.searched.push(name);
                found.credentials = Some(credentials);
                return true;
            }
            Ok((None, _)) => found.searched.push(name),
            Err(why) => found.searched.push(format!("{name} ({why})")),
        }
        false
    }

    /// Asks a credential helper for a registry.
    async fn ask(&self, helper: &str, registry: &str) -> Result<Option<Credentials>, String> {
        for server in servers(registry) {
            let answer = helper::get(helper, server, &self.helper_path, self.helper_timeout).await?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    async fn find_in(
        &self,
        config: &file::AuthFile,
        registry: &str,
        repository: &str,
    ) -> Result<(Option<Credentials>, String), String> {
        let mut failure = None;
        if let Some(name) = config.helper_for(registry) {
            match self.ask(name, registry).await {
                Ok(Some(credentials)) => {
                    return Ok((Some(credentials), format!(" (docker-credential-{name})")));
                }
                Ok(None) => {}
                Err(why) => failure = Some(why),
            }
        }
        match (config.entry_for(registry, repository)?, failure) {
            (Some(credentials), _) => Ok((Some(credentials), String::new())),
            (None, Some(why)) => Err(why),
            (None, None) => Ok((None, String::new())),
        }
    }
}

/// The names a registry has in credential stores.
fn servers(registry: &str) -> Vec<&str> {
    if registry == DOCKER_HUB { vec!["https://index.docker.io/v1/", DOCKER_HUB] } else { vec![registry] }
}

/// Refuses explicit credentials that say nothing.
pub(crate) fn check_explicit(auth: &Auth) -> Result<()> {
    let refuse = |field: &str, why: &str| {
        Err(Error::new(ErrorKind::InvalidArgument, why).with_context("field", format!("auth.{field}")))
    };
    let token = auth.identity_token.as_deref().unwrap_or("");
    if auth.username.is_empty() && token.is_empty() {
        return refuse("username", "credentials need a user name or an identity token");
    }
    if auth.username.contains(':') {
        return refuse("username", "a user name can't have a colon");
    }
    for (field, value) in
        [("username", auth.username.as_str()), ("password", &auth.password), ("identity_token", token)]
    {
        if value.contains(|c: char| c.is_control()) {
            return refuse(field, "credentials can't have control characters");
        }
    }
    Ok(())
}

fn explicit(auth: &Auth) -> Credentials {
    match &auth.identity_token {
        Some(token) if !token.is_empty() => Credentials::IdentityToken(Secret::new(token)),
        _ => Credentials::Password { username: auth.username.clone(), password: Secret::new(&auth.password) },
    }
}

/// An environment variable with an absolute path.
pub(crate) fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute())
}

/// The home folder of who runs this.
pub(crate) fn home_dir() -> Option<PathBuf> {
    env_path("HOME").or_else(|| {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
        Some(user.dir).filter(|d| d.is_absolute())
    })
}

/// `$XDG_CONFIG_HOME` or `~/.config`.
pub(crate) fn user_config_dir() -> Option<PathBuf> {
    env_path("XDG_CONFIG_HOME").or_else(|| Some(home_dir()?.join(".config")))
}
