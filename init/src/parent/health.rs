//! Health checks of detached containers: a command in the container, now and then.

use super::Parent;
use super::timers::Timer;
use containers_protocol::control::Exec;
use containers_protocol::plan::Health;
use std::time::Duration;

/// The shortest time between checks.
const SHORTEST: u64 = 10;

impl Parent {
    /// Begins to check a container that has just started.
    pub(super) fn begin_health(&mut self, id: u64) {
        if !self.is_monitor() {
            return;
        }
        let Some(container) = self.containers.get_mut(&id) else { return };
        let Some(health) = &container.plan.keep.health else { return };
        let policy = &mut container.policy;
        policy.has_check = true;
        policy.retries = health.retries;
        (policy.failed_checks, policy.healthy) = (0, false);
        self.timers.after(interval(health), Timer::Health(id));
    }

    /// No checks between two runs.
    pub(super) fn end_health(&mut self, id: u64) {
        self.timers.cancel(Timer::Health(id));
    }

    /// Runs one check.
    pub(super) fn check_health(&mut self, id: u64) {
        let Some(container) = self.containers.get(&id) else { return };
        let Some(health) = container.plan.keep.health.clone() else { return };
        if container.process.is_none() {
            return;
        }
        // A frozen container is neither well nor ill.
        if container.paused {
            return self.timers.after(interval(&health), Timer::Health(id));
        }
        let exec = Exec {
            args: health.args.iter().map(containers_protocol::Bytes::to_text).collect(),
            kill_on_close: false,
            ..Exec::default()
        };
        match self.further(id, None, &exec, [-1; 3]) {
            Ok(check) => {
                self.timers.after(Duration::from_millis(health.timeout_ms.max(1)), Timer::ExecTimeout(check));
                if let Some(container) = self.containers.get_mut(&id) {
                    container.policy.check = Some(check);
                }
            }
            Err(_) => self.checked(id, 0, false),
        }
    }

    /// A check has come to its end.
    pub(super) fn checked(&mut self, id: u64, check: u64, passed: bool) {
        self.timers.cancel(Timer::ExecTimeout(check));
        let Some(container) = self.containers.get_mut(&id) else { return };
        let Some(health) = &container.plan.keep.health else { return };
        let delay = interval(health);
        let since = container.started.as_ref().map_or(0, |s| super::container::unix_nanos() - s.at);
        let starting = !container.policy.healthy && since < health.start_period_ms as i64 * 1_000_000;
        let policy = &mut container.policy;
        policy.check = None;
        if passed {
            (policy.failed_checks, policy.healthy) = (0, true);
        } else if !starting {
            policy.failed_checks = policy.failed_checks.saturating_add(1);
        }
        self.timers.cancel(Timer::Health(id));
        self.timers.after(delay, Timer::Health(id));
    }
}

fn interval(health: &Health) -> Duration {
    Duration::from_millis(health.interval_ms.max(SHORTEST))
}
