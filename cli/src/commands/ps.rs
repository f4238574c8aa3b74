//! `containers ps`.

use crate::args::PsArgs;
use crate::exit::{Failure, Outcome};
use crate::output::table::{Column, Rows};
use crate::output::time::{ago, go_time};
use containers::{ContainerSummary, ListOptions, MountPoint, Runtime, Status};
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
    let command = c.command.join(" ");
    let command = if whole { command } else { shortened(&command, 20) };
    let mut networks = c.networks.clone();
    networks.sort();
    let labels: Vec<String> = c.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let fields = json!({
        "ID": if whole { c.id.as_str() } else { &c.id[..12] },
        "Image": c.image,
        "Command": format!("\"{command}\""),
        "CreatedAt": go_time(c.created),
        "RunningFor": ago(c.created) + " ago",
        "State": c.status,
        "Status": status_text(c),
        // With the networks that there are, no port is published.
        "Ports": "",
        "Names": c.name,
        "Labels": labels.join(","),
        "Networks": networks.join(","),
        "Mounts": mounts(c, whole),
        "LocalVolumes": c.mounts.iter().filter(|m| m.kind == "volume").count().to_string(),
        "Size": "0B",
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object literal"),
    }
}

/// docker shows names of volumes and sources of binds. A volume without a name is shown by where it is.
fn mounts(c: &ContainerSummary, whole: bool) -> String {
    let shown = |m: &MountPoint| match m.kind.as_str() {
        "volume" => m.target.clone(),
        _ => m.source.clone(),
    };
    let names = c.mounts.iter().map(shown).filter(|name| !name.is_empty());
    names.map(|name| if whole { name } else { shortened(&name, 15) }).collect::<Vec<_>>().join(",")
}

/// At most `most` characters, the last one saying that there are more.
fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).collect::<String>() + "…",
        false => text.to_owned(),
    }
}

fn status_text(c: &ContainerSummary) -> String {
    match c.status {
        Status::Created => "Created".into(),
        Status::Running => match c.health.as_str() {
            "" => format!("Up {}", ago(c.started_at)),
            "starting" => format!("Up {} (health: starting)", ago(c.started_at)),
            health => format!("Up {} ({health})", ago(c.started_at)),
        },
        Status::Paused => format!("Up {} (Paused)", ago(c.started_at)),
        Status::Restarting => {
            format!("Restarting ({}) {} ago", c.exit_code.unwrap_or(0), ago(c.finished_at))
        }
        Status::Exited => format!("Exited ({}) {} ago", c.exit_code.unwrap_or(0), ago(c.finished_at)),
        Status::Dead => "Dead".into(),
        _ => "Unknown".into(),
    }
}
