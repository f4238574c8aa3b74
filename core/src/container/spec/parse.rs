//! Text forms of values: sizes, signals, capabilities, resource limits.

use crate::container::{SizeSpec, UlimitSpec};
pub(super) use crate::sandbox::capabilities::{all as all_capabilities, capability};
use crate::sandbox::rlimits;
use crate::{Error, ErrorKind, Result};

/// An `invalid_argument` that names the option.
pub(crate) fn bad(field: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_context("field", field)
}

/// An `unsupported` that names the option.
pub(crate) fn unsupported(field: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_context("field", field)
}

/// Bytes of a size; `256m`, `1.5g`, `64kb`, `1024`.
pub(crate) fn size(spec: &SizeSpec, field: &'static str) -> Result<u64> {
    let text = match spec {
        SizeSpec::Bytes(n) => {
            return u64::try_from(*n).map_err(|_| bad(field, format!("a size can't be negative: {n}")));
        }
        SizeSpec::Text(text) => text.trim(),
    };
    let wrong = || bad(field, format!("not a size: `{text}` (examples: 64k, 256m, 2g, 1048576)"));
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        let most = u64::MAX >> shift;
        return if whole <= most && whole << shift <= i64::MAX as u64 {
            Ok(whole << shift)
        } else {
            Err(wrong())
        };
    }
    let parts = number.parse::<f64>().map_err(|_| wrong())? * (1u64 << shift) as f64;
    if parts.is_finite() && parts < i64::MAX as f64 { Ok(parts as u64) } else { Err(wrong()) }
}

const SIGNALS: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// A signal's number: `SIGTERM`, `term`, `15`, `RTMIN+3`.
pub(crate) fn signal(text: &str, field: &'static str) -> Result<i32> {
    let wrong = || bad(field, format!("not a signal: `{text}` (examples: SIGTERM, KILL, 15)"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err(wrong()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(n, _)| *n == name) {
        return Ok(*number);
    }
    let (base, offset) = if let Some(rest) = name.strip_prefix("RTMIN") {
        (34, rest)
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        (64, rest)
    } else {
        return Err(wrong());
    };
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i32>().map_err(|_| wrong())? };
    let number = base + offset;
    if (34..=64).contains(&number) { Ok(number) } else { Err(wrong()) }
}

/// Rows and columns of a terminal, if there is to be one.
pub(crate) fn terminal(tty: bool, size: Option<(u16, u16)>) -> Result<Option<(u16, u16)>> {
    match (tty, size) {
        (false, Some(_)) => Err(bad("tty_size", "there is no terminal whose size it could be (tty)")),
        (false, None) => Ok(None),
        (true, size) => Ok(Some(size.unwrap_or((24, 80)))),
    }
}

/// Resource number, soft and hard limit.
pub(crate) fn ulimit(name: &str, spec: UlimitSpec) -> Result<(u32, u64, u64)> {
    const FIELD: &str = "ulimits";
    let (_, resource) = rlimits::NAMES.iter().find(|(n, _)| *n == name).ok_or_else(|| {
        bad(FIELD, format!("no such resource limit: `{name}` (examples: nofile, nproc, core)"))
    })?;
    let (soft, hard) = match spec {
        UlimitSpec::Same(n) => (n, n),
        UlimitSpec::Pair(soft, hard) => (soft, hard),
    };
    let value = |n: i64| match n {
        -1 => Ok(u64::MAX),
        0.. => Ok(n as u64),
        _ => Err(bad(FIELD, format!("{name}: a limit is 0 or more, or -1 for none: {n}"))),
    };
    let (soft, hard) = (value(soft)?, value(hard)?);
    if soft > hard {
        return Err(bad(FIELD, format!("{name}: the soft limit {soft} is above the hard limit {hard}")));
    }
    Ok((*resource, soft, hard))
}

/// Seconds as a duration; not negative, not absurd.
pub(crate) fn seconds(value: f64, field: &'static str) -> Result<std::time::Duration> {
    if !(value.is_finite() && (0.0..=1e9).contains(&value)) {
        return Err(bad(field, format!("not a time in seconds: {value}")));
    }
    Ok(std::time::Duration::from_secs_f64(value))
}

/// Processors as `0-2,4`, all of them present.
pub(crate) fn cpuset(text: &str, present: &str) -> Result<()> {
    const FIELD: &str = "cpuset_cpus";
    let wrong = || bad(FIELD, format!("not a list of processors: `{text}` (example: 0-2,4)"));
    let there = ranges(present).unwrap_or_default();
    for (first, last) in ranges(text).filter(|r| !r.is_empty()).ok_or_else(wrong)? {
        if first > last {
            return Err(wrong());
        }
        if !there.is_empty() && !(first..=last).all(|n| there.iter().any(|(a, b)| (a..=b).contains(&&n))) {
            let present = present.trim();
            return Err(bad(FIELD, format!("this machine has the processors {present}, not all of {text}")));
        }
    }
    Ok(())
}

fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    let part = |part: &str| {
        let (a, b) = part.split_once('-').unwrap_or((part, part));
        let digits =
            |s: &str| (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok())?;
        Some((digits(a)?, digits(b)?)).filter(|(_, last)| *last < 1 << 16)
    };
    text.trim().split(',').map(part).collect()
}
