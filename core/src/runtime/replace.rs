//! Another launcher in the place of one that was killed from outside.
//!
//! It has the same name and folder, so that nothing else has to know: what was prepared for the old one fits the new
//! one, and what was left is swept up at the close. The attached containers died with the old one.

use super::launcher::{Launcher, Place, begin};
use super::{closed, paths};
use crate::container::has_hung_up;
use crate::executor::{readable, sleep, timeout_at};
use crate::{Error, ErrorKind, Result};
use containers_protocol::launch::Request;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the end of a process that has let go of its socket is waited for, and then that of its scope.
const END: Duration = Duration::from_secs(5);

/// Lets the next one try.
struct Replacing<'a>(&'a AtomicBool);

impl Drop for Replacing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Launcher {
    /// Starts another one, unless somebody else was faster.
    pub(super) async fn replace(&self) -> Result<()> {
        while self.replacing.swap(true, Ordering::AcqRel) {
            sleep(Duration::from_millis(5)).await;
        }
        let _done = Replacing(&self.replacing);
        if !has_hung_up(&self.own_socket()?) {
            return Ok(());
        }
        self.await_end().await?;
        let place = Place::again(&self.name, &self.dir)?;
        let pool = self.set_pool_aside()?;
        let prefix = format!("{}-", self.name);
        self.cgroups.clear(|cgroup| cgroup.starts_with(&prefix));
        let mut cgroups = self.cgroups.clone();
        self.await_scope().await;
        cgroups.renew(&self.name);
        let (process, socket) = begin(&self.root, &place, self.id_maps.clone(), &mut cgroups).await?;
        if cgroups.base != self.cgroups.base {
            let text = "the launcher of this runtime was killed, and another one can't have its cgroup; open the \
                        runtime again";
            return Err(Error::new(ErrorKind::Io, text));
        }
        {
            let mut ours = self.socket.write().unwrap_or_else(PoisonError::into_inner);
            if ours.is_none() {
                // It was closed meanwhile. The new one ends with its socket.
                return Err(closed());
            }
            *ours = Some(socket);
            *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        }
        if let Some(pool) = pool {
            Box::pin(self.request(&Request::Delete(vec![pool.into()]), &[])).await?;
        }
        Ok(())
    }

    /// Waits until its process is gone, and with it the lock of its folder.
    async fn await_end(&self) -> Result<()> {
        let process = {
            let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            process.as_ref().ok_or_else(closed)?.try_clone()
        };
        let process = process.map_err(|e| Error::io("can't duplicate a descriptor", e))?;
        match timeout_at(Some(Instant::now() + END), readable(&process)).await {
            Ok(done) => done.map_err(|e| Error::io("can't wait for the launcher", e)),
            Err(_) => Err(Error::new(ErrorKind::Io, "the launcher of this runtime does not answer")),
        }
    }

    /// systemd removes a scope without processes; one of the same name can't be had before.
    async fn await_scope(&self) {
        let deadline = Instant::now() + END;
        while self.cgroups.scope_of(&self.name).is_some_and(|scope| scope.exists())
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The writable layers that the old one had ready. They may belong to ids that only a launcher can act for, but
    /// can be renamed; the name says whose they were.
    fn set_pool_aside(&self) -> Result<Option<PathBuf>> {
        let containers = self.root.join("containers");
        let pool = containers.join(format!("pool-{}", self.name));
        let aside = containers.join(format!("run-{}-{}", self.name, crate::sys::random_hex::<6>()?));
        match std::fs::rename(&pool, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(paths::at("can't rename", &pool, e)),
        }
    }
}
