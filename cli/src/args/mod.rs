//! The command line, as docker's users type it.

mod containers;
mod create;
mod images;

pub use containers::*;
pub use create::*;
pub use images::*;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;

/// Run containers without a daemon.
#[derive(Debug, Parser)]
#[command(name = "containers", version)]
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
    /// Those of `containers container`, by the same names
    #[command(flatten)]
    OfContainers(ContainerVerb),
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
    /// Those of `containers image`, by the same names
    #[command(flatten)]
    OfImages(ImageVerb),
    /// Remove images
    Rmi(RmiArgs),
    /// Show everything about containers and images
    Inspect(InspectArgs),
    /// Show what this machine and this root have
    Info(FormatArgs),
    /// Say what this machine can and can't do, and how to mend it
    Doctor(FormatArgs),
    /// Show the version
    Version(FormatArgs),
    /// A command that is not there
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// `containers container …`
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Those that need no `container` before them
    #[command(flatten)]
    Verb(ContainerVerb),
    /// List containers
    #[command(visible_aliases = ["ps", "list"])]
    Ls(PsArgs),
    /// Show everything about containers
    Inspect(InspectArgs),
    /// A command that is not there
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What is done with containers, with or without `container` before it.
#[derive(Debug, Subcommand)]
pub enum ContainerVerb {
    /// Create and run a new container from an image
    Run(Box<RunArgs>),
    /// Create a new container
    Create(Box<CreateArgs>),
    /// Execute a command in a running container
    Exec(ExecArgs),
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
}

/// `containers image …`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List images
    #[command(visible_aliases = ["list"])]
    Ls(ImagesArgs),
    /// Those that need no `image` before them
    #[command(flatten)]
    Verb(ImageVerb),
    /// Remove images
    Rm(RmiArgs),
    /// Show everything about images
    Inspect(InspectArgs),
    /// A command that is not there
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What is done with images, with or without `image` before it.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
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
