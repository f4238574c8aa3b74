//! The single options, checked.

use super::parse::{self, bad, unsupported};
use super::{DEFAULT_CAPABILITIES, Network, Seccomp};
use crate::cgroup::Limits;
use crate::container::CreateOptions;
use crate::{Error, ErrorKind, ImageConfig, Result};
use containers_protocol::plan::Restart;
use std::net::IpAddr;

/// Less memory than this starts nothing; docker has the same bound.
const LEAST_MEMORY: u64 = 6 << 20;

/// A bigger seccomp profile is no profile.
const MAX_PROFILE: u64 = 4 << 20;

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 200 characters.
pub(crate) fn check_name(name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let mut bytes = name.bytes();
    let good = name.len() <= 200
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if good {
        return Ok(());
    }
    let shown: String = name.chars().take(60).collect();
    Err(bad(
        "name",
        format!("not a name: {shown:?} (letters and digits, then also `_`, `.`, `-`; at most 200)"),
    ))
}

pub(super) fn check_ports(options: &CreateOptions) -> Result<()> {
    for port in options.ports.keys() {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let known = matches!(protocol, "tcp" | "udp" | "sctp");
        if !known || number.parse::<u16>().is_ok_and(|n| n == 0) || number.parse::<u16>().is_err() {
            return Err(bad("ports", format!("not a port: `{port}` (example: 80/tcp)")));
        }
    }
    if options.ports.is_empty() {
        return Ok(());
    }
    Err(unsupported(
        "ports",
        "ports can't be published yet; use network=host, where the ports are the machine's",
    ))
}

pub(super) fn capabilities(options: &CreateOptions) -> Result<u64> {
    let mut set = if options.privileged { parse::all_capabilities() } else { DEFAULT_CAPABILITIES };
    let mut added = 0;
    for name in &options.cap_add {
        added |= parse::capability(name, "cap_add")?;
    }
    set |= added;
    let mut dropped = 0;
    for name in &options.cap_drop {
        let caps = parse::capability(name, "cap_drop")?;
        // `drop ALL, add X` leaves X.
        dropped |= if caps == parse::all_capabilities() && added != caps { caps & !added } else { caps };
    }
    Ok(set & !dropped)
}

pub(super) fn network(options: &CreateOptions) -> Result<Network> {
    match options.network.as_deref() {
        None | Some("none") => Ok(Network::None),
        Some("host") => Ok(Network::Host),
        Some(other) => {
            let why = format!("there are no networks but `none` and `host` yet: `{other}`");
            Err(unsupported("network", why))
        }
    }
}

pub(super) fn seccomp(options: &CreateOptions) -> Result<Seccomp> {
    const FIELD: &str = "seccomp_profile";
    match options.seccomp_profile.as_deref() {
        None if options.privileged => Ok(Seccomp::Unconfined),
        None | Some("default") => Ok(Seccomp::Default),
        Some("unconfined") => Ok(Seccomp::Unconfined),
        Some(text) if text.trim_start().starts_with('{') => Ok(Seccomp::Profile(text.to_owned())),
        Some("") => Err(bad(FIELD, "the profile is an empty text; `unconfined` allows all system calls")),
        Some(path) => {
            let failed = |e| {
                let e = Error::io("can't read the seccomp profile", e);
                e.with_context("field", FIELD).with_context("path", path)
            };
            let size = std::fs::metadata(path).map_err(failed)?.len();
            if size > MAX_PROFILE {
                return Err(bad(FIELD, "the profile is too big").with_context("path", path));
            }
            std::fs::read_to_string(path).map(Seccomp::Profile).map_err(failed)
        }
    }
}

/// Shape only: names are looked up in the container.
pub(crate) fn check_user(user: &str) -> Result<()> {
    let shape = user.len() <= 256 && !user.chars().any(char::is_control) && user.matches(':').count() <= 1;
    let parts = user.split(':').all(|p| !p.is_empty());
    if !(user.is_empty() || shape && parts) {
        return Err(bad("user", format!("not a user: {user:?} (user, uid, user:group, uid:gid)")));
    }
    for part in user.split(':').filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())) {
        if part.parse::<u32>().is_ok_and(|id| id <= i32::MAX as u32) {
            continue;
        }
        return Err(bad("user", format!("the id is out of range: {part}")));
    }
    Ok(())
}

pub(super) fn user(options: &CreateOptions, image: &ImageConfig) -> Result<String> {
    let user = options.user.as_ref().unwrap_or(&image.user);
    check_user(user)?;
    Ok(user.clone())
}

pub(super) fn groups(options: &CreateOptions) -> Result<Vec<String>> {
    for group in &options.group_add {
        if group.is_empty() || group.contains(':') || check_user(group).is_err() {
            return Err(bad("group_add", format!("not a group: {group:?}")));
        }
    }
    Ok(options.group_add.clone())
}

fn host_name(name: Option<&String>, field: &'static str) -> Result<Option<String>> {
    let Some(name) = name.filter(|n| !n.is_empty()) else { return Ok(None) };
    let good = name.len() <= 64
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !good {
        let text = format!("not a host name: {name:?} (letters, digits, `-`, `.`; at most 64 characters)");
        return Err(bad(field, text));
    }
    Ok(Some(name.clone()))
}

pub(super) fn hostname(options: &CreateOptions) -> Result<Option<String>> {
    host_name(options.hostname.as_ref(), "hostname")
}

pub(super) fn domainname(options: &CreateOptions) -> Result<Option<String>> {
    host_name(options.domainname.as_ref(), "domainname")
}

pub(super) fn limits(options: &CreateOptions) -> Result<Limits> {
    let memory = match &options.mem_limit {
        None => None,
        Some(spec) => match parse::size(spec, "mem_limit")? {
            0 => None,
            n if n < LEAST_MEMORY => {
                return Err(bad(
                    "mem_limit",
                    format!("{n} bytes are too little to start anything; 6m is the least"),
                ));
            }
            n => Some(n),
        },
    };
    if let Some(cpus) = options.cpus.filter(|c| *c != 0.0) {
        let most = std::thread::available_parallelism().map_or(1, usize::from).max(processors()) as f64;
        if !(cpus.is_finite() && cpus >= 0.01 && cpus <= most) {
            return Err(bad("cpus", format!("not a number of processors between 0.01 and {most}: {cpus}")));
        }
    }
    if let Some(shares) = options.cpu_shares.filter(|s| *s != 0)
        && !(2..=262_144).contains(&shares)
    {
        return Err(bad("cpu_shares", format!("not a weight between 2 and 262144: {shares}")));
    }
    let cpuset = options.cpuset_cpus.as_ref().filter(|c| !c.is_empty());
    if let Some(cpus) = cpuset {
        parse::cpuset(cpus, &std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default())?;
    }
    let pids = match options.pids_limit {
        None => None,
        Some(0 | -1) => Some(None),
        Some(n) if n > 0 => Some(Some(n as u64)),
        Some(n) => {
            return Err(bad("pids_limit", format!("not a number of processes, nor -1 for no limit: {n}")));
        }
    };
    Ok(Limits {
        memory,
        cpus: options.cpus.filter(|c| *c != 0.0),
        cpu_shares: options.cpu_shares.filter(|s| *s != 0),
        cpuset: cpuset.cloned(),
        pids,
    })
}

/// Processors of the machine, whatever this process may use.
fn processors() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1) as usize
}

pub(super) fn rlimits(options: &CreateOptions) -> Result<Vec<(u32, u64, u64)>> {
    options.ulimits.iter().map(|(name, spec)| parse::ulimit(name, *spec)).collect()
}

pub(super) fn shm_size(options: &CreateOptions) -> Result<u64> {
    match &options.shm_size {
        None => Ok(64 << 20),
        Some(spec) => match parse::size(spec, "shm_size")? {
            0 => Err(bad("shm_size", "a size of 0 would mean no bound")),
            n => Ok(n),
        },
    }
}

pub(super) fn userns(options: &CreateOptions) -> Result<bool> {
    match options.userns.as_deref() {
        None | Some("" | "host") => Ok(false),
        Some("auto") if options.privileged => {
            Err(bad("userns", "a privileged container can't have a user namespace of its own"))
        }
        Some("auto") => Ok(true),
        Some(other) => Err(bad("userns", format!("not a user namespace: `{other}` (host, auto)"))),
    }
}

/// Sysctls that belong to namespaces the container has of its own.
pub(super) fn sysctls(options: &CreateOptions, network: Network) -> Result<Vec<(String, String)>> {
    const FIELD: &str = "sysctls";
    for (key, value) in &options.sysctls {
        let clean = key
            .split('.')
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
        if !clean || value.contains('\0') {
            return Err(bad(FIELD, format!("not a sysctl: {key:?}")));
        }
        if key.starts_with("net.") {
            if network == Network::Host {
                let text = format!("{key} would be set on the machine, because the network is the machine's");
                return Err(bad(FIELD, text));
            }
        } else if !crate::sandbox::sysctls::IPC.contains(&key.as_str()) && !key.starts_with("fs.mqueue.") {
            return Err(bad(
                FIELD,
                format!("{key} belongs to the machine, not to a namespace of the container"),
            ));
        }
    }
    Ok(options.sysctls.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

pub(super) fn dns(options: &CreateOptions) -> Result<Vec<String>> {
    for server in &options.dns {
        if server.parse::<IpAddr>().is_err() {
            return Err(bad("dns", format!("not an address: {server:?}")));
        }
    }
    Ok(options.dns.clone())
}

pub(super) fn extra_hosts(options: &CreateOptions) -> Result<Vec<(String, String)>> {
    const FIELD: &str = "extra_hosts";
    for (name, address) in &options.extra_hosts {
        if host_name(Some(name), FIELD)?.is_none() {
            return Err(bad(FIELD, "a host's name is empty"));
        }
        if address == "host-gateway" {
            return Err(unsupported(FIELD, "host-gateway needs a bridge network, which is not built yet"));
        }
        if address.parse::<IpAddr>().is_err() {
            return Err(bad(FIELD, format!("not an address: {address:?}")));
        }
    }
    Ok(options.extra_hosts.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

pub(super) fn restart(options: &CreateOptions) -> Result<Restart> {
    const FIELD: &str = "restart_policy";
    let Some(text) = options.restart_policy.as_deref().filter(|t| !t.is_empty()) else {
        return Ok(Restart::No);
    };
    let policy = match text.split_once(':') {
        None if text == "no" => return Ok(Restart::No),
        None if text == "always" => Restart::Always,
        None if text == "unless-stopped" => Restart::UnlessStopped,
        None if text == "on-failure" => Restart::OnFailure(None),
        Some(("on-failure", n)) if n.parse::<u32>().is_ok_and(|n| n > 0) => {
            Restart::OnFailure(n.parse().ok())
        }
        _ => {
            let text = format!("not a restart policy: `{text}` (no, on-failure[:n], always, unless-stopped)");
            return Err(bad(FIELD, text));
        }
    };
    if !options.detach {
        return Err(bad(FIELD, "only a detached container is restarted (detach=True)"));
    }
    if options.auto_remove {
        return Err(bad(FIELD, "a container that removes itself can't be restarted (auto_remove)"));
    }
    Ok(policy)
}

pub(super) fn stop_signal(options: &CreateOptions, image: &ImageConfig) -> Result<i32> {
    match options.stop_signal.as_deref() {
        Some(text) => parse::signal(text, "stop_signal"),
        None if image.stop_signal.is_empty() => Ok(libc::SIGTERM),
        None => parse::signal(&image.stop_signal, "stop_signal").map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, format!("the image's stop signal: {}", e.message()))
                .with_context("field", "stop_signal")
        }),
    }
}
