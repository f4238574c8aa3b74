//! What is to happen later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The start of a container takes too long.
    StartDeadline(u64),
    /// The start of a further process takes too long.
    ExecDeadline(u64),
    /// A further process has had its time (health checks).
    ExecTimeout(u64),
    /// A monitor starts its container again.
    Restart(u64),
    /// A monitor checks its container's health.
    Health(u64),
    /// A monitor that has nothing left to do waits no longer for slow clients.
    Farewell,
    /// Clean-up that did not succeed is tried again.
    Cleanup,
    /// What a janitor that died has left is found.
    TakeOver,
}

/// Timers by time.
#[derive(Default)]
pub struct Timers {
    queue: BTreeMap<(Instant, u64), Timer>,
    next: u64,
}

impl Timers {
    /// Adds one.
    pub fn after(&mut self, delay: Duration, timer: Timer) {
        self.next += 1;
        self.queue.insert((Instant::now() + delay, self.next), timer);
    }

    /// Takes all of a kind away.
    pub fn cancel(&mut self, timer: Timer) {
        if !self.queue.is_empty() {
            self.queue.retain(|_, t| *t != timer);
        }
    }

    /// Whether there is one.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.queue.values().any(|t| *t == timer)
    }

    /// How long until the next.
    pub fn next_in(&self) -> Option<Duration> {
        let ((at, _), _) = self.queue.first_key_value()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Takes one that is due.
    pub fn due(&mut self) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 <= Instant::now() { Some(entry.remove()) } else { None }
    }
}
