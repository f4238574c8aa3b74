//! Options of the other commands about containers.

use clap::Args;

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
    /// Environment variable: KEY=value, or KEY to take this shell's
    #[arg(short, long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// File with environment variables, one a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<std::path::PathBuf>,
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
    /// Signal to send first; default: the container's
    #[arg(short, long)]
    pub signal: Option<String>,
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
    /// Pass signals of this program on to the container
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub sig_proxy: bool,
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
