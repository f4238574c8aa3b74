//! Ending a wait from another thread or a signal handler.

use crate::error::{call, ctr_error};
use crate::ffi::{give, handle, release, room_for};
use containers::{Error, ErrorKind, Result};
use futures::future::{Either, select};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::pin;

/// Ends calls that wait: give it to them, and trigger it from another thread or from a signal handler. Once
/// triggered it stays so, and calls that get it fail at once.
pub struct ctr_cancel {
    event: EventFd,
}

/// Makes a cancel handle in `*cancel`; free it with ctr_cancel_free. Any thread; does not block.
///
/// Errors: CTR_E_IO when descriptors have run out.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_cancel_new(
    cancel: Option<&mut MaybeUninit<*mut ctr_cancel>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("cancel.new", error, || {
        let room = room_for("cancel", cancel)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)
            .map_err(|e| Error::io("can't make an event descriptor", e.into()))?;
        give(room, ctr_cancel { event });
        Ok(())
    })
}

/// Ends the calls that have this handle with CTR_E_CANCELLED, now and in future. Any thread; does not block; may
/// be called in a signal handler with `error` NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_cancel_trigger(
    cancel: Option<&ctr_cancel>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("cancel.trigger", error, || {
        // A full counter means that it has been triggered.
        let _ = handle("cancel", cancel)?.event.write(1);
        Ok(())
    })
}

/// Frees a cancel handle, which no call may have any more; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_cancel_free(cancel: Option<Box<ctr_cancel>>) {
    release(cancel);
}

/// Waits for `future` on this thread, or until the handle is triggered; then `future` is dropped, which ends
/// what it was doing.
pub fn wait<T>(cancel: Option<&ctr_cancel>, future: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(cancel) = cancel else {
        return containers::blocking::block_on(future);
    };
    containers::blocking::block_on(async {
        let triggered = pin!(containers::executor::readable(&cancel.event));
        match select(triggered, pin!(future)).await {
            Either::Left(_) => Err(Error::new(ErrorKind::Cancelled, "the caller cancelled it")),
            Either::Right((result, _)) => result,
        }
    })
}
