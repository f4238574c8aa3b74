//! The control connection to a container's parent.

use super::events;
use super::failure::describe;
use crate::executor::{timeout_at, writable};
use crate::runtime::launcher::connect;
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{Event, Request, VERSION};
use containers_protocol::wire;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a parent may take to answer what it can answer at once.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection about one container.
pub(crate) struct Client {
    pub(crate) socket: OwnedFd,
}

impl Client {
    /// Connects to the parent that listens in a folder. `None`: nobody does, or it does not know the container.
    pub(crate) async fn open(dir: &Path, id: &str) -> Result<Option<Client>> {
        let Some(socket) = connect(dir).await? else { return Ok(None) };
        let client = Client { socket };
        let hello = Request::Hello { version: VERSION, container: id.to_owned() };
        match client.ask(&hello, &[]).await {
            Ok(_) => Ok(Some(client)),
            Err(e) if e.kind() == ErrorKind::ContainerNotFound || events::is_gone(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        loop {
            match wire::send_json(&self.socket, request, fds) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == WouldBlock => {
                    writable(&self.socket).await.map_err(|e| Error::io("can't reach the parent", e))?;
                }
                Err(e) if matches!(e.kind(), BrokenPipe | ConnectionReset) => return Err(events::gone()),
                Err(e) => return Err(Error::io("can't reach the container's parent", e)),
            }
        }
    }

    /// Sends a request and waits for its answer; a failure is an error.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Event, Vec<OwnedFd>)> {
        let answer = async {
            self.send(request, fds).await?;
            loop {
                match events::next(&self.socket).await? {
                    (Event::Failed(failure), _) => return Err(describe(failure)),
                    // The end of the container may be reported before the answer.
                    (Event::Exited(_), _) => {}
                    answer => return Ok(answer),
                }
            }
        };
        let late = |_| Error::new(ErrorKind::Io, "the container's parent does not answer");
        timeout_at(Some(Instant::now() + ANSWER), answer).await.map_err(late)?
    }
}
