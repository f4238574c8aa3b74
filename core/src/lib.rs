//! The container stack as a library: images, isolation and lifecycle inside the program that needs them.
//! No daemon, no root.
//!
//! ```no_run
//! # async fn demo() -> containers::Result<()> {
//! let rt = containers::Runtime::builder().open().await?;
//! let out = rt.containers().run("host", ["id", "-u"]).await?;
//! assert_eq!(out.exit_code, 0);
//! # rt.close().await }
//! ```
//!
//! Futures returned here run under any executor; [`blocking`] is the same without async.

mod cgroup;
mod container;
mod db;
mod error;
#[doc(hidden)]
pub mod executor;
mod image;
#[doc(hidden)]
pub mod oci;
mod runtime;
mod sandbox;
mod sys;

pub mod blocking;

pub use container::{
    Container, ContainerSummary, Containers, CreateOptions, ExecOptions, HealthCheck, ListOptions, LogLine,
    LogOptions, LogStream, MountSpec, Output, PortBinding, Process, RemoveOptions, RunOptions, SizeSpec,
    Status, StdioStream, UlimitSpec,
};
pub use error::{Error, ErrorKind, Result};
pub use image::{
    Auth, HistoryEntry, Image, ImageConfig, ImageSummary, Images, ImportOptions, LoadOptions, Platform,
    PullEvent, PullOptions, PullPolicy,
};
pub use runtime::{Info, Runtime, RuntimeBuilder};

/// Runs one command in a throw-away container of `image` and collects its output, with a runtime opened
/// for this call alone.
pub async fn run<C, S>(image: impl Into<String>, command: C) -> Result<Output>
where
    C: IntoIterator<Item = S>,
    S: Into<String>,
{
    let rt = Runtime::builder().open().await?;
    let out = rt.containers().run(image, command).await;
    rt.close().await?;
    out
}
