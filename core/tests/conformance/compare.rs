//! Whether a step gave what the table says.

use crate::matchers::{check, shown};
use crate::replay::{Failed, Got};
use containers::{Error, Output};
use serde_json::{Value, json};

pub fn compare(outcome: Result<Got, Failed>, expect: &Value) -> Result<(), String> {
    let wants_error = expect.get("error");
    let wants_type_error = expect["type_error"] == true;
    match outcome {
        Err(Failed::Runner(why)) => Err(why),
        Err(Failed::Type(_)) if wants_type_error => Ok(()),
        Err(Failed::Type(why)) => Err(format!("the options do not deserialise: {why}")),
        Err(Failed::Library(e)) => match wants_error {
            Some(wanted) => compare_error(&e, wanted),
            None => Err(format!("failed with {}: {e}", e.code())),
        },
        Ok(got) => {
            if wants_type_error {
                return Err("a wrong type was accepted".into());
            }
            if let Some(wanted) = wants_error {
                return Err(format!("succeeded instead of failing with {}{}", wanted["code"], summary(&got)));
            }
            compare_result(got, expect)
        }
    }
}

fn summary(got: &Got) -> String {
    match got {
        Got::Output(o) => {
            format!(" (exit code {}, stdout {}, stderr {})", o.exit_code, shown(&o.stdout), shown(&o.stderr))
        }
        _ => String::new(),
    }
}

fn compare_error(e: &Error, wanted: &Value) -> Result<(), String> {
    if wanted["code"] != e.code() {
        return Err(format!("failed with {}, not {}: {e}", e.code(), wanted["code"]));
    }
    for (key, matcher) in wanted["context"].as_object().into_iter().flatten() {
        let values: Vec<_> = e.context().iter().filter(|(k, _)| k == key).collect();
        if !values.iter().any(|(_, v)| check(key, matcher, v.as_bytes()).is_ok()) {
            return Err(format!("context lacks {key}={matcher}: {e} {:?}", e.context()));
        }
    }
    if let Some(matcher) = wanted.get("message") {
        check("the message", matcher, e.to_string().as_bytes())?;
    }
    for (key, get) in [("stdout", stdout as fn(&Output) -> &[u8]), ("stderr", stderr)] {
        if let Some(matcher) = wanted.get(key) {
            let output = e.output().ok_or_else(|| format!("the error carries no output: {e}"))?;
            check(key, matcher, get(output))?;
        }
    }
    Ok(())
}

fn stdout(o: &Output) -> &[u8] {
    &o.stdout
}

fn stderr(o: &Output) -> &[u8] {
    &o.stderr
}

fn compare_result(got: Got, expect: &Value) -> Result<(), String> {
    match got {
        Got::Nothing => Ok(()),
        Got::Output(o) => compare_output(&o, expect),
        Got::Value(v) => match (&v, expect.get("value")) {
            (_, None) => Ok(()),
            (Value::String(s), Some(matcher)) => check("the value", matcher, s.as_bytes()),
            (v, Some(wanted)) if *v == *wanted => Ok(()),
            (v, Some(wanted)) => Err(format!("the value is {v}, not {wanted}")),
        },
        Got::Bytes(b) => expect.get("value").map_or(Ok(()), |m| check("the value", m, &b)),
        Got::Json(document) => {
            for (pointer, wanted) in expect["json"].as_object().into_iter().flatten() {
                match document.pointer(pointer) {
                    Some(Value::String(s)) => check(pointer, wanted, s.as_bytes())?,
                    Some(v) if v == wanted => {}
                    other => return Err(format!("{pointer} is {other:?}, not {wanted}")),
                }
            }
            Ok(())
        }
        Got::Names(names) => {
            let listed = |key: &str| expect["names"][key].as_array().cloned().unwrap_or_default();
            let has = |v: &Value| names.iter().any(|n| v == n.as_str());
            if let Some(missing) = listed("includes").iter().find(|v| !has(v)) {
                return Err(format!("{missing} is not in {names:?}"));
            }
            match listed("excludes").iter().find(|v| has(v)) {
                Some(extra) => Err(format!("{extra} is in {names:?}")),
                None => Ok(()),
            }
        }
        Got::Lines(lines) => {
            if expect["lines"] == json!(lines) {
                Ok(())
            } else {
                Err(format!("the lines are {lines:?}, not {}", expect["lines"]))
            }
        }
    }
}

fn compare_output(o: &Output, expect: &Value) -> Result<(), String> {
    let all = || format!("stdout {}, stderr {}", shown(&o.stdout), shown(&o.stderr));
    let code = expect["exit_code"].as_i64().unwrap_or(0);
    if i64::from(o.exit_code) != code {
        return Err(format!("the exit code is {}, not {code}: {}", o.exit_code, all()));
    }
    if expect["signal"].as_i64() != o.signal.map(i64::from) {
        return Err(format!("the signal is {:?}, not {}: {}", o.signal, expect["signal"], all()));
    }
    if expect["oom_killed"].as_bool().is_some_and(|wanted| wanted != o.oom_killed) {
        return Err(format!("oom_killed is {}: {}", o.oom_killed, all()));
    }
    for (key, bytes) in [("stdout", &o.stdout), ("stderr", &o.stderr)] {
        if let Some(matcher) = expect.get(key) {
            check(key, matcher, bytes).map_err(|why| format!("{why}; {}", all()))?;
        }
    }
    Ok(())
}
