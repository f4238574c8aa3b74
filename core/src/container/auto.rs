//! Removal: asked for, and by themselves.

use super::RemoveOptions;
use super::create::no_restart;
use super::shared::{Shared, has_hung_up, is_running};
use crate::executor::timeout_at;
use crate::runtime::RuntimeInner;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{Request, State};
use containers_protocol::launch;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a killed container may take to end.
const DEATH: Duration = Duration::from_secs(20);

impl Shared {
    /// [`crate::Container::remove`].
    pub(super) async fn remove(&self, options: RemoveOptions) -> Result<()> {
        let state = self.state().await?;
        if is_running(&state) || state.status == "restarting" {
            if !options.force {
                let text = "the container runs; stop it first, or remove it with force";
                return Err(Error::new(ErrorKind::InUse, text));
            }
            self.kill_and_wait().await?;
        }
        finish(self).await
    }

    /// Kills it and waits for its end.
    pub(super) async fn kill_and_wait(&self) -> Result<()> {
        if let Some(client) = self.client().await? {
            no_restart(&client, self).await?;
            match client.ask(&Request::Kill { signal: libc::SIGKILL }, &[]).await {
                Err(e) if e.kind() != ErrorKind::NotRunning && !super::events::is_gone(&e) => return Err(e),
                _ => {}
            }
        }
        let late = |_| {
            let text =
                "the container does not end although it was killed: a process of it hangs in the kernel";
            Error::new(ErrorKind::Io, text)
        };
        timeout_at(Some(Instant::now() + DEATH), self.wait_end()).await.map_err(late)?.map(drop)
    }

    /// Forgets an attached container of this process: its owner is gone.
    pub(super) fn abandon(&self) {
        if self.removed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.rt.attached.lock().unwrap_or_else(|e| e.into_inner()).remove(&self.id);
        let Some(mut own) = self.own() else { return };
        // The launcher kills it and deletes its folder, unless it was killed itself. Rootless, some files may belong
        // to ids that only a launcher can act for: those go with the next open.
        let orphaned = own.owner.take().is_some_and(|owner| has_hung_up(&owner));
        own.claim = None;
        drop(own);
        if orphaned {
            let _ = std::fs::remove_dir_all(self.dir());
        }
        let _ = std::fs::remove_file(self.record_file());
        let _ = std::fs::remove_file(self.exit_file());
    }
}

/// Removes a container that has ended and was to remove itself.
pub(super) async fn remove(shared: &Shared, _state: &State) -> Result<()> {
    if shared.detached || shared.own.is_some() {
        return finish(shared).await;
    }
    Ok(())
}

/// Removes one that does not run.
pub(super) async fn finish(shared: &Shared) -> Result<()> {
    if !shared.detached {
        if shared.own.is_none() {
            let text = "the container is attached to another process, which alone can remove it";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        shared.abandon();
        return Ok(());
    }
    forget(&shared.rt, &shared.id)?;
    // A monitor that was killed has left it.
    shared.rt.cgroups.clear_one(&shared.id);
    shared.removed.store(true, Ordering::Release);
    delete(&shared.rt, vec![shared.dir()]).await?;
    let _ = std::fs::remove_dir_all(shared.parent_dir());
    Ok(())
}

/// Removes a detached container's row.
pub(super) fn forget(rt: &RuntimeInner, id: &str) -> Result<()> {
    rt.db.write(|tx| Ok(tx.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id])?)).map(drop)
}

/// Deletes folders whose files may belong to mapped ids.
pub(super) async fn delete(rt: &RuntimeInner, folders: Vec<PathBuf>) -> Result<()> {
    let folders: Vec<_> = folders.into_iter().filter(|f| f.exists()).map(Into::into).collect();
    if folders.is_empty() {
        return Ok(());
    }
    let answers = rt.launcher.request(&launch::Request::Delete(folders), &[]).await?;
    match super::events::next(&answers).await? {
        (containers_protocol::control::Event::Failed(failure), _) => Err(super::failure::describe(failure)),
        _ => Ok(()),
    }
}
