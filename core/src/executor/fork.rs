//! State that belongs to one process: a forked child starts with a fresh one.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A static value that is made anew after a fork of the host, without touching a lock that another thread
/// may have held at the fork.
pub(crate) struct PerProcess<T> {
    cell: AtomicPtr<Tagged<T>>,
}

struct Tagged<T> {
    pid: u32,
    value: T,
}

impl<T: Default + Send + Sync + 'static> PerProcess<T> {
    /// An empty cell.
    pub(crate) const fn new() -> Self {
        PerProcess { cell: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// This process's value. The one before a fork is left alone, for good: it may be in any state.
    pub(crate) fn get(&'static self) -> &'static T {
        let pid = std::process::id();
        loop {
            let current = self.cell.load(Ordering::Acquire);
            if let Some(tagged) = crate::sys::leaked(current)
                && tagged.pid == pid
            {
                return &tagged.value;
            }
            let fresh = Box::into_raw(Box::new(Tagged { pid, value: T::default() }));
            if self.cell.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // Another thread was faster; ours was never shared.
                crate::sys::free_unshared(fresh);
            }
        }
    }
}
