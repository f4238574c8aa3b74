//! Options of `run` and `create`.

use clap::Args;

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
    /// File with labels, one a line
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<std::path::PathBuf>,
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
    #[arg(long, conflicts_with_all = ["health_cmd", "health_interval", "health_timeout", "health_start_period",
                                      "health_retries"])]
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
