//! Restart policies of detached containers.

use super::Parent;
use super::connections::not_running;
use super::container::unix_nanos;
use super::timers::Timer;
use containers_protocol::control::{ExitRecord, Failure};
use containers_protocol::plan::Restart;
use std::time::Duration;

/// Pause before the first restart; it doubles each time.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// After a run this long, pauses begin from the first again.
const GOOD_RUN: i64 = 10_000_000_000;

/// What a monitor knows of its container beyond one run.
#[derive(Default)]
pub struct Policy {
    /// Restarts so far.
    pub restarts: u32,
    /// Failures in a row, for the pause.
    pub row: u32,
    /// The end of the last run.
    pub last: Option<ExitRecord>,
    /// It has been asked not to restart.
    pub over: bool,
    /// Failed health checks in a row.
    pub failed_checks: u32,
    /// It was found healthy in this run.
    pub healthy: bool,
    /// The check that is under way.
    pub check: Option<u64>,
    /// It has a health check.
    pub has_check: bool,
    /// Unhealthy from so many failures on.
    pub retries: u32,
}

impl Policy {
    /// docker's word for the container's health.
    pub fn health_word(&self) -> &'static str {
        match () {
            () if !self.has_check => "",
            () if self.failed_checks >= self.retries.max(1) => "unhealthy",
            () if self.healthy => "healthy",
            () => "starting",
        }
    }

    /// Whether a container that ended like that is started again.
    fn wants_restart(&self, restart: Restart, record: &ExitRecord) -> bool {
        if self.over {
            return false;
        }
        match restart {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure(most) => record.code != 0 && most.is_none_or(|most| self.restarts < most),
        }
    }

    /// The pause before the next restart.
    fn pause(&self) -> Duration {
        FIRST.saturating_mul(1 << self.row.min(16)).min(LONGEST)
    }
}

impl Parent {
    /// Whether a container that has ended is started again; if so, when is settled.
    pub(super) fn will_restart(&mut self, id: u64, record: &ExitRecord) -> bool {
        if !self.is_monitor() {
            return false;
        }
        let Some(container) = self.containers.get_mut(&id) else { return false };
        let policy = &mut container.policy;
        if record.finished_at - record.started_at >= GOOD_RUN {
            policy.row = 0;
        }
        if !policy.wants_restart(container.plan.keep.restart, record) {
            return false;
        }
        let pause = policy.pause();
        policy.row += 1;
        policy.last = Some(record.clone());
        // The mount went with its namespace.
        container.root = None;
        container.overlays.clear();
        container.hold = None;
        container.started = None;
        container.paused = false;
        self.end_health(id);
        self.timers.after(pause, Timer::Restart(id));
        true
    }

    /// Starts a container again.
    pub(super) fn restart(&mut self, id: u64) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.policy.restarts += 1;
        // Nobody waits for this start.
        container.owner = None;
        let fds = std::mem::take(&mut container.fds);
        let started = self.start(id, &fds);
        if let Some(container) = self.containers.get_mut(&id) {
            container.fds = fds;
        }
        if let Err(failed) = started {
            self.start_failed(id, failed);
        }
    }

    /// A start has failed. `true`: it was a restart, which is an end like others.
    pub(super) fn restart_failed(&mut self, id: u64, failed: &Failure) -> bool {
        let Some(container) = self.containers.get_mut(&id) else { return false };
        if container.policy.last.is_none() {
            return false;
        }
        container.ends = None;
        let now = unix_nanos();
        let record = ExitRecord {
            code: if failed.code == "command_not_found" { 127 } else { 128 },
            started_at: now,
            finished_at: now,
            restarts: container.policy.restarts,
            failure: Some(failed.clone()),
            ..ExitRecord::default()
        };
        if !self.will_restart(id, &record) {
            self.finish_container(id, record);
        }
        true
    }

    /// [`containers_protocol::control::Request::NoRestart`].
    pub(super) fn no_restart(&mut self, connection: u64) -> Result<(), Failure> {
        let id = self.connected(connection).ok_or_else(not_running)?;
        let container = self.containers.get_mut(&id).ok_or_else(not_running)?;
        container.policy.over = true;
        // Between two runs, the last one was the last.
        if container.process.is_none()
            && container.started.is_none()
            && let Some(record) = container.policy.last.take()
        {
            self.timers.cancel(Timer::Restart(id));
            self.finish_container(id, record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let failed = ExitRecord { code: 1, ..ExitRecord::default() };
        let good = ExitRecord::default();
        let mut policy = Policy::default();
        assert!(!policy.wants_restart(Restart::No, &failed));
        assert!(policy.wants_restart(Restart::Always, &good));
        assert!(policy.wants_restart(Restart::OnFailure(None), &failed));
        assert!(!policy.wants_restart(Restart::OnFailure(None), &good));
        policy.restarts = 3;
        assert!(!policy.wants_restart(Restart::OnFailure(Some(3)), &failed));
        policy.over = true;
        assert!(!policy.wants_restart(Restart::UnlessStopped, &failed));
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let pause = |row| Policy { row, ..Policy::default() }.pause();
        assert_eq!(pause(0), FIRST);
        assert_eq!(pause(3), FIRST * 8);
        assert_eq!(pause(60), LONGEST);
    }
}
