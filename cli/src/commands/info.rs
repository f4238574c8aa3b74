//! `containers info` and `containers version`.

use crate::args::FormatArgs;
use crate::exit::{Failure, Outcome};
use crate::output::size::binary;
use crate::output::template::Template;
use containers::{Info, Platform, Runtime};
use serde_json::{Value, json};
use std::io::Write;

/// docker's names for what there is to know.
fn document(info: &Info) -> Value {
    json!({
        "Containers": info.containers,
        "ContainersRunning": info.containers_running,
        "Images": info.images,
        "ServerVersion": info.version,
        "Driver": info.driver,
        "CgroupDriver": info.cgroup_driver,
        "CgroupVersion": info.cgroup_version.trim_start_matches('v'),
        "CgroupControllers": info.cgroup_controllers,
        "KernelVersion": info.kernel,
        "OSType": info.os,
        "Architecture": info.architecture,
        "NCPU": info.ncpu,
        "MemTotal": info.mem_total,
        "DockerRootDir": info.root,
        "RunRootDir": info.run_root,
        "Rootless": info.rootless,
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "Warnings": info.warnings,
    })
}

/// Prints the version as docker does. Client and server are one program.
pub fn version(args: &FormatArgs) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let here: Platform = std::env::consts::ARCH.parse()?;
    let (os, arch) = (here.os, here.architecture);
    let mut out = std::io::stdout().lock();
    if let Some(format) = &args.format {
        let part = json!({"Version": version, "Os": os, "Arch": arch});
        writeln!(out, "{}", formatted(&json!({"Client": part, "Server": part}), format)?)?;
        return Ok(0);
    }
    writeln!(out, "containers, without a daemon:")?;
    writeln!(out, " Version:    {version}")?;
    writeln!(out, " OS/Arch:    {os}/{arch}")?;
    Ok(0)
}

/// A document as `--format` wants it: `json`, or a template.
fn formatted(value: &Value, format: &str) -> Result<String, Failure> {
    match format {
        "json" => Ok(value.to_string()),
        template => Template::parse(template)?.render(value),
    }
}

/// Prints what this machine and this root have.
pub fn info(rt: &Runtime, args: &FormatArgs) -> Outcome {
    let info = rt.info()?;
    let mut out = std::io::stdout().lock();
    if let Some(format) = &args.format {
        writeln!(out, "{}", formatted(&document(&info), format)?)?;
        return Ok(0);
    }
    writeln!(out, "Containers: {}", info.containers)?;
    writeln!(out, " Running: {}", info.containers_running)?;
    writeln!(out, "Images: {}", info.images)?;
    writeln!(out, "Version: {}", info.version)?;
    writeln!(out, "Storage Driver: {}", info.driver)?;
    writeln!(out, "Cgroup Driver: {}", info.cgroup_driver)?;
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
