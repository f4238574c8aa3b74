//! Progress on its way from the thread that works to the one that shows it.

use crate::completions::Reports;
use containers::PullEvent;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Events that have not been shown yet. Counts of bytes replace each other, so a slow reader holds few.
#[derive(Default)]
pub struct Events {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<PullEvent>,
    waker: Option<Waker>,
    reports: Option<(Arc<Reports>, u64)>,
}

impl Events {
    /// Adds one and wakes who shows them.
    pub fn push(&self, event: PullEvent) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let newer = match &event {
            PullEvent::Downloading { layer, .. } => state
                .queue
                .iter_mut()
                .rev()
                .find(|old| matches!(old, PullEvent::Downloading { layer: l, .. } if l == layer)),
            _ => None,
        };
        match newer {
            Some(old) => *old = event,
            None => state.queue.push_back(event),
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        if let Some((reports, token)) = &state.reports {
            reports.push(*token);
        }
    }

    /// Takes the oldest; when there is none, `waker` is woken by the next.
    pub fn pop(&self, waker: Option<&Waker>) -> Option<PullEvent> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let event = state.queue.pop_front();
        if event.is_none() {
            state.waker = waker.cloned();
        }
        event
    }

    /// From now on each is reported to an event loop.
    pub fn report_to(&self, reports: Arc<Reports>, token: u64) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        if !state.queue.is_empty() {
            reports.push(token);
        }
        state.reports = Some((reports, token));
    }
}
