//! Signals, sizes and times as people write them.

use std::time::Duration;

/// Highest signal.
const LAST_SIGNAL: i32 = 64;

/// `9`, `KILL`, `SIGKILL`, `RTMIN+1`.
pub fn signal(text: &str) -> Result<i32, String> {
    let unknown = || format!("unknown signal {text:?}");
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=LAST_SIGNAL).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let (first, last) = (nix::libc::SIGRTMIN(), nix::libc::SIGRTMAX());
    let offset =
        |rest: &str| if rest.is_empty() { Ok(0) } else { rest[1..].parse::<i32>().map_err(|_| unknown()) };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return Ok(first + offset(rest)?);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return Ok(last - offset(rest)?);
    }
    let known: Result<nix::sys::signal::Signal, _> = format!("SIG{name}").parse();
    known.map(|s| s as i32).map_err(|_| unknown())
}

/// Bytes, with a unit of 1024: `64m`.
pub fn size(text: &str) -> Result<i64, String> {
    let wrong = || format!("invalid size {text:?}");
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, shift) = match digits.chars().last() {
        Some('k') => (&digits[..digits.len() - 1], 10),
        Some('m') => (&digits[..digits.len() - 1], 20),
        Some('g') => (&digits[..digits.len() - 1], 30),
        Some('t') => (&digits[..digits.len() - 1], 40),
        _ => (digits, 0),
    };
    let number: i64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// `5s`, `500ms`, `1m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid duration {text:?}");
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..at].parse().map_err(|_| wrong())?;
    let unit = match &text[at..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let duration = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    if duration.is_zero() { Err("the interval must be longer than 0".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_sizes_durations() {
        for text in ["9", "KILL", "sigkill", "SIGKILL"] {
            assert_eq!(signal(text), Ok(9));
        }
        assert_eq!(signal("RTMIN+2"), Ok(nix::libc::SIGRTMIN() + 2));
        assert_eq!(signal("0"), Ok(0));
        assert!(signal("NOPE").is_err() && signal("65").is_err());
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("-1"), Ok(-1));
        assert!(size("x").is_err() && size("").is_err());
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("0s").is_err() && duration("5").is_err());
    }
}
