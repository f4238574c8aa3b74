//! Handles: [`Containers`] of a runtime, and one [`Container`].

use super::{ContainerBuilder, Shared, create, list};
use super::{
    CreateOptions, ExecOptions, ListOptions, LogOptions, LogStream, Output, Process, RemoveOptions,
    RunOptions, StopOptions,
};
use crate::executor::block_on;
use crate::runtime::RuntimeInner;
use crate::{Error, Image, Result};
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

impl Status {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
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
    /// docker's word for its health: `starting`, `healthy`, `unhealthy`; empty: it has no health check.
    pub health: String,
    /// Names of its networks: `none` or `host`.
    pub networks: Vec<String>,
    /// What is mounted in it, by target.
    pub mounts: Vec<MountPoint>,
}

/// Something that is mounted in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MountPoint {
    /// `bind`, `tmpfs` or `volume` (a folder that the image declares, kept in the container's writable layer).
    #[serde(rename = "type")]
    pub kind: String,
    /// Path on the host; empty unless it is a bind.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether it can't be written to.
    pub read_only: bool,
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

    /// Runs a command to its end in a throw-away container and collects its output: set options if there are
    /// any, then `.await` it. An image is named by reference, id, or `host`.
    pub fn run<C, S>(&self, image: impl Into<String>, command: C) -> ContainerBuilder<RunOptions>
    where
        C: IntoIterator<Item = S>,
        S: Into<String>,
    {
        ContainerBuilder::new(self.clone(), image.into(), RunOptions::default()).command(command)
    }

    /// [`Containers::run`] with all options at once.
    pub async fn run_with(&self, image: impl Into<String>, options: RunOptions) -> Result<Output> {
        let done = super::run::run(&self.rt, &image.into(), options).await;
        done.map_err(|e| e.with_operation("container.run"))
    }

    /// Creates a container: set options, then `.await` it, and nothing runs yet; or
    /// [`start`](ContainerBuilder::start) it. Attached (default): it dies with its handle or this process.
    pub fn create(&self, image: impl Into<String>) -> ContainerBuilder<CreateOptions> {
        ContainerBuilder::new(self.clone(), image.into(), CreateOptions::default())
    }

    /// [`Containers::create`] with all options at once.
    pub async fn create_with(&self, image: impl Into<String>, options: CreateOptions) -> Result<Container> {
        let attached = !options.detach;
        let made = create::create(&self.rt, &image.into(), options).await;
        made.map(|shared| Container { shared, owner: attached })
            .map_err(|e| e.with_operation("container.create"))
    }

    /// Creates and starts a container that lives on without this process (docker's `run -d`), whatever
    /// `options.detach` says. One that can't be started is removed again.
    pub async fn run_detached(
        &self,
        image: impl Into<String>,
        mut options: CreateOptions,
    ) -> Result<Container> {
        options.detach = true;
        self.start_with(image.into(), options).await.map_err(|e| e.with_operation("container.run"))
    }

    /// Creates and starts.
    pub(crate) async fn start_with(&self, image: String, options: CreateOptions) -> Result<Container> {
        let container = self.create_with(image, options).await?;
        if let Err(e) = container.start().await {
            let _ = container.remove(RemoveOptions { force: true, ..RemoveOptions::default() }).await;
            return Err(e);
        }
        Ok(container)
    }

    /// Finds a container by id, unique beginning of an id, or name. The handle never kills.
    pub fn get(&self, id_or_name: &str) -> Result<Container> {
        let found = list::get(&self.rt, id_or_name);
        found.map(|shared| Container { shared, owner: false }).map_err(|e| e.with_operation("container.get"))
    }

    /// Lists containers, newest first.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        list::list(&self.rt, options).map_err(|e| e.with_operation("container.list"))
    }
}

/// One container. The handle from `create` owns an attached container: dropping it kills and removes it.
pub struct Container {
    shared: Arc<Shared>,
    owner: bool,
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.owner && self.shared.rt.is_own_process() {
            self.shared.abandon();
        }
    }
}

impl Container {
    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// Its name; may be empty for attached ones.
    pub fn name(&self) -> String {
        self.shared.record().name.clone()
    }

    /// How it stands now.
    pub fn status(&self) -> Result<Status> {
        let state = block_on(self.shared.state());
        state.map(|s| Shared::status_of(&s)).map_err(|e| self.shared.about(e, "container.status"))
    }

    /// Process id of its first process on the host; `None` when it does not run.
    pub fn pid(&self) -> Result<Option<i32>> {
        let state = block_on(self.shared.state()).map_err(|e| self.shared.about(e, "container.pid"))?;
        Ok(state.started.filter(|_| matches!(state.status.as_str(), "running" | "paused")).map(|s| s.pid))
    }

    /// Everything about it, as docker's inspect document.
    pub fn inspect(&self) -> Result<serde_json::Value> {
        block_on(self.shared.inspect()).map_err(|e| self.shared.about(e, "container.inspect"))
    }

    /// The image it was made from.
    pub fn image(&self) -> Result<Image> {
        let found = self.shared.rt.check_open().and_then(|()| {
            crate::Images::new(self.shared.rt.store.clone()).get(&self.shared.record().image_id)
        });
        found.map_err(|e| self.shared.about(e, "container.image"))
    }

    /// Starts it; returns when its command has been executed. Fine when it runs already.
    pub async fn start(&self) -> Result<()> {
        self.shared.start().await.map_err(|e| self.shared.about(e, "container.start"))
    }

    /// Sends the stop signal, waits (`timeout`, default the container's), then kills. Fine when it does not
    /// run.
    pub async fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        self.stop_with(&StopOptions::after(timeout)).await
    }

    /// [`Container::stop`] with another signal, too.
    pub async fn stop_with(&self, options: &StopOptions) -> Result<()> {
        self.shared.stop(options).await.map_err(|e| self.shared.about(e, "container.stop"))
    }

    /// Sends a signal to its first process. Text: `SIGTERM`, `TERM` or `15`; see [`crate::Error`] for the
    /// rest.
    pub async fn kill(&self, signal: &str) -> Result<()> {
        self.shared.kill(signal).await.map_err(|e| self.shared.about(e, "container.kill"))
    }

    /// Stop, then start.
    pub async fn restart(&self, timeout: Option<Duration>) -> Result<()> {
        self.restart_with(&StopOptions::after(timeout)).await
    }

    /// [`Container::restart`] with another signal, too.
    pub async fn restart_with(&self, options: &StopOptions) -> Result<()> {
        let restart = async {
            self.shared.stop(options).await?;
            self.shared.start().await
        };
        restart.await.map_err(|e: Error| self.shared.about(e, "container.restart"))
    }

    /// Freezes it.
    pub async fn pause(&self) -> Result<()> {
        self.shared.freeze(true).await.map_err(|e| self.shared.about(e, "container.pause"))
    }

    /// Thaws it.
    pub async fn unpause(&self) -> Result<()> {
        self.shared.freeze(false).await.map_err(|e| self.shared.about(e, "container.unpause"))
    }

    /// Waits for its end; the exit code. A timeout is `exec_timeout` and kills nothing. `not_running` before
    /// the first start.
    pub async fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        self.shared.wait(timeout).await.map_err(|e| self.shared.about(e, "container.wait"))
    }

    /// A descriptor that polls readable when the container has ended for good, restarts by its policy
    /// included. It needs a started container.
    pub fn exit_fd(&self) -> Result<OwnedFd> {
        block_on(self.shared.exit_fd()).map_err(|e| self.shared.about(e, "container.exit_fd"))
    }

    /// Starts a further process in it.
    pub async fn exec(&self, options: ExecOptions) -> Result<Process> {
        self.shared.exec(options).await.map_err(|e| self.shared.about(e, "container.exec"))
    }

    /// Runs a further process to its end; options' `timeout` kills it.
    pub async fn exec_run(&self, options: ExecOptions, check: bool) -> Result<Output> {
        self.shared.exec_run(options, check).await.map_err(|e| self.shared.about(e, "container.exec"))
    }

    /// Its streams from now on; before `start` too. Input only when it was created with `stdin`.
    pub async fn attach(&self) -> Result<Process> {
        self.shared.attach().await.map_err(|e| self.shared.about(e, "container.attach"))
    }

    /// Its output so far, both streams in order of arrival.
    pub fn logs(&self, options: &LogOptions) -> Result<Vec<u8>> {
        self.shared.logs(options).map_err(|e| self.shared.about(e, "container.logs"))
    }

    /// Its output, line by line.
    pub fn logs_stream(&self, options: LogOptions) -> Result<LogStream> {
        self.shared.logs_stream(options).map_err(|e| self.shared.about(e, "container.logs"))
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        self.shared.resize(rows, cols).await.map_err(|e| self.shared.about(e, "container.resize"))
    }

    /// Gives it another name.
    pub fn rename(&self, name: &str) -> Result<()> {
        block_on(self.shared.rename(name)).map_err(|e| self.shared.about(e, "container.rename"))
    }

    /// Removes it and all that is its own. `in_use` while it runs, unless forced.
    pub async fn remove(&self, options: RemoveOptions) -> Result<()> {
        self.shared.remove(options).await.map_err(|e| self.shared.about(e, "container.remove"))
    }
}
