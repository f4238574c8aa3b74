//! The janitor's own process.

use super::kit::{Kit, KitFacts, KitKey};
use crate::cgroup::{Cgroup, CgroupFacts};
use crate::child::confine::die_with;
use crate::host::Host;
use crate::parent::STACK;
use crate::parent::cleanup::Leftovers;
use crate::sys::process::Stack;
use containers_protocol::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde::{Deserialize, Serialize};

/// How long a cgroup that is still busy is left alone.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What the launcher asks for.
#[derive(Serialize, Deserialize)]
pub enum Errand {
    /// Make a kit; its cgroup gets this name.
    Make(KitKey, String),
    /// Remove a cgroup, whose descriptors come first; close all others, and so what only they still hold.
    Finish(Option<CgroupFacts>),
    /// Say when everything asked for until now is done.
    Settle,
}

/// What the janitor answers.
#[derive(Serialize, Deserialize)]
pub enum Done {
    /// A kit; `None`: it could not be made. Who needs it now will see why.
    Made(Option<KitFacts>),
    /// Nothing is left to do.
    Settled,
}

/// The janitor's life: until the launcher closes its end, or is gone.
pub fn serve(sock: &OwnedFd, launcher: BorrowedFd<'_>, host: &Host) -> i32 {
    let Ok(mut stack) = Stack::new(STACK) else { return 1 };
    if die_with(launcher).is_err() {
        return 1;
    }
    let mut leftovers = Leftovers::default();
    let mut settling = 0;
    loop {
        while leftovers.remove_one() {}
        while settling > 0 && leftovers.is_empty() {
            settling -= 1;
            if wire::send_postcard(sock, &Done::Settled, &[]).is_err() {
                return 0;
            }
        }
        let wait = if leftovers.is_empty() { None } else { Some(&PAUSE) };
        match poll(&mut [PollFd::new(sock, PollFlags::IN)], wait) {
            Ok(0) | Err(_) => {
                leftovers.retry();
                continue;
            }
            Ok(_) => {}
        }
        let Ok(Some(message)) = wire::recv(sock) else { return 0 };
        match wire::from_postcard::<Errand>(&message.payload) {
            Ok(Errand::Make(key, name)) => {
                let kit = Kit::make(&key, &name, host, &mut stack).ok();
                if let Some(unsent) = send(sock, kit) {
                    leftovers.extend([unsent]);
                }
            }
            Ok(Errand::Finish(cgroup)) => {
                let mut fds = message.fds.into_iter();
                leftovers.extend(cgroup.and_then(|facts| Cgroup::unpack(facts, &mut fds)));
            }
            Ok(Errand::Settle) => settling += 1,
            Err(_) => return 1,
        }
    }
}

/// Hands a kit over. Returns its cgroup if that was not possible.
fn send(sock: &OwnedFd, kit: Option<Kit>) -> Option<Cgroup> {
    let sent = match &kit {
        Some(kit) => {
            let (facts, fds) = kit.pack();
            wire::send_postcard(sock, &Done::Made(Some(facts)), &fds)
        }
        None => wire::send_postcard(sock.as_fd(), &Done::Made(None), &[]),
    };
    match sent {
        Ok(()) => None,
        Err(_) => kit?.cgroup.map(|(cgroup, _)| cgroup),
    }
}
