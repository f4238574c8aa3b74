//! Dockerfile instructions that change a configuration: `--change` of `docker import` and `docker commit`.

use super::health::healthcheck;
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};

/// The `config` member of an image configuration after these instructions.
pub(in crate::image) fn apply(changes: &[String]) -> Result<Value> {
    let mut config = json!({});
    for change in changes {
        one(&mut config, change).map_err(|what| {
            Error::new(ErrorKind::InvalidArgument, what)
                .with_context("field", "changes")
                .with_context("change", change)
        })?;
    }
    Ok(config)
}

fn one(config: &mut Value, change: &str) -> std::result::Result<(), String> {
    if change.contains(['\0', '\n']) {
        return Err("a change is one line".into());
    }
    let change = change.trim();
    let (word, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
    let rest = rest.trim();
    let word = word.to_ascii_uppercase();
    if rest.is_empty() {
        return Err(format!("{word:?} lacks its arguments"));
    }
    match word.as_str() {
        "CMD" => config["Cmd"] = json!(command(rest)?),
        "ENTRYPOINT" => config["Entrypoint"] = json!(command(rest)?),
        "ENV" => pairs(rest)?.into_iter().for_each(|(key, value)| set_env(config, &key, &value)),
        "LABEL" => pairs(rest)?.into_iter().for_each(|(key, value)| config["Labels"][key] = json!(value)),
        "USER" => config["User"] = json!(single(rest, "USER")?),
        "WORKDIR" => config["WorkingDir"] = json!(workdir(config, &unquote(rest)?)?),
        "STOPSIGNAL" => config["StopSignal"] = json!(single(rest, "STOPSIGNAL")?),
        "HEALTHCHECK" => config["Healthcheck"] = healthcheck(rest)?,
        "EXPOSE" => {
            for port in words(rest)? {
                for port in ports(&port)? {
                    config["ExposedPorts"][port] = json!({});
                }
            }
        }
        "VOLUME" => {
            let paths = if rest.starts_with('[') { list(rest)? } else { words(rest)? };
            for path in paths {
                if path.is_empty() {
                    return Err("VOLUME has an empty path".into());
                }
                config["Volumes"][path] = json!({});
            }
        }
        other => {
            return Err(format!(
                "{other:?} is none of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, STOPSIGNAL, USER, VOLUME, \
                 WORKDIR"
            ));
        }
    }
    Ok(())
}

/// `["a", "b"]`, or a line for the shell.
pub(super) fn command(rest: &str) -> std::result::Result<Vec<String>, String> {
    if rest.starts_with('[') {
        return list(rest);
    }
    Ok(vec!["/bin/sh".into(), "-c".into(), rest.into()])
}

fn list(rest: &str) -> std::result::Result<Vec<String>, String> {
    serde_json::from_str(rest).map_err(|e| format!("the list is no JSON list of strings: {e}"))
}

fn single(rest: &str, what: &str) -> std::result::Result<String, String> {
    match words(rest)?.as_slice() {
        [one] if !one.is_empty() => Ok(one.clone()),
        _ => Err(format!("{what} takes one argument")),
    }
}

fn unquote(rest: &str) -> std::result::Result<String, String> {
    Ok(words(rest)?.join(" "))
}

fn set_env(config: &mut Value, key: &str, value: &str) {
    let entry = json!(format!("{key}={value}"));
    let before = format!("{key}=");
    if !config["Env"].is_array() {
        config["Env"] = json!([]);
    }
    if let Some(list) = config["Env"].as_array_mut() {
        match list.iter_mut().find(|e| e.as_str().is_some_and(|e| e.starts_with(&before))) {
            Some(there) => *there = entry,
            None => list.push(entry),
        }
    }
}

/// `k=v k2="v 2"`, or the old form `k v…`.
fn pairs(rest: &str) -> std::result::Result<Vec<(String, String)>, String> {
    let first = rest.split(char::is_whitespace).next().unwrap_or_default();
    if !first.contains('=') {
        let (key, value) =
            rest.split_once(char::is_whitespace).ok_or_else(|| format!("{rest:?} has no value"))?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    words(rest)?
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("{word:?} is not of the form KEY=value")),
        })
        .collect()
}

/// Words, with quotes and backslashes as a Dockerfile has them.
fn words(text: &str) -> std::result::Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"') | None, '\\') => {
                word.get_or_insert_default().push(chars.next().ok_or("a backslash ends the line")?);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    words.extend(word);
    Ok(words)
}

fn workdir(config: &Value, path: &str) -> std::result::Result<String, String> {
    let base = config["WorkingDir"].as_str().unwrap_or("/");
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// `80`, `53/udp`, `8000-8010/tcp` as docker writes them down.
fn ports(text: &str) -> std::result::Result<Vec<String>, String> {
    let bad = || format!("{text:?} is no port");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    let port = |t: &str| t.parse::<u16>().ok().filter(|p| *p > 0 && !t.starts_with('+'));
    match (port(low), port(high)) {
        (Some(low), Some(high)) if low <= high => {
            Ok((low..=high).map(|p| format!("{p}/{protocol}")).collect())
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Value {
        apply(&changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn instructions() {
        assert_eq!(
            applied(&[
                r#"CMD ["sh", "-c"]"#,
                "entrypoint echo hi there",
                r#"ENV A=b C="d e" F=g\ h"#,
                "ENV A=2",
                "ENV OLD the old form",
                "USER 1000:app",
                "WORKDIR /a",
                "WORKDIR b/../c",
                "EXPOSE 80 53/udp 8000-8001",
                "LABEL x=1 'y z'=\"2\"",
                r#"VOLUME ["/data"]"#,
                "VOLUME /v /w",
                "STOPSIGNAL SIGINT",
                "HEALTHCHECK --retries=2 CMD true",
            ]),
            json!({
                "Cmd": ["sh", "-c"],
                "Entrypoint": ["/bin/sh", "-c", "echo hi there"],
                "Env": ["A=2", "C=d e", "F=g h", "OLD=the old form"],
                "User": "1000:app",
                "WorkingDir": "/a/c",
                "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}},
                "Labels": {"x": "1", "y z": "2"},
                "Volumes": {"/data": {}, "/v": {}, "/w": {}},
                "StopSignal": "SIGINT",
                "Healthcheck": {"Retries": 2, "Test": ["CMD-SHELL", "true"]},
            })
        );
    }

    #[test]
    fn bad_instructions_name_the_field() {
        for bad in [
            "",
            "CMD",
            "RUN ls",
            "ENV A",
            "ENV =x",
            "CMD [1]",
            "CMD [\"a\"",
            "EXPOSE 0",
            "EXPOSE 70000",
            "EXPOSE 9-8",
            "EXPOSE 80/icmp",
            "LABEL x",
            "HEALTHCHECK true",
            "USER a b",
            "ENV A=\"b",
            "ONBUILD RUN ls",
            "ENV A=b\nUSER root",
        ] {
            let e = apply(&[bad.to_owned()]).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{bad}");
            assert!(e.context().contains(&("field", "changes".into())), "{bad}");
        }
    }
}
