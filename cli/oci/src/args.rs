//! The command line: runc's.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// An OCI runtime with runc's command line
#[derive(Debug, Parser)]
#[command(name = "containers-oci", version, disable_version_flag = true, max_term_width = 100)]
pub struct Cli {
    /// Folder of the containers' state
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// File for messages (default: standard error)
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Format of messages
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
    /// More messages
    #[arg(long)]
    pub debug: bool,
    /// Let systemd make cgroups; cgroupsPath is slice:prefix:name then
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Ignore what only root may do: true, false or auto
    #[arg(long, default_value = "auto", value_parser = ["auto", "true", "false"])]
    pub rootless: String,
    /// Ignored: criu is looked up in PATH
    #[arg(long, hide = true)]
    pub criu: Option<PathBuf>,
    /// Print the version
    #[arg(short, long)]
    pub version: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands. Only the one that is given is worked out.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Create a container
    Create(Create),
    /// Start a created container
    Start {
        /// Container id
        id: String,
    },
    /// Create and start a container
    Run(Run),
    /// Print the state of a container
    State {
        /// Container id
        id: String,
    },
    /// Send a signal to a container
    Kill {
        /// To all of its processes
        #[arg(short, long)]
        all: bool,
        /// Container id
        id: String,
        /// Name or number
        #[arg(default_value = "SIGTERM")]
        signal: String,
    },
    /// Remove a stopped container
    Delete {
        /// End it first
        #[arg(short, long)]
        force: bool,
        /// Container id
        id: String,
    },
    /// Run a further process in a container
    Exec(Box<Exec>),
    /// List the processes of a container
    Ps {
        /// table or json
        #[arg(short, long, default_value = "table")]
        format: String,
        /// Container id
        id: String,
        /// Options for ps
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// List containers
    List {
        /// table or json
        #[arg(short, long, default_value = "table")]
        format: String,
        /// Ids alone
        #[arg(short, long)]
        quiet: bool,
    },
    /// Stop all processes of a container
    Pause {
        /// Container id
        id: String,
    },
    /// Let all processes of a container go on
    Resume {
        /// Container id
        id: String,
    },
    /// Change limits of a container
    Update(Box<Update>),
    /// Print what a container uses, and when it wants memory
    Events {
        /// Time between looks: 5s, 500ms, 1m
        #[arg(long, default_value = "5s")]
        interval: String,
        /// One look only
        #[arg(long)]
        stats: bool,
        /// Container id
        id: String,
    },
    /// Write a configuration to begin with
    Spec {
        /// Bundle
        #[arg(short, long)]
        bundle: Option<PathBuf>,
        /// For an ordinary user
        #[arg(long)]
        rootless: bool,
    },
    /// Print what this runtime can do
    Features,
    /// Write a container's processes to an image
    Checkpoint(Box<Checkpoint>),
    /// Make a container from an image
    Restore(Box<Restore>),
}

/// `create`, and most of `run`.
#[derive(Debug, Args)]
pub struct Create {
    /// Bundle (default: the current folder)
    #[arg(short, long)]
    pub bundle: Option<PathBuf>,
    /// Socket that the terminal is sent over
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Socket that a descriptor of the process is sent over
    #[arg(long)]
    pub pidfd_socket: Option<PathBuf>,
    /// File for the process id
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Do not use pivot_root
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Pass so many further descriptors on
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    /// Container id
    pub id: String,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub create: Create,
    /// Do not wait
    #[arg(short, long)]
    pub detach: bool,
    /// Keep the container when it has ended
    #[arg(long)]
    pub keep: bool,
    /// Accepted: nothing is ever adopted
    #[arg(long)]
    pub no_subreaper: bool,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Socket that the terminal is sent over
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Socket that a descriptor of the process is sent over
    #[arg(long)]
    pub pidfd_socket: Option<PathBuf>,
    /// Working directory
    #[arg(long)]
    pub cwd: Option<String>,
    /// KEY=value
    #[arg(short, long)]
    pub env: Vec<String>,
    /// A terminal
    #[arg(short, long)]
    pub tty: bool,
    /// uid, or uid:gid
    #[arg(short, long)]
    pub user: Option<String>,
    /// Further groups
    #[arg(short = 'g', long)]
    pub additional_gids: Vec<u32>,
    /// File with the process
    #[arg(short, long)]
    pub process: Option<PathBuf>,
    /// Do not wait
    #[arg(short, long)]
    pub detach: bool,
    /// File for the process id
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// SELinux label
    #[arg(long)]
    pub process_label: Option<String>,
    /// AppArmor profile
    #[arg(long)]
    pub apparmor: Option<String>,
    /// No new privileges
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_new_privs: Option<bool>,
    /// Further capability
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// Pass so many further descriptors on
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    /// A cgroup below the container's: [controller[,…]:]path
    #[arg(long)]
    pub cgroup: Vec<String>,
    /// Also in a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// Accepted: nothing is ever adopted
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Container id
    pub id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true)]
    pub command: Vec<String>,
}

/// `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// File with resources as JSON; - is standard input
    #[arg(short, long)]
    pub resources: Option<PathBuf>,
    /// Relative weight of block I/O
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// CPU period in microseconds
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// CPU quota in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// CPU burst in microseconds
    #[arg(long)]
    pub cpu_burst: Option<u64>,
    /// Run only when nothing else does
    #[arg(long, allow_negative_numbers = true)]
    pub cpu_idle: Option<i64>,
    /// Relative weight of CPU
    #[arg(long)]
    pub cpu_share: Option<u64>,
    /// Realtime period in microseconds
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Realtime runtime in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// Ignored: the kernel has it no more
    #[arg(long, hide = true)]
    pub kernel_memory: Option<String>,
    /// Ignored: the kernel has it no more
    #[arg(long, hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Memory limit: bytes, or with k, m, g
    #[arg(short, long, allow_negative_numbers = true)]
    pub memory: Option<String>,
    /// Memory reservation
    #[arg(long, allow_negative_numbers = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 is unlimited
    #[arg(long, allow_negative_numbers = true)]
    pub memory_swap: Option<String>,
    /// Most processes
    #[arg(long, allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Container id
    pub id: String,
}

/// What `checkpoint` and `restore` have in common.
#[derive(Debug, Args)]
pub struct Criu {
    /// Folder of the image
    #[arg(long, default_value = "checkpoint")]
    pub image_path: PathBuf,
    /// Folder for criu's work and logs (default: that of the image)
    #[arg(long)]
    pub work_path: Option<PathBuf>,
    /// With open TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// With external Unix sockets
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Of a container with a terminal that is not its own
    #[arg(long)]
    pub shell_job: bool,
    /// With file locks
    #[arg(long)]
    pub file_locks: bool,
    /// Remove from images what is there twice
    #[arg(long)]
    pub auto_dedup: bool,
    /// What is done with cgroups: ignore, soft, full or strict
    #[arg(long, default_value = "soft")]
    pub manage_cgroups_mode: String,
    /// Leave out what is in a namespace: network
    #[arg(long, value_parser = ["network"])]
    pub empty_ns: Vec<String>,
    /// Pages when they are needed: not supported
    #[arg(long)]
    pub lazy_pages: bool,
    /// Container id
    pub id: String,
}

/// `checkpoint`.
#[derive(Debug, Args)]
pub struct Checkpoint {
    #[command(flatten)]
    pub criu: Criu,
    /// Image of the checkpoint before, relative to this one
    #[arg(long)]
    pub parent_path: Option<String>,
    /// Only memory, while the container runs on
    #[arg(long)]
    pub pre_dump: bool,
    /// Let the container run on
    #[arg(long)]
    pub leave_running: bool,
    /// Without TCP connections that are being made
    #[arg(long)]
    pub tcp_skip_in_flight: bool,
    /// With files that are open and removed but have another name
    #[arg(long)]
    pub link_remap: bool,
    /// ADDRESS:PORT of a criu page-server that memory is sent to
    #[arg(long)]
    pub page_server: Option<String>,
    /// For lazy pages, which are not supported
    #[arg(long)]
    pub status_fd: Option<i32>,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    pub criu: Criu,
    /// Bundle
    #[arg(short, long)]
    pub bundle: Option<PathBuf>,
    /// Do not wait
    #[arg(short, long)]
    pub detach: bool,
    /// File for the process id
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Socket that the terminal is sent over
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// apparmor:PROFILE or selinux:LABEL instead of that of the image
    #[arg(long)]
    pub lsm_profile: Option<String>,
    /// A label for mounts: not supported
    #[arg(long)]
    pub lsm_mount_context: Option<String>,
    /// Accepted: nothing is ever adopted
    #[arg(long)]
    pub no_subreaper: bool,
    /// Accepted: criu has its own way to a root
    #[arg(long)]
    pub no_pivot: bool,
}
