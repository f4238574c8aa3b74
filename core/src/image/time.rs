//! Times as image documents write them.

/// Unix time in nanoseconds of an RFC 3339 time; 0 when there is none.
pub(crate) fn parse(text: Option<&str>) -> i64 {
    text.and_then(|t| t.parse::<jiff::Timestamp>().ok())
        .and_then(|t| i64::try_from(t.as_nanosecond()).ok())
        .unwrap_or(0)
}

/// Unix time in nanoseconds as RFC 3339 in UTC; empty when there is none.
pub(crate) fn format(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return String::new();
    }
    jiff::Timestamp::from_nanosecond(nanoseconds.into()).map(|t| t.to_string()).unwrap_or_default()
}

/// Now, in nanoseconds of Unix time.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_and_missing_ones() {
        assert_eq!(parse(Some("1969-12-31T23:59:59.5Z")), -500_000_000);
        assert_eq!(format(-500_000_000), "1969-12-31T23:59:59.5Z");
        assert_eq!(parse(Some("2024-01-02T03:04:05+01:00")), 1_704_161_045_000_000_000);
        assert_eq!((parse(None), parse(Some("yesterday"))), (0, 0));
        assert_eq!(format(0), "");
    }
}
