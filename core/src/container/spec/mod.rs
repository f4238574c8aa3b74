//! From options to what a container is: everything checked, nothing of the machine touched yet except that
//! sources of mounts and devices must exist.

mod health;
mod mounts;
pub(crate) mod parse;
mod points;
mod settings;
#[cfg(test)]
mod tests;

use super::CreateOptions;
use crate::cgroup::Limits;
use crate::{ImageConfig, Result};
use containers_protocol::plan::{CapSets, Health, Restart};
pub(crate) use health::merged as health_check;
pub(crate) use mounts::{DeviceSpec, UserMount};
use parse::bad;
pub(crate) use points::points;
pub(crate) use settings::{check_name, check_user};
use std::time::Duration;

/// Capabilities of a container that asks for nothing: docker's without MKNOD, NET_RAW and AUDIT_WRITE. CHOWN,
/// DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP.
pub(crate) const DEFAULT_CAPABILITIES: u64 =
    1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 31;

/// `CAP_MKNOD`.
const MKNOD: u64 = 1 << 27;

/// Where programs are found when nobody says otherwise.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The network of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Its own, with a loopback interface and nothing else.
    None,
    /// The machine's.
    Host,
}

/// Which system calls are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Seccomp {
    /// The default profile.
    Default,
    /// All of them.
    Unconfined,
    /// A profile in docker's JSON.
    Profile(String),
}

/// A container, checked and complete.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    /// `None`: the first digits of the id, or the machine's with its network.
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) stdin: bool,
    pub(crate) tty: Option<(u16, u16)>,
    pub(crate) read_only: bool,
    pub(crate) in_memory: bool,
    pub(crate) init: bool,
    pub(crate) limits: Limits,
    pub(crate) rlimits: Vec<(u32, u64, u64)>,
    pub(crate) shm_size: u64,
    pub(crate) caps: CapSets,
    pub(crate) privileged: bool,
    pub(crate) no_new_privs: bool,
    pub(crate) seccomp: Seccomp,
    pub(crate) own_userns: bool,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) devices: Vec<DeviceSpec>,
    pub(crate) network: Network,
    pub(crate) dns: Vec<String>,
    pub(crate) extra_hosts: Vec<(String, String)>,
    pub(crate) mounts: Vec<UserMount>,
    pub(crate) restart: Restart,
    pub(crate) health: Option<Health>,
}

impl Spec {
    /// Merges options with an image's configuration as docker does. `invalid_argument` and `unsupported`
    /// carry the option as context `field`.
    pub(crate) fn new(options: &CreateOptions, image: &ImageConfig) -> Result<Spec> {
        let caps = settings::capabilities(options)?;
        let network = settings::network(options)?;
        check_name(options.name.as_deref())?;
        settings::check_ports(options)?;
        let tty = parse::terminal(options.tty, options.tty_size)?;
        let seccomp = settings::seccomp(options)?;
        stop(options, image)?;
        Ok(Spec {
            args: args(options, image)?,
            env: env(options, image)?,
            cwd: working_dir(options, image)?,
            user: settings::user(options, image)?,
            groups: settings::groups(options)?,
            hostname: settings::hostname(options)?,
            domainname: settings::domainname(options)?,
            stdin: options.stdin,
            tty,
            read_only: options.read_only,
            in_memory: options.in_memory,
            init: options.init,
            limits: settings::limits(options)?,
            rlimits: settings::rlimits(options)?,
            shm_size: settings::shm_size(options)?,
            caps: CapSets { bounding: caps, effective: caps, permitted: caps, inheritable: 0, ambient: 0 },
            privileged: options.privileged,
            no_new_privs: options.no_new_privs.unwrap_or(!options.privileged),
            seccomp,
            own_userns: settings::userns(options)?,
            sysctls: settings::sysctls(options, network)?,
            devices: options.devices.iter().map(|d| mounts::device(d)).collect::<Result<_>>()?,
            network,
            dns: settings::dns(options)?,
            extra_hosts: settings::extra_hosts(options)?,
            mounts: mounts::mounts(options, image)?,
            restart: settings::restart(options)?,
            health: health::health(options, image)?,
        })
    }

    /// Whether its writable layer is in memory. A read-only root needs one only for mount points, unless the
    /// image has volumes, which are part of it.
    pub(crate) fn layer_in_memory(&self) -> bool {
        let volumes = || self.mounts.iter().any(|m| matches!(m, UserMount::Volume { .. }));
        self.in_memory || (self.read_only && !volumes())
    }

    /// Whether it could make device nodes of the machine.
    pub(crate) fn may_mknod(&self) -> bool {
        !self.privileged && !self.own_userns && self.caps.bounding & MKNOD != 0
    }
}

/// Signal and patience of a stop.
pub(crate) fn stop(options: &CreateOptions, image: &ImageConfig) -> Result<(i32, Duration)> {
    let timeout = parse::seconds(options.stop_timeout.unwrap_or(10.0), "stop_timeout")?;
    Ok((settings::stop_signal(options, image)?, timeout))
}

/// Entrypoint and command. An entrypoint of the caller's makes the image's command void, as docker has it.
pub(crate) fn args(options: &CreateOptions, image: &ImageConfig) -> Result<Vec<String>> {
    let entrypoint = options.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let given = options.entrypoint.as_ref().is_some_and(|e| !e.is_empty());
    let command = if options.command.is_empty() && !given { &image.cmd } else { &options.command };
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    let field = if given { "entrypoint" } else { "command" };
    match args.first() {
        None => return Err(bad("command", "there is no command, and the image names none")),
        Some(first) if first.is_empty() => return Err(bad(field, "the command is an empty text")),
        Some(_) => {}
    }
    if let Some(arg) = args.iter().find(|a| a.contains('\0')) {
        return Err(bad(field, format!("an argument contains a NUL character: {arg:?}")));
    }
    Ok(args)
}

/// `KEY=value` entries: the image's, then the caller's.
fn env(options: &CreateOptions, image: &ImageConfig) -> Result<Vec<String>> {
    for (key, value) in &options.environment {
        check_variable(key, value)?;
    }
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = Vec::with_capacity(image.env.len() + options.environment.len() + 2);
    if !image.env.iter().any(|e| name(e) == "PATH") && !options.environment.contains_key("PATH") {
        env.push(DEFAULT_PATH.to_owned());
    }
    let kept = image.env.iter().filter(|e| !options.environment.contains_key(&name(e)) && !e.contains('\0'));
    env.extend(kept.cloned());
    if options.tty && !env.iter().any(|e| name(e) == "TERM") && !options.environment.contains_key("TERM") {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(options.environment.iter().map(|(k, v)| format!("{k}={v}")));
    Ok(env)
}

/// Refuses names and values that the kernel could not hand over.
pub(crate) fn check_variable(key: &str, value: &str) -> Result<()> {
    if key.is_empty() || key.contains('=') || key.contains('\0') {
        return Err(bad("environment", format!("not a variable's name: {key:?}")));
    }
    if value.contains('\0') {
        return Err(bad("environment", format!("the value of {key} contains a NUL character")));
    }
    Ok(())
}

fn working_dir(options: &CreateOptions, image: &ImageConfig) -> Result<String> {
    match options.working_dir.as_deref() {
        Some(dir) => check_dir(dir).map(str::to_owned),
        None if image.working_dir.is_empty() => Ok("/".to_owned()),
        // An image may leave the slash out.
        None if image.working_dir.starts_with('/') => Ok(image.working_dir.clone()),
        None => Ok(format!("/{}", image.working_dir)),
    }
}

/// Refuses a working directory that is not absolute.
pub(crate) fn check_dir(dir: &str) -> Result<&str> {
    if !dir.starts_with('/') || dir.contains('\0') {
        return Err(bad("working_dir", format!("the working directory must be an absolute path: {dir:?}")));
    }
    Ok(dir)
}
