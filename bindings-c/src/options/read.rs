//! Values that have a form of their own in C.

use crate::ffi::{ctr_given_text, ctr_given_texts, invalid};
use containers::{PortBinding, Result, SizeSpec, UlimitSpec};
use std::collections::BTreeMap;

/// Bytes or text; both is a mistake.
pub(super) fn size_spec(name: &str, bytes: i64, text: ctr_given_text) -> Result<Option<SizeSpec>> {
    match (bytes, text.owned(name)?) {
        (0, None) => Ok(None),
        (bytes, None) => Ok(Some(SizeSpec::Bytes(bytes))),
        (0, Some(text)) => Ok(Some(SizeSpec::Text(text))),
        (_, Some(_)) => Err(invalid(name, "is given as a number and as text")),
    }
}

pub(super) fn tty_size(rows: u16, cols: u16) -> Option<(u16, u16)> {
    let or = |value: u16, default: u16| if value == 0 { default } else { value };
    (rows != 0 || cols != 0).then(|| (or(rows, 24), or(cols, 80)))
}

pub(super) fn ulimits(given: ctr_given_texts) -> Result<BTreeMap<String, UlimitSpec>> {
    let bad = |text: &str| invalid("ulimits", format_args!("has a value that is no number: {text}"));
    let number = |text: &str| text.parse::<i64>().map_err(|_| bad(text));
    let pairs: Vec<(String, String)> = given.pairs("ulimits", '=')?;
    let read = |(name, value): (String, String)| {
        let limit = match value.split_once(':') {
            Some((soft, hard)) => UlimitSpec::Pair(number(soft)?, number(hard)?),
            None => UlimitSpec::Same(number(&value)?),
        };
        Ok((name, limit))
    };
    pairs.into_iter().map(read).collect()
}

/// `[[address:]port:]port[/protocol]`.
pub(super) fn ports(given: ctr_given_texts) -> Result<BTreeMap<String, Option<PortBinding>>> {
    let read = |text: String| -> Result<(String, Option<PortBinding>)> {
        let bad = || invalid("ports", format_args!("has a malformed entry: {text}"));
        let (host, inner) = text.rsplit_once(':').map_or((None, text.as_str()), |(h, i)| (Some(h), i));
        let inner = if inner.contains('/') { inner.to_owned() } else { format!("{inner}/tcp") };
        let Some(host) = host else { return Ok((inner, None)) };
        let (address, port) = host.rsplit_once(':').map_or((None, host), |(a, p)| (Some(a), p));
        let binding = match (address, port) {
            (Some(address), port) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                let port = if port.is_empty() { 0 } else { port.parse().map_err(|_| bad())? };
                PortBinding::Address(address.to_owned(), port)
            }
            (None, port) => PortBinding::Port(port.parse().map_err(|_| bad())?),
        };
        Ok((inner, Some(binding)))
    };
    let mut ports: BTreeMap<String, Option<PortBinding>> = BTreeMap::new();
    for text in given.all("ports")? {
        let (inner, binding) = read(text)?;
        let several = match ports.remove(&inner).flatten() {
            Some(PortBinding::Many(mut list)) => {
                list.extend(binding);
                Some(PortBinding::Many(list))
            }
            Some(one) => Some(PortBinding::Many([one].into_iter().chain(binding).collect())),
            None => binding,
        };
        ports.insert(inner, several);
    }
    Ok(ports)
}

pub(super) fn tmpfs(given: ctr_given_texts) -> Result<BTreeMap<String, String>> {
    let split = |text: String| match text.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (text, String::new()),
    };
    Ok(given.all("tmpfs")?.into_iter().map(split).collect())
}
