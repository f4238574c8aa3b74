//! `containers ps`.

use crate::args::PsArgs;
use crate::exit::{Failure, Outcome};
use crate::output::table::{Column, Rows};
use crate::output::time::{ago, rfc3339};
use containers::{ContainerSummary, ListOptions, Runtime, Status};
use serde_json::{Map, Value, json};

/// Lists containers.
pub fn ps(rt: &Runtime, args: &PsArgs) -> Outcome {
    let mut o = ListOptions::default();
    let last = if args.latest { Some(1) } else { args.last };
    o.all = args.all || last.is_some() || args.filter.iter().any(|f| f.starts_with("status="));
    for filter in &args.filter {
        let (key, value) = filter
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("invalid --filter {filter}: expected KEY=VALUE")))?;
        o.filters.entry(key.into()).or_default().push(value.into());
    }
    let mut list = rt.containers().list(&o)?;
    if let Some(n) = last {
        list.truncate(n);
    }
    let rows = Rows {
        columns: &[
            Column("ID", "CONTAINER ID"),
            Column("Image", "IMAGE"),
            Column("Command", "COMMAND"),
            Column("RunningFor", "CREATED"),
            Column("Status", "STATUS"),
            Column("Ports", "PORTS"),
            Column("Names", "NAMES"),
        ],
        quiet: "ID",
        rows: list.iter().map(|c| row(c, args.no_trunc)).collect(),
    };
    rows.print(args.format.as_deref(), args.quiet)
}

fn row(c: &ContainerSummary, whole: bool) -> Map<String, Value> {
    let mut command = c.command.join(" ");
    if !whole && command.chars().count() > 20 {
        command = command.chars().take(19).collect::<String>() + "…";
    }
    let labels: Vec<String> = c.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let fields = json!({
        "ID": if whole { c.id.as_str() } else { &c.id[..12] },
        "Image": c.image,
        "Command": format!("\"{command}\""),
        "CreatedAt": rfc3339(c.created),
        "RunningFor": ago(c.created) + " ago",
        "State": c.status,
        "Status": status_text(c),
        "Ports": "",
        "Names": c.name,
        "Labels": labels.join(","),
        "Networks": "",
        "Mounts": "",
        "LocalVolumes": "0",
        "Size": "0B",
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object literal"),
    }
}

fn status_text(c: &ContainerSummary) -> String {
    match c.status {
        Status::Created => "Created".into(),
        Status::Running => format!("Up {}", ago(c.started_at)),
        Status::Paused => format!("Up {} (Paused)", ago(c.started_at)),
        Status::Restarting => {
            format!("Restarting ({}) {} ago", c.exit_code.unwrap_or(0), ago(c.finished_at))
        }
        Status::Exited => format!("Exited ({}) {} ago", c.exit_code.unwrap_or(0), ago(c.finished_at)),
        Status::Dead => "Dead".into(),
        _ => "Unknown".into(),
    }
}
