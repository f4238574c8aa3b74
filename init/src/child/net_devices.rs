//! Network devices of the host that a container gets.

use crate::failure::{Context, coded, failure};
use crate::netlink::{Address, Netlink};
use crate::sys::process;
use containers_protocol::control::Failure;
use containers_protocol::extra::Extra;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

/// Devices that were found, with a way to the namespace they are in.
pub struct Gift {
    netlink: Netlink,
    /// Number, name inside, addresses.
    devices: Vec<(u32, String, Vec<Address>)>,
}

/// Finds the devices in the current network namespace. `None`: none is asked for.
pub fn find(extra: &Extra) -> Result<Option<Gift>, Failure> {
    if extra.net_devices.is_empty() {
        return Ok(None);
    }
    let netlink = Netlink::open().during("net_devices")?;
    let mut devices = Vec::new();
    for (name, inside) in &extra.net_devices {
        let index = netlink.index(name).map_err(|e| match e {
            Errno::NODEV => {
                coded("path_not_found", "net_devices", name.as_bytes(), "there is no such device")
            }
            e => failure("net_devices", name.as_bytes(), e),
        })?;
        let addresses = netlink.addresses(index).at("net_devices", name.as_bytes())?;
        devices.push((index, inside.clone(), addresses));
    }
    Ok(Some(Gift { netlink, devices }))
}

impl Gift {
    /// Moves the devices, and gives them their addresses again. Leaves the calling process in `space`.
    pub fn give(&self, space: &OwnedFd) -> Result<(), Failure> {
        for (index, inside, _) in &self.devices {
            self.netlink.give(*index, space.as_fd(), inside).at("net_devices", inside.as_bytes())?;
        }
        process::setns(space, libc::CLONE_NEWNET as u64).during("net_devices")?;
        let there = Netlink::open().during("net_devices")?;
        for (_, inside, addresses) in &self.devices {
            let set_up = || -> Result<(), Errno> {
                let index = there.index(inside)?;
                addresses.iter().try_for_each(|address| there.add(index, address))?;
                there.up(index)
            };
            set_up().at("net_devices", inside.as_bytes())?;
        }
        Ok(())
    }
}
