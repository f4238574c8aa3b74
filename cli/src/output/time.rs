//! Times for people.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix nanoseconds as RFC 3339 with all digits.
pub fn rfc3339(unix_nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(unix_nanos.into()).map(|t| t.to_string()).unwrap_or_default()
}

/// Unix nanoseconds as Go prints a time, which is what docker shows: `2026-11-24 20:04:38 +0000 UTC`.
pub fn go_time(unix_nanos: i64) -> String {
    in_zone(unix_nanos, jiff::tz::TimeZone::system())
}

fn in_zone(unix_nanos: i64, zone: jiff::tz::TimeZone) -> String {
    let shown = |t: jiff::Timestamp| t.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string();
    jiff::Timestamp::from_nanosecond(unix_nanos.into()).map(shown).unwrap_or_default()
}

/// How long ago, as docker says it: `About a minute`, `3 hours`.
pub fn ago(unix_nanos: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i64;
    human(now.saturating_sub(unix_nanos).max(0) / 1_000_000_000)
}

fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        _ if seconds < 1 => "Less than a second".into(),
        _ if seconds == 1 => "1 second".into(),
        _ if seconds < 60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours <= 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_dockers() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3500, "58 minutes"),
            (3700, "About an hour"),
            (86_400 * 3, "3 days"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn times_are_gos() {
        assert_eq!(in_zone(1_500_000_000, jiff::tz::TimeZone::UTC), "1970-01-01 00:00:01 +0000 UTC");
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.5Z");
    }
}
