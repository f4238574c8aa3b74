//! `create` and `run` with their options one after another.

use super::{Container, CreateOptions, HealthCheck, MountSpec, Output, PortBinding, RunOptions, SizeSpec};
use super::{Containers, UlimitSpec};
use crate::{PullPolicy, Result};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(u64);

impl Bytes {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Bytes {
        Bytes(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(n: u64) -> Bytes {
        Bytes(n.saturating_mul(1 << 10))
    }

    /// So many times 1024² bytes.
    pub const fn mib(n: u64) -> Bytes {
        Bytes(n.saturating_mul(1 << 20))
    }

    /// So many times 1024³ bytes.
    pub const fn gib(n: u64) -> Bytes {
        Bytes(n.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<Bytes> for SizeSpec {
    fn from(bytes: Bytes) -> SizeSpec {
        SizeSpec::Bytes(i64::try_from(bytes.0).unwrap_or(i64::MAX))
    }
}

impl From<&str> for SizeSpec {
    fn from(text: &str) -> SizeSpec {
        SizeSpec::Text(text.to_owned())
    }
}

impl From<String> for SizeSpec {
    fn from(text: String) -> SizeSpec {
        SizeSpec::Text(text)
    }
}

/// The network of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network(String);

impl Network {
    /// One of its own with a loopback interface and nothing else: the default.
    pub fn none() -> Network {
        Network("none".into())
    }

    /// The machine's.
    pub fn host() -> Network {
        Network("host".into())
    }

    /// A network by its name. There are none yet, so it is `unsupported`.
    pub fn named(name: impl Into<String>) -> Network {
        Network(name.into())
    }
}

impl From<&str> for Network {
    fn from(name: &str) -> Network {
        Network(name.to_owned())
    }
}

/// Waits in the caller's executor: `.await` it.
#[derive(Clone, Copy, Debug)]
pub struct Async(());

/// A container in the making: [`Containers::create`] and [`Containers::run`], and those of [`crate::blocking`].
/// What is not set is the image's, or docker's default; [`CreateOptions`] says more about each option.
///
/// ```no_run
/// # async fn demo() -> containers::Result<()> {
/// use containers::{Bytes, Network, Runtime};
/// let rt = Runtime::builder().open().await?;
/// let image = rt.images().pull("alpine").await?;
/// let containers = rt.containers();
/// let limited = containers.create(&image).command(["sleep", "inf"]).mem_limit(Bytes::mib(256));
/// let container = limited.network(Network::none()).start().await?;
/// let out = rt.containers().run("host", ["id", "-un"]).user("nobody").check(true).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing happens until it is awaited, or started"]
pub struct ContainerBuilder<O, W = Async> {
    pub(crate) containers: Containers,
    pub(crate) image: String,
    pub(crate) options: O,
    waits: std::marker::PhantomData<fn() -> W>,
}

impl<O, W> ContainerBuilder<O, W> {
    pub(crate) fn new(containers: Containers, image: String, options: O) -> Self {
        ContainerBuilder { containers, image, options, waits: std::marker::PhantomData }
    }

    /// The options so far, for those who keep them.
    pub fn options(self) -> O {
        self.options
    }
}

impl AsMut<CreateOptions> for CreateOptions {
    fn as_mut(&mut self) -> &mut CreateOptions {
        self
    }
}

impl AsMut<CreateOptions> for RunOptions {
    fn as_mut(&mut self) -> &mut CreateOptions {
        &mut self.create
    }
}

fn texts<S: Into<String>>(list: impl IntoIterator<Item = S>) -> Vec<String> {
    list.into_iter().map(Into::into).collect()
}

fn pairs<K: Into<String>, V: Into<String>>(
    list: impl IntoIterator<Item = (K, V)>,
) -> impl Iterator<Item = (String, String)> {
    list.into_iter().map(|(k, v)| (k.into(), v.into()))
}

/// One setter after another: its words, its name with its argument, what it does to the options.
macro_rules! setters {
    ($($(#[$words:meta])+ $name:ident($($given:ident: $kind:ty),+) |$options:ident| $set:expr;)+) => {
        impl<O: AsMut<CreateOptions>, W> ContainerBuilder<O, W> {
            $($(#[$words])+
            pub fn $name(mut self, $($given: $kind),+) -> Self {
                let $options = self.options.as_mut();
                $set;
                self
            })+
        }
    };
}

setters! {
    /// Unique name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    name(name: impl Into<String>) |o| o.name = Some(name.into());
    /// Program and arguments, or arguments of the image's entrypoint.
    command(command: impl IntoIterator<Item = impl Into<String>>) |o| o.command = texts(command);
    /// Instead of the image's entrypoint; an empty one clears it.
    entrypoint(entrypoint: impl IntoIterator<Item = impl Into<String>>) |o| o.entrypoint = Some(texts(entrypoint));
    /// Variables on top of the image's, and of those set before.
    environment(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>)
        |o| o.environment.extend(pairs(variables));
    /// Absolute path; created when missing.
    working_dir(dir: impl Into<String>) |o| o.working_dir = Some(dir.into());
    /// `user`, `uid`, `user:group`, `uid:gid`.
    user(user: impl Into<String>) |o| o.user = Some(user.into());
    /// Supplementary groups.
    group_add(groups: impl IntoIterator<Item = impl Into<String>>) |o| o.group_add = texts(groups);
    /// Host name.
    hostname(name: impl Into<String>) |o| o.hostname = Some(name.into());
    /// NIS domain name.
    domainname(name: impl Into<String>) |o| o.domainname = Some(name.into());
    /// Labels on top of the image's, and of those set before.
    labels(labels: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) |o| o.labels.extend(pairs(labels));
    /// OCI annotations; kept and shown, never acted on.
    annotations(annotations: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>)
        |o| o.annotations.extend(pairs(annotations));
    /// Keep standard input open, for [`Container::attach`].
    stdin(open: bool) |o| o.stdin = open;
    /// Give it a terminal.
    tty(tty: bool) |o| o.tty = tty;
    /// Size of the terminal.
    tty_size(rows: u16, cols: u16) |o| o.tty_size = Some((rows, cols));
    /// Read-only root file system.
    read_only(read_only: bool) |o| o.read_only = read_only;
    /// Keep the writable layer in memory.
    in_memory(in_memory: bool) |o| o.in_memory = in_memory;
    /// A small init as process 1.
    init(init: bool) |o| o.init = init;
    /// Memory limit: [`Bytes`], or text such as `256m`.
    mem_limit(limit: impl Into<SizeSpec>) |o| o.mem_limit = Some(limit.into());
    /// Processors, e.g. 1.5.
    cpus(cpus: f64) |o| o.cpus = Some(cpus);
    /// Relative weight.
    cpu_shares(shares: u64) |o| o.cpu_shares = Some(shares);
    /// Processors it may use: `0-2,4`.
    cpuset_cpus(cpus: impl Into<String>) |o| o.cpuset_cpus = Some(cpus.into());
    /// Most processes; -1: no limit.
    pids_limit(limit: i64) |o| o.pids_limit = Some(limit);
    /// A limit by docker's name (`nofile`), soft and hard; -1: no limit.
    ulimit(name: impl Into<String>, soft: i64, hard: i64)
        |o| o.ulimits.insert(name.into(), UlimitSpec::Pair(soft, hard));
    /// Size of `/dev/shm`.
    shm_size(size: impl Into<SizeSpec>) |o| o.shm_size = Some(size.into());
    /// Capabilities added.
    cap_add(names: impl IntoIterator<Item = impl Into<String>>) |o| o.cap_add = texts(names);
    /// Capabilities dropped.
    cap_drop(names: impl IntoIterator<Item = impl Into<String>>) |o| o.cap_drop = texts(names);
    /// All capabilities and devices, no seccomp, nothing masked.
    privileged(privileged: bool) |o| o.privileged = privileged;
    /// Default true.
    no_new_privs(on: bool) |o| o.no_new_privs = Some(on);
    /// Docker's seccomp JSON itself, a path of such a file, or `unconfined`.
    seccomp_profile(profile: impl Into<String>) |o| o.seccomp_profile = Some(profile.into());
    /// `host`, or `auto` for a user namespace of its own.
    userns(userns: impl Into<String>) |o| o.userns = Some(userns.into());
    /// Sysctls of the container's own namespaces.
    sysctls(sysctls: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>)
        |o| o.sysctls.extend(pairs(sysctls));
    /// `source[:target[:rwm]]`.
    devices(devices: impl IntoIterator<Item = impl Into<String>>) |o| o.devices = texts(devices);
    /// Its network.
    network(network: impl Into<Network>) |o| o.network = Some(network.into().0);
    /// Publishes a port, `80/tcp`; `None`: at a free one.
    port(inside: impl Into<String>, at: Option<PortBinding>) |o| o.ports.insert(inside.into(), at);
    /// Name servers.
    dns(servers: impl IntoIterator<Item = impl Into<String>>) |o| o.dns = texts(servers);
    /// Host names and their addresses.
    extra_hosts(hosts: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>)
        |o| o.extra_hosts.extend(pairs(hosts));
    /// A mount, beside those set before.
    mount(mount: MountSpec) |o| o.mounts.push(mount);
    /// docker's short form of mounts: `source:target[:options]`.
    volumes(volumes: impl IntoIterator<Item = impl Into<String>>) |o| o.volumes = texts(volumes);
    /// A tmpfs, with options such as `size=64m,mode=1777`.
    tmpfs(path: impl Into<String>, options: impl Into<String>) |o| o.tmpfs.insert(path.into(), options.into());
    /// `no`, `on-failure[:n]`, `always`, `unless-stopped`; only for detached containers.
    restart_policy(policy: impl Into<String>) |o| o.restart_policy = Some(policy.into());
    /// Health check; only for detached containers.
    healthcheck(check: HealthCheck) |o| o.healthcheck = Some(check);
    /// Signal of `stop`.
    stop_signal(signal: impl Into<String>) |o| o.stop_signal = Some(signal.into());
    /// How long `stop` waits.
    stop_timeout(timeout: Duration) |o| o.stop_timeout = Some(timeout.as_secs_f64());
    /// Remove it when it has ended.
    auto_remove(on: bool) |o| o.auto_remove = on;
    /// Whether to pull the image first; default: never.
    pull(policy: PullPolicy) |o| o.pull = Some(policy.word().to_owned());
    /// `os/arch[/variant]` of the image.
    platform(platform: impl Into<String>) |o| o.platform = Some(platform.into());
}

impl<W> ContainerBuilder<CreateOptions, W> {
    /// It lives on without this process.
    pub fn detach(mut self, detach: bool) -> Self {
        self.options.detach = detach;
        self
    }
}

impl<W> ContainerBuilder<RunOptions, W> {
    /// Standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.options.input = Some(input.into());
        self
    }

    /// Time until the whole container is killed and `exec_timeout` is returned.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout.as_secs_f64());
        self
    }

    /// A non-zero exit is `exit_error`.
    pub fn check(mut self, check: bool) -> Self {
        self.options.check = check;
        self
    }

    /// Most bytes of output to collect.
    pub fn max_output(mut self, bytes: u64) -> Self {
        self.options.max_output = Some(bytes);
        self
    }
}

/// A future on the heap.
type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl ContainerBuilder<CreateOptions> {
    /// Creates and starts it. One that can't be started is removed again.
    pub async fn start(self) -> Result<Container> {
        self.containers.start_with(self.image, self.options).await
    }
}

/// Creates it; nothing runs yet.
impl IntoFuture for ContainerBuilder<CreateOptions> {
    type Output = Result<Container>;
    type IntoFuture = Work<Container>;

    fn into_future(self) -> Work<Container> {
        Box::pin(async move { self.containers.create_with(self.image, self.options).await })
    }
}

/// Runs it to its end.
impl IntoFuture for ContainerBuilder<RunOptions> {
    type Output = Result<Output>;
    type IntoFuture = Work<Output>;

    fn into_future(self) -> Work<Output> {
        Box::pin(async move { self.containers.run_with(self.image, self.options).await })
    }
}
