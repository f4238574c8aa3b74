//! Messages with descriptors over `SOCK_SEQPACKET`.
//!
//! A message of at most [`INLINE`] bytes travels in the datagram; a longer one in a memfd that is sent as
//! the first descriptor. One byte in front says which: 0 inline, 1 memfd.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv as recv_from, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;

/// The longest message that travels in the datagram itself.
pub const INLINE: usize = 60 * 1024;

/// The longest message at all.
pub const MAX: usize = 16 * 1024 * 1024;

/// The most descriptors in one message.
pub const MAX_FDS: usize = 250;

/// Sends one message. `EAGAIN` on a non-blocking socket is returned as `WouldBlock`; nothing was sent then.
pub fn send(sock: impl AsFd, payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if payload.len() > MAX || fds.len() > MAX_FDS {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    if payload.len() <= INLINE {
        return send_packet(sock.as_fd(), &[0], payload, fds);
    }
    let mut file = std::fs::File::from(memory_file()?);
    file.write_all(payload)?;
    file.rewind()?;
    let mut all = Vec::with_capacity(fds.len() + 1);
    all.push(file.as_fd());
    all.extend_from_slice(fds);
    send_packet(sock.as_fd(), &[1], &[], &all)
}

/// Memory that is sent like a file. Nobody executes it, which has to be said where `vm.memfd_noexec` is 2; kernels
/// before 6.3 do not know the flag.
fn memory_file() -> io::Result<OwnedFd> {
    match memfd_create("containers-message", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create("containers-message", MemfdFlags::CLOEXEC)?),
        made => Ok(made?),
    }
}

fn send_packet(sock: BorrowedFd<'_>, head: &[u8], payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let parts = [IoSlice::new(head), IoSlice::new(payload)];
    loop {
        match sendmsg(sock, &parts, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
    }
}

/// A received message.
#[derive(Debug)]
pub struct Message {
    /// The bytes.
    pub payload: Vec<u8>,
    /// The descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Receives one message; `None`: the other side is gone.
pub fn recv(sock: impl AsFd) -> io::Result<Option<Message>> {
    thread_local! {
        /// Kept from call to call: making it is as dear as the call itself.
        static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let sock = sock.as_fd();
    BUFFER.with_borrow_mut(|buf| {
        if buf.len() <= INLINE {
            let needed = waiting(sock)?;
            if needed > buf.len() {
                // Fresh memory costs more than the look: those who hear little need little.
                buf.resize(needed.next_power_of_two().clamp(LEAST, INLINE + 1), 0);
            }
        }
        recv_into(sock, buf)
    })
}

/// The least buffer.
const LEAST: usize = 1024;

/// Waits for a message; its length, or 0 if there is none to come.
fn waiting(sock: BorrowedFd<'_>) -> io::Result<usize> {
    loop {
        let mut none: [u8; 0] = [];
        match recv_from(sock, &mut none, RecvFlags::PEEK | RecvFlags::TRUNC) {
            Ok((_, length)) => return Ok(length),
            Err(Errno::INTR) => {}
            // What it means is said when it is received.
            Err(Errno::CONNRESET) => return Ok(0),
            Err(e) => return Err(e.into()),
        }
    }
}

fn recv_into(sock: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Option<Message>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut parts = [IoSliceMut::new(buf)];
        match recvmsg(sock, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) => break got,
            Err(Errno::INTR) => continue,
            Err(Errno::CONNRESET) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "truncated message"));
    }
    match buf[0] {
        0 => Ok(Some(Message { payload: buf[1..got.bytes].to_vec(), fds })),
        1 if !fds.is_empty() => {
            let file = std::fs::File::from(fds.remove(0));
            let len = file.metadata()?.len();
            if len > MAX as u64 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "oversized message"));
            }
            let mut payload = Vec::with_capacity(len as usize);
            file.take(MAX as u64).read_to_end(&mut payload)?;
            Ok(Some(Message { payload, fds }))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown message head")),
    }
}

/// Sends a [`crate::control`] document.
pub fn send_json<T: serde::Serialize>(
    sock: impl AsFd,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send(sock, &serde_json::to_vec(message).map_err(io::Error::other)?, fds)
}

/// Sends a [`crate::launch`] message.
pub fn send_postcard<T: serde::Serialize>(
    sock: impl AsFd,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send(sock, &postcard::to_stdvec(message).map_err(io::Error::other)?, fds)
}

/// Encodes a [`crate::launch`] message, for [`send`].
pub fn to_postcard<T: serde::Serialize>(message: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(message).map_err(io::Error::other)
}

/// Decodes a [`crate::control`] document.
pub fn from_json<T: serde::de::DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Decodes a [`crate::launch`] message.
pub fn from_postcard<T: serde::de::DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    postcard::from_bytes(payload).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
