//! From docker's flags to the library's options.

use crate::args::CreateArgs;
use crate::exit::Failure;
use containers::{CreateOptions, HealthCheck, MountSpec, PortBinding, SizeSpec, UlimitSpec};
use std::collections::BTreeMap;
use std::path::Path;

/// The library's options for `run` and `create`. The container is a detached one: as with docker it lives on
/// without this program.
pub fn create_options(args: &CreateArgs) -> Result<CreateOptions, Failure> {
    let mut o = CreateOptions::default();
    o.detach = true;
    o.name = args.name.clone();
    o.command = args.command().to_vec();
    o.entrypoint = args.entrypoint.as_ref().map(|e| match e.as_str() {
        "" => Vec::new(),
        program => vec![program.to_string()],
    });
    o.environment = environment(&args.env, &args.env_file)?;
    o.working_dir = args.workdir.clone();
    o.user = args.user.clone();
    o.group_add = args.group_add.clone();
    o.hostname = args.hostname.clone();
    o.domainname = args.domainname.clone();
    o.labels = labels(args)?;
    o.annotations = pairs("--annotation", &args.annotation, false)?;
    o.stdin = args.interactive;
    o.tty = args.tty;
    o.read_only = args.read_only;
    o.init = args.init;
    limits(args, &mut o)?;
    security(args, &mut o)?;
    mounts(args, &mut o)?;
    network(args, &mut o)?;
    o.restart_policy = args.restart.clone();
    o.healthcheck = health(args)?;
    o.stop_signal = args.stop_signal.clone();
    o.stop_timeout = args.stop_timeout;
    o.auto_remove = args.rm;
    o.platform = args.platform.clone();
    Ok(o)
}

fn limits(args: &CreateArgs, o: &mut CreateOptions) -> Result<(), Failure> {
    o.mem_limit = args.memory.clone().map(SizeSpec::Text);
    o.cpus = args.cpus;
    o.cpu_shares = args.cpu_shares;
    o.cpuset_cpus = args.cpuset_cpus.clone();
    o.pids_limit = args.pids_limit;
    o.shm_size = args.shm_size.clone().map(SizeSpec::Text);
    for limit in &args.ulimit {
        let (name, value) = split("--ulimit", limit)?;
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| Failure::new(format!("invalid --ulimit {limit}: not a number")))
        };
        let spec = match value.split_once(':') {
            Some((soft, hard)) => UlimitSpec::Pair(number(soft)?, number(hard)?),
            None => UlimitSpec::Same(number(value)?),
        };
        o.ulimits.insert(name.to_string(), spec);
    }
    Ok(())
}

fn security(args: &CreateArgs, o: &mut CreateOptions) -> Result<(), Failure> {
    o.cap_add = args.cap_add.clone();
    o.cap_drop = args.cap_drop.clone();
    o.privileged = args.privileged;
    o.userns = args.userns.clone();
    o.sysctls = pairs("--sysctl", &args.sysctl, false)?;
    o.devices = args.device.clone();
    for option in &args.security_opt {
        match option.split_once(['=', ':']).unwrap_or((option, "")) {
            ("no-new-privileges", "" | "true") => o.no_new_privs = Some(true),
            ("no-new-privileges", "false") => o.no_new_privs = Some(false),
            ("seccomp", profile) if !profile.is_empty() => o.seccomp_profile = Some(profile.to_string()),
            _ => {
                return Err(Failure::new(format!(
                    "--security-opt {option} is not supported: use no-new-privileges[=false] or seccomp=FILE|unconfined"
                )));
            }
        }
    }
    Ok(())
}

fn mounts(args: &CreateArgs, o: &mut CreateOptions) -> Result<(), Failure> {
    for volume in &args.volume {
        let volume = match volume.split_once(':') {
            Some((source, rest)) => format!("{}:{rest}", from_here(source)?),
            None => volume.clone(),
        };
        // docker makes a missing source; when it can't be made, creating the container says why.
        if let Some((source, _)) = volume.split_once(':')
            && source.starts_with('/')
        {
            let _ = std::fs::create_dir_all(source);
        }
        o.volumes.push(volume);
    }
    for spec in &args.mount {
        o.mounts.push(mount(spec)?);
    }
    for spec in &args.tmpfs {
        let (path, options) = spec.split_once(':').unwrap_or((spec, ""));
        o.tmpfs.insert(path.to_string(), options.to_string());
    }
    Ok(())
}

/// A bind's source: `.`, `./…` and `../…` begin at the working directory. Other texts without a leading slash
/// are names of volumes.
fn from_here(source: &str) -> Result<String, Failure> {
    if !matches!(source.split('/').next(), Some("." | "..")) {
        return Ok(source.to_owned());
    }
    let bad = |why: &dyn std::fmt::Display| Failure::new(format!("can't find {source} from here: {why}"));
    let path = std::path::absolute(source).map_err(|e| bad(&e))?;
    path.into_os_string().into_string().map_err(|_| bad(&"the working directory's name is not UTF-8"))
}

/// docker's `--mount`: comma-separated `key=value`.
fn mount(spec: &str) -> Result<MountSpec, Failure> {
    let mut m = MountSpec { kind: "volume".into(), ..MountSpec::default() };
    for field in spec.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "type" => m.kind = value.into(),
            "source" | "src" => m.source = from_here(value)?,
            "target" | "dst" | "destination" => m.target = value.into(),
            "readonly" | "ro" => m.read_only = matches!(value, "" | "true" | "1"),
            "bind-propagation" => m.propagation = value.into(),
            "tmpfs-size" => m.tmpfs_size = Some(SizeSpec::Text(value.into())),
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8);
                m.tmpfs_mode =
                    Some(mode.map_err(|_| Failure::new(format!("invalid tmpfs-mode {value} in --mount")))?);
            }
            _ => return Err(Failure::new(format!("unknown key {key} in --mount {spec}"))),
        }
    }
    if m.target.is_empty() {
        return Err(Failure::new(format!("--mount {spec} has no target")));
    }
    Ok(m)
}

fn network(args: &CreateArgs, o: &mut CreateOptions) -> Result<(), Failure> {
    o.network = args.network.clone();
    o.dns = args.dns.clone();
    for host in &args.add_host {
        let Some((name, address)) = host.split_once([':', '=']) else {
            return Err(Failure::new(format!("invalid --add-host {host}: expected NAME:ADDRESS")));
        };
        o.extra_hosts.insert(name.into(), address.into());
    }
    for spec in &args.publish {
        let (port, binding) = published(spec)?;
        o.ports.insert(port, binding);
    }
    Ok(())
}

/// docker's `-p`: `[[address:]port:]port[/protocol]`.
fn published(spec: &str) -> Result<(String, Option<PortBinding>), Failure> {
    let bad = || Failure::new(format!("invalid --publish {spec}: expected [[ADDRESS:]PORT:]PORT[/PROTOCOL]"));
    let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let (host, inside) = match ports.rsplit_once(':') {
        Some((host, inside)) => (Some(host), inside),
        None => (None, ports),
    };
    let inside: u16 = inside.parse().map_err(|_| bad())?;
    let binding = match host {
        None | Some("") => None,
        Some(host) => Some(match host.rsplit_once(':') {
            Some((address, port)) => {
                let port = if port.is_empty() { 0 } else { port.parse().map_err(|_| bad())? };
                PortBinding::Address(address.trim_matches(['[', ']']).into(), port)
            }
            None => PortBinding::Port(host.parse().map_err(|_| bad())?),
        }),
    };
    Ok((format!("{inside}/{protocol}"), binding))
}

fn health(args: &CreateArgs) -> Result<Option<HealthCheck>, Failure> {
    if args.no_healthcheck {
        return Ok(Some(HealthCheck { test: vec!["NONE".into()], ..HealthCheck::default() }));
    }
    let seconds = |text: &Option<String>| text.as_deref().map(duration).transpose();
    // What is left out is the image's.
    let check = HealthCheck {
        test: args.health_cmd.iter().flat_map(|c| ["CMD-SHELL".to_owned(), c.clone()]).collect(),
        interval: seconds(&args.health_interval)?,
        timeout: seconds(&args.health_timeout)?,
        start_period: seconds(&args.health_start_period)?,
        retries: args.health_retries,
    };
    Ok((check != HealthCheck::default()).then_some(check))
}

/// A Go duration (`1m30s`, `500ms`, `1.5h`) in seconds.
pub fn duration(text: &str) -> Result<f64, Failure> {
    let bad = || Failure::new(format!("invalid duration {text}: expected e.g. 500ms, 30s, 1m30s"));
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(bad()),
            };
        rest = &rest[unit..];
    }
    Ok(seconds)
}

/// Labels from `--label-file` and `--label`, the latter winning.
fn labels(args: &CreateArgs) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for file in &args.label_file {
        all.extend(pairs("--label-file", &lines("--label-file", file)?, true)?);
    }
    all.extend(pairs("--label", &args.label, true)?);
    Ok(all)
}

/// The lines of a file that say something.
fn lines(flag: &str, file: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::new(format!("can't read {flag} {}: {e}", file.display())))?;
    let said = text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#'));
    Ok(said.map(str::to_owned).collect())
}

/// Variables from `--env-file` and `--env`, the latter winning; a bare name takes this program's value.
pub fn environment(env: &[String], files: &[impl AsRef<Path>]) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    let mut add = |entry: &str| {
        match entry.split_once('=') {
            Some((key, value)) => {
                all.insert(key.to_string(), value.to_string());
            }
            None => {
                if let Ok(value) = std::env::var(entry) {
                    all.insert(entry.to_string(), value);
                }
            }
        };
    };
    for file in files {
        lines("--env-file", file.as_ref())?.iter().for_each(|line| add(line));
    }
    env.iter().for_each(|entry| add(entry));
    Ok(all)
}

fn pairs(flag: &str, given: &[String], bare: bool) -> Result<BTreeMap<String, String>, Failure> {
    given
        .iter()
        .map(|entry| match entry.split_once('=') {
            Some((key, value)) => Ok((key.to_string(), value.to_string())),
            None if bare => Ok((entry.clone(), String::new())),
            None => Err(Failure::new(format!("invalid {flag} {entry}: expected KEY=VALUE"))),
        })
        .collect()
}

fn split<'a>(flag: &str, entry: &'a str) -> Result<(&'a str, &'a str), Failure> {
    entry.split_once('=').ok_or_else(|| Failure::new(format!("invalid {flag} {entry}: expected KEY=VALUE")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s").unwrap(), 90.0);
        assert_eq!(duration("500ms").unwrap(), 0.5);
        for bad in ["", "5", "s", "5x", "1.2.3s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn published_ports_are_dockers() {
        assert_eq!(published("80").unwrap(), ("80/tcp".into(), None));
        assert_eq!(published("8080:80/udp").unwrap(), ("80/udp".into(), Some(PortBinding::Port(8080))));
        let (_, there) = published("127.0.0.1::80").unwrap();
        assert_eq!(there, Some(PortBinding::Address("127.0.0.1".into(), 0)));
        assert!(published("a:80").is_err());
    }

    #[test]
    fn mounts_are_dockers() {
        let m = mount("type=bind,src=/a,dst=/b,readonly").unwrap();
        assert_eq!(
            (m.kind.as_str(), m.source.as_str(), m.target.as_str(), m.read_only),
            ("bind", "/a", "/b", true)
        );
        assert!(mount("type=bind,src=/a").is_err());
        assert!(mount("type=bind,dst=/a,colour=red").is_err());
    }
}
