//! `containers logs`.

use super::options::duration;
use crate::args::LogsArgs;
use crate::exit::{Failure, Outcome};
use crate::output::time::rfc3339;
use containers::{LogOptions, Runtime, StdioStream};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints a container's output, each stream to the stream it came from.
pub async fn logs(rt: &Runtime, args: &LogsArgs) -> Outcome {
    let container = rt.containers().get(&args.container)?;
    let mut o = LogOptions::default();
    o.follow = args.follow;
    o.tail = match args.tail.as_str() {
        "all" => None,
        n => Some(
            n.parse().map_err(|_| Failure::new(format!("invalid --tail {n}: expected a number or all")))?,
        ),
    };
    o.since = args.since.as_deref().map(|t| moment("--since", t)).transpose()?;
    o.until = args.until.as_deref().map(|t| moment("--until", t)).transpose()?;
    let mut lines = container.logs_stream(o)?;
    while let Some(line) = lines.next().await? {
        let mut text = Vec::with_capacity(line.data.len() + 40);
        if args.timestamps {
            text.extend_from_slice(rfc3339(line.time).as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(&line.data);
        match line.stream {
            StdioStream::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(&text)?;
                out.flush()?;
            }
            StdioStream::Stderr => std::io::stderr().write_all(&text)?,
        }
    }
    Ok(0)
}

/// RFC 3339, Unix seconds, or a duration before now; in Unix seconds.
fn moment(flag: &str, text: &str) -> Result<f64, Failure> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(seconds);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(stamp.as_nanosecond() as f64 / 1e9);
    }
    let ago = duration(text).map_err(|_| {
        Failure::new(format!("invalid {flag} {text}: expected RFC 3339, Unix seconds or 10m"))
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(now.as_secs_f64() - ago)
}
