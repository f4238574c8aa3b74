//! Waiting without owning the caller's executor.
//!
//! Futures of this crate wait for descriptors and timers through [`readable`], [`writable`] and
//! [`sleep_until`]. Inside [`block_on`] they wait in `poll(2)` on the caller's thread, and no thread is
//! started. Under any other executor a single thread, `containers-io`, watches for them; it starts with
//! the first such wait and ends when the last [`IoGuard`] is gone.

mod blocking;
mod fork;
mod io_thread;
mod wait;

pub use blocking::{Interrupted, block_on, block_on_interruptible};
pub use io_thread::{IoGuard, JoinFuture, no_thread, spawn, spawn_blocking};
pub use wait::{Timeout, readable, sleep, sleep_until, timeout_at, writable};

#[cfg(test)]
mod tests;
