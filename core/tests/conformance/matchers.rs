//! What the table calls data and matchers.

use base64::Engine;
use serde_json::Value;

/// Bytes written as text, `base64` or `repeat`/`times`; `None`: not data.
pub fn data(value: &Value) -> Option<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let object = value.as_object()?;
    if let Some(text) = object.get("base64").and_then(Value::as_str) {
        return base64::engine::general_purpose::STANDARD.decode(text).ok();
    }
    let text = object.get("repeat")?.as_str()?;
    let times = usize::try_from(object.get("times")?.as_u64()?).ok()?;
    Some(text.repeat(times).into_bytes())
}

/// Checks `got` against a matcher; the error says what differs.
pub fn check(what: &str, matcher: &Value, got: &[u8]) -> Result<(), String> {
    if let Some(expected) = data(matcher) {
        return if expected == got {
            Ok(())
        } else {
            Err(format!("{what} is {}, not {}", shown(got), shown(&expected)))
        };
    }
    let conditions = matcher.as_object().ok_or_else(|| format!("{what}: {matcher} is no matcher"))?;
    for (condition, value) in conditions {
        condition_holds(condition, value, got)
            .map_err(|why| format!("{what} {why} {value}: it is {}", shown(got)))?;
    }
    Ok(())
}

fn condition_holds(condition: &str, value: &Value, got: &[u8]) -> Result<(), &'static str> {
    let texts: Vec<&str> = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let has = |t: &str| t.is_empty() || got.windows(t.len()).any(|w| w == t.as_bytes());
    let (holds, why) = match condition {
        "contains" => (texts.iter().all(|t| has(t)), "does not contain all of"),
        "not_contains" => (!texts.iter().any(|t| has(t)), "contains some of"),
        "starts_with" => (texts.iter().all(|t| got.starts_with(t.as_bytes())), "does not start with"),
        "ends_with" => (texts.iter().all(|t| got.ends_with(t.as_bytes())), "does not end with"),
        "length" => (value.as_u64() == Some(got.len() as u64), "has not the length"),
        "sorted_lines" => {
            let text = String::from_utf8_lossy(got);
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            (lines == texts, "has not the sorted lines")
        }
        "any" => (true, ""),
        _ => (false, "has the unknown condition"),
    };
    if holds { Ok(()) } else { Err(why) }
}

/// A short readable form of bytes.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let more = if bytes.len() > 300 { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("{text:?}{more}")
}
