//! As much of rtnetlink as it takes to move a network device to another namespace.

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const REPLACE: u16 = 0x100;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;
/// An address that somebody gave, rather than the kernel or a router.
const IFA_F_PERMANENT: u8 = 0x80;
/// Sizes of `nlmsghdr`, `ifinfomsg`, `ifaddrmsg`.
const HEADER: usize = 16;
const LINK: usize = 16;
const ADDR: usize = 8;

/// A conversation with one network namespace: the one in which it was opened.
pub struct Netlink {
    sock: OwnedFd,
}

/// An address of a device: its `ifaddrmsg` and attributes.
pub struct Address {
    header: [u8; ADDR],
    attributes: Vec<u8>,
}

impl Netlink {
    /// Opens one with the current namespace.
    pub fn open() -> Result<Netlink, Errno> {
        // The first protocol, 0, is the one for routes and links.
        Ok(Netlink {
            sock: socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?,
        })
    }

    /// The number of a device.
    pub fn index(&self, name: &str) -> Result<u32, Errno> {
        let mut found = Err(Errno::NODEV);
        self.ask(RTM_GETLINK, 0, &link(0, 0), &attribute(IFLA_IFNAME, &text(name)), |body| {
            if let Some(index) = body.get(4..8).and_then(|b| b.try_into().ok()) {
                found = Ok(u32::from_ne_bytes(index));
            }
        })?;
        found
    }

    /// The permanent addresses of a device that are more than link-local.
    pub fn addresses(&self, index: u32) -> Result<Vec<Address>, Errno> {
        let mut all = Vec::new();
        self.ask(RTM_GETADDR, DUMP, &[0; ADDR], &[], |body| {
            let Some((header, attributes)) = body.split_first_chunk::<ADDR>() else { return };
            let [_, _, flags, scope, number @ ..] = *header;
            if u32::from_ne_bytes(number) == index && scope == 0 && flags & IFA_F_PERMANENT != 0 {
                all.push(Address { header: *header, attributes: attributes.to_vec() });
            }
        })?;
        Ok(all)
    }

    /// Moves a device to another namespace, under another name.
    pub fn give(&self, index: u32, space: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        let fd = space.as_raw_fd() as u32;
        let attributes =
            [attribute(IFLA_NET_NS_FD, &fd.to_ne_bytes()), attribute(IFLA_IFNAME, &text(name))].concat();
        self.ask(RTM_NEWLINK, ACK, &link(index, 0), &attributes, |_| ())
    }

    /// Sets a device up.
    pub fn up(&self, index: u32) -> Result<(), Errno> {
        self.ask(RTM_NEWLINK, ACK, &link(index, IFF_UP), &[], |_| ())
    }

    /// Gives a device an address.
    pub fn add(&self, index: u32, address: &Address) -> Result<(), Errno> {
        let mut header = address.header;
        header[4..].copy_from_slice(&index.to_ne_bytes());
        self.ask(RTM_NEWADDR, ACK | CREATE | REPLACE, &header, &address.attributes, |_| ())
    }

    /// Sends a request and hands on the bodies of the answers.
    fn ask(
        &self,
        kind: u16,
        flags: u16,
        header: &[u8],
        attributes: &[u8],
        mut answer: impl FnMut(&[u8]),
    ) -> Result<(), Errno> {
        let len = (HEADER + header.len() + attributes.len()) as u32;
        let mut message = len.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(header);
        message.extend(attributes);
        send(&self.sock, &message, SendFlags::empty())?;
        let several = flags & (ACK | DUMP) != 0;
        let mut buf = vec![0u8; 64 << 10];
        loop {
            let (len, _) = match recv(&self.sock, &mut *buf, RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let mut rest = &buf[..len];
            while let Some((one, kind, body)) = next(rest) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return error(body),
                    _ => answer(body),
                }
                if !several {
                    return Ok(());
                }
                rest = rest.get(one..).unwrap_or_default();
            }
        }
    }
}

/// The first message: its length with padding, type and body.
fn next(data: &[u8]) -> Option<(usize, u16, &[u8])> {
    let len = u32::from_ne_bytes(data.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(data.get(4..6)?.try_into().ok()?);
    Some((len.next_multiple_of(4), kind, data.get(HEADER..len)?))
}

fn error(body: &[u8]) -> Result<(), Errno> {
    match body.get(..4).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(-errno)),
        None => Err(Errno::BADMSG),
    }
}

/// An `ifinfomsg`.
fn link(index: u32, flags: u32) -> [u8; LINK] {
    let mut out = [0; LINK];
    out[4..8].copy_from_slice(&index.to_ne_bytes());
    out[8..12].copy_from_slice(&flags.to_ne_bytes());
    out[12..].copy_from_slice(&flags.to_ne_bytes());
    out
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_found() {
        let netlink = Netlink::open().unwrap();
        assert_eq!(netlink.index("lo"), Ok(1));
        assert_eq!(netlink.index("no-such-device").unwrap_err(), Errno::NODEV);
        netlink.addresses(1).unwrap();
    }

    #[test]
    fn attributes_are_padded() {
        assert_eq!(attribute(3, b"ab\0"), [&7u16.to_ne_bytes()[..], &3u16.to_ne_bytes(), b"ab\0\0"].concat());
    }
}
