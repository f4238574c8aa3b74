//! The health check of an image's configuration. Times are nanoseconds.

use super::config::or_default;
use crate::HealthCheck;
use serde::Deserialize;

/// As docker writes it. 0 and less stands for the default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct HealthRecord {
    #[serde(deserialize_with = "or_default")]
    test: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    interval: i64,
    #[serde(deserialize_with = "or_default")]
    timeout: i64,
    #[serde(deserialize_with = "or_default")]
    start_period: i64,
    #[serde(deserialize_with = "or_default")]
    retries: i64,
}

impl HealthRecord {
    /// What containers take over; `None`: it says nothing.
    pub(crate) fn check(self) -> Option<HealthCheck> {
        let seconds = |nanos: i64| (nanos > 0).then_some(nanos as f64 / 1e9);
        let check = HealthCheck {
            test: self.test,
            interval: seconds(self.interval),
            timeout: seconds(self.timeout),
            retries: u32::try_from(self.retries).ok().filter(|n| *n > 0),
            start_period: seconds(self.start_period),
        };
        (check != HealthCheck::default()).then_some(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_is_read_as_docker_reads_it() {
        let read = |text: &str| serde_json::from_str::<HealthRecord>(text).map(HealthRecord::check);
        let whole = r#"{"Test": ["CMD", "x"], "Interval": 1500000000, "Timeout": -5, "Retries": 2, "StartInterval": 1}"#;
        let check = read(whole).unwrap().unwrap();
        assert_eq!((check.test.len(), check.interval, check.timeout), (2, Some(1.5), None));
        assert_eq!((check.retries, check.start_period), (Some(2), None));
        let huge =
            read(r#"{"Interval": 9223372036854775807, "Retries": 9223372036854775807}"#).unwrap().unwrap();
        assert!(huge.interval.is_some_and(f64::is_finite) && huge.retries.is_none());
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"Test": null, "Interval": null}"#).unwrap(), None);
        assert!(read(r#"{"Interval": 1e300}"#).is_err());
        assert!(read(r#"{"Test": "true"}"#).is_err());
    }
}
