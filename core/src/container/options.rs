//! Options as callers give them. All of them deserialise under the names of the public interface
//! (snake case), which is how the dynamic languages fill them; a value of a wrong type fails there, a
//! value that makes no sense fails in [`crate::container`]'s validation as `invalid_argument`. Some take
//! further shapes: see [`flexible`].

use super::flexible;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A size: bytes, or text such as `256m` (`b`, `k`, `m`, `g`, `t`; powers of 1024).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SizeSpec {
    /// Bytes.
    Bytes(i64),
    /// A number with a unit.
    Text(String),
}

/// A resource limit: soft and hard value, -1 being unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UlimitSpec {
    /// Both.
    Same(i64),
    /// Soft, hard.
    Pair(i64, i64),
}

/// Where a container port is published on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a host port, an address and a port, or a list of these")]
pub enum PortBinding {
    /// A port of all addresses.
    Port(u16),
    /// An address and a port.
    Address(String, u16),
    /// Several.
    Many(Vec<PortBinding>),
}

/// A mount, in docker's `--mount` vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountSpec {
    /// `bind`, `tmpfs` or `volume`; empty: `bind` when the source is a path, else `volume`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Host path or volume name.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Read-only, with everything below.
    pub read_only: bool,
    /// `private`, `rprivate`, `slave`, `rslave`, `shared`, `rshared`; empty: `rprivate`.
    pub propagation: String,
    /// Size of a tmpfs.
    pub tmpfs_size: Option<SizeSpec>,
    /// Mode bits of a tmpfs.
    pub tmpfs_mode: Option<u32>,
    /// Create the source folder when it is missing (docker's `-v`).
    pub create_source: bool,
}

/// A health check. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`. Deserialised, one text is what `CMD-SHELL` runs.
    #[serde(deserialize_with = "super::flexible::check")]
    pub test: Vec<String>,
    /// Between checks; default 30.
    pub interval: Option<f64>,
    /// For one check; default 30.
    pub timeout: Option<f64>,
    /// Failures in a row until unhealthy; default 3.
    pub retries: Option<u32>,
    /// Time after the start in which failures do not count; default 0.
    pub start_period: Option<f64>,
}

/// How to create a container. What is left out is the image's, or docker's default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Unique name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`; default: none for attached containers, else made up.
    pub name: Option<String>,
    /// Arguments; empty: the image's command.
    pub command: Vec<String>,
    /// `None`: the image's; empty: cleared.
    pub entrypoint: Option<Vec<String>>,
    /// Variables on top of the image's.
    #[serde(deserialize_with = "flexible::environment")]
    pub environment: BTreeMap<String, String>,
    /// Absolute path; created when missing.
    pub working_dir: Option<String>,
    /// `user`, `uid`, `user:group`, `uid:gid`.
    #[serde(deserialize_with = "flexible::scalar")]
    pub user: Option<String>,
    /// Supplementary groups.
    #[serde(deserialize_with = "flexible::scalars")]
    pub group_add: Vec<String>,
    /// Default: the first 12 digits of the id.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// Labels on top of the image's.
    #[serde(deserialize_with = "flexible::labels")]
    pub labels: BTreeMap<String, String>,
    /// OCI annotations; kept and shown, never acted on.
    #[serde(deserialize_with = "flexible::labels")]
    pub annotations: BTreeMap<String, String>,
    /// Keep standard input open.
    pub stdin: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Rows and columns of the terminal; default 24 x 80.
    pub tty_size: Option<(u16, u16)>,
    /// Read-only root file system.
    pub read_only: bool,
    /// Keep the writable layer in memory instead of on disk; it counts as the container's memory.
    pub in_memory: bool,
    /// A small init as process 1.
    pub init: bool,
    /// Memory limit.
    pub mem_limit: Option<SizeSpec>,
    /// Processors, e.g. 1.5.
    pub cpus: Option<f64>,
    /// Relative weight, 2 to 262144; default 1024.
    pub cpu_shares: Option<u64>,
    /// Processors it may use: `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Most processes; -1: no limit; default 2048 where it can be set.
    pub pids_limit: Option<i64>,
    /// Limits by docker's names (`nofile`, `nproc`…).
    pub ulimits: BTreeMap<String, UlimitSpec>,
    /// Size of `/dev/shm`; default 64m.
    pub shm_size: Option<SizeSpec>,
    /// Capabilities added: `NET_ADMIN`, `CAP_NET_ADMIN`, `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// All capabilities and devices, no seccomp, nothing masked.
    pub privileged: bool,
    /// Default true.
    pub no_new_privs: Option<bool>,
    /// Docker seccomp JSON itself, a path of such a file, or `unconfined`.
    pub seccomp_profile: Option<String>,
    /// `host`, or `auto` for a user namespace of its own.
    pub userns: Option<String>,
    /// Sysctls of the container's own namespaces.
    #[serde(deserialize_with = "flexible::settings")]
    pub sysctls: BTreeMap<String, String>,
    /// `source[:target[:rwm]]`.
    pub devices: Vec<String>,
    /// `none` (default) or `host`.
    pub network: Option<String>,
    /// Published ports: `80/tcp` to where; `None`: a free one.
    #[serde(deserialize_with = "flexible::ports")]
    pub ports: BTreeMap<String, Option<PortBinding>>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Host name to address.
    pub extra_hosts: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<MountSpec>,
    /// docker's short form: `source:target[:options]`. Unlike docker's, a missing source is an error: a folder
    /// made up on the host helps nobody who mistyped it ([`MountSpec::create_source`] makes it).
    #[serde(deserialize_with = "flexible::volumes")]
    pub volumes: Vec<String>,
    /// Path to options (`size=64m,mode=1777`).
    pub tmpfs: BTreeMap<String, String>,
    /// `no`, `on-failure[:n]`, `always`, `unless-stopped`; only for detached containers.
    #[serde(deserialize_with = "flexible::restart_policy")]
    pub restart_policy: Option<String>,
    /// Health check; only for detached containers. What it leaves out is the image's; `["NONE"]`: not even that.
    pub healthcheck: Option<HealthCheck>,
    /// Signal of `stop`: `SIGTERM`, `TERM`, `15`.
    #[serde(deserialize_with = "flexible::scalar")]
    pub stop_signal: Option<String>,
    /// Seconds that `stop` waits; default 10.
    pub stop_timeout: Option<f64>,
    /// Remove it when it has ended.
    pub auto_remove: bool,
    /// It lives on without this process.
    pub detach: bool,
    /// Whether to pull the image first: `missing`, `always`, `never` (default).
    pub pull: Option<String>,
    /// `os/arch[/variant]` of the image.
    pub platform: Option<String>,
}

/// How to run one command to its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "GivenRunOptions")]
#[non_exhaustive]
pub struct RunOptions {
    /// The container.
    #[serde(flatten)]
    pub create: CreateOptions,
    /// Standard input; `None`: `/dev/null`.
    pub input: Option<Vec<u8>>,
    /// Seconds until the whole container is killed and `exec_timeout` is returned.
    pub timeout: Option<f64>,
    /// A non-zero exit is `exit_error`.
    pub check: bool,
    /// Most bytes of output to collect, both streams together; default 64 MiB. Beyond it the container is
    /// killed and `limit_exceeded` returned.
    pub max_output: Option<u64>,
}

/// [`RunOptions`] as they come in. `deny_unknown_fields` has no effect on a flattened struct, so the keys
/// that nobody took are collected here and refused.
#[derive(Deserialize)]
struct GivenRunOptions {
    #[serde(flatten)]
    create: CreateOptions,
    #[serde(default)]
    input: Option<Vec<u8>>,
    #[serde(default)]
    timeout: Option<f64>,
    #[serde(default)]
    check: bool,
    #[serde(default)]
    max_output: Option<u64>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde::de::IgnoredAny>,
}

impl TryFrom<GivenRunOptions> for RunOptions {
    type Error = String;

    fn try_from(given: GivenRunOptions) -> Result<Self, String> {
        if let Some(name) = given.unknown.keys().next() {
            return Err(format!("unknown field `{name}`"));
        }
        let GivenRunOptions { create, input, timeout, check, max_output, .. } = given;
        Ok(RunOptions { create, input, timeout, check, max_output })
    }
}

/// How to run a further process in a running container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExecOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Open standard input for writing; else `/dev/null`.
    pub stdin: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Rows and columns of the terminal; default 24 x 80.
    pub tty_size: Option<(u16, u16)>,
    /// Variables on top of the container's.
    #[serde(deserialize_with = "flexible::environment")]
    pub environment: BTreeMap<String, String>,
    /// Default: the container's.
    pub working_dir: Option<String>,
    /// Default: the container's.
    #[serde(deserialize_with = "flexible::scalar")]
    pub user: Option<String>,
    /// All capabilities.
    pub privileged: bool,
    /// Seconds until its process group is killed, whether anybody waits or not; then `wait` and reads fail
    /// with `exec_timeout`.
    pub timeout: Option<f64>,
    /// It lives on without its handle; its streams are `/dev/null`.
    pub detach: bool,
}

/// What [`crate::Containers::list`] shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// docker's filters: `name`, `id`, `label`, `status`, `ancestor`, `exited`; each may have several values.
    #[serde(deserialize_with = "flexible::filters")]
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Which part of a log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogOptions {
    /// The last so many lines; `None`: all.
    pub tail: Option<u64>,
    /// Seconds since the epoch.
    pub since: Option<f64>,
    /// Seconds since the epoch.
    pub until: Option<f64>,
    /// Wait for more until the container has ended.
    pub follow: bool,
    /// Leave standard output out.
    pub no_stdout: bool,
    /// Leave standard error out.
    pub no_stderr: bool,
}

/// How to stop a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StopOptions {
    /// Seconds until it is killed; default the container's.
    pub timeout: Option<f64>,
    /// The signal to send first: `SIGTERM`, `TERM`, `15`; default the container's.
    #[serde(deserialize_with = "flexible::scalar")]
    pub stop_signal: Option<String>,
}

impl StopOptions {
    /// With the container's own signal.
    pub(crate) fn after(timeout: Option<std::time::Duration>) -> StopOptions {
        StopOptions { timeout: timeout.map(|t| t.as_secs_f64()), ..StopOptions::default() }
    }
}

/// How to remove a container.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes. Folders that its image declares as volumes are part of the container here, so
    /// they go with it in any case; there are no others yet.
    pub volumes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_options_refuse_what_they_do_not_know() {
        let good = r#"{"command": ["a"], "read_only": true, "timeout": 1.5, "check": true}"#;
        let options: RunOptions = serde_json::from_str(good).expect("all keys are known");
        assert!(options.create.read_only && options.check && options.timeout == Some(1.5));
        let unknown = serde_json::from_str::<RunOptions>(r#"{"colour": "red"}"#);
        assert!(unknown.unwrap_err().to_string().contains("colour"));
        assert!(serde_json::from_str::<RunOptions>(r#"{"read_only": "certainly"}"#).is_err());
    }
}
