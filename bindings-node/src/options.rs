//! Options: JSON made by `lib/options.js` (names of the public interface, snake case), read by core's own
//! deserialisers. What is the matter is said with the key that it concerns.

use crate::failure::Failure;
use containers::{
    Auth, Error, ErrorKind, ImportOptions, LoadOptions, Platform, PullOptions, PullPolicy, RunOptions,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// Reads options whose fields all have defaults.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    from_map(object(text)?)
}

fn object(text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::Type(format!("options: {e}")))
}

fn from_map<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T, Failure> {
    let problem = match T::deserialize(Value::Object(map.clone())) {
        Ok(options) => return Ok(options),
        Err(e) => e,
    };
    // serde does not say at which key: each one alone tells.
    for (key, value) in map {
        let alone = Map::from_iter([(key.clone(), value)]);
        if let Err(e) = T::deserialize(Value::Object(alone)) {
            return Err(blame(&key, &e));
        }
    }
    Err(Failure::Type(format!("options: {problem}")))
}

/// The text serde gives for values of a wrong type; everything else that it says is about the value itself.
const WRONG_TYPE: [&str; 5] =
    ["invalid type", "invalid length", "missing field", "data did not match", "expected "];

fn blame(key: &str, problem: &serde_json::Error) -> Failure {
    let text = problem.to_string();
    if text.starts_with(&format!("unknown field `{key}`")) {
        return Failure::Type(format!("unknown option `{key}`"));
    }
    if text.starts_with("unknown field") || WRONG_TYPE.iter().any(|start| text.starts_with(start)) {
        return Failure::Type(format!("option `{key}`: {text}"));
    }
    let text = format!("option `{key}`: {text}");
    Failure::Core(Error::new(ErrorKind::InvalidArgument, text).with_context("field", key))
}

/// Reads run's options; the input does not go through JSON.
pub fn run(text: &str, input: Option<Vec<u8>>) -> Result<RunOptions, Failure> {
    let mut options: RunOptions = parse(text)?;
    options.input = input;
    Ok(options)
}

/// Seconds given by the caller as a time to wait.
pub fn duration(seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = seconds else { return Ok(None) };
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| {
        let e = Error::new(ErrorKind::InvalidArgument, format!("not a time to wait: {}", seconds * 1000.0));
        Failure::Core(e.with_context("field", "timeout"))
    })
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Pull {
    platform: Option<String>,
    policy: PullPolicy,
    auth: Option<Auth>,
    insecure: bool,
}

/// Reads pull's options.
pub fn pull(text: &str) -> Result<PullOptions, Failure> {
    let given: Pull = parse(text)?;
    let mut options = PullOptions::default();
    options.platform = platform(given.platform)?;
    options.policy = given.policy;
    options.auth = given.auth;
    options.insecure = given.insecure;
    Ok(options)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Load {
    platform: Option<String>,
}

/// Reads load's options.
pub fn load(text: &str) -> Result<LoadOptions, Failure> {
    let given: Load = parse(text)?;
    let mut options = LoadOptions::default();
    options.platform = platform(given.platform)?;
    Ok(options)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Import {
    tag: Option<String>,
    changes: Vec<String>,
    message: Option<String>,
    platform: Option<String>,
}

/// Reads import's options.
pub fn import(text: &str) -> Result<ImportOptions, Failure> {
    let given: Import = parse(text)?;
    let mut options = ImportOptions::default();
    options.tag = given.tag;
    options.changes = given.changes;
    options.message = given.message;
    options.platform = platform(given.platform)?;
    Ok(options)
}

fn platform(text: Option<String>) -> Result<Option<Platform>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let mut parts = text.split('/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Some(Platform { os, architecture, variant }))
        }
        _ => {
            let e =
                Error::new(ErrorKind::InvalidArgument, format!("not a platform os/arch[/variant]: {text}"));
            Err(Failure::Core(e.with_context("field", "platform")))
        }
    }
}
