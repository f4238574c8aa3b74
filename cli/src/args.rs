//! The command line, as docker's users type it.

use clap::{Args, Parser, Subcommand};

/// Run containers without a daemon.
#[derive(Debug, Parser)]
#[command(name = "containers", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Folder with images and containers (default: CONTAINERS_ROOT, else the user's data folder)
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<std::path::PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create and run a new container from an image
    Run(Box<RunArgs>),
    /// Create a new container
    Create(Box<CreateArgs>),
    /// Execute a command in a running container
    Exec(ExecArgs),
    /// List containers
    #[command(visible_aliases = ["list"])]
    Ps(PsArgs),
    /// Manage containers
    Container {
        /// What to do
        #[command(subcommand)]
        command: ContainerCommand,
    },
    /// Manage images
    Image {
        /// What to do
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// List images
    Images(ImagesArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Load images from an OCI layout or a docker archive
    Load(LoadArgs),
    /// Make an image from the tar of a root file system
    Import(ImportArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Start stopped containers
    Start(StartArgs),
    /// Stop running containers
    Stop(StopArgs),
    /// Restart containers
    Restart(StopArgs),
    /// Kill running containers
    Kill(KillArgs),
    /// Pause all processes of containers
    Pause(Names),
    /// Unpause containers
    Unpause(Names),
    /// Wait until containers stop, then print their exit codes
    Wait(Names),
    /// Attach to a running container
    Attach(AttachArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
    /// Rename a container
    Rename {
        /// Container
        container: String,
        /// Its new name
        new_name: String,
    },
    /// Remove containers
    Rm(RmArgs),
    /// Remove images
    Rmi(RmiArgs),
    /// Show everything about containers and images
    Inspect(InspectArgs),
    /// Show what this machine and this root have
    Info(FormatArgs),
    /// Say what this machine can and can't do, and how to mend it
    Doctor(FormatArgs),
}

/// `containers container …`
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Create and run a new container from an image
    Run(Box<RunArgs>),
    /// Create a new container
    Create(Box<CreateArgs>),
    /// Execute a command in a running container
    Exec(ExecArgs),
    /// List containers
    #[command(visible_aliases = ["ps", "list"])]
    Ls(PsArgs),
    /// Start stopped containers
    Start(StartArgs),
    /// Stop running containers
    Stop(StopArgs),
    /// Restart containers
    Restart(StopArgs),
    /// Kill running containers
    Kill(KillArgs),
    /// Pause all processes of containers
    Pause(Names),
    /// Unpause containers
    Unpause(Names),
    /// Wait until containers stop, then print their exit codes
    Wait(Names),
    /// Attach to a running container
    Attach(AttachArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
    /// Rename a container
    Rename {
        /// Container
        container: String,
        /// Its new name
        new_name: String,
    },
    /// Remove containers
    Rm(RmArgs),
    /// Show everything about containers
    Inspect(InspectArgs),
}

/// `containers image …`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List images
    #[command(visible_aliases = ["list"])]
    Ls(ImagesArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Load images from an OCI layout or a docker archive
    Load(LoadArgs),
    /// Make an image from the tar of a root file system
    Import(ImportArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Remove images
    Rm(RmiArgs),
    /// Show everything about images
    Inspect(InspectArgs),
}

/// What `run` and `create` share.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CreateArgs {
    /// Show help (-h is the host name, as in docker)
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Name of the container
    #[arg(long)]
    pub name: Option<String>,
    /// Environment variable: KEY=value, or KEY to take this shell's
    #[arg(short, long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// File with environment variables, one a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<std::path::PathBuf>,
    /// Bind mount or volume: SOURCE:TARGET[:OPTIONS]
    #[arg(short, long, value_name = "SPEC")]
    pub volume: Vec<String>,
    /// Mount: type=bind,source=/a,target=/b[,readonly]
    #[arg(long, value_name = "SPEC")]
    pub mount: Vec<String>,
    /// Temporary file system: PATH[:OPTIONS]
    #[arg(long, value_name = "SPEC")]
    pub tmpfs: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User: NAME|UID[:GROUP|GID]
    #[arg(short, long)]
    pub user: Option<String>,
    /// Further group
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Host name
    #[arg(short = 'h', long)]
    pub hostname: Option<String>,
    /// Domain name
    #[arg(long)]
    pub domainname: Option<String>,
    /// Memory limit, e.g. 256m
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Number of processors, e.g. 1.5
    #[arg(long)]
    pub cpus: Option<f64>,
    /// Relative processor weight
    #[arg(short, long)]
    pub cpu_shares: Option<u64>,
    /// Processors it may use: 0-2,4
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Most processes; -1 for no limit
    #[arg(long, allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Resource limit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    pub ulimit: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    pub shm_size: Option<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// Network: none or host
    #[arg(long, visible_alias = "net")]
    pub network: Option<String>,
    /// Publish a port: [[ADDRESS:]PORT:]PORT[/PROTOCOL]
    #[arg(short, long, value_name = "SPEC")]
    pub publish: Vec<String>,
    /// Name server
    #[arg(long)]
    pub dns: Vec<String>,
    /// Line for /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
    /// Instead of the image's entrypoint
    #[arg(long)]
    pub entrypoint: Option<String>,
    /// Label: KEY[=VALUE]
    #[arg(short, long)]
    pub label: Vec<String>,
    /// Annotation: KEY=VALUE
    #[arg(long)]
    pub annotation: Vec<String>,
    /// Add a capability
    #[arg(long, value_name = "CAP")]
    pub cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAP")]
    pub cap_drop: Vec<String>,
    /// All capabilities and devices, nothing masked
    #[arg(long)]
    pub privileged: bool,
    /// no-new-privileges[=false], seccomp=FILE|unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// User namespace: host or auto
    #[arg(long)]
    pub userns: Option<String>,
    /// Kernel parameter: KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub sysctl: Vec<String>,
    /// Device: SOURCE[:TARGET[:rwm]]
    #[arg(long, value_name = "SPEC")]
    pub device: Vec<String>,
    /// Run a small init as process 1
    #[arg(long)]
    pub init: bool,
    /// no, on-failure[:N], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds that stop waits before it kills
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<f64>,
    /// Health check: a shell command
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between health checks, e.g. 30s
    #[arg(long, value_name = "DURATION")]
    pub health_interval: Option<String>,
    /// Time a health check may take, e.g. 5s
    #[arg(long, value_name = "DURATION")]
    pub health_timeout: Option<String>,
    /// Time in which failures do not count, e.g. 1m
    #[arg(long, value_name = "DURATION")]
    pub health_start_period: Option<String>,
    /// Failures in a row until unhealthy
    #[arg(long, value_name = "N")]
    pub health_retries: Option<u32>,
    /// No health check, even if the image has one
    #[arg(long)]
    pub no_healthcheck: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Whether to pull first: missing, always, never
    #[arg(long, default_value = "missing")]
    pub pull: String,
    /// os/arch[/variant] of the image
    #[arg(long)]
    pub platform: Option<String>,
    /// Write the container's id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<std::path::PathBuf>,
    /// No progress on a pull
    #[arg(short, long)]
    pub quiet: bool,
    /// Image (a reference, an id, or "host" for this machine's own system), command and arguments
    // One list, because what follows the image is the command's, dashes or not.
    #[arg(trailing_var_arg = true, required = true, value_name = "IMAGE [COMMAND]")]
    words: Vec<String>,
}

impl CreateArgs {
    /// The image.
    pub fn image(&self) -> &str {
        &self.words[0]
    }

    /// Command and arguments.
    pub fn command(&self) -> &[String] {
        &self.words[1..]
    }
}

/// `containers run`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub detach: bool,
    /// Pass signals of this program on to the container
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub sig_proxy: bool,
    /// The container
    #[command(flatten)]
    pub create: CreateArgs,
}

/// `containers exec`
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Environment variable
    #[arg(short, long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User: NAME|UID[:GROUP|GID]
    #[arg(short, long)]
    pub user: Option<String>,
    /// All capabilities
    #[arg(long)]
    pub privileged: bool,
    /// Container, command and arguments
    #[arg(trailing_var_arg = true, required = true, num_args = 2.., value_names = ["CONTAINER", "COMMAND"])]
    words: Vec<String>,
}

impl ExecArgs {
    /// The container.
    pub fn container(&self) -> &str {
        &self.words[0]
    }

    /// Command and arguments.
    pub fn command(&self) -> &[String] {
        &self.words[1..]
    }
}

/// `containers ps`
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Those that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// Filter: KEY=VALUE
    #[arg(short, long)]
    pub filter: Vec<String>,
    /// table, json, or a Go template
    #[arg(long)]
    pub format: Option<String>,
    /// Only the last N created, running or not
    #[arg(short = 'n', long)]
    pub last: Option<usize>,
    /// Only the latest, running or not
    #[arg(short, long)]
    pub latest: bool,
    /// Whole ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
}

/// `containers images`
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Only this repository, or repository:tag
    pub repository: Option<String>,
    /// Accepted for docker's sake: all images are shown in any case
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Filter: reference=, label=, dangling=
    #[arg(short, long)]
    pub filter: Vec<String>,
    /// table, json, or a Go template
    #[arg(long)]
    pub format: Option<String>,
    /// Whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
}

/// `containers pull`
#[derive(Debug, Args)]
pub struct PullArgs {
    /// No progress, only the reference
    #[arg(short, long)]
    pub quiet: bool,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
    /// Allow plain HTTP and unverified certificates
    #[arg(long)]
    pub insecure: bool,
    /// Reference of the image
    pub image: String,
}

/// `containers load`
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Archive or layout folder; default: standard input
    #[arg(short, long, value_name = "PATH")]
    pub input: Option<std::path::PathBuf>,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
}

/// `containers import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Apply a Dockerfile instruction
    #[arg(short, long)]
    pub change: Vec<String>,
    /// Comment
    #[arg(short, long)]
    pub message: Option<String>,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
    /// Tar file, or - for standard input
    pub file: std::path::PathBuf,
    /// Reference to give it
    pub reference: Option<String>,
}

/// `containers tag`
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Image
    pub source: String,
    /// New reference
    pub target: String,
}

/// `containers history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// table, json, or a Go template
    #[arg(long)]
    pub format: Option<String>,
    /// Whole texts
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Image
    pub image: String,
}

/// Containers by name.
#[derive(Debug, Args)]
pub struct Names {
    /// Containers
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `containers start`
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Attach output, pass signals on, end with its exit code
    #[arg(short, long)]
    pub attach: bool,
    /// Attach standard input
    #[arg(short, long)]
    pub interactive: bool,
    /// Containers
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `containers stop` and `containers restart`
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Seconds to wait before killing
    #[arg(short, long = "timeout", visible_alias = "time", value_name = "SECONDS")]
    pub timeout: Option<f64>,
    /// Containers
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `containers kill`
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Signal
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
    /// Containers
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `containers attach`
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Do not attach standard input
    #[arg(long)]
    pub no_stdin: bool,
    /// Container
    pub container: String,
}

/// `containers logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Show times
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only the last N lines, or "all"
    #[arg(short = 'n', long, default_value = "all")]
    pub tail: String,
    /// Only since: RFC 3339, Unix seconds, or a duration such as 10m
    #[arg(long)]
    pub since: Option<String>,
    /// Only until: as --since
    #[arg(long)]
    pub until: Option<String>,
    /// Container
    pub container: String,
}

/// `containers rm`
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Kill it first
    #[arg(short, long)]
    pub force: bool,
    /// Remove its anonymous volumes
    #[arg(short, long)]
    pub volumes: bool,
    /// Containers
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `containers rmi`
#[derive(Debug, Args)]
pub struct RmiArgs {
    /// Even when containers use it
    #[arg(short, long)]
    pub force: bool,
    /// Images
    #[arg(required = true)]
    pub images: Vec<String>,
}

/// `containers inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A Go template
    #[arg(short, long)]
    pub format: Option<String>,
    /// container or image
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Containers or images
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// Commands with only a format.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// json, or a Go template
    #[arg(short, long)]
    pub format: Option<String>,
}
