//! An executor for one future on the caller's thread.

use super::wait::{FALLBACK, Interest};
use crate::sys::poll::{PollEntry, poll_until};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::cell::RefCell;
use std::future::Future;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A wait was given up because the caller's check said so.
#[derive(Debug)]
pub struct Interrupted<E>(pub E);

/// What a thread inside [`block_on`] waits for besides its waker.
#[derive(Default)]
pub(super) struct Reactor {
    next: u64,
    fds: Vec<(u64, RawFd, Interest, Waker)>,
    timers: Vec<(u64, Instant, Waker)>,
}

thread_local! {
    static REACTOR: RefCell<Option<Reactor>> = const { RefCell::new(None) };
}

impl Reactor {
    /// Registers interest in a descriptor with the current thread's reactor; `None`: there is none.
    pub(super) fn add_fd(fd: RawFd, interest: Interest, waker: &Waker) -> Option<u64> {
        REACTOR.with_borrow_mut(|r| {
            let r = r.as_mut()?;
            r.next += 1;
            r.fds.push((r.next, fd, interest, waker.clone()));
            Some(r.next)
        })
    }

    /// Registers a timer with the current thread's reactor; `None`: there is none.
    pub(super) fn add_timer(at: Instant, waker: &Waker) -> Option<u64> {
        REACTOR.with_borrow_mut(|r| {
            let r = r.as_mut()?;
            r.next += 1;
            r.timers.push((r.next, at, waker.clone()));
            Some(r.next)
        })
    }

    /// Takes a registration back; unknown ones are ignored.
    pub(super) fn remove(id: u64) {
        // A future may be dropped while the thread's locals are being destroyed.
        let _ = REACTOR.try_with(|r| {
            if let Some(r) = r.borrow_mut().as_mut() {
                r.fds.retain(|e| e.0 != id);
                r.timers.retain(|e| e.0 != id);
            }
        });
    }

    /// Whether the current thread is inside [`block_on`].
    pub(super) fn is_active() -> bool {
        REACTOR.try_with(|r| r.borrow().is_some()).unwrap_or(false)
    }
}

struct Signal {
    woken: AtomicBool,
    /// `None`: descriptors have run out, so the waiting thread looks again and again.
    event: Option<EventFd>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(event) = &self.event
        {
            let _ = event.write(1);
        }
    }
}

/// Runs a future to its end on this thread; inside somebody else's executor too.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let never = Duration::from_secs(3600);
    match block_on_interruptible(future.into_future(), never, || Ok::<(), std::convert::Infallible>(())) {
        Ok(output) => output,
        Err(Interrupted(never)) => match never {},
    }
}

/// As [`block_on`], but calls `check` at least every `every` and after each interruption by a signal; its
/// error ends the wait and drops the future.
pub fn block_on_interruptible<F: Future, E>(
    future: F,
    every: Duration,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<F::Output, Interrupted<E>> {
    let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).ok();
    let signal = Arc::new(Signal { woken: AtomicBool::new(false), event });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    // A nested block_on gets a reactor of its own; the outer one is put back when it returns or unwinds.
    let _scope = Scope::enter();
    let mut future = pin!(future);
    let mut checked = Instant::now();
    loop {
        signal.woken.store(false, Ordering::Release);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        while !signal.woken.load(Ordering::Acquire) {
            let interrupted = wait_once(&signal, every);
            if interrupted {
                check().map_err(Interrupted)?;
                checked = Instant::now();
            }
        }
        // A future that never rests would otherwise never be given up.
        if checked.elapsed() >= every {
            check().map_err(Interrupted)?;
            checked = Instant::now();
        }
        let _ = signal.event.as_ref().map(EventFd::read);
    }
}

struct Scope(Option<Option<Reactor>>);

impl Scope {
    fn enter() -> Scope {
        Scope(Some(REACTOR.with(|r| r.replace(Some(Reactor::default())))))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Some(outer) = self.0.take() {
            let _ = REACTOR.try_with(|r| r.replace(outer));
        }
    }
}

/// Waits for the next event and wakes who waits for it; true: a signal or the interval ended the wait.
fn wait_once(signal: &Signal, every: Duration) -> bool {
    let now = Instant::now();
    let mut entries: Vec<PollEntry> =
        signal.event.iter().map(|event| PollEntry::new(event.as_raw_fd(), true, false)).collect();
    let before = entries.len();
    let mut deadline = now + if signal.event.is_some() { every } else { every.min(FALLBACK) };
    REACTOR.with_borrow(|r| {
        let r = r.as_ref().expect("set by block_on");
        entries.extend(r.fds.iter().map(|(_, fd, interest, _)| {
            PollEntry::new(*fd, *interest == Interest::Read, *interest == Interest::Write)
        }));
        if let Some(first) = r.timers.iter().map(|t| t.1).min() {
            deadline = deadline.min(first);
        }
    });
    let ready = poll_until(&mut entries, deadline);
    let now_after = Instant::now();
    let mut wake = Vec::new();
    REACTOR.with_borrow_mut(|r| {
        let r = r.as_mut().expect("set by block_on");
        let mut waited = entries[before..].iter();
        r.fds.retain(|(_, _, _, waker)| {
            let fired = waited.next().is_some_and(PollEntry::is_ready);
            if fired {
                wake.push(waker.clone());
            }
            !fired
        });
        r.timers.retain(|(_, at, waker)| {
            let fired = *at <= now_after;
            if fired {
                wake.push(waker.clone());
            }
            !fired
        });
    });
    let timed_out = wake.is_empty() && now_after >= now + every;
    for waker in wake {
        waker.wake();
    }
    ready.is_err() || timed_out
}
