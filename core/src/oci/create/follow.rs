//! From the birth of a container's process to its gate.

use super::{Making, internal};
use crate::oci::folder::write_pid;
use crate::oci::hooks::Hook;
use crate::oci::identity::Identity;
use crate::oci::session::{News, Session};
use crate::oci::{foreground, handover};
use crate::{Error, ErrorKind, Result};
use rustix::fd::{AsFd, OwnedFd};

impl Making<'_> {
    /// Follows the process to its gate.
    pub(super) fn follow(
        &mut self,
        hooks: &[Option<containers_protocol::plan::Hook>],
    ) -> Result<Option<OwnedFd>> {
        let mut session = self.session.take().ok_or_else(internal)?;
        let followed = self.hear(&mut session, hooks);
        self.session = Some(session);
        followed
    }

    fn hear(
        &mut self,
        session: &mut Session,
        hooks: &[Option<containers_protocol::plan::Hook>],
    ) -> Result<Option<OwnedFd>> {
        let (mut master, mut executing) = (None, false);
        session.meet()?;
        let pid = self.meet(session)?;
        loop {
            let news = session.next(&mut executing)?;
            match news {
                News::Master(fd) => match &self.options.console_socket {
                    Some(path) => handover::send_master(path, &fd)?,
                    None => master = Some(foreground::relayed(fd)),
                },
                News::Hook(step) => {
                    self.record.save(&self.dir)?;
                    let hook = hooks.get(step as usize).and_then(Option::as_ref).ok_or_else(internal)?;
                    self.engine.step(|| format!("running {}", hook.name));
                    let done = run_planned(hook, &self.record.hook_state("creating", pid));
                    session.answer("hook", done)?;
                }
                News::Listener(listener) => {
                    let told =
                        handover::send_listener(&self.spec, &self.record, ("creating", pid), &listener);
                    session.answer("seccomp", told)?;
                }
                News::Ready => {
                    self.tell(session)?;
                    match self.opener.take() {
                        Some(opener) => session.open_gate(&opener)?,
                        None => break,
                    }
                }
                News::Closed if executing => break,
                News::Closed => {
                    let text = "the container's process was killed before it was ready";
                    return Err(Error::new(ErrorKind::Conflict, text));
                }
            }
        }
        // Not before: a further process could look into one that is still a part of this one.
        self.record.made = true;
        self.record.save(&self.dir)?;
        Ok(master)
    }

    /// Does at the gate what comes before the command, and says which process it is.
    fn tell(&self, session: &Session) -> Result<()> {
        self.record.cgroup.finish()?;
        self.engine.step(|| "the container waits for its start".to_owned());
        handover::send_process(self.options.pidfd_socket.as_deref(), &session.born)?;
        if let (Some(path), Some(init)) = (&self.options.pid_file, &self.record.init) {
            write_pid(path, init.pid)?;
        }
        Ok(())
    }

    /// Notes which process it is.
    fn meet(&mut self, session: &Session) -> Result<i32> {
        let Some((pid, process)) = &session.born else { return Err(internal()) };
        if self.record.init.is_none() {
            self.record.init = Some(Identity::of(*pid, process.as_fd(), &self.dir)?);
            self.engine.step_born(*pid);
            if self.record.cgroup.is_none() {
                // Nothing else tells of it, should this process be killed.
                self.record.save(&self.dir)?;
            }
        }
        Ok(*pid)
    }
}

/// Runs a hook of a plan in our namespaces.
fn run_planned(hook: &containers_protocol::plan::Hook, state: &[u8]) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let planned = Hook {
        name: hook.name.clone(),
        path: hook.path.as_path(),
        args: hook.args.iter().map(|a| std::ffi::OsStr::from_bytes(&a.0)).collect(),
        env: hook.env.iter().filter_map(|e| std::str::from_utf8(&e.0).ok()).collect(),
        timeout: hook.timeout_ms.map(std::time::Duration::from_millis),
    };
    planned.run(state)
}
