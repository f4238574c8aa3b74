//! `containers doctor`.

use crate::args::FormatArgs;
use crate::exit::Outcome;
use containers::{RunOptions, Runtime};
use std::io::Write;
use std::path::Path;

/// Opens the runtime, runs a container, and says what works, what does not, and the fix.
pub async fn doctor(root: Option<&Path>, args: &FormatArgs) -> Outcome {
    let mut checks = Vec::new();
    let mut builder = Runtime::builder();
    if let Some(root) = root {
        builder = builder.root(root);
    }
    match builder.open().await {
        Err(error) => checks.push(Check::of("open a runtime", Err(error))),
        Ok(rt) => {
            checks.push(Check::of("open a runtime", Ok(rt.root().display().to_string())));
            let ran = rt.containers().run("host", ["true"]).await;
            checks.push(Check::of("run a container", ran.map(|o| format!("exit code {}", o.exit_code))));
            let mut limited = RunOptions::default();
            limited.create.command = vec!["true".into()];
            limited.create.mem_limit = Some(containers::SizeSpec::Text("64m".into()));
            limited.create.pids_limit = Some(64);
            limited.create.cpus = Some(0.5);
            let ran = rt.containers().run_with("host", limited).await;
            checks.push(Check::of("limit memory, processors and processes", ran.map(|_| "works".into())));
            let info = rt.info()?;
            for warning in info.warnings {
                checks.push(Check { name: "warning".into(), ok: false, detail: warning });
            }
            rt.close().await?;
        }
    }
    let mut out = std::io::stdout().lock();
    if args.format.as_deref() == Some("json") {
        writeln!(out, "{}", serde_json::to_string(&checks).unwrap_or_default())?;
    } else {
        for check in &checks {
            writeln!(out, "{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)?;
        }
    }
    Ok(u8::from(checks.iter().any(|c| !c.ok && c.name != "warning")))
}

#[derive(serde::Serialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

impl Check {
    fn of(name: &str, result: containers::Result<String>) -> Check {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(error) => (false, error.to_string()),
        };
        Check { name: name.into(), ok, detail }
    }
}
