//! One piece of work: built by a method, then waited for on the caller's thread or given to an event loop.

use crate::completions::{Completions, Reports};
use crate::error::{Failure, forked, panicked, to_py};
use crate::progress::Events;
use containers::executor::{self, Interrupted, JoinFuture};
use containers::{Error, ErrorKind, PullEvent, Result};
use futures::FutureExt;
use pyo3::prelude::*;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How often a wait looks for signals such as ^C.
const CHECK: Duration = Duration::from_millis(50);

/// The thread that ends the interpreter, once it does.
static EXITING: AtomicI32 = AtomicI32::new(0);

/// The interpreter is about to end, on this thread.
pub fn at_exit() {
    EXITING.store(nix::unistd::gettid().as_raw(), Ordering::Release);
}

/// Turns what came out into a Python object.
type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

enum Work {
    Future(Pin<Box<dyn Future<Output = Result<Finish>> + Send>>),
    Blocking(Box<dyn FnOnce() -> Result<Finish> + Send>),
}

enum State {
    Ready(Work),
    Spawned(#[allow(dead_code, reason = "dropping it cancels the work")] JoinFuture<()>),
    Over,
}

/// Work that has not been done yet.
#[pyclass(frozen, module = "containers._containers")]
pub struct Operation {
    name: &'static str,
    pid: u32,
    state: Mutex<State>,
    outcome: Arc<Mutex<Option<Result<Finish>>>>,
    events: Option<Arc<Events>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Operation {
    fn with(name: &'static str, work: Work, events: Option<Arc<Events>>) -> Operation {
        let state = Mutex::new(State::Ready(work));
        Operation { name, pid: std::process::id(), state, outcome: Arc::default(), events }
    }

    /// Work that waits. `name` is the operation that errors made here name.
    pub fn future<T: Send + 'static>(
        name: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Operation {
        Operation::future_with_events(name, work, convert, None)
    }

    /// [`Operation::future`] that reports progress.
    pub fn future_with_events<T: Send + 'static>(
        name: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
        events: Option<Arc<Events>>,
    ) -> Operation {
        let work = async move {
            let value = work.await?;
            Ok(Box::new(move |py: Python<'_>| convert(py, value)) as Finish)
        };
        Operation::with(name, Work::Future(Box::pin(work)), events)
    }

    /// Work that may block for a short while, on a disk or a lock.
    pub fn blocking<T: Send + 'static>(
        name: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Operation {
        let work = move || {
            let value = work()?;
            Ok(Box::new(move |py: Python<'_>| convert(py, value)) as Finish)
        };
        Operation::with(name, Work::Blocking(Box::new(work)), None)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Work> {
        let problem = if self.pid == std::process::id() {
            match std::mem::replace(&mut *lock(&self.state), State::Over) {
                State::Ready(work) => return Ok(work),
                _ => Error::new(ErrorKind::Internal, "an operation is waited for twice"),
            }
        } else {
            forked()
        };
        Err(to_py(py, &problem.with_operation(self.name)))
    }
}

/// Nothing, as Python's None.
pub fn none(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}

/// Looks for signals; Python lets them interrupt only its main thread.
fn check_signals() -> PyResult<()> {
    let exiting = EXITING.load(Ordering::Acquire);
    if exiting != 0 && exiting != nix::unistd::gettid().as_raw() {
        // A daemon thread must not go back into an interpreter that ends; it dies with the process.
        loop {
            std::thread::park();
        }
    }
    Python::attach(|py| py.check_signals())
}

fn drive(work: Work, events: Option<&Events>, on_event: Option<&Py<PyAny>>) -> Result<Finish, Failure> {
    let mut work = match work {
        Work::Future(work) => work,
        Work::Blocking(work) => return work().map_err(Failure::from),
    };
    let waiting = poll_fn(|cx| {
        let ready = work.as_mut().poll(cx);
        if let Some(events) = events {
            while let Some(event) = events.pop(Some(cx.waker())) {
                if let Some(call) = on_event {
                    Python::attach(|py| call.call1(py, (crate::ser::to_py(py, &event)?,)))?;
                }
            }
        }
        ready.map(|r| r.map_err(Failure::from))
    });
    match executor::block_on_interruptible(waiting, CHECK, check_signals) {
        Ok(result) => result,
        Err(Interrupted(signal)) => Err(Failure::Python(signal)),
    }
}

#[pymethods]
impl Operation {
    /// Does the work on this thread, without the GIL; ^C cancels it. `on_event` is called with progress.
    #[pyo3(signature = (on_event=None))]
    fn wait(&self, py: Python<'_>, on_event: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let work = self.take(py)?;
        let events = self.events.as_deref();
        let result = py.detach(|| {
            catch_unwind(AssertUnwindSafe(|| drive(work, events, on_event.as_ref())))
                .unwrap_or_else(|panic| Err(panicked(&*panic).with_operation(self.name).into()))
        });
        match result {
            Ok(finish) => finish(py),
            Err(failure) => Err(failure.into_py(py)),
        }
    }

    /// Begins the work beside this thread; `token` is reported when there are events, and at the end.
    fn submit(&self, py: Python<'_>, completions: &Completions, token: u64) -> PyResult<()> {
        let work = self.take(py)?;
        let (reports, outcome, name) = (completions.0.clone(), self.outcome.clone(), self.name);
        if let Some(events) = &self.events {
            events.report_to(reports.clone(), token);
        }
        let task = py.detach(|| {
            catch_unwind(AssertUnwindSafe(|| match work {
                Work::Future(work) => executor::spawn(async move {
                    let done = AssertUnwindSafe(work).catch_unwind().await;
                    report(done, name, &outcome, &reports, token);
                }),
                Work::Blocking(work) => executor::spawn_blocking(move || {
                    let done = catch_unwind(AssertUnwindSafe(work));
                    report(done, name, &outcome, &reports, token);
                }),
            }))
        });
        match task {
            Ok(Ok(task)) => {
                *lock(&self.state) = State::Spawned(task);
                Ok(())
            }
            Ok(Err(e)) => Err(to_py(py, &e.with_operation(name))),
            Err(panic) => Err(to_py(py, &panicked(&*panic).with_operation(name))),
        }
    }

    /// Gives up what [`Operation::submit`] began; nothing is reported any more.
    fn cancel(&self, py: Python<'_>) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Over);
        // The last of its kind waits for the I/O thread to end.
        py.detach(|| drop(state));
    }

    /// Whether the submitted work has ended.
    fn done(&self) -> bool {
        lock(&self.outcome).is_some()
    }

    /// Progress since the last call.
    fn events(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let mut list = Vec::new();
        if let Some(events) = &self.events {
            while let Some(event) = events.pop(None) {
                list.push(crate::ser::to_py::<PullEvent>(py, &event)?.unbind());
            }
        }
        Ok(list)
    }

    /// What came of the submitted work, once.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match lock(&self.outcome).take() {
            Some(Ok(finish)) => finish(py),
            Some(Err(e)) => Err(to_py(py, &e)),
            None => {
                let e = Error::new(ErrorKind::Internal, "the operation has not ended");
                Err(to_py(py, &e.with_operation(self.name)))
            }
        }
    }
}

fn report(
    done: std::thread::Result<Result<Finish>>,
    name: &'static str,
    outcome: &Mutex<Option<Result<Finish>>>,
    reports: &Reports,
    token: u64,
) {
    let result = done.unwrap_or_else(|panic| Err(panicked(&*panic).with_operation(name)));
    *lock(outcome) = Some(result);
    reports.push(token);
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // The work belongs to the process before the fork: its descriptors and threads are not ours.
            let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
            std::mem::forget(std::mem::replace(state, State::Over));
        }
    }
}
