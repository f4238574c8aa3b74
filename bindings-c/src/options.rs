//! Options of containers, as C gives them, and as the library takes them.

use crate::cancel::ctr_cancel;
use crate::error::{milliseconds, seconds};
use crate::ffi::{
    SizedStruct, ctr_given_mounts, ctr_given_options, ctr_given_text, ctr_given_texts, invalid,
};
use containers::{
    CreateOptions, ExecOptions, HealthCheck, ListOptions, LogOptions, MountSpec, PortBinding, RemoveOptions,
    Result, RunOptions, SizeSpec, UlimitSpec,
};
use std::collections::BTreeMap;
use std::ffi::c_void;

/// A mount.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_mount {
    /// sizeof(ctr_mount).
    pub size: usize,
    /// `bind`, `tmpfs` or `volume`; NULL: `bind` when the source is a path, else `volume`.
    pub r#type: ctr_given_text,
    /// Host path or volume name.
    pub source: ctr_given_text,
    /// Absolute path in the container.
    pub target: ctr_given_text,
    /// 1: read-only, with everything below.
    pub read_only: i32,
    /// 1: create the source folder when it is missing.
    pub create_source: i32,
    /// `private`, `rprivate`, `slave`, `rslave`, `shared`, `rshared`; NULL: `rprivate`.
    pub propagation: ctr_given_text,
    /// Bytes of a tmpfs; 0: the kernel's default.
    pub tmpfs_size: i64,
    /// The same as text: `64m`.
    pub tmpfs_size_text: ctr_given_text,
    /// Mode bits of a tmpfs; 0: 1777.
    pub tmpfs_mode: u32,
}

/// A health check.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_healthcheck {
    /// sizeof(ctr_healthcheck).
    pub size: usize,
    /// `CMD` and arguments, `CMD-SHELL` and a line, or `NONE`.
    pub test: ctr_given_texts,
    /// Between checks; default 30 s.
    pub interval_ms: i64,
    /// For one check; default 30 s.
    pub timeout_ms: i64,
    /// Time after the start in which failures do not count; default none.
    pub start_period_ms: i64,
    /// Failures in a row until unhealthy; 0: 3.
    pub retries: u32,
}

/// How to create a container. What is zero is the image's, or docker's default. Flags are 0 or 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_create_options {
    /// sizeof(ctr_create_options).
    pub size: usize,
    /// Unique name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`; NULL: none for attached containers, else made up.
    pub name: ctr_given_text,
    /// NULL: the image's; an empty list: cleared.
    pub entrypoint: ctr_given_texts,
    /// Variables on top of the image's: `KEY=value`.
    pub environment: ctr_given_texts,
    /// Absolute path; created when missing.
    pub working_dir: ctr_given_text,
    /// `user`, `uid`, `user:group`, `uid:gid`.
    pub user: ctr_given_text,
    /// Supplementary groups.
    pub group_add: ctr_given_texts,
    /// NULL: the first 12 digits of the id.
    pub hostname: ctr_given_text,
    /// NIS domain name.
    pub domainname: ctr_given_text,
    /// Labels on top of the image's: `key=value`.
    pub labels: ctr_given_texts,
    /// OCI annotations: `key=value`; kept and shown, never acted on.
    pub annotations: ctr_given_texts,
    /// Keep standard input open (for ctr_container_attach).
    pub stdin_open: i32,
    /// Give it a terminal.
    pub tty: i32,
    /// Rows of the terminal; 0: 24.
    pub tty_rows: u16,
    /// Columns of the terminal; 0: 80.
    pub tty_cols: u16,
    /// Read-only root file system.
    pub read_only: i32,
    /// Keep the writable layer in memory instead of on disk; it counts as the container's memory.
    pub in_memory: i32,
    /// A small init as process 1.
    pub init: i32,
    /// Memory limit in bytes; 0: none.
    pub mem_limit: i64,
    /// The same as text: `256m`.
    pub mem_limit_text: ctr_given_text,
    /// Processors, e.g. 1.5; 0: no limit.
    pub cpus: f64,
    /// Relative weight, 2 to 262144; 0: 1024.
    pub cpu_shares: u64,
    /// Processors it may use: `0-2,4`.
    pub cpuset_cpus: ctr_given_text,
    /// Most processes; -1: no limit; 0: 2048 where it can be set.
    pub pids_limit: i64,
    /// `name=soft[:hard]` by docker's names (`nofile=1024:4096`); -1 is unlimited.
    pub ulimits: ctr_given_texts,
    /// Bytes of `/dev/shm`; 0: 64 MiB.
    pub shm_size: i64,
    /// The same as text: `64m`.
    pub shm_size_text: ctr_given_text,
    /// Capabilities added: `NET_ADMIN`, `CAP_NET_ADMIN`, `ALL`.
    pub cap_add: ctr_given_texts,
    /// Capabilities dropped.
    pub cap_drop: ctr_given_texts,
    /// All capabilities and devices, no seccomp, nothing masked.
    pub privileged: i32,
    /// Let programs gain privileges by execve (set-user-id), which is off otherwise.
    pub allow_new_privs: i32,
    /// Docker seccomp JSON itself, a path of such a file, or `unconfined`; NULL: the default profile.
    pub seccomp_profile: ctr_given_text,
    /// `host`, or `auto` for a user namespace of its own.
    pub userns: ctr_given_text,
    /// Sysctls of the container's own namespaces: `key=value`.
    pub sysctls: ctr_given_texts,
    /// `source[:target[:rwm]]`.
    pub devices: ctr_given_texts,
    /// `none` or `host`; NULL: `none`.
    pub network: ctr_given_text,
    /// Published ports: `[[address:]port:]port[/protocol]` as docker's -p.
    pub ports: ctr_given_texts,
    /// Name servers.
    pub dns: ctr_given_texts,
    /// `name:address`.
    pub extra_hosts: ctr_given_texts,
    /// Mounts; the list ends with NULL.
    pub mounts: ctr_given_mounts,
    /// docker's short form of mounts: `source:target[:options]`.
    pub volumes: ctr_given_texts,
    /// `path[:options]`, options such as `size=64m,mode=1777`.
    pub tmpfs: ctr_given_texts,
    /// `no`, `on-failure[:n]`, `always`, `unless-stopped`; only for detached containers.
    pub restart_policy: ctr_given_text,
    /// Health check or NULL; only for detached containers.
    pub healthcheck: ctr_given_options<ctr_healthcheck>,
    /// Signal of ctr_container_stop: `SIGTERM`, `TERM`, `15`; NULL: the image's.
    pub stop_signal: ctr_given_text,
    /// How long ctr_container_stop waits; default 10 s.
    pub stop_timeout_ms: i64,
    /// Remove it when it has ended.
    pub auto_remove: i32,
    /// It lives on without this process.
    pub detach: i32,
    /// Whether to pull the image first: `missing`, `always`, `never`; NULL: `never`.
    pub pull: ctr_given_text,
    /// `os/arch[/variant]` of the image; NULL: this machine's.
    pub platform: ctr_given_text,
}

/// How to run one command to its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_run_options {
    /// sizeof(ctr_run_options).
    pub size: usize,
    /// The container; NULL: defaults.
    pub create: ctr_given_options<ctr_create_options>,
    /// Standard input, `input_size` bytes; NULL: /dev/null.
    pub input: *const c_void,
    /// Bytes of `input`.
    pub input_size: usize,
    /// Time until the whole container is killed and CTR_E_EXEC_TIMEOUT is returned.
    pub timeout_ms: i64,
    /// 1: an exit code other than 0 is CTR_E_EXIT_ERROR.
    pub check: i32,
    /// Most bytes of output to collect, both streams together; 0: 64 MiB. Beyond it the container is killed, and
    /// CTR_E_LIMIT_EXCEEDED returned.
    pub max_output: u64,
    /// Ends the run, and the container with it; NULL: nothing does.
    pub cancel: *const ctr_cancel,
}

/// How to run a further process in a running container.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_exec_options {
    /// sizeof(ctr_exec_options).
    pub size: usize,
    /// 1: open standard input for writing; else it is /dev/null.
    pub stdin_open: i32,
    /// 1: give it a terminal.
    pub tty: i32,
    /// Rows of the terminal; 0: 24.
    pub tty_rows: u16,
    /// Columns of the terminal; 0: 80.
    pub tty_cols: u16,
    /// Variables on top of the container's: `KEY=value`.
    pub environment: ctr_given_texts,
    /// NULL: the container's.
    pub working_dir: ctr_given_text,
    /// NULL: the container's.
    pub user: ctr_given_text,
    /// 1: all capabilities.
    pub privileged: i32,
    /// Time until its process group is killed; then waits and reads fail with CTR_E_EXEC_TIMEOUT.
    pub timeout_ms: i64,
}

/// What ctr_container_list shows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_list_options {
    /// sizeof(ctr_list_options).
    pub size: usize,
    /// 1: those that do not run, too.
    pub all: i32,
    /// docker's filters: `name=…`, `id=…`, `label=…`, `status=…`, `ancestor=…`, `exited=…`; several of one name are
    /// alternatives.
    pub filters: ctr_given_texts,
}

/// Which part of a log.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_log_options {
    /// sizeof(ctr_log_options).
    pub size: usize,
    /// 1: only the last `tail` lines.
    pub use_tail: i32,
    /// How many lines, with `use_tail`.
    pub tail: u64,
    /// Not before this time in Unix milliseconds; 0: from the start.
    pub since_ms: i64,
    /// Not after this time in Unix milliseconds; 0: to the end.
    pub until_ms: i64,
    /// 1: wait for more until the container has ended (ctr_container_logs_stream).
    pub follow: i32,
    /// 1: leave standard output out.
    pub no_stdout: i32,
    /// 1: leave standard error out.
    pub no_stderr: i32,
}

/// How to remove a container.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_remove_options {
    /// sizeof(ctr_remove_options).
    pub size: usize,
    /// 1: kill it first when it runs.
    pub force: i32,
    /// 1: remove its anonymous volumes.
    pub volumes: i32,
}

// SAFETY: repr(C), led by size, of pointers and numbers only, for which any bytes are valid.
unsafe impl SizedStruct for ctr_mount {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_healthcheck {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_create_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_run_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_exec_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_list_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_log_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_remove_options {}

/// Bytes or text; both is a mistake.
fn size_spec(name: &str, bytes: i64, text: ctr_given_text) -> Result<Option<SizeSpec>> {
    match (bytes, text.owned(name)?) {
        (0, None) => Ok(None),
        (bytes, None) => Ok(Some(SizeSpec::Bytes(bytes))),
        (0, Some(text)) => Ok(Some(SizeSpec::Text(text))),
        (_, Some(_)) => Err(invalid(name, "is given as a number and as text")),
    }
}

fn tty_size(rows: u16, cols: u16) -> Option<(u16, u16)> {
    let or = |value: u16, default: u16| if value == 0 { default } else { value };
    (rows != 0 || cols != 0).then(|| (or(rows, 24), or(cols, 80)))
}

fn ulimits(given: ctr_given_texts) -> Result<BTreeMap<String, UlimitSpec>> {
    let bad = |text: &str| invalid("ulimits", format_args!("has a value that is no number: {text}"));
    let number = |text: &str| text.parse::<i64>().map_err(|_| bad(text));
    let pairs: Vec<(String, String)> = given.pairs("ulimits", '=')?;
    let read = |(name, value): (String, String)| {
        let limit = match value.split_once(':') {
            Some((soft, hard)) => UlimitSpec::Pair(number(soft)?, number(hard)?),
            None => UlimitSpec::Same(number(&value)?),
        };
        Ok((name, limit))
    };
    pairs.into_iter().map(read).collect()
}

/// `[[address:]port:]port[/protocol]`.
fn ports(given: ctr_given_texts) -> Result<BTreeMap<String, Option<PortBinding>>> {
    let read = |text: String| -> Result<(String, Option<PortBinding>)> {
        let bad = || invalid("ports", format_args!("has a malformed entry: {text}"));
        let (host, inner) = text.rsplit_once(':').map_or((None, text.as_str()), |(h, i)| (Some(h), i));
        let inner = if inner.contains('/') { inner.to_owned() } else { format!("{inner}/tcp") };
        let Some(host) = host else { return Ok((inner, None)) };
        let (address, port) = host.rsplit_once(':').map_or((None, host), |(a, p)| (Some(a), p));
        let binding = match (address, port) {
            (Some(address), port) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                let port = if port.is_empty() { 0 } else { port.parse().map_err(|_| bad())? };
                PortBinding::Address(address.to_owned(), port)
            }
            (None, port) => PortBinding::Port(port.parse().map_err(|_| bad())?),
        };
        Ok((inner, Some(binding)))
    };
    let mut ports: BTreeMap<String, Option<PortBinding>> = BTreeMap::new();
    for text in given.all("ports")? {
        let (inner, binding) = read(text)?;
        let several = match ports.remove(&inner).flatten() {
            Some(PortBinding::Many(mut list)) => {
                list.extend(binding);
                Some(PortBinding::Many(list))
            }
            Some(one) => Some(PortBinding::Many([one].into_iter().chain(binding).collect())),
            None => binding,
        };
        ports.insert(inner, several);
    }
    Ok(ports)
}

fn tmpfs(given: ctr_given_texts) -> Result<BTreeMap<String, String>> {
    let split = |text: String| match text.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (text, String::new()),
    };
    Ok(given.all("tmpfs")?.into_iter().map(split).collect())
}

impl ctr_mount {
    fn into_spec(self) -> Result<MountSpec> {
        Ok(MountSpec {
            kind: self.r#type.owned("mounts")?.unwrap_or_default(),
            source: self.source.owned("mounts")?.unwrap_or_default(),
            target: self.target.owned("mounts")?.unwrap_or_default(),
            read_only: self.read_only != 0,
            propagation: self.propagation.owned("mounts")?.unwrap_or_default(),
            tmpfs_size: size_spec("mounts", self.tmpfs_size, self.tmpfs_size_text)?,
            tmpfs_mode: (self.tmpfs_mode != 0).then_some(self.tmpfs_mode),
            create_source: self.create_source != 0,
        })
    }
}

impl ctr_healthcheck {
    fn into_spec(self) -> Result<HealthCheck> {
        Ok(HealthCheck {
            test: self.test.all("healthcheck")?,
            interval: seconds("healthcheck", self.interval_ms)?,
            timeout: seconds("healthcheck", self.timeout_ms)?,
            retries: (self.retries != 0).then_some(self.retries),
            start_period: seconds("healthcheck", self.start_period_ms)?,
        })
    }
}

impl ctr_create_options {
    /// The library's options for a command.
    pub fn into_options(self, command: Vec<String>) -> Result<CreateOptions> {
        let mut o = CreateOptions::default();
        o.name = self.name.owned("name")?;
        o.command = command;
        o.entrypoint = self.entrypoint.optional("entrypoint")?;
        o.environment = self.environment.pairs("environment", '=')?;
        o.working_dir = self.working_dir.owned("working_dir")?;
        o.user = self.user.owned("user")?;
        o.group_add = self.group_add.all("group_add")?;
        o.hostname = self.hostname.owned("hostname")?;
        o.domainname = self.domainname.owned("domainname")?;
        o.labels = self.labels.pairs("labels", '=')?;
        o.annotations = self.annotations.pairs("annotations", '=')?;
        o.stdin = self.stdin_open != 0;
        o.tty = self.tty != 0;
        o.tty_size = tty_size(self.tty_rows, self.tty_cols);
        o.read_only = self.read_only != 0;
        o.in_memory = self.in_memory != 0;
        o.init = self.init != 0;
        self.limits_into(&mut o)?;
        self.security_into(&mut o)?;
        self.network_and_mounts_into(&mut o)?;
        o.restart_policy = self.restart_policy.owned("restart_policy")?;
        let check = self.healthcheck.optional("healthcheck")?;
        o.healthcheck = check.map(ctr_healthcheck::into_spec).transpose()?;
        o.stop_signal = self.stop_signal.owned("stop_signal")?;
        o.stop_timeout = seconds("stop_timeout", self.stop_timeout_ms)?;
        o.auto_remove = self.auto_remove != 0;
        o.detach = self.detach != 0;
        o.pull = self.pull.owned("pull")?;
        o.platform = self.platform.owned("platform")?;
        Ok(o)
    }

    fn limits_into(&self, o: &mut CreateOptions) -> Result<()> {
        o.mem_limit = size_spec("mem_limit", self.mem_limit, self.mem_limit_text)?;
        o.cpus = (self.cpus != 0.0).then_some(self.cpus);
        o.cpu_shares = (self.cpu_shares != 0).then_some(self.cpu_shares);
        o.cpuset_cpus = self.cpuset_cpus.owned("cpuset_cpus")?;
        o.pids_limit = (self.pids_limit != 0).then_some(self.pids_limit);
        o.ulimits = ulimits(self.ulimits)?;
        o.shm_size = size_spec("shm_size", self.shm_size, self.shm_size_text)?;
        Ok(())
    }

    fn security_into(&self, o: &mut CreateOptions) -> Result<()> {
        o.cap_add = self.cap_add.all("cap_add")?;
        o.cap_drop = self.cap_drop.all("cap_drop")?;
        o.privileged = self.privileged != 0;
        o.no_new_privs = (self.allow_new_privs != 0).then_some(false);
        o.seccomp_profile = self.seccomp_profile.owned("seccomp_profile")?;
        o.userns = self.userns.owned("userns")?;
        o.sysctls = self.sysctls.pairs("sysctls", '=')?;
        o.devices = self.devices.all("devices")?;
        Ok(())
    }

    fn network_and_mounts_into(&self, o: &mut CreateOptions) -> Result<()> {
        o.network = self.network.owned("network")?;
        o.ports = ports(self.ports)?;
        o.dns = self.dns.all("dns")?;
        o.extra_hosts = self.extra_hosts.pairs("extra_hosts", ':')?;
        let mounts = self.mounts.all("mounts")?;
        o.mounts = mounts.into_iter().map(ctr_mount::into_spec).collect::<Result<_>>()?;
        o.volumes = self.volumes.all("volumes")?;
        o.tmpfs = tmpfs(self.tmpfs)?;
        Ok(())
    }
}

impl ctr_run_options {
    /// The library's options for a command.
    pub fn into_options(self, command: Vec<String>) -> Result<RunOptions> {
        let mut o = RunOptions::default();
        o.create = self.create.read("create")?.into_options(command)?;
        if !self.input.is_null() || self.input_size != 0 {
            o.input = Some(crate::ffi::bytes("input", self.input, self.input_size)?.to_vec());
        }
        o.timeout = seconds("timeout", self.timeout_ms)?;
        o.check = self.check != 0;
        o.max_output = (self.max_output != 0).then_some(self.max_output);
        Ok(o)
    }
}

impl ctr_exec_options {
    /// The library's options for a command.
    pub fn into_options(self, command: Vec<String>) -> Result<ExecOptions> {
        let mut o = ExecOptions::default();
        o.command = command;
        o.stdin = self.stdin_open != 0;
        o.tty = self.tty != 0;
        o.tty_size = tty_size(self.tty_rows, self.tty_cols);
        o.environment = self.environment.pairs("environment", '=')?;
        o.working_dir = self.working_dir.owned("working_dir")?;
        o.user = self.user.owned("user")?;
        o.privileged = self.privileged != 0;
        o.timeout = seconds("timeout", self.timeout_ms)?;
        Ok(o)
    }
}

impl ctr_list_options {
    /// The library's options.
    pub fn into_options(self) -> Result<ListOptions> {
        let mut o = ListOptions::default();
        o.all = self.all != 0;
        let filters: Vec<(String, String)> = self.filters.pairs("filters", '=')?;
        for (name, value) in filters {
            o.filters.entry(name).or_default().push(value);
        }
        Ok(o)
    }
}

impl ctr_log_options {
    /// The library's options.
    pub fn into_options(self) -> Result<LogOptions> {
        let mut o = LogOptions::default();
        o.tail = (self.use_tail != 0).then_some(self.tail);
        o.since = time("since", self.since_ms)?;
        o.until = time("until", self.until_ms)?;
        o.follow = self.follow != 0;
        o.no_stdout = self.no_stdout != 0;
        o.no_stderr = self.no_stderr != 0;
        Ok(o)
    }
}

fn time(name: &str, value: i64) -> Result<Option<f64>> {
    let since_epoch = milliseconds(name, value)?;
    Ok(since_epoch.filter(|d| !d.is_zero()).map(|d| d.as_secs_f64()))
}

impl ctr_remove_options {
    /// The library's options.
    pub fn into_options(self) -> RemoveOptions {
        let mut o = RemoveOptions::default();
        o.force = self.force != 0;
        o.volumes = self.volumes != 0;
        o
    }
}
