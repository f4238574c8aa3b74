//! Answers and events of a container's parent.

use super::failure::describe;
use crate::executor::readable;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{Event, ExitRecord, Started};
use containers_protocol::wire;
use rustix::fd::OwnedFd;
use std::io;

/// The next event, if one has arrived.
pub(crate) fn try_next(socket: &OwnedFd) -> Result<Option<(Event, Vec<OwnedFd>)>> {
    match wire::recv(socket) {
        Ok(Some(message)) => {
            let event = wire::from_json(&message.payload).map_err(unreadable)?;
            Ok(Some((event, message.fds)))
        }
        Ok(None) => Err(gone()),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(gone()),
        Err(e) => Err(unreadable(e)),
    }
}

/// Waits for the next event.
pub(crate) async fn next(socket: &OwnedFd) -> Result<(Event, Vec<OwnedFd>)> {
    loop {
        if let Some(event) = try_next(socket)? {
            return Ok(event);
        }
        readable(socket).await.map_err(|e| Error::io("can't wait for the container's parent", e))?;
    }
}

/// Waits until the container runs; the descriptor is the terminal's.
pub(crate) async fn started(socket: &OwnedFd) -> Result<(Started, Option<OwnedFd>)> {
    loop {
        match next(socket).await? {
            (Event::Started(started), fds) => return Ok((started, fds.into_iter().next())),
            (Event::Failed(failure), _) => return Err(describe(failure)),
            (Event::Exited(ExitRecord { failure: Some(failure), .. }), _) => return Err(describe(failure)),
            _ => {}
        }
    }
}

/// Waits until a monitor is there that wants a cgroup; its process.
pub(crate) async fn born(socket: &OwnedFd) -> Result<i32> {
    match next(socket).await?.0 {
        Event::Born { pid } => Ok(pid),
        Event::Failed(failure) => Err(describe(failure)),
        _ => Err(Error::new(ErrorKind::Internal, "the monitor answered nonsense")),
    }
}

const GONE: &str = "the container's parent is gone; it was killed, or the machine lacks memory";

/// The connection ended without an answer.
pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::Internal, GONE)
}

/// Whether an error is [`gone`].
pub(crate) fn is_gone(e: &Error) -> bool {
    e.message() == GONE
}

fn unreadable(e: io::Error) -> Error {
    Error::io("can't understand the container's parent", e)
}
