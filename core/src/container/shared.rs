//! What all handles of one container share, and how it stands.

use super::control::Client;
use super::handle::Status;
use super::names::Claim;
use super::record::Record;
use super::{auto, events};
use crate::executor::readable;
use crate::runtime::RuntimeInner;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{Event, ExitRecord, Request, Started, State};
use containers_protocol::wire;
use rusqlite::OptionalExtension;
use rustix::fd::OwnedFd;
use rustix::net::RecvFlags;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Standard streams of one client that attached before the start: the parent's ends.
pub(crate) type Attached = [Option<OwnedFd>; 3];

/// One container.
pub(crate) struct Shared {
    pub(crate) rt: Arc<RuntimeInner>,
    pub(crate) id: String,
    /// It lives without the process that made it.
    pub(crate) detached: bool,
    /// The folder of the launcher that an attached one belongs to.
    pub(crate) launcher: String,
    pub(super) record: Mutex<Arc<Record>>,
    /// Attached containers of this runtime.
    pub(super) own: Option<Mutex<Own>>,
    /// The connection that a detached one was started on: its end is reported there.
    pub(super) watch: Mutex<Option<Arc<OwnedFd>>>,
    /// Clients that attached before the start.
    pub(super) waiting: Mutex<Vec<Attached>>,
    pub(super) removed: AtomicBool,
    pub(super) starting: AtomicBool,
}

/// The parts of an attached container that only its owner has.
#[derive(Default)]
pub(super) struct Own {
    pub(super) claim: Option<Claim>,
    /// When it closes, the container dies.
    pub(super) owner: Option<Arc<OwnedFd>>,
    pub(super) started: Option<Started>,
    pub(super) exit: Option<ExitRecord>,
}

impl Shared {
    /// A handle's state for a record.
    pub(super) fn new(rt: &Arc<RuntimeInner>, record: Record, launcher: String, own: Option<Own>) -> Shared {
        Shared {
            rt: rt.clone(),
            id: record.id.clone(),
            detached: launcher.is_empty(),
            launcher,
            record: Mutex::new(Arc::new(record)),
            own: own.map(Mutex::new),
            watch: Mutex::default(),
            waiting: Mutex::default(),
            removed: AtomicBool::new(false),
            starting: AtomicBool::new(false),
        }
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        self.record.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    pub(super) fn own(&self) -> Option<MutexGuard<'_, Own>> {
        self.own.as_ref().map(|own| own.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Where its parent listens.
    pub(super) fn parent_dir(&self) -> PathBuf {
        if self.detached { self.rt.monitor_dir(&self.id) } else { self.rt.run_root.join(&self.launcher) }
    }

    /// Its folder on disk: writable layer, log.
    pub(super) fn dir(&self) -> PathBuf {
        self.rt.container_dir(&self.id)
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Where its last end is written down.
    pub(super) fn exit_file(&self) -> PathBuf {
        if self.detached {
            self.dir().join("exit.json")
        } else {
            self.parent_dir().join(format!("{}.exit", self.id))
        }
    }

    /// The record of an attached one.
    pub(super) fn record_file(&self) -> PathBuf {
        self.rt.run_root.join(&self.launcher).join(format!("{}.json", self.id))
    }

    /// A connection to its parent; `None`: it has none, so it does not run.
    pub(super) async fn client(&self) -> Result<Option<Client>> {
        Client::open(&self.parent_dir(), &self.id).await
    }

    /// A connection to the parent of a running container.
    pub(super) async fn running_client(&self) -> Result<Client> {
        let state = self.state().await?;
        match self.client().await? {
            Some(client) if is_running(&state) => Ok(client),
            _ => Err(not_running(&state.status)),
        }
    }

    /// An error of an operation on this container, which it names.
    pub(super) fn about(&self, e: Error, operation: &'static str) -> Error {
        let e = if events::is_gone(&e) { self.why_gone().unwrap_or(e) } else { e };
        let e = e.with_operation(operation);
        if e.context().iter().any(|(key, _)| *key == "container") {
            return e;
        }
        let record = self.record();
        let name = if record.name.is_empty() { &self.id[..12] } else { record.name.as_str() };
        e.with_context("container", name)
    }

    /// Why its parent did not answer, when it is because the container ended, or was removed, meanwhile.
    fn why_gone(&self) -> Option<Error> {
        // Who removes it does so before its record goes: if that is missing, this is seen then.
        let ended = self.exit_record();
        if let Err(e) = self.check_exists() {
            return Some(e);
        }
        ended.ok()?.map(|_| not_running("exited"))
    }

    /// The error of a container that is no more.
    pub(super) fn not_found(&self) -> Error {
        not_found(&self.id[..12])
    }

    fn check_exists(&self) -> Result<()> {
        self.rt.check_open()?;
        let there = match (self.removed.load(Ordering::Acquire), &self.own, self.detached) {
            (true, ..) => false,
            (false, Some(_), _) => true,
            (false, None, false) => self.record_file().exists(),
            (false, None, true) => self.rt.db.read(|c| {
                let mut query = c.prepare_cached("SELECT 1 FROM containers WHERE id = ?1")?;
                Ok(query.query_row([&self.id], |_| Ok(())).optional()?.is_some())
            })?,
        };
        if there { Ok(()) } else { Err(self.not_found()) }
    }

    /// How it stands. One that was to remove itself at its end is removed here at the latest.
    pub(super) async fn state(&self) -> Result<State> {
        self.check_exists()?;
        let state = self.find_state().await?;
        if state.status == "exited" && self.record().options.auto_remove {
            auto::remove(self, &state).await?;
            return Err(self.not_found());
        }
        Ok(state)
    }

    /// [`Shared::state`] without consequences.
    pub(super) async fn find_state(&self) -> Result<State> {
        if let Some((started, exit)) = self.known() {
            match (started, exit) {
                (None, None) => return Ok(created()),
                (started, Some(exit)) => return Ok(exited(started, exit)),
                (Some(_), None) => {}
            }
        }
        if let Some(client) = self.client().await? {
            match client.ask(&Request::State, &[]).await {
                Ok((Event::State(state), _)) => return Ok(state),
                Ok(_) => return Err(events::gone()),
                // It ended, and its parent went, between the connection and the answer.
                Err(e) if e.kind() == ErrorKind::NotRunning || events::is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        if let Some((started, Some(exit))) = self.known() {
            return Ok(exited(started, exit));
        }
        if let Some(exit) = self.exit_record()? {
            return Ok(exited(None, exit));
        }
        if self.detached && self.log_file().exists() {
            return Ok(exited(None, lost()));
        }
        Ok(created())
    }

    /// What the owner knows without asking: the start, and the end.
    fn known(&self) -> Option<(Option<Started>, Option<ExitRecord>)> {
        let mut own = self.own()?;
        if own.exit.is_none()
            && let Some(owner) = &own.owner
        {
            own.exit = peek_exit(owner).or_else(|| is_closed(owner).then(lost));
        }
        Some((own.started.clone(), own.exit.clone()))
    }

    fn exit_record(&self) -> Result<Option<ExitRecord>> {
        let path = self.exit_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| {
                Error::new(ErrorKind::Corrupt, "the container's exit record is damaged")
                    .with_context("path", path.display().to_string())
                    .with_source(e)
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => {
                Err(Error::io("can't read the exit record", e)
                    .with_context("path", path.display().to_string()))
            }
        }
    }

    /// The exit record if it has ended.
    pub(super) async fn ended(&self) -> Result<Option<ExitRecord>> {
        if let Some((_, Some(exit))) = self.known() {
            return Ok(Some(exit));
        }
        Ok(self.find_state().await?.exit.filter(|_| true))
    }

    /// Waits for its end. One that was to remove itself is gone afterwards.
    pub(super) async fn wait_end(&self) -> Result<ExitRecord> {
        let exit = self.find_end().await?;
        if self.detached && self.record().options.auto_remove && !self.removed.load(Ordering::Acquire) {
            auto::finish(self).await?;
        }
        Ok(exit)
    }

    async fn find_end(&self) -> Result<ExitRecord> {
        if let Some(exit) = self.watched_end().await? {
            return Ok(exit);
        }
        self.check_exists()?;
        loop {
            let state = self.find_state().await?;
            match (state.status.as_str(), state.exit) {
                ("exited", Some(exit)) => return Ok(exit),
                ("created", _) => {
                    // Or somebody has removed it just now.
                    self.check_exists()?;
                    return Err(not_running("created"));
                }
                _ => {}
            }
            let Some(client) = self.client().await? else { continue };
            match client.send(&Request::Wait, &[]).await.map(|()| client) {
                Ok(client) => {
                    if let Some(exit) = wait_on(&client.socket).await? {
                        return Ok(exit);
                    }
                }
                Err(e) if events::is_gone(&e) => {}
                Err(e) => return Err(e),
            }
            // The parent is gone: its record says how it ended, or that it was lost.
            if let Some(exit) = self.exit_record()? {
                return Ok(exit);
            }
        }
    }

    /// Waits on the connection of the start, where the end is reported; `None`: there is none.
    async fn watched_end(&self) -> Result<Option<ExitRecord>> {
        let owner = self.own().and_then(|own| own.owner.clone());
        let watch = self.watch.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let Some(socket) = owner.or(watch) else { return Ok(None) };
        if self.detached && !self.record().options.auto_remove && peek_exit(&socket).is_some() {
            // Somebody else may have started it again since; what is written down tells.
            return Ok(None);
        }
        loop {
            self.rt.check_open()?;
            if let Some(exit) = peek_exit(&socket) {
                return Ok(Some(exit));
            }
            if is_closed(&socket) {
                // A monitor leaves a record; an attached one died with the launcher, its parent.
                return Ok((!self.detached).then(lost));
            }
            readable(&*socket).await.map_err(|e| Error::io("can't wait for the container", e))?;
        }
    }

    /// docker's word for a state.
    pub(super) fn status_of(state: &State) -> Status {
        match state.status.as_str() {
            "created" => Status::Created,
            "running" => Status::Running,
            "paused" => Status::Paused,
            "restarting" => Status::Restarting,
            "exited" => Status::Exited,
            _ => Status::Dead,
        }
    }
}

/// Waits for the `exited` event; `None`: the parent has gone without one.
async fn wait_on(socket: &OwnedFd) -> Result<Option<ExitRecord>> {
    loop {
        match events::next(socket).await {
            Ok((Event::Exited(exit), _)) => return Ok(Some(exit)),
            Ok((Event::Failed(failure), _)) if failure.code == "not_running" => return Ok(None),
            Ok((Event::Failed(failure), _)) => return Err(super::failure::describe(failure)),
            Ok(_) => {}
            Err(e) if events::is_gone(&e) => return Ok(None),
            Err(e) => return Err(e),
        }
    }
}

/// What waits on a connection, left there.
pub(super) enum Waiting {
    /// The end of the process.
    Exit(ExitRecord),
    /// Something else.
    Other,
    /// Nothing yet, or nothing any more.
    Nothing,
}

/// Looks at the next event of a connection without taking it.
pub(super) fn peek(socket: &OwnedFd) -> Waiting {
    let mut buf = vec![0u8; 64 * 1024];
    let Ok((n, _)) = rustix::net::recv(socket, &mut buf, RecvFlags::PEEK | RecvFlags::DONTWAIT) else {
        return Waiting::Nothing;
    };
    let Some((head, payload)) = buf[..n].split_first() else { return Waiting::Nothing };
    match (*head, wire::from_json::<Event>(payload)) {
        (0, Ok(Event::Exited(exit))) => Waiting::Exit(exit),
        _ => Waiting::Other,
    }
}

/// The exit event waiting on a connection, left there so that everybody who waits sees it.
pub(super) fn peek_exit(socket: &OwnedFd) -> Option<ExitRecord> {
    match peek(socket) {
        Waiting::Exit(exit) => Some(exit),
        Waiting::Other | Waiting::Nothing => None,
    }
}

/// Whether the other side is gone.
pub(super) fn is_closed(socket: &OwnedFd) -> bool {
    let mut buf = [0u8; 1];
    match rustix::net::recv(socket, &mut buf, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((n, _)) => n == 0,
        Err(e) => !matches!(e, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
    }
}

/// Whether the other side is gone, whatever it has left to be read.
pub(crate) fn has_hung_up(socket: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

fn created() -> State {
    State { status: "created".into(), ..State::default() }
}

fn exited(started: Option<Started>, exit: ExitRecord) -> State {
    State { status: "exited".into(), started, restarts: exit.restarts, exit: Some(exit), ..State::default() }
}

/// The end of a container whose parent left no word: it was killed, or the machine went down.
pub(crate) fn lost() -> ExitRecord {
    ExitRecord { code: 137, signal: libc::SIGKILL, ..ExitRecord::default() }
}

/// Whether it has a process.
pub(super) fn is_running(state: &State) -> bool {
    matches!(state.status.as_str(), "running" | "paused")
}

pub(super) fn not_running(status: &str) -> Error {
    Error::new(ErrorKind::NotRunning, format!("the container does not run: it is {status}"))
}

/// `container_not_found`.
pub(super) fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::ContainerNotFound, format!("no such container: {name}"))
        .with_context("container", name)
}
