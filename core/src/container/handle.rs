//! Handles: [`Containers`] of a runtime, and one [`Container`].

use super::{
    CreateOptions, ExecOptions, ListOptions, LogOptions, LogStream, Output, Process, RemoveOptions,
    RunOptions,
};
use crate::runtime::RuntimeInner;
use crate::{Image, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// docker's words for how a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Not started yet.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its monitor is about to start it again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// It could not be cleaned up.
    Dead,
}

/// One row of [`Containers::list`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name; may be empty for attached ones.
    pub name: String,
    /// The image as it was named.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Entrypoint and command.
    pub command: Vec<String>,
    /// Unix time in nanoseconds.
    pub created: i64,
    /// Status word.
    pub status: Status,
    /// Exit code of the last end.
    pub exit_code: Option<i32>,
    /// Unix time in nanoseconds of the last start; 0: never.
    pub started_at: i64,
    /// Unix time in nanoseconds of the last end; 0: never.
    pub finished_at: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it lives without the process that made it.
    pub detached: bool,
}

/// The containers of a runtime.
#[derive(Clone)]
pub struct Containers {
    rt: Arc<RuntimeInner>,
}

impl Containers {
    pub(crate) fn of(rt: &Arc<RuntimeInner>) -> Containers {
        Containers { rt: rt.clone() }
    }

    /// Runs a command to its end in a throw-away container and collects its output.
    pub async fn run<C, S>(&self, image: impl Into<String>, command: C) -> Result<Output>
    where
        C: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut options = RunOptions::default();
        options.create.command = command.into_iter().map(Into::into).collect();
        self.run_with(image, options).await
    }

    /// [`Containers::run`] with options. An image is named by reference, id, or `host`. With `detach`, see
    /// [`Containers::create`].
    pub async fn run_with(&self, image: impl Into<String>, options: RunOptions) -> Result<Output> {
        let done = super::run::run(&self.rt, &image.into(), options).await;
        done.map_err(|e| e.with_operation("container.run"))
    }

    /// Creates a container; nothing runs yet. Attached (default): it dies with this handle or this process.
    pub async fn create(&self, image: impl Into<String>, options: CreateOptions) -> Result<Container> {
        let _ = (image.into(), options);
        todo!()
    }

    /// Finds a container by id, unique beginning of an id, or name. The handle never kills.
    pub fn get(&self, id_or_name: &str) -> Result<Container> {
        let _ = id_or_name;
        todo!()
    }

    /// Lists containers, newest first.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        let _ = (&self.rt, options);
        Ok(Vec::new())
    }
}

/// One container. The handle from `create` owns an attached container: dropping it kills and removes it.
pub struct Container {}

impl Container {
    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        todo!()
    }

    /// Its name; may be empty for attached ones.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// How it stands now.
    pub fn status(&self) -> Result<Status> {
        todo!()
    }

    /// Process id of its first process on the host; `None` when it does not run.
    pub fn pid(&self) -> Result<Option<i32>> {
        todo!()
    }

    /// Everything about it, as docker's inspect document.
    pub fn inspect(&self) -> Result<serde_json::Value> {
        todo!()
    }

    /// The image it was made from.
    pub fn image(&self) -> Result<Image> {
        todo!()
    }

    /// Starts it; returns when its command has been executed.
    pub async fn start(&self) -> Result<()> {
        todo!()
    }

    /// Sends the stop signal, waits (`timeout`, default the container's), then kills. Fine when it does not
    /// run.
    pub async fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        let _ = timeout;
        todo!()
    }

    /// Sends a signal to its first process. Text: `SIGTERM`, `TERM` or `15`; see [`crate::Error`] for the
    /// rest.
    pub async fn kill(&self, signal: &str) -> Result<()> {
        let _ = signal;
        todo!()
    }

    /// Stop, then start.
    pub async fn restart(&self, timeout: Option<Duration>) -> Result<()> {
        let _ = timeout;
        todo!()
    }

    /// Freezes it.
    pub async fn pause(&self) -> Result<()> {
        todo!()
    }

    /// Thaws it.
    pub async fn unpause(&self) -> Result<()> {
        todo!()
    }

    /// Waits for its end; the exit code. A timeout is `exec_timeout` and kills nothing.
    pub async fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        let _ = timeout;
        todo!()
    }

    /// A descriptor that polls readable when the container has ended.
    pub fn exit_fd(&self) -> Result<OwnedFd> {
        todo!()
    }

    /// Starts a further process in it.
    pub async fn exec(&self, options: ExecOptions) -> Result<Process> {
        let _ = options;
        todo!()
    }

    /// Runs a further process to its end; options' `timeout` kills it.
    pub async fn exec_run(&self, options: ExecOptions, check: bool) -> Result<Output> {
        let _ = (options, check);
        todo!()
    }

    /// Its streams from now on; before `start` too. Input only when it was created with `stdin`.
    pub async fn attach(&self) -> Result<Process> {
        todo!()
    }

    /// Its output so far, both streams in order of arrival.
    pub fn logs(&self, options: &LogOptions) -> Result<Vec<u8>> {
        let _ = options;
        todo!()
    }

    /// Its output, line by line.
    pub fn logs_stream(&self, options: LogOptions) -> Result<LogStream> {
        let _ = options;
        todo!()
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let _ = (rows, cols);
        todo!()
    }

    /// Gives it another name.
    pub fn rename(&self, name: &str) -> Result<()> {
        let _ = name;
        todo!()
    }

    /// Removes it and all that is its own.
    pub async fn remove(&self, options: RemoveOptions) -> Result<()> {
        let _ = options;
        todo!()
    }
}
