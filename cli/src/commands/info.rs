//! `containers info`.

use crate::args::FormatArgs;
use crate::exit::{Failure, Outcome};
use crate::output::size::binary;
use crate::output::template::Template;
use containers::Runtime;
use std::io::Write;

/// Prints what this machine and this root have.
pub fn info(rt: &Runtime, args: &FormatArgs) -> Outcome {
    let info = rt.info()?;
    let mut out = std::io::stdout().lock();
    if let Some(format) = &args.format {
        let value = serde_json::to_value(&info).map_err(|e| Failure::new(e.to_string()))?;
        let text = match format.as_str() {
            "json" => value.to_string(),
            template => Template::parse(template)?.render(&value)?,
        };
        writeln!(out, "{text}")?;
        return Ok(0);
    }
    writeln!(out, "Containers: {}", info.containers)?;
    writeln!(out, " Running: {}", info.containers_running)?;
    writeln!(out, "Images: {}", info.images)?;
    writeln!(out, "Version: {}", info.version)?;
    writeln!(out, "Storage Driver: {}", info.driver)?;
    writeln!(out, "Cgroup Version: {}", info.cgroup_version)?;
    writeln!(out, " Controllers: {}", info.cgroup_controllers.join(" "))?;
    writeln!(out, "Rootless: {}", info.rootless)?;
    writeln!(out, "Kernel Version: {}", info.kernel)?;
    writeln!(out, "OSType: {}", info.os)?;
    writeln!(out, "Architecture: {}", info.architecture)?;
    writeln!(out, "CPUs: {}", info.ncpu)?;
    writeln!(out, "Total Memory: {}", binary(info.mem_total))?;
    writeln!(out, "Root Dir: {}", info.root.display())?;
    writeln!(out, "Run Dir: {}", info.run_root.display())?;
    for warning in &info.warnings {
        eprintln!("WARNING: {warning}");
    }
    Ok(0)
}
