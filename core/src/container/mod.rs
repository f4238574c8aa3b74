//! Containers: one command with its own file system, processes and limits.

mod flexible;
mod handle;
mod logs;
mod options;
mod output;
mod process;

pub use handle::{Container, ContainerSummary, Containers, Status};
pub use logs::{LogLine, LogStream};
pub use options::{
    CreateOptions, ExecOptions, HealthCheck, ListOptions, LogOptions, MountSpec, PortBinding, RemoveOptions,
    RunOptions, SizeSpec, UlimitSpec,
};
pub use output::{Output, StdioStream};
pub use process::Process;
