//! Commands about images that are here.

use super::pull::platform;
use crate::args::{HistoryArgs, ImagesArgs, ImportArgs, LoadArgs, RmiArgs};
use crate::exit::{Failure, Outcome};
use crate::output::size::decimal;
use crate::output::table::{Column, Rows};
use crate::output::time::{ago, go_time, rfc3339};
use containers::{ErrorKind, ImageSummary, ImportOptions, LoadOptions, Runtime};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `containers images`
pub fn list(rt: &Runtime, args: &ImagesArgs) -> Outcome {
    let mut rows = Vec::new();
    for image in rt.images().list()? {
        rows.extend(image_rows(&image, args)?);
    }
    let mut columns = vec![Column("Repository", "REPOSITORY"), Column("Tag", "TAG")];
    if args.digests {
        columns.push(Column("Digest", "DIGEST"));
    }
    columns.extend([Column("ID", "IMAGE ID"), Column("CreatedSince", "CREATED"), Column("Size", "SIZE")]);
    Rows { columns: &columns, quiet: "ID", rows }.print(args.format.as_deref(), args.quiet)
}

/// One row for each tag of an image that the arguments let through.
fn image_rows(image: &ImageSummary, args: &ImagesArgs) -> Result<Vec<Map<String, Value>>, Failure> {
    let names: Vec<(String, String)> = match image.tags.is_empty() {
        true => vec![("<none>".into(), "<none>".into())],
        false => image.tags.iter().map(|t| split_tag(t)).collect(),
    };
    let digest = image.digests.first().and_then(|d| d.split_once('@')).map_or("<none>", |(_, d)| d);
    let mut rows = Vec::new();
    for (repository, tag) in names {
        let wanted = args.repository.as_deref().is_none_or(|w| {
            let (r, t) = split_tag(w);
            r == repository && (t == tag || !has_tag(w))
        });
        if !wanted || !passes(&args.filter, image, &repository, &tag)? {
            continue;
        }
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        let fields = json!({
            "ID": if args.no_trunc { image.id.clone() } else { id.chars().take(12).collect() },
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "CreatedAt": go_time(image.created),
            "CreatedSince": if image.created == 0 { "N/A".into() } else { ago(image.created) + " ago" },
            "Size": decimal(image.size),
            "Containers": "N/A",
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
            "VirtualSize": decimal(image.size),
        });
        if let Value::Object(map) = fields {
            rows.push(map);
        }
    }
    Ok(rows)
}

fn passes(filters: &[String], image: &ImageSummary, repository: &str, tag: &str) -> Result<bool, Failure> {
    for filter in filters {
        let good = match filter.split_once('=') {
            Some(("reference", pattern)) => {
                let (r, t) = split_tag(pattern);
                glob(&r, repository) && (!has_tag(pattern) || glob(&t, tag))
            }
            Some(("dangling", value)) => (repository == "<none>") == (value == "true"),
            Some(("label", label)) => match label.split_once('=') {
                Some((key, value)) => image.labels.get(key).is_some_and(|v| v == value),
                None => image.labels.contains_key(label),
            },
            _ => {
                return Err(Failure::new(format!(
                    "invalid --filter {filter}: expected reference=, label= or dangling="
                )));
            }
        };
        if !good {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `*` and `?` as in file names.
fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let mut reach = vec![false; t.len() + 1];
    reach[0] = true;
    for c in p {
        let mut next = vec![false; t.len() + 1];
        for i in 0..=t.len() {
            next[i] = match c {
                '*' => reach[i] || (i > 0 && next[i - 1]),
                _ => i > 0 && reach[i - 1] && (c == '?' || c == t[i - 1]),
            };
        }
        reach = next;
    }
    reach[t.len()]
}

fn has_tag(reference: &str) -> bool {
    reference.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn split_tag(reference: &str) -> (String, String) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if has_tag(reference) => (repository.into(), tag.into()),
        _ => (reference.into(), "latest".into()),
    }
}

/// `containers load`
pub async fn load(rt: &Runtime, args: &LoadArgs) -> Outcome {
    let mut options = LoadOptions::default();
    options.platform = platform(&args.platform)?;
    let input = args.input.clone().unwrap_or_else(|| PathBuf::from("/dev/stdin"));
    for image in rt.images().load(&input, options).await? {
        let tags = image.tags();
        let mut out = std::io::stdout().lock();
        match tags.first() {
            Some(tag) => writeln!(out, "Loaded image: {tag}")?,
            None => writeln!(out, "Loaded image ID: {}", image.id())?,
        }
    }
    Ok(0)
}

/// `containers import`
pub async fn import(rt: &Runtime, args: &ImportArgs) -> Outcome {
    let mut options = ImportOptions::default();
    options.tag = args.reference.clone();
    options.changes = args.change.clone();
    options.message = args.message.clone();
    options.platform = platform(&args.platform)?;
    let file = if args.file == Path::new("-") { Path::new("/dev/stdin") } else { &args.file };
    let image = rt.images().import_(file, options).await?;
    writeln!(std::io::stdout(), "{}", image.id())?;
    Ok(0)
}

/// `containers rmi`
pub fn remove(rt: &Runtime, args: &RmiArgs) -> Outcome {
    let mut code = 0;
    for name in &args.images {
        match remove_one(rt, name, args.force) {
            Ok(lines) => lines.iter().try_for_each(|line| writeln!(std::io::stdout(), "{line}"))?,
            Err(error) => {
                eprintln!("containers: {error}");
                code = 1;
            }
        }
    }
    Ok(code)
}

/// What removing an image, or one of its names, took away: docker's lines.
fn remove_one(rt: &Runtime, name: &str, force: bool) -> containers::Result<Vec<String>> {
    let images = rt.images();
    let Ok(image) = images.get(name) else {
        // Why not, in the words of the removal.
        return images.remove(name, force).map(|()| Vec::new());
    };
    let before = image.tags();
    images.remove(name, force)?;
    let (after, deleted) = match images.get(image.id()) {
        Ok(image) => (image.tags(), false),
        Err(error) if error.kind() == ErrorKind::ImageNotFound => (Vec::new(), true),
        Err(error) => return Err(error),
    };
    let untagged = before.iter().filter(|tag| !after.contains(tag)).map(|tag| format!("Untagged: {tag}"));
    Ok(untagged.chain(deleted.then(|| format!("Deleted: {}", image.id()))).collect())
}

/// `containers history`
pub fn history(rt: &Runtime, args: &HistoryArgs) -> Outcome {
    let image = rt.images().get(&args.image)?;
    let mut rows = Vec::new();
    for (i, entry) in image.history().iter().enumerate() {
        let id = image.id().strip_prefix("sha256:").unwrap_or(image.id());
        let mut by = entry.created_by.clone();
        if !args.no_trunc && by.chars().count() > 45 {
            by = by.chars().take(44).collect::<String>() + "…";
        }
        let id = match i {
            0 if args.no_trunc => image.id().to_string(),
            0 => id.chars().take(12).collect(),
            _ => "<missing>".into(),
        };
        let fields = json!({
            "ID": id,
            "CreatedAt": rfc3339(entry.created),
            "CreatedSince": if entry.created == 0 { "N/A".into() } else { ago(entry.created) + " ago" },
            "CreatedBy": by,
            "Size": decimal(entry.size),
            "Comment": entry.comment,
        });
        if let Value::Object(map) = fields {
            rows.push(map);
        }
    }
    let columns = [
        Column("ID", "IMAGE"),
        Column("CreatedSince", "CREATED"),
        Column("CreatedBy", "CREATED BY"),
        Column("Size", "SIZE"),
        Column("Comment", "COMMENT"),
    ];
    Rows { columns: &columns, quiet: "ID", rows }.print(args.format.as_deref(), args.quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_split_off_behind_ports() {
        assert_eq!(split_tag("localhost:5000/a"), ("localhost:5000/a".into(), "latest".into()));
        assert_eq!(split_tag("localhost:5000/a:1"), ("localhost:5000/a".into(), "1".into()));
    }

    #[test]
    fn globs_match_as_file_names_do() {
        assert!(glob("a*c", "abbc"));
        assert!(glob("*", ""));
        assert!(!glob("a?", "a"));
    }
}
