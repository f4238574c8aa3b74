//! The Dockerfile's `HEALTHCHECK`.

use super::changes::command;
use serde_json::{Value, json};

/// `NONE`, or `[--interval=30s --timeout=30s --start-period=0s --retries=3] CMD …`; times become nanoseconds.
pub(super) fn healthcheck(text: &str) -> Result<Value, String> {
    let mut check = json!({});
    let mut rest = text;
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (name, value) = flag.split_once('=').ok_or_else(|| format!("{flag:?} lacks its value"))?;
        match name {
            "--interval" => check["Interval"] = time(value)?.into(),
            "--timeout" => check["Timeout"] = time(value)?.into(),
            "--start-period" => check["StartPeriod"] = time(value)?.into(),
            "--retries" => {
                check["Retries"] =
                    value.parse::<u32>().map_err(|_| format!("{value:?} is no number"))?.into();
            }
            _ => return Err(format!("{name} is none of --interval, --timeout, --start-period, --retries")),
        }
        rest = after.trim_start();
    }
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    check["Test"] = match word.to_ascii_uppercase().as_str() {
        "NONE" if rest.is_empty() && check == json!({}) => json!(["NONE"]),
        "CMD" if rest.starts_with('[') => {
            let args = command(rest)?;
            if args.is_empty() {
                return Err("the check's command is empty".into());
            }
            std::iter::once("CMD".to_owned()).chain(args).collect()
        }
        "CMD" if !rest.is_empty() => json!(["CMD-SHELL", rest]),
        _ => return Err("HEALTHCHECK takes NONE, or options and CMD with a command".into()),
    };
    Ok(check)
}

/// Go's form of a time (`1m30s`, `500ms`), in nanoseconds.
fn time(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is no time such as 1m30s");
    let mut rest = text;
    let mut nanos = 0f64;
    if text.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let (unit, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        nanos += number
            * match unit {
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(bad()),
            };
        rest = after;
    }
    if nanos == 0.0 || (1e6..9e18).contains(&nanos) { Ok(nanos as i64) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_dockerfiles() {
        let full =
            healthcheck("--interval=1m30s --timeout=500ms --start-period=0s --retries=2  CMD test -e /x");
        assert_eq!(
            full.unwrap(),
            json!({"Interval": 90_000_000_000i64, "Timeout": 500_000_000, "StartPeriod": 0, "Retries": 2,
                   "Test": ["CMD-SHELL", "test -e /x"]})
        );
        assert_eq!(healthcheck(r#"cmd ["a", "b"]"#).unwrap(), json!({"Test": ["CMD", "a", "b"]}));
        assert_eq!(healthcheck("none").unwrap(), json!({"Test": ["NONE"]}));
        for bad in [
            "NONE x",
            "--retries=1 NONE",
            "CMD",
            "CMD []",
            "test",
            "--interval=1 CMD a",
            "--interval=1d CMD a",
            "--interval=99999999999h CMD a",
            "--interval CMD a",
            "--colour=red CMD a",
            "--retries=-1 CMD a",
        ] {
            assert!(healthcheck(bad).is_err(), "{bad}");
        }
    }
}
