//! Creating and starting.

use super::base;
use super::record::Record;
use super::shared::{Own, Shared, is_running};
use super::spec::Spec;
use super::{CreateOptions, events, names, users};
use crate::cgroup::Use;
use crate::db::{WriteError, is_taken};
use crate::runtime::launcher::listen;
use crate::runtime::{RuntimeInner, paths};
use crate::sandbox;
use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::control::Request;
use containers_protocol::launch;
use containers_protocol::plan::{Keep, Plan, Restart, Stdio};
use containers_protocol::wire;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the monitor of a run that has ended may take to leave.
const FAREWELL: Duration = Duration::from_secs(20);

/// [`crate::Containers::create`].
pub(super) async fn create(
    rt: &Arc<RuntimeInner>,
    image: &str,
    mut options: CreateOptions,
) -> Result<Arc<Shared>> {
    rt.check_open()?;
    let (base, hold) = base::resolve(rt, image, &options).await?;
    let spec = Spec::new(&options, &base.config)?;
    // What can't be had is said now rather than at the start.
    rt.cgroups.plan(&spec.limits, Use { managed: true, may_mknod: spec.may_mknod() })?;
    users::check(&spec, &base.rootfs)?;
    let id = crate::sys::random_hex::<32>()?;
    let name = match options.name.take() {
        Some(name) => name,
        None if options.detach => names::made_up()?,
        None => String::new(),
    };
    let detach = options.detach;
    let claim = names::claim(rt, &name, &id)?;
    let record = Record::new(id, name, &base, options);
    let shared = if detach { detached(rt, record)? } else { attached(rt, record, claim)? };
    drop(hold);
    let shared = Arc::new(shared);
    if !detach {
        let mut attached = rt.attached.lock().unwrap_or_else(|e| e.into_inner());
        attached.insert(shared.id.clone(), Arc::downgrade(&shared));
    }
    Ok(shared)
}

fn detached(rt: &Arc<RuntimeInner>, record: Record) -> Result<Shared> {
    let json = record.to_json()?;
    rt.db.write(|tx| {
        let insert =
            "INSERT INTO containers(id, name, image, image_id, config, created) VALUES (?1,?2,?3,?4,?5,?6)";
        let row = (&record.id, &record.name, &record.image, &record.image_id, &json, record.created);
        match tx.prepare_cached(insert)?.execute(row) {
            Err(e) if is_taken(&e) => Err(WriteError::Own(
                Error::new(ErrorKind::AlreadyExists, "the name is taken by another container")
                    .with_context("name", record.name.clone()),
            )),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(()),
        }
    })?;
    Ok(Shared::new(rt, record, String::new(), None))
}

fn attached(rt: &Arc<RuntimeInner>, record: Record, claim: Option<names::Claim>) -> Result<Shared> {
    let own = Own { claim, ..Own::default() };
    let shared = Shared::new(rt, record, rt.launcher.name.clone(), Some(own));
    shared.record().write(&shared.record_file())?;
    Ok(shared)
}

impl Shared {
    /// [`crate::Container::start`]. Fine when it runs already.
    pub(super) async fn start(self: &Arc<Self>) -> Result<()> {
        loop {
            let state = self.state().await?;
            if is_running(&state) || state.status == "restarting" {
                return Ok(());
            }
            if !self.starting.swap(true, Ordering::AcqRel) {
                break;
            }
            // Another thread is at it.
            crate::executor::sleep(Duration::from_millis(5)).await;
        }
        let _done = Starting(self);
        if self.detached {
            return self.start_detached().await;
        }
        if self.own.is_none() {
            let text = "the container is attached to another process, which alone can start it";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        self.start_attached().await
    }

    async fn start_attached(&self) -> Result<()> {
        let (plan, waiting) = self.prepare().await?;
        let fds: Vec<BorrowedFd<'_>> = waiting.iter().flatten().flatten().map(|fd| fd.as_fd()).collect();
        let request = launch::Request::Start(Box::new(plan));
        let owner = self.rt.launcher.request(&request, &fds).await?;
        let (started, _) = events::started(&owner).await?;
        if let Some(mut own) = self.own() {
            // The connection of the last run, if any, closes after the new one is up.
            own.owner = Some(Arc::new(owner));
            (own.started, own.exit) = (Some(started), None);
        }
        Ok(())
    }

    async fn start_detached(&self) -> Result<()> {
        let dir = self.parent_dir();
        let Some(lock) = self.monitor_lock(&dir).await? else {
            // Somebody else has just started it.
            return Ok(());
        };
        // A monitor that was killed has left it.
        self.rt.cgroups.clear_one(&self.id);
        let (plan, waiting) = self.prepare().await?;
        let _ = std::fs::remove_file(self.exit_file());
        let _ = std::fs::remove_file(dir.join("ctl"));
        let listener = listen(&dir)?;
        let mut fds = vec![listener.as_fd(), lock.as_fd()];
        fds.extend(waiting.iter().flatten().flatten().map(|fd| fd.as_fd()));
        let apart = self.rt.cgroups.has_manager();
        let request = launch::Request::StartDetached(Box::new(plan), apart);
        let answers = self.rt.launcher.request(&request, &fds).await?;
        if apart {
            let apart = self.rt.cgroups.apart(events::born(&answers).await?, &self.id);
            wire::send_postcard(&answers, &apart, &[]).map_err(|_| events::gone())?;
        }
        events::started(&answers).await?;
        *self.watch.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(answers));
        Ok(())
    }

    /// The lock of the monitor's folder, once the monitor of the last run has let go of it. `None`: it runs.
    async fn monitor_lock(&self, dir: &Path) -> Result<Option<OwnedFd>> {
        let deadline = Instant::now() + FAREWELL;
        loop {
            let lock = {
                // Nobody may take the folder for a dead monitor's before its lock is had.
                let _creating = paths::creation_lock(&self.rt.run_root)?;
                paths::private_dir(dir)?;
                paths::lock_file(&dir.join("lock"), false)?
            };
            if lock.is_some() {
                return Ok(lock);
            }
            let state = self.find_state().await?;
            if is_running(&state) || state.status == "restarting" {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                let text = "the last run of the container is not cleaned up yet; try again";
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            crate::executor::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The plan, and the descriptors that go with it.
    async fn prepare(&self) -> Result<(Plan, Vec<[Option<OwnedFd>; 3]>)> {
        let record = self.record();
        let spec = record.spec()?;
        let rootfs = base::rootfs(&self.rt, &record.image_id)?;
        let dir = self.dir();
        paths::private_dir(&dir)?;
        super::make_writable(&spec, &rootfs, &dir)?;
        let how = Use { managed: true, may_mknod: spec.may_mknod() };
        let (cgroup, _) = self.rt.cgroups.plan(&spec.limits, how)?;
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(|e| e.into_inner()));
        let mut next = 0u32;
        let mut index = |fd: &Option<OwnedFd>| {
            fd.as_ref().map(|_| {
                next += 1;
                next - 1
            })
        };
        let attached = waiting.iter().map(|[i, o, e]| [index(i), index(o), index(e)]).collect();
        let stdio = Stdio::Parent { stdin: spec.stdin, stdin_once: spec.stdin && !spec.restarts(), attached };
        let request = sandbox::Request {
            id: &self.id,
            spec: &spec,
            rootfs: &rootfs,
            dir: &dir,
            throw_away: false,
            cgroup,
            id_maps: spec.own_userns.then(sandbox::idmap::auto),
            stdio,
            keep: self.keep(&spec),
            rootless: self.rt.rootless,
            cgroup2: self.rt.cgroups.version == "v2",
        };
        Ok((sandbox::build(&self.rt.cache, request)?, waiting))
    }

    fn keep(&self, spec: &Spec) -> Keep {
        let auto_remove = self.record().options.auto_remove;
        // An attached container's folder goes when its owner does.
        let delete: Vec<Bytes> = match (self.detached, auto_remove) {
            (false, _) => vec![self.dir().into()],
            // The exit record stays until somebody has seen it.
            (true, true) => ["upper", "work", "log"].map(|name| self.dir().join(name).into()).to_vec(),
            (true, false) => Vec::new(),
        };
        Keep {
            log: Some(self.log_file().into()),
            log_max: 0,
            exit_record: Some(self.exit_file().into()),
            delete,
            restart: spec.restart,
            health: spec.health.clone(),
        }
    }
}

impl Spec {
    /// A monitor may start it again.
    fn restarts(&self) -> bool {
        self.restart != Restart::No
    }
}

/// Ends the mark that a start is going on.
struct Starting<'a>(&'a Shared);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.starting.store(false, Ordering::Release);
    }
}

/// Asks a monitor not to restart a container that is being stopped; a launcher never does.
pub(super) async fn no_restart(client: &super::control::Client, shared: &Shared) -> Result<()> {
    if !shared.detached {
        return Ok(());
    }
    match client.ask(&Request::NoRestart, &[]).await {
        // Who has gone restarts nothing.
        Err(e) if !super::events::is_gone(&e) => Err(e),
        _ => Ok(()),
    }
}
