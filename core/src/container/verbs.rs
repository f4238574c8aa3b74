//! Stop, kill, pause, wait and the like.

use super::create::no_restart;
use super::record::Record;
use super::shared::{Shared, is_running, not_running};
use super::spec::parse;
use super::{StopOptions, events, names, spec};
use crate::db::{WriteError, is_taken};
use crate::executor::timeout_at;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::Request;
use rustix::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Shared {
    pub(super) async fn stop(&self, options: &StopOptions) -> Result<()> {
        let signal =
            options.stop_signal.as_deref().map(|text| parse::signal(text, "stop_signal")).transpose()?;
        let timeout = options.timeout.map(|t| parse::seconds(t, "timeout")).transpose()?;
        let state = self.state().await?;
        if state.status == "restarting" {
            return self.kill_and_wait().await;
        }
        if !is_running(&state) {
            return Ok(());
        }
        let record = self.record();
        let spec = record.spec_for_stop()?;
        let timeout = timeout.unwrap_or(spec.1);
        let Some(client) = self.client().await? else { return Ok(()) };
        no_restart(&client, self).await?;
        if state.status == "paused" {
            // Frozen processes see no signal.
            client.ask(&Request::Unpause, &[]).await?;
        }
        match client.ask(&Request::Kill { signal: signal.unwrap_or(spec.0) }, &[]).await {
            Err(e) if e.kind() != ErrorKind::NotRunning && !events::is_gone(&e) => return Err(e),
            _ => {}
        }
        let deadline = Instant::now() + timeout;
        match timeout_at(Some(deadline), self.wait_end()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => self.kill_and_wait().await,
        }
    }

    pub(super) async fn kill(&self, text: &str) -> Result<()> {
        let signal = parse::signal(text, "signal")?;
        let client = self.running_client().await?;
        let stop = self.record().spec_for_stop()?.0;
        if signal == libc::SIGKILL || signal == stop {
            no_restart(&client, self).await?;
        }
        client.ask(&Request::Kill { signal }, &[]).await.map(drop)
    }

    pub(super) async fn freeze(&self, freeze: bool) -> Result<()> {
        let state = self.state().await?;
        match (state.status.as_str(), freeze) {
            ("running", true) | ("paused", false) => {}
            ("paused", true) => {
                return Err(Error::new(ErrorKind::Conflict, "the container is paused already"));
            }
            ("running", false) => return Err(Error::new(ErrorKind::Conflict, "the container is not paused")),
            (other, _) => return Err(not_running(other)),
        }
        let client = self.running_client().await?;
        let request = if freeze { Request::Pause } else { Request::Unpause };
        client.ask(&request, &[]).await.map(drop)
    }

    /// Waits; a timeout kills nothing. One that removes itself is removed before this returns.
    pub(super) async fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        let deadline = timeout.map(|t| Instant::now() + t);
        let late = |_| {
            let text =
                format!("the container did not end within {} s", timeout.unwrap_or_default().as_secs_f64());
            Error::new(ErrorKind::ExecTimeout, text)
        };
        let exit = timeout_at(deadline, self.wait_end()).await.map_err(late)??;
        if self.record().options.auto_remove {
            match self.state().await {
                Err(e) if e.kind() != ErrorKind::ContainerNotFound => return Err(e),
                _ => {}
            }
        }
        Ok(exit.code)
    }

    /// A descriptor that becomes readable at the end, and stays so.
    pub(super) async fn exit_fd(&self) -> Result<OwnedFd> {
        let state = self.state().await?;
        if state.status == "created" {
            return Err(not_running("created"));
        }
        if let Some(client) = self.client().await? {
            client.send(&Request::Wait, &[]).await?;
            return Ok(client.socket);
        }
        // It has ended: the end of a pipe that nobody writes is readable.
        super::io::pipe().map(|(read, _)| read)
    }

    pub(super) async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let client = self.running_client().await?;
        if self.record().options.tty {
            return client.ask(&Request::Resize { rows, cols }, &[]).await.map(drop);
        }
        Err(Error::new(ErrorKind::InvalidArgument, "the container has no terminal (tty)")
            .with_context("field", "tty"))
    }

    pub(super) async fn rename(&self, name: &str) -> Result<()> {
        spec::check_name(Some(name))?;
        self.state().await?;
        let mut record = Record::clone(&self.record());
        if record.name == name {
            return Ok(());
        }
        let claim = names::claim(&self.rt, name, &self.id)?;
        record.name = name.to_owned();
        if self.detached {
            let json = record.to_json()?;
            self.rt.db.write(|tx| {
                let update = "UPDATE containers SET name = ?2, config = ?3 WHERE id = ?1";
                match tx.prepare_cached(update)?.execute((&self.id, name, &json)) {
                    Err(e) if is_taken(&e) => Err(WriteError::Own(
                        Error::new(ErrorKind::AlreadyExists, "the name is taken by another container")
                            .with_context("name", name),
                    )),
                    Err(e) => Err(e.into()),
                    Ok(_) => Ok(()),
                }
            })?;
        } else if let Some(mut own) = self.own() {
            record.write(&self.record_file())?;
            own.claim = claim;
        } else {
            let text = "the container is attached to another process, which alone can rename it";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        *self.record.lock().unwrap_or_else(|e| e.into_inner()) = Arc::new(record);
        Ok(())
    }
}
