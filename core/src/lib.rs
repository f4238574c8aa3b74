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

#![cfg_attr(not(feature = "engine"), allow(dead_code, reason = "the engine uses the rest"))]

mod accounts;
mod cgroup;
#[cfg(feature = "engine")]
mod container;
#[cfg(feature = "engine")]
mod db;
mod error;
#[cfg(feature = "engine")]
#[doc(hidden)]
pub mod executor;
#[cfg(feature = "engine")]
mod image;
#[doc(hidden)]
pub mod oci;
#[cfg(feature = "engine")]
mod runtime;
mod sandbox;
mod sys;

#[cfg(feature = "engine")]
pub mod blocking;

#[cfg(feature = "engine")]
pub use container::{
    Async, Bytes, Container, ContainerBuilder, ContainerSummary, Containers, CreateOptions, ExecOptions,
    HealthCheck, ListOptions, LogLine, LogOptions, LogStream, MountPoint, MountSpec, Network, Output,
    PortBinding, Process, RemoveOptions, RunOptions, SizeSpec, Status, StdioStream, StopOptions, UlimitSpec,
};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "engine")]
pub use image::{
    Auth, HistoryEntry, Image, ImageConfig, ImageSummary, Images, ImportOptions, LoadOptions, Platform,
    PullBuilder, PullEvent, PullOptions, PullPolicy,
};
#[cfg(feature = "engine")]
pub use runtime::{Info, Runtime, RuntimeBuilder};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Runs one command in a throw-away container of `image` and collects its output, with a runtime opened
/// for this call alone.
#[cfg(feature = "engine")]
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
