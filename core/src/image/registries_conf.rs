//! `registries.conf`: mirrors, other locations, insecure and blocked registries, for all tools of a machine.
//!
//! Short names resolve as docker's do, so `unqualified-search-registries` and `[aliases]` do not apply here.

use super::auth::{env_path, user_config_dir};
use super::reference::Reference;
use crate::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rules of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registries {
    rules: Vec<Rule>,
    helpers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: PullFromMirror,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFromMirror {
    #[default]
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    registry: Vec<Rule>,
    #[serde(default)]
    credential_helpers: Vec<String>,
    /// The first version of the format.
    #[serde(default)]
    registries: BTreeMap<String, Lists>,
}

#[derive(Deserialize)]
struct Lists {
    #[serde(default)]
    registries: Vec<String>,
}

/// One place an image can come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Host and port.
    pub(crate) host: String,
    /// The repository there.
    pub(crate) repository: String,
    /// Plain HTTP and unverified certificates are fine.
    pub(crate) insecure: bool,
    /// It stands in for the registry of the reference.
    pub(crate) mirror: bool,
}

impl Registries {
    /// Reads the files of this machine and user. A file that can't be understood is an error: it may block
    /// something.
    pub(crate) fn load() -> Result<Registries> {
        let user = user_config_dir().map(|d| d.join("containers"));
        Registries::load_from(env_path("CONTAINERS_REGISTRIES_CONF"), user, Path::new("/etc/containers"))
    }

    fn load_from(named: Option<PathBuf>, user: Option<PathBuf>, system: &Path) -> Result<Registries> {
        let mut rules = BTreeMap::new();
        let mut helpers = Vec::new();
        let mut add = |path: &Path, must_exist: bool| -> Result<bool> {
            let Some(file) = read(path, must_exist)? else {
                return Ok(false);
            };
            // A later file replaces the rule of the same prefix.
            for rule in file.rules {
                rules.insert(rule.prefix.clone(), rule);
            }
            if !file.helpers.is_empty() {
                helpers = file.helpers;
            }
            Ok(true)
        };
        if let Some(named) = named {
            add(&named, true)?;
        } else {
            let found = match &user {
                Some(dir) => add(&dir.join("registries.conf"), false)?,
                None => false,
            };
            if !found {
                add(&system.join("registries.conf"), false)?;
            }
            for dir in std::iter::once(system).chain(user.as_deref()) {
                for path in drop_ins(&dir.join("registries.conf.d")) {
                    add(&path, false)?;
                }
            }
        }
        Ok(Registries { rules: rules.into_values().collect(), helpers })
    }

    /// Rules from the text of one file.
    #[cfg(test)]
    pub(crate) fn from_text(text: &str) -> Result<Registries, String> {
        parse(text)
    }

    /// `credential-helpers`: what is asked for credentials, the first one first; empty: what is usual.
    pub(crate) fn credential_helpers(&self) -> &[String] {
        &self.helpers
    }

    /// Where to get an image, the first place first.
    pub(crate) fn sources(&self, reference: &Reference) -> Result<Vec<Source>> {
        let name = reference.name();
        let matching = self.rules.iter().filter(|r| r.covers(reference));
        let Some(rule) = matching.max_by_key(|r| r.prefix.len()) else {
            return Ok(vec![source(&name, false, false)]);
        };
        if rule.blocked {
            return Err(Error::new(ErrorKind::Registry, "registries.conf blocks this registry")
                .with_context("registry", reference.domain())
                .with_context("prefix", rule.prefix.clone()));
        }
        let by_digest = reference.digest().is_some();
        let wanted = |m: &&Mirror| match m.pull_from_mirror {
            PullFromMirror::All => by_digest || !rule.mirror_by_digest_only,
            PullFromMirror::DigestOnly => by_digest,
            PullFromMirror::TagOnly => !by_digest,
        };
        let mirrors = rule.mirror.iter().filter(wanted);
        let mut all: Vec<_> =
            mirrors.map(|m| source(&rule.rewrite(&name, &m.location), m.insecure, true)).collect();
        all.push(source(&rule.rewrite(&name, &rule.location), rule.insecure, false));
        Ok(all)
    }
}

impl Rule {
    /// Whether the prefix ends where a part of the reference's name ends; `*.example.com` covers every host
    /// below example.com.
    fn covers(&self, reference: &Reference) -> bool {
        if let Some(parent) = self.prefix.strip_prefix('*') {
            return reference.domain().ends_with(parent);
        }
        let rest = reference.to_string();
        rest.strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
    }

    /// The name with the prefix replaced.
    fn rewrite(&self, name: &str, location: &str) -> String {
        if location.is_empty() {
            return name.to_owned();
        }
        let rest = match self.prefix.starts_with('*') {
            true => name.find('/').map(|slash| &name[slash..]),
            false => name.strip_prefix(&self.prefix),
        };
        format!("{location}{}", rest.unwrap_or_default())
    }
}

fn source(name: &str, insecure: bool, mirror: bool) -> Source {
    let (host, repository) = name.split_once('/').unwrap_or((name, ""));
    Source { host: host.to_owned(), repository: repository.to_owned(), insecure, mirror }
}

fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    paths.sort();
    paths
}

fn read(path: &Path, must_exist: bool) -> Result<Option<Registries>> {
    let at = |e: Error| e.with_context("path", path.display().to_string());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(None),
        Err(e) => return Err(at(Error::io("can't read registries.conf", e))),
    };
    parse(&text).map(Some).map_err(|why| at(Error::new(ErrorKind::InvalidArgument, why)))
}

fn parse(text: &str) -> Result<Registries, String> {
    let file: File =
        toml::from_str(text).map_err(|e| format!("registries.conf can't be understood: {}", e.message()))?;
    let mut rules = file.registry;
    for (list, insecure) in [("insecure", true), ("block", false)] {
        for name in file.registries.get(list).map(|l| &l.registries[..]).unwrap_or_default() {
            let rule = Rule {
                prefix: name.clone(),
                location: String::new(),
                insecure,
                blocked: !insecure,
                mirror_by_digest_only: false,
                mirror: Vec::new(),
            };
            rules.push(rule);
        }
    }
    for rule in &mut rules {
        let trim = |s: &str| s.trim_end_matches('/').to_owned();
        (rule.prefix, rule.location) = (trim(&rule.prefix), trim(&rule.location));
        if rule.prefix.is_empty() {
            rule.prefix = rule.location.clone();
        }
        if rule.prefix.is_empty() {
            return Err("registries.conf has a [[registry]] without prefix and location".into());
        }
        if rule.prefix.contains('*')
            && (!rule.prefix.starts_with("*.") || rule.prefix[1..].contains(['*', '/']))
        {
            return Err(format!(
                "registries.conf: prefix {:?} is not of the form *.example.com",
                rule.prefix
            ));
        }
        let locations = rule.mirror.iter_mut().map(|m| &mut m.location);
        for location in locations {
            *location = trim(location);
            if location.is_empty() {
                return Err(format!("registries.conf: a mirror of {:?} has no location", rule.prefix));
            }
        }
        for location in rule.mirror.iter().map(|m| &m.location).chain([&rule.location]) {
            let bad = |c: char| c.is_whitespace() || c.is_control() || "?#@\\%".contains(c);
            if location.contains("://") || location.contains(bad) {
                return Err(format!("registries.conf: location {location:?} is not host[:port][/path]"));
            }
        }
    }
    Ok(Registries { rules, helpers: file.credential_helpers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(conf: &str, reference: &str) -> Result<Vec<String>> {
        let registries =
            Registries::from_text(conf).map_err(|e| Error::new(ErrorKind::InvalidArgument, e))?;
        let all = registries.sources(&Reference::parse(reference)?)?;
        Ok(all
            .iter()
            .map(|s| format!("{}/{}{}", s.host, s.repository, if s.insecure { " insecure" } else { "" }))
            .collect())
    }

    const CONF: &str = r#"
        unqualified-search-registries = ["example.com"]
        short-name-mode = "enforcing"
        [aliases]
        "debian" = "example.com/debian"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.local:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "second.local"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "docker.io/secret"
        blocked = true
        [[registry]]
        prefix = "quay.io/team"
        location = "internal.example/copies/team"
        [[registry]]
        prefix = "*.wild.example"
        insecure = true
        [[registry]]
        prefix = "only.example/app:1"
        location = "pinned.example/app"
    "#;

    #[test]
    fn the_longest_prefix_decides() {
        let hex = "a".repeat(64);
        let digest = format!("debian@sha256:{hex}");
        let cases: &[(&str, &[&str])] = &[
            ("debian", &["mirror.local:5000/hub/library/debian insecure", "docker.io/library/debian"]),
            (
                &digest,
                &[
                    "mirror.local:5000/hub/library/debian insecure",
                    "second.local/library/debian",
                    "docker.io/library/debian",
                ],
            ),
            ("quay.io/team/app", &["internal.example/copies/team/app"]),
            ("quay.io/teammate/app", &["quay.io/teammate/app"]),
            ("a.wild.example/app", &["a.wild.example/app insecure"]),
            ("a.b.wild.example/app", &["a.b.wild.example/app insecure"]),
            ("wild.example/app", &["wild.example/app"]),
            ("notwild.example/app", &["notwild.example/app"]),
            ("only.example/app:1", &["pinned.example/app"]),
            ("only.example/app:12", &["only.example/app"]),
            ("other.example/app", &["other.example/app"]),
        ];
        for (reference, expected) in cases {
            assert_eq!(sources(CONF, reference).unwrap(), *expected, "{reference}");
        }
        let blocked = sources(CONF, "secret/app").unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::Registry);
        assert!(sources(CONF, "secretive/app").is_ok());
    }

    #[test]
    fn the_first_version_of_the_format() {
        let conf = "[registries.search]\nregistries = ['x']\n[registries.insecure]\nregistries = ['a.example']\n\
                    [registries.block]\nregistries = ['b.example']";
        assert_eq!(sources(conf, "a.example/x").unwrap(), ["a.example/x insecure"]);
        assert!(sources(conf, "b.example/x").is_err());
    }

    #[test]
    fn bad_files_are_errors() {
        for conf in [
            "[[registry]]",
            "[[registry]]\nprefix = 3",
            "[[registry",
            "credential-helpers = 'secretservice'",
            "credential-helpers = [3]",
            "[[registry]]\nprefix='*'",
            "[[registry]]\nprefix='*.a/b'",
            "[[registry]]\nprefix='a.*.b'",
            "[[registry]]\nlocation='http://a'",
            "[[registry]]\nlocation='user@a'",
            "[[registry]]\nprefix='a'\n[[registry.mirror]]\nlocation=''",
            "[[registry]]\nprefix='a'\n[[registry.mirror]]\nlocation='b'\npull-from-mirror='never'",
            "[[registry]]\nprefix='a'\n[[registry.mirror]]\ninsecure=true",
        ] {
            assert!(parse(conf).is_err(), "{conf}");
        }
        assert_eq!(parse("").unwrap(), Registries::default());
    }

    #[test]
    fn files_replace_and_add() {
        let mut name = [0u8; 8];
        getrandom::fill(&mut name).unwrap();
        let root = std::env::temp_dir().join(format!("conf-test-{}", crate::image::digest::to_hex(&name)));
        let write = |path: &str, prefix: &str, location: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("[[registry]]\nprefix='{prefix}'\nlocation='{location}'\n"))
                .unwrap();
        };
        write("etc/registries.conf", "a.example", "etc");
        write("etc/registries.conf.d/10.conf", "b.example", "etc-drop-in");
        write("etc/registries.conf.d/ignored.txt", "b.example", "ignored");
        let load = |named: Option<&str>| {
            Registries::load_from(named.map(|n| root.join(n)), Some(root.join("user")), &root.join("etc"))
        };
        let locations = |r: Registries| r.rules.into_iter().map(|r| r.location).collect::<Vec<_>>();
        assert_eq!(locations(load(None).unwrap()), ["etc", "etc-drop-in"]);
        assert!(load(None).unwrap().credential_helpers().is_empty());
        let drop_in = root.join("etc/registries.conf.d/20.conf");
        std::fs::write(drop_in, "credential-helpers = ['secretservice', 'containers-auth.json']").unwrap();
        assert_eq!(load(None).unwrap().credential_helpers(), ["secretservice", "containers-auth.json"]);
        write("user/registries.conf", "c.example", "user");
        write("user/registries.conf.d/1.conf", "b.example", "user-drop-in");
        assert_eq!(locations(load(None).unwrap()), ["user-drop-in", "user"]);
        assert_eq!(locations(load(Some("user/registries.conf")).unwrap()), ["user"]);
        assert_eq!(load(Some("missing.conf")).unwrap_err().kind(), ErrorKind::PathNotFound);
        std::fs::write(root.join("etc/registries.conf.d/11.conf"), "[[").unwrap();
        let error = load(None).unwrap_err();
        assert!(error.to_string().contains("11.conf"));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
