//! Descriptors for others: streams for the helper, the master of a terminal, the listener of a filter.

use super::record::{Record, VERSION};
use crate::{Error, Result};
use containers_protocol::Bytes;
use oci_spec::runtime::Spec;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

/// Sends the master of a terminal over the socket at a path.
pub(crate) fn send_master(path: &Path, master: &OwnedFd) -> Result<()> {
    // Receivers take the name of the terminal as the message.
    send(path, b"/dev/ptmx", master).map_err(|e| {
        Error::io("the terminal can't be sent over the console socket", e.into())
            .with_context("path", path.display().to_string())
    })
}

/// Sends the descriptor of a process over the socket at a path, if there is one.
pub(crate) fn send_process(path: Option<&Path>, born: &Option<(i32, OwnedFd)>) -> Result<()> {
    let (Some(path), Some((_, pidfd))) = (path, born) else { return Ok(()) };
    send(path, b"pidfd", pidfd).map_err(|e| {
        Error::io("the descriptor of the process can't be sent over the pidfd socket", e.into())
            .with_context("path", path.display().to_string())
    })
}

/// Sends the listener of a container's filter to who decides about its calls. `pid` is the process with the
/// filter, `status` that of the container.
pub(crate) fn send_listener(
    spec: &Spec,
    record: &Record,
    (status, pid): (&str, i32),
    listener: &OwnedFd,
) -> Result<()> {
    let seccomp = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    // Without a path, no filter with a listener is compiled.
    let Some(path) = seccomp.and_then(|s| s.listener_path().as_deref()) else { return Ok(()) };
    let init = record.init.as_ref().map_or(pid, |init| init.pid);
    let mut state = serde_json::json!({
        "ociVersion": VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "state": record.hook_document(status, init),
    });
    if let Some(metadata) = seccomp.and_then(|s| s.listener_metadata().as_ref()).filter(|m| !m.is_empty()) {
        state["metadata"] = serde_json::json!(metadata);
    }
    send(path, state.to_string().as_bytes(), listener).map_err(|e| {
        Error::io("failed to connect with seccomp agent: the listener of the filter can't be sent", e.into())
            .with_context("field", "linux.seccomp.listenerPath")
            .with_context("path", path.display().to_string())
    })
}

fn send(path: &Path, message: &[u8], fd: &OwnedFd) -> std::result::Result<(), Errno> {
    let address = SocketAddrUnix::new(path)?;
    let sock = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&sock, &address)?;
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let mut sent = sendmsg(&sock, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?;
    while sent < message.len() {
        sent += rustix::net::send(&sock, &message[sent..], SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Our standard streams; `/dev/null` for those that are closed.
pub(crate) fn standard_streams() -> Result<Vec<OwnedFd>> {
    let null = || open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    (0..3)
        .map(|fd| crate::sys::duplicate(fd).or_else(|_| null().map_err(std::io::Error::from)))
        .collect::<std::io::Result<_>>()
        .map_err(|e| Error::io("can't pass the standard streams on", e))
}

/// So many descriptors from 3 on, which the caller's are; what is open there of our own is not meant.
pub(crate) fn preserved(count: u32) -> Result<Vec<OwnedFd>> {
    let inherited = |n: u32| {
        let fd = 3 + n as i32;
        crate::sys::inherited(fd)
            .map_err(|e| Error::io(format!("--preserve-fds: descriptor {fd} is not open"), e))
    };
    (0..count).map(inherited).collect()
}

/// Paths for the helper.
pub(crate) fn paths(all: Vec<PathBuf>) -> Vec<Bytes> {
    all.into_iter().map(Bytes::from).collect()
}
