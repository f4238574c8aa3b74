//! Futures that wait for a descriptor or a point in time.

use super::blocking::Reactor;
use super::io_thread::IoGuard;
use crate::sys::poll::{PollEntry, poll_until};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::Interest as TokioInterest;
use tokio::io::unix::AsyncFd;

/// How often those look who can't be woken.
pub(super) const FALLBACK: Duration = Duration::from_millis(1);

/// What a descriptor is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Read,
    Write,
}

/// Resolves when `fd` can be read without blocking: data, end of file or an error.
pub fn readable<F: AsFd + ?Sized>(fd: &F) -> Ready<'_> {
    Ready::new(fd.as_fd().as_raw_fd(), Interest::Read)
}

/// Resolves when `fd` can be written without blocking, or is broken.
pub fn writable<F: AsFd + ?Sized>(fd: &F) -> Ready<'_> {
    Ready::new(fd.as_fd().as_raw_fd(), Interest::Write)
}

/// The future of [`readable`] and [`writable`]; borrows the descriptor.
pub struct Ready<'fd> {
    fd: RawFd,
    interest: Interest,
    local: Option<u64>,
    remote: Option<(AsyncFd<OwnedFd>, IoGuard)>,
    _fd: std::marker::PhantomData<&'fd ()>,
}

impl Ready<'_> {
    fn new(fd: RawFd, interest: Interest) -> Self {
        Ready { fd, interest, local: None, remote: None, _fd: std::marker::PhantomData }
    }

    fn is_ready_now(&self) -> bool {
        let read = self.interest == Interest::Read;
        let mut entry = [PollEntry::new(self.fd, read, !read)];
        poll_until(&mut entry, Instant::now()).is_ok() && entry[0].is_ready()
    }

    fn forget_local(&mut self) {
        if let Some(id) = self.local.take() {
            Reactor::remove(id);
        }
    }

    fn register_remote(&mut self) -> io::Result<&AsyncFd<OwnedFd>> {
        if self.remote.is_none() {
            let guard = IoGuard::acquire()?;
            // A duplicate, because one descriptor can be in an epoll set only once.
            let own = crate::sys::duplicate(self.fd)?;
            let interest = match self.interest {
                Interest::Read => TokioInterest::READABLE,
                Interest::Write => TokioInterest::WRITABLE,
            };
            let registered = {
                let _context = guard.handle().enter();
                crate::sys::watch(own, interest)?
            };
            self.remote = Some((registered, guard));
        }
        Ok(&self.remote.as_ref().expect("just set").0)
    }
}

impl Future for Ready<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.forget_local();
        if self.is_ready_now() {
            self.remote = None;
            return Poll::Ready(Ok(()));
        }
        if let Some(id) = Reactor::add_fd(self.fd, self.interest, cx.waker()) {
            self.local = Some(id);
            return Poll::Pending;
        }
        let interest = self.interest;
        let registered = match self.register_remote() {
            Ok(fd) => fd,
            Err(e) => return Poll::Ready(Err(e)),
        };
        loop {
            let ready = match interest {
                Interest::Read => registered.poll_read_ready(cx),
                Interest::Write => registered.poll_write_ready(cx),
            };
            match ready {
                Poll::Ready(Ok(mut guard)) => {
                    // Edge-triggered: look again, for readiness may be stale.
                    let mut entry = [PollEntry::new(
                        registered.get_ref().as_raw_fd(),
                        interest == Interest::Read,
                        interest == Interest::Write,
                    )];
                    if poll_until(&mut entry, Instant::now()).is_ok() && entry[0].is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    guard.clear_ready();
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.forget_local();
        if let Some((registered, guard)) = self.remote.take() {
            let _context = guard.handle().enter();
            drop(registered);
        }
    }
}

/// Resolves after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Resolves at `at` (monotonic clock).
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep { at, local: None, remote: None }
}

/// The future of [`sleep`] and [`sleep_until`].
pub struct Sleep {
    at: Instant,
    local: Option<u64>,
    remote: Option<(Pin<Box<tokio::time::Sleep>>, IoGuard)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(id) = self.local.take() {
            Reactor::remove(id);
        }
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        if let Some(id) = Reactor::add_timer(self.at, cx.waker()) {
            self.local = Some(id);
            return Poll::Pending;
        }
        let at = self.at;
        let this = &mut *self;
        if this.remote.is_none() {
            let Ok(guard) = IoGuard::acquire() else {
                // Descriptors or threads have run out: there is nobody to wake us, so look again.
                std::thread::sleep(FALLBACK);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            let timer = {
                let _context = guard.handle().enter();
                Box::pin(tokio::time::sleep_until(at.into()))
            };
            this.remote = Some((timer, guard));
        }
        let (timer, _) = this.remote.as_mut().expect("just set");
        timer.as_mut().poll(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.local.take() {
            Reactor::remove(id);
        }
    }
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout;

/// Runs `future` until `deadline`; `None` waits for ever.
pub async fn timeout_at<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Timeout> {
    let Some(deadline) = deadline else {
        return Ok(future.await);
    };
    let mut future = std::pin::pin!(future);
    let mut timer = std::pin::pin!(sleep_until(deadline));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll(cx).map(|()| Err(Timeout))
    })
    .await
}

#[allow(dead_code, reason = "asserts at compile time that the futures can move between threads")]
fn assert_send() {
    fn send<T: Send>() {}
    send::<Ready<'static>>();
    send::<Sleep>();
    let _ = Reactor::is_active;
}
