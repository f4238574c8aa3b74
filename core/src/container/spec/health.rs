//! Health checks: the caller's over the image's.

use super::parse::{bad, seconds};
use crate::container::{CreateOptions, HealthCheck};
use crate::{ImageConfig, Result};
use containers_protocol::Bytes;
use containers_protocol::plan::Health;

const FIELD: &str = "healthcheck";

/// What the caller left out is the image's, as docker has it. `None`: neither has a check.
pub(crate) fn merged(options: &CreateOptions, image: &ImageConfig) -> Option<HealthCheck> {
    let (own, theirs) = (options.healthcheck.as_ref(), image.healthcheck.as_ref());
    let (Some(own), Some(theirs)) = (own, theirs) else { return own.or(theirs).cloned() };
    Some(HealthCheck {
        test: if own.test.is_empty() { theirs.test.clone() } else { own.test.clone() },
        interval: own.interval.or(theirs.interval),
        timeout: own.timeout.or(theirs.timeout),
        retries: own.retries.or(theirs.retries),
        start_period: own.start_period.or(theirs.start_period),
    })
}

/// The check of a container. A check that only the image has does not concern an attached container: nobody but
/// a monitor makes checks.
pub(super) fn health(options: &CreateOptions, image: &ImageConfig) -> Result<Option<Health>> {
    if options.healthcheck.is_none() && (image.healthcheck.is_none() || !options.detach) {
        return Ok(None);
    }
    let Some(check) = merged(options, image) else { return Ok(None) };
    let args: Vec<Bytes> = match check.test.first().map(String::as_str) {
        None if check == HealthCheck::default() => return Ok(None),
        None => return Err(bad(FIELD, "the health check has no test, and the image has none either")),
        Some("NONE") => return Ok(None),
        Some("CMD") if check.test.len() > 1 => check.test[1..].iter().map(|a| a.as_str().into()).collect(),
        Some("CMD-SHELL") if check.test.len() == 2 => {
            vec!["/bin/sh".into(), "-c".into(), check.test[1].as_str().into()]
        }
        _ => {
            let text = "a health check's test is [\"CMD\", …], [\"CMD-SHELL\", \"…\"] or [\"NONE\"]";
            return Err(bad(FIELD, text));
        }
    };
    if check.test.iter().any(|t| t.contains('\0')) {
        return Err(bad(FIELD, "a health check's test contains a NUL character"));
    }
    if !options.detach {
        return Err(bad(FIELD, "only a detached container has its health checked (detach=True)"));
    }
    let millis = |value: Option<f64>, default: f64| -> Result<u64> {
        Ok(seconds(value.unwrap_or(default), FIELD)?.as_millis() as u64)
    };
    let (interval_ms, timeout_ms) = (millis(check.interval, 30.0)?, millis(check.timeout, 30.0)?);
    if interval_ms == 0 || timeout_ms == 0 {
        return Err(bad(FIELD, "interval and timeout must be more than 0"));
    }
    let retries = check.retries.unwrap_or(3);
    if retries == 0 {
        return Err(bad(FIELD, "retries must be more than 0"));
    }
    let start_period_ms = millis(check.start_period, 0.0)?;
    Ok(Some(Health { args, interval_ms, timeout_ms, start_period_ms, retries }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(image: serde_json::Value, own: serde_json::Value, detach: bool) -> Result<Option<Health>> {
        let image = ImageConfig { healthcheck: serde_json::from_value(image).unwrap(), ..Default::default() };
        let healthcheck = serde_json::from_value(own).unwrap();
        health(&CreateOptions { healthcheck, detach, ..CreateOptions::default() }, &image)
    }

    #[test]
    fn the_images_check_is_taken_over() {
        let image = json!({"test": ["CMD", "a"], "interval": 5.0, "retries": 7});
        let both = of(image.clone(), json!({"timeout": 2.0, "retries": 1}), true).unwrap().unwrap();
        assert_eq!(both.args, vec![Bytes::from("a")]);
        assert_eq!((both.interval_ms, both.timeout_ms, both.retries), (5000, 2000, 1));
        let own = of(image.clone(), json!({"test": ["CMD-SHELL", "b"]}), true).unwrap().unwrap();
        assert_eq!((own.args.len(), own.interval_ms), (3, 5000));
        assert!(of(image.clone(), json!(null), true).unwrap().is_some());
        assert!(of(image.clone(), json!({"test": ["NONE"]}), true).unwrap().is_none());
        assert!(of(image.clone(), json!(null), false).unwrap().is_none());
        assert!(of(json!({"test": ["NONE"]}), json!(null), true).unwrap().is_none());
        assert!(of(image, json!({"interval": 1}), false).is_err(), "the caller asked for it");
        assert!(of(json!(null), json!({"interval": 1}), true).is_err(), "there is no test");
        assert!(of(json!(null), json!({}), true).unwrap().is_none());
    }
}
