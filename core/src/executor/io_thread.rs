//! The thread that watches descriptors and timers for foreign executors and runs network code.

use super::fork::PerProcess;
use crate::{Error, ErrorKind, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

#[derive(Default)]
struct Slot(Mutex<Weak<IoThread>>);

static SLOT: PerProcess<Slot> = PerProcess::new();

struct IoThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    pid: u32,
}

impl IoThread {
    fn start() -> std::io::Result<IoThread> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_name("containers-io")
            .on_thread_start(crate::sys::block_all_signals)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("containers-io".into()).spawn(move || {
            crate::sys::block_all_signals();
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(IoThread { handle, stop: Some(stop), thread: Some(thread), pid: std::process::id() })
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        let thread = self.thread.take();
        if self.pid != std::process::id() {
            // The thread did not come along through the fork.
            std::mem::forget(thread);
            return;
        }
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// Keeps the I/O thread alive, once it has started.
#[derive(Clone)]
pub struct IoGuard(Arc<IoThread>);

impl IoGuard {
    /// The running thread, or a new one.
    pub fn acquire() -> std::io::Result<IoGuard> {
        let mut slot = SLOT.get().0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(thread) = slot.upgrade() {
            return Ok(IoGuard(thread));
        }
        let thread = Arc::new(IoThread::start()?);
        *slot = Arc::downgrade(&thread);
        Ok(IoGuard(thread))
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.0.handle
    }
}

/// Descriptors, or threads, have run out.
pub fn no_thread(e: std::io::Error) -> Error {
    let text = "can't start the thread that waits; allow this process more open files or threads";
    match e.raw_os_error() {
        Some(libc::EAGAIN) => Error::new(ErrorKind::LimitExceeded, text).with_source(e),
        _ => Error::io(text, e),
    }
}

/// Runs a future on the I/O thread. Dropping the returned future cancels it.
pub fn spawn<F>(future: F) -> Result<JoinFuture<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let guard = IoGuard::acquire().map_err(no_thread)?;
    let (tx, rx) = oneshot::channel();
    let task = guard.handle().spawn(async move {
        let _ = tx.send(future.await);
    });
    Ok(JoinFuture { rx, task, _guard: guard, detached: false })
}

/// Runs what blocks (a record read from disk, a lock awaited) beside the I/O thread, one at a time. Once it
/// has begun it can't be cancelled.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<JoinFuture<T>> {
    let guard = IoGuard::acquire().map_err(no_thread)?;
    let (tx, rx) = oneshot::channel();
    let task = guard.handle().spawn_blocking(move || {
        let _ = tx.send(work());
    });
    Ok(JoinFuture { rx, task, _guard: guard, detached: false })
}

/// The result of [`spawn`].
pub struct JoinFuture<T> {
    rx: oneshot::Receiver<T>,
    task: tokio::task::JoinHandle<()>,
    _guard: IoGuard,
    detached: bool,
}

impl<T> JoinFuture<T> {
    /// Cancels the work; the future then panics when polled, so drop it.
    pub fn abort_handle(&self) -> impl Fn() + Send + Sync + 'static {
        let handle = self.task.abort_handle();
        move || handle.abort()
    }

    /// Lets the work go on without anybody waiting. The I/O thread lives as long as its other guards.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Future for JoinFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.rx).poll(cx) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            Poll::Ready(Err(_)) => panic!("the work panicked or was aborted"),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.task.abort();
        }
    }
}
