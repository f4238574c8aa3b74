//! How finished work gets back to one JavaScript environment (the main thread, or a worker).
//!
//! All work of an environment shares one queue and one weak thread-safe function, which only says "look".
//! So there is one order: progress of a pull arrives before its end. What is still queued when the
//! environment ends is dropped with the port, not leaked inside Node.

use crate::failure::Failure;
use crate::value::{Outcome, Value};
use containers::executor::{self, IoGuard};
use futures::FutureExt;
use futures::future::{AbortHandle, Abortable};
use napi::bindgen_prelude::{Array, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Look = ThreadsafeFunction<(), (), (), Status, false, true>;

/// What waits to be fetched by JavaScript.
enum Message {
    /// Progress, as JSON; with the same key as the one queued before it, it takes that one's place.
    Event { id: u32, key: String, text: String },
    /// The end of one piece of work.
    Settled { id: u32, outcome: Outcome },
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    /// Work that has not settled.
    running: HashMap<u32, AbortHandle>,
    /// The environment has gone: nothing is queued any more.
    closed: bool,
}

/// The half of a [`Port`] that lives on any thread.
pub struct Mailbox {
    state: Mutex<State>,
    look: Look,
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, message: Message) {
        let was_empty = {
            let mut state = self.state();
            if let Message::Settled { id, .. } = &message {
                state.running.remove(id);
            }
            if state.closed {
                drop(state);
                // Handles inside end their containers: not under the lock.
                drop(message);
                return;
            }
            if let (
                Message::Event { id, key, text },
                Some(Message::Event { id: last_id, key: last_key, text: last }),
            ) = (&message, state.queue.back_mut())
                && id == last_id
                && key == last_key
            {
                last.clone_from(text);
                return;
            }
            state.queue.push_back(message);
            state.queue.len() == 1
        };
        if was_empty {
            self.look.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Queues progress of the work `id`.
    pub fn event(&self, id: u32, key: String, text: String) {
        self.put(Message::Event { id, key, text });
    }
}

/// One environment's way to start work and to learn its end.
#[napi]
pub struct Port {
    mailbox: Arc<Mailbox>,
}

impl Port {
    /// The part that other threads may use.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// Starts work on the I/O thread; its outcome is queued under `id`.
    pub fn start<F>(&self, id: u32, work: F)
    where
        F: Future<Output = std::result::Result<Value, Failure>> + Send + 'static,
    {
        let guard = match IoGuard::acquire() {
            Ok(guard) => guard,
            Err(e) => {
                let outcome = Outcome(Err(Failure::thread(e)));
                return self.mailbox.put(Message::Settled { id, outcome });
            }
        };
        let (abort, registration) = AbortHandle::new_pair();
        self.mailbox.state().running.insert(id, abort);
        let mailbox = self.mailbox.clone();
        let work = AssertUnwindSafe(Abortable::new(work, registration)).catch_unwind();
        let task = executor::spawn(async move {
            let result = match work.await {
                Ok(Ok(result)) => result,
                Ok(Err(_aborted)) => Err(Failure::aborted()),
                Err(payload) => Err(Failure::panicked(&*payload)),
            };
            mailbox.put(Message::Settled { id, outcome: Outcome(result) });
            // Keeps the thread for as long as the work needs it.
            drop(guard);
        });
        if let Ok(task) = task {
            task.detach();
        }
    }

    /// Starts work that reads or changes records: it may wait for a disk or a lock, so it runs beside the I/O
    /// thread.
    pub fn start_sync<F>(&self, id: u32, work: F)
    where
        F: FnOnce() -> std::result::Result<Value, Failure> + Send + 'static,
    {
        let work =
            move || catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|p| Err(Failure::panicked(&*p)));
        self.start(id, async { executor::spawn_blocking(work)?.await });
    }
}

#[napi]
impl Port {
    /// A port that calls `look` when there is something to fetch.
    #[napi(constructor, catch_unwind)]
    pub fn new(look: Function<'_, (), ()>) -> Result<Port> {
        let look = look
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|_| Ok(()))?;
        Ok(Port { mailbox: Arc::new(Mailbox { state: Mutex::default(), look }) })
    }

    /// The next message: `[id, progress]` or `[id, undefined, failure, value]`; `null`: none for now.
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> Result<Option<Array<'env>>> {
        let Some(message) = self.mailbox.state().queue.pop_front() else {
            return Ok(None);
        };
        let mut parts = env.create_array(3)?;
        match message {
            Message::Event { id, text, .. } => {
                parts.set(0, id)?;
                parts.set(1, text)?;
            }
            Message::Settled { id, outcome } => {
                parts.set(0, id)?;
                parts.set(2, outcome)?;
            }
        }
        Ok(Some(parts))
    }

    /// Gives work up: what it waits for is dropped, and it settles as `cancelled`. Settled work is left alone.
    #[napi(catch_unwind)]
    pub fn abort(&self, id: u32) {
        let handle = self.mailbox.state().running.get(&id).cloned();
        if let Some(handle) = handle {
            handle.abort();
        }
    }

    /// Keeps the event loop alive: called when the first work starts.
    #[napi(catch_unwind)]
    #[allow(clippy::should_implement_trait, reason = "Node's word for it")]
    pub fn hold(&self, env: &Env) {
        // SAFETY: called on the environment's own thread; the function lives as long as the mailbox.
        unsafe { napi::sys::napi_ref_threadsafe_function(env.raw(), self.mailbox.look.raw()) };
    }

    /// Lets the event loop end: called when no work is left.
    #[napi(catch_unwind)]
    pub fn release(&self, env: &Env) {
        // SAFETY: as in `hold`.
        unsafe { napi::sys::napi_unref_threadsafe_function(env.raw(), self.mailbox.look.raw()) };
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let (queue, running) = {
            let mut state = self.mailbox.state();
            state.closed = true;
            (std::mem::take(&mut state.queue), std::mem::take(&mut state.running))
        };
        for handle in running.values() {
            handle.abort();
        }
        drop(queue);
    }
}
