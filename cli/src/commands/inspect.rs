//! `containers inspect`.

use crate::args::InspectArgs;
use crate::exit::{Failure, Outcome};
use crate::output::template::Template;
use containers::{ErrorKind, Runtime};
use serde_json::Value;
use std::io::Write;

/// Prints docker's inspect documents, or a template filled from each.
pub fn inspect(rt: &Runtime, args: &InspectArgs, kind: Option<&str>) -> Outcome {
    let kind = kind.or(args.kind.as_deref());
    if let Some(other) = kind.filter(|k| !matches!(*k, "container" | "image")) {
        return Err(Failure::new(format!("unknown --type {other}: expected container or image")));
    }
    let template = args.format.as_deref().filter(|f| *f != "json").map(Template::parse).transpose()?;
    let mut documents = Vec::new();
    let mut code = 0;
    for name in &args.names {
        match find(rt, name, kind) {
            Ok(document) => documents.push(document),
            Err(error) => {
                eprintln!("containers: {error}");
                code = 1;
            }
        }
    }
    let mut out = std::io::stdout().lock();
    match template {
        Some(template) => {
            for document in &documents {
                writeln!(out, "{}", template.render(document)?)?;
            }
        }
        None => {
            let text = serde_json::to_string_pretty(&Value::Array(documents));
            writeln!(out, "{}", text.map_err(|e| Failure::new(e.to_string()))?)?;
        }
    }
    Ok(code)
}

fn find(rt: &Runtime, name: &str, kind: Option<&str>) -> containers::Result<Value> {
    match kind {
        Some("image") => return rt.images().get(name)?.inspect(),
        Some(_) => return rt.containers().get(name)?.inspect(),
        None => {}
    }
    match rt.containers().get(name) {
        Err(error) if error.kind().is(ErrorKind::NotFound) => match rt.images().get(name) {
            Err(e) if e.kind().is(ErrorKind::NotFound) => Err(containers::Error::new(
                ErrorKind::NotFound,
                format!("there is no container or image named {name}"),
            )),
            found => found?.inspect(),
        },
        found => found?.inspect(),
    }
}
