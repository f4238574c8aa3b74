//! Finding containers.

use super::record::Record;
use super::shared::{Shared, is_running, not_found};
use super::spec::parse::bad;
use super::{ContainerSummary, ListOptions, names, spec};
use crate::executor::block_on;
use crate::runtime::RuntimeInner;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records with the launcher of attached ones; empty for detached.
fn records(rt: &RuntimeInner) -> Result<Vec<(String, Record)>> {
    let mut all = Record::attached(&rt.run_root)?;
    all.retain(|(launcher, _)| *launcher == rt.launcher.name || names::is_alive(&rt.run_root, launcher));
    let rows: Vec<String> = rt.db.read(|c| {
        let mut query = c.prepare_cached("SELECT config FROM containers")?;
        query.query_map([], |r| r.get(0))?.collect()
    })?;
    for row in rows {
        all.push((String::new(), Record::from_json(&row)?));
    }
    Ok(all)
}

/// The shared state of a container; for one of this runtime, the one that its owner has.
fn shared(rt: &Arc<RuntimeInner>, launcher: String, record: Record) -> Arc<Shared> {
    match rt.registered(&record.id) {
        Some(shared) => shared,
        None => Arc::new(Shared::new(rt, record, launcher, None)),
    }
}

/// [`crate::Containers::get`].
pub(super) fn get(rt: &Arc<RuntimeInner>, wanted: &str) -> Result<Arc<Shared>> {
    rt.check_open()?;
    if wanted.is_empty() {
        return Err(bad("container", "a container is named by its name, its id or the beginning of its id"));
    }
    let all = records(rt)?;
    let exact = |(_, r): &&(String, Record)| r.id == wanted || (!r.name.is_empty() && r.name == wanted);
    let found = match all.iter().find(exact) {
        Some(found) => found,
        None => {
            let mut starting = all.iter().filter(|(_, r)| r.id.starts_with(wanted));
            match (starting.next(), starting.next()) {
                (Some(found), None) => found,
                (Some(_), Some(_)) => {
                    let text = format!("several containers' ids begin with {wanted}");
                    return Err(
                        Error::new(ErrorKind::InvalidArgument, text).with_context("container", wanted)
                    );
                }
                (None, _) => return Err(not_found(wanted)),
            }
        }
    };
    let (launcher, record) = found.clone();
    let shared = shared(rt, launcher, record);
    // One that was to remove itself goes now.
    block_on(shared.state()).map_err(|e| match e.kind() {
        ErrorKind::ContainerNotFound => not_found(wanted),
        _ => e,
    })?;
    Ok(shared)
}

/// [`crate::Containers::list`].
pub(super) fn list(rt: &Arc<RuntimeInner>, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
    rt.check_open()?;
    let filters = Filters::new(&options.filters)?;
    let mut rows = Vec::new();
    for (launcher, record) in records(rt)? {
        let shared = shared(rt, launcher, record);
        let state = match block_on(shared.state()) {
            Ok(state) => state,
            // It ended and went meanwhile.
            Err(e) if e.kind() == ErrorKind::ContainerNotFound => continue,
            Err(e) => return Err(e),
        };
        let row = summary(&shared, &state);
        // docker shows those that do not run when their state is asked for.
        let shown = options.all || filters.by_state() || is_running(&state) || state.status == "restarting";
        if shown && filters.accept(&row) {
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    Ok(rows)
}

fn summary(shared: &Shared, state: &State) -> ContainerSummary {
    let record = shared.record();
    let exit = state.exit.clone().unwrap_or_default();
    let mut labels = record.image_config.labels.clone();
    labels.extend(record.options.labels.clone());
    ContainerSummary {
        id: record.id.clone(),
        name: record.name.clone(),
        image: record.image.clone(),
        image_id: record.image_id.clone(),
        command: record.command(),
        created: record.created,
        status: Shared::status_of(state),
        exit_code: state.exit.as_ref().map(|e| e.code).filter(|_| !is_running(state)),
        started_at: state.started.as_ref().map_or(exit.started_at, |s| s.at),
        finished_at: if is_running(state) { 0 } else { exit.finished_at },
        labels,
        detached: shared.detached,
        health: state.health.clone(),
        networks: vec![record.network().to_owned()],
        mounts: spec::points(&record.options, &record.image_config),
    }
}

/// docker's filters. Several values of one: any of them; of `label`: all of them.
struct Filters<'a>(&'a BTreeMap<String, Vec<String>>);

impl<'a> Filters<'a> {
    fn new(filters: &'a BTreeMap<String, Vec<String>>) -> Result<Filters<'a>> {
        const STATES: &[&str] = &["created", "running", "paused", "restarting", "exited", "dead", "removing"];
        for (key, values) in filters {
            match key.as_str() {
                "name" | "id" | "label" | "ancestor" => {}
                "status" => {
                    if let Some(v) = values.iter().find(|v| !STATES.contains(&v.as_str())) {
                        return Err(bad("filters", format!("no such status: `{v}`")));
                    }
                }
                "exited" => {
                    if let Some(v) = values.iter().find(|v| v.parse::<i32>().is_err()) {
                        return Err(bad("filters", format!("not an exit code: `{v}`")));
                    }
                }
                other => {
                    let text =
                        format!("no such filter: `{other}` (name, id, label, status, ancestor, exited)");
                    return Err(bad("filters", text));
                }
            }
        }
        Ok(Filters(filters))
    }

    fn by_state(&self) -> bool {
        self.0.contains_key("status") || self.0.contains_key("exited")
    }

    fn accept(&self, row: &ContainerSummary) -> bool {
        self.0.iter().all(|(key, values)| {
            let any = |test: &dyn Fn(&str) -> bool| values.is_empty() || values.iter().any(|v| test(v));
            match key.as_str() {
                "name" => any(&|v| row.name.contains(v.trim_start_matches('/'))),
                "id" => any(&|v| row.id.starts_with(v)),
                "status" => any(&|v| row.status.word() == v),
                "exited" => any(&|v| row.exit_code.is_some_and(|code| v.parse() == Ok(code))),
                "ancestor" => any(&|v| is_ancestor(row, v)),
                _ => values.iter().all(|v| match v.split_once('=') {
                    Some((key, value)) => row.labels.get(key).is_some_and(|l| l == value),
                    None => row.labels.contains_key(v),
                }),
            }
        })
    }
}

fn is_ancestor(row: &ContainerSummary, image: &str) -> bool {
    let id = row.image_id.strip_prefix("sha256:").unwrap_or(&row.image_id);
    let wanted = image.strip_prefix("sha256:").unwrap_or(image);
    row.image == image
        || row.image == format!("{image}:latest")
        || (wanted.len() >= 4 && id.starts_with(wanted))
}
