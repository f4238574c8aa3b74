//! Connections: owners of containers, and clients of the control socket.

use super::Parent;
use super::poller::{IN, Source, Token};
use crate::failure::{coded, failure};
use containers_protocol::control::{Event, Failure, Request, State, VERSION};
use containers_protocol::wire;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

/// The most control connections at a time.
const MAX_CLIENTS: usize = 4096;

/// One connection.
pub struct Connection {
    /// The socket, non-blocking.
    pub sock: OwnedFd,
    /// Its registration.
    pub token: Token,
    /// The container that its requests are about.
    pub container: Option<u64>,
    /// The id that `hello` named.
    pub name: String,
    /// When it closes, its container dies.
    pub owner: bool,
    /// It is told of the container's end.
    pub waits: bool,
    /// The further process that it is about.
    pub exec: Option<u64>,
    /// What is deleted when it closes: its container has ended.
    pub delete: Vec<Vec<u8>>,
}

impl Parent {
    /// Takes a connection on.
    pub(super) fn connect(
        &mut self,
        sock: OwnedFd,
        container: Option<u64>,
        owner: bool,
    ) -> Result<u64, Errno> {
        rustix::io::ioctl_fionbio(&sock, true)?;
        let id = self.id();
        let token = self.poller.add(&sock, Source::Connection(id), IN)?;
        let connection = Connection {
            sock,
            token,
            container,
            name: String::new(),
            owner,
            waits: owner,
            exec: None,
            delete: Vec::new(),
        };
        self.connections.insert(id, connection);
        Ok(id)
    }

    /// Accepts what has arrived; strangers are turned away.
    pub(super) fn accept(&mut self) {
        while let Ok(sock) = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            if self.connections.len() < MAX_CLIENTS && self.may_control(&sock) {
                let _ = self.connect(sock, None, false);
            }
        }
    }

    /// The same user, or root. In a user namespace the machine's root has no id, and shows as the one that
    /// stands for all such; the socket's folder keeps the others out.
    fn may_control(&self, sock: &OwnedFd) -> bool {
        let Ok(peer) = rustix::net::sockopt::socket_peercred(sock) else { return false };
        peer.uid.is_root() || (self.host.rootless && peer.uid.as_raw() == self.host.overflow_uid)
    }

    /// Forgets a connection, with what hangs on it.
    pub(super) fn close_connection(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.poller.remove(connection.token, &connection.sock);
        if let Some(exec) = connection.exec {
            self.exec_abandoned(exec);
        }
        if let (true, Some(container)) = (connection.owner, connection.container) {
            self.owner_gone(container);
        }
        // Started again over another connection: it all belongs to that one now.
        let same = |c: &Connection| {
            !c.name.is_empty() && c.name == connection.name && (c.owner || !c.delete.is_empty())
        };
        if !self.connections.values().any(same) {
            self.cleanup.paths.extend(connection.delete);
        }
    }

    /// Reads requests.
    pub(super) fn connection_ready(&mut self, id: u64) {
        while let Some(connection) = self.connections.get(&id) {
            match wire::recv(&connection.sock) {
                Ok(Some(message)) => match wire::from_json::<Request>(&message.payload) {
                    Ok(request) => self.control(id, request, message.fds),
                    Err(e) => {
                        let detail = e.to_string();
                        let failed = Failure {
                            code: "unsupported".into(),
                            step: "request".into(),
                            detail,
                            ..Failure::default()
                        };
                        self.send(id, &Event::Failed(failed), &[]);
                    }
                },
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => self.close_connection(id),
            }
        }
    }

    fn control(&mut self, id: u64, request: Request, fds: Vec<OwnedFd>) {
        let answer = match request {
            Request::Hello { container, .. } => self.hello(id, container).map(Some),
            Request::Wait => self.wait(id),
            Request::State => self.state(id).map(|s| Some(Event::State(s))),
            Request::Kill { signal } => self.kill(id, signal).map(|()| Some(Event::Done)),
            Request::Exec(exec) => self.exec(id, *exec, fds).map(|()| None),
            Request::Attach { stdin, stdout, stderr } => {
                self.attach_client(id, [stdin, stdout, stderr], fds).map(|()| Some(Event::Done))
            }
            Request::Resize { rows, cols } => self.resize_for(id, rows, cols).map(|()| Some(Event::Done)),
            Request::NoRestart => self.no_restart(id).map(|()| Some(Event::Done)),
            Request::Pause => self.freeze(id, true).map(|()| Some(Event::Done)),
            Request::Unpause => self.freeze(id, false).map(|()| Some(Event::Done)),
            Request::Update { writes } => self.update(id, &writes).map(|()| Some(Event::Done)),
        };
        match answer {
            Ok(Some(event)) => self.send(id, &event, &[]),
            Ok(None) => {}
            Err(failed) => self.send(id, &Event::Failed(failed), &[]),
        }
    }

    fn hello(&mut self, id: u64, name: String) -> Result<Event, Failure> {
        let found = self.containers.iter().find(|(_, c)| c.plan.id == name).map(|(id, _)| *id);
        let known = found.is_some() || self.ended.iter().any(|(ended, _)| *ended == name);
        if !known {
            return Err(coded("container_not_found", "hello", name.as_bytes(), "no such container here"));
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.container = found;
            connection.name = name;
        }
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Ok(Event::Hello { version: VERSION, pid })
    }

    fn wait(&mut self, id: u64) -> Result<Option<Event>, Failure> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(None) };
        if connection.container.is_some_and(|c| self.containers.contains_key(&c)) {
            connection.waits = true;
            return Ok(None);
        }
        let name = &connection.name;
        match self.ended.iter().rev().find(|(ended, _)| ended == name) {
            Some((_, record)) => Ok(Some(Event::Exited(record.clone()))),
            None => Err(not_running()),
        }
    }

    fn state(&mut self, id: u64) -> Result<State, Failure> {
        if let Some(container) = self.connected(id) {
            return Ok(self.containers.get_mut(&container).map(|c| c.state()).unwrap_or_default());
        }
        let connection = self.connections.get(&id).ok_or_else(not_running)?;
        let ended = self.ended.iter().rev().find(|(ended, _)| *ended == connection.name);
        let (_, record) = ended.ok_or_else(not_running)?;
        Ok(State {
            status: "exited".into(),
            restarts: record.restarts,
            exit: Some(record.clone()),
            ..State::default()
        })
    }

    fn attach_client(&mut self, id: u64, flags: [bool; 3], fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let container = self.connected(id).ok_or_else(not_running)?;
        let mut sent = fds.into_iter();
        let mut taken = [None, None, None];
        for (slot, flag) in taken.iter_mut().zip(flags) {
            if flag {
                *slot = Some(sent.next().ok_or_else(|| failure("attach", b"", Errno::BADF))?);
            }
        }
        self.attach(container, taken, false)
    }

    fn resize_for(&mut self, id: u64, rows: u16, cols: u16) -> Result<(), Failure> {
        let container = self.connected(id).ok_or_else(not_running)?;
        if self.connections.get(&id).is_some_and(|c| c.exec.is_some()) {
            let detail = "whoever asked for the process has its terminal";
            return Err(coded("invalid_argument", "resize", b"tty", detail));
        }
        self.resize(container, rows, cols)
    }

    /// The running container of a connection.
    pub(super) fn connected(&self, id: u64) -> Option<u64> {
        let container = self.connections.get(&id)?.container?;
        self.containers.contains_key(&container).then_some(container)
    }
}

/// The answer when there is no process to act on.
pub fn not_running() -> Failure {
    coded("not_running", "request", b"", "the container does not run")
}
