//! Options of containers, as C gives them, and as the library takes them.

use crate::cancel::ctr_cancel;
use crate::error::seconds;
use crate::ffi::{SizedStruct, ctr_given_mounts, ctr_given_options, ctr_given_text, ctr_given_texts};
use containers::{CreateOptions, HealthCheck, MountSpec, Result, RunOptions};
use std::ffi::c_void;

mod others;

mod read;

pub use others::*;
use read::{ports, size_spec, tmpfs, tty_size, ulimits};

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

// SAFETY: repr(C), led by size, of pointers and numbers only, for which any bytes are valid.
unsafe impl SizedStruct for ctr_mount {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_healthcheck {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_create_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_run_options {}

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
