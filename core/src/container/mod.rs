//! Containers: one command with its own file system, processes and limits.

mod auto;
mod base;
mod builder;
mod control;
mod create;
pub(crate) mod events;
mod exec;
mod flexible;
mod handle;
mod inspect;
mod io;
mod list;
mod logs;
pub(crate) mod names;
mod options;
mod output;
mod process;
pub(crate) mod record;
mod run;
mod shared;
pub(crate) mod spec;
mod users;
mod verbs;

pub use builder::{Async, Bytes, ContainerBuilder, Network};
pub use handle::{Container, ContainerSummary, Containers, MountPoint, Status};
pub use logs::{LogLine, LogStream};
pub use options::{
    CreateOptions, ExecOptions, HealthCheck, ListOptions, LogOptions, MountSpec, PortBinding, RemoveOptions,
    RunOptions, SizeSpec, StopOptions, UlimitSpec,
};
pub use output::{Output, StdioStream};
pub use process::Process;
pub(crate) use shared::{Shared, has_hung_up, lost};

use crate::Result;
use crate::runtime::paths::private_dir;
use crate::sandbox::RootfsParts;
use crate::sandbox::failure;
use spec::Spec;
use std::path::Path;

/// Makes the folders of a container's writable layers, if they are on disk.
fn make_writable(spec: &Spec, rootfs: &RootfsParts, dir: &Path) -> Result<()> {
    if spec.layer_in_memory() {
        return Ok(());
    }
    private_dir(dir)?;
    if spec.read_only {
        return Ok(());
    }
    let at = |target: &String| crate::sandbox::extra_writable(dir, target);
    rootfs.overlays.iter().try_for_each(|(target, _)| private_dir(&at(target)))
}
