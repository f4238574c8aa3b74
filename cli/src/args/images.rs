//! Options of the commands about images.

use clap::Args;

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
