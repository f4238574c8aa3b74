//! The last steps before the command: identity, capabilities, filter.

use super::extra::Labels;
use super::report::Reporter;
use super::user::Identity;
use crate::failure::{Context, failure};
use crate::sys::security;
use containers_protocol::control::Failure;
use containers_protocol::plan::{CapSets, ProcessPlan};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// `CAP_SYS_ADMIN` as a bit.
const SYS_ADMIN: u64 = 1 << 21;

/// Takes the identity and everything away that the plan does not grant. `bounding` is the set in force, or more.
/// `parent` is the process that this one must not outlive. With `gated`, a filter that can wait does: see
/// [`late_filter`].
pub fn confine(
    process: &ProcessPlan,
    who: &Identity,
    bounding: u64,
    parent: Option<BorrowedFd<'_>>,
    gated: bool,
    reporter: &Reporter,
) -> Result<(), Failure> {
    let filter_first = needs_privileges(process);
    let labels = Labels::open(process.extra.as_deref())?;
    if let Some(extra) = process.extra.as_deref() {
        labels.apply(extra)?;
    }
    if filter_first {
        seccomp(process, reporter)?;
    }
    drop_bounding(bounding & !process.caps.bounding)?;
    set_identity(who, !process.groups.is_empty())?;
    set_caps(&process.caps)?;
    if process.no_new_privs {
        security::no_new_privs().during("no_new_privs")?;
    }
    if let Some(parent) = parent {
        die_with(parent)?;
    }
    if filter_first || gated { Ok(()) } else { seccomp(process, reporter) }
}

/// Without no_new_privs, a filter needs `CAP_SYS_ADMIN`: it goes in before that is lost.
fn needs_privileges(process: &ProcessPlan) -> bool {
    !process.no_new_privs && process.caps.effective & SYS_ADMIN == 0
}

/// Whether the filter is in force already at the gate.
fn is_early(process: &ProcessPlan) -> bool {
    needs_privileges(process) || notifies(process)
}

fn notifies(process: &ProcessPlan) -> bool {
    process.extra.as_ref().is_some_and(|extra| extra.seccomp_notify)
}

/// Before the gate: a filter whose listener is to be handed out while somebody is there for it.
pub fn listened_filter(process: &ProcessPlan, reporter: &Reporter) -> Result<(), Failure> {
    if notifies(process) && !needs_privileges(process) { seccomp(process, reporter) } else { Ok(()) }
}

/// The filter, unless it is in force already: as late as can be, so that it binds the command alone.
pub fn late_filter(process: &ProcessPlan, reporter: &Reporter) -> Result<(), Failure> {
    if is_early(process) { Ok(()) } else { seccomp(process, reporter) }
}

/// A hook just before the command has the command's filter, unless somebody answers for its calls.
pub fn hook_filter(process: &ProcessPlan) -> Result<(), Errno> {
    if is_early(process) || process.seccomp.0.is_empty() {
        return Ok(());
    }
    let flags = process.extra.as_deref().map_or(0, |extra| extra.seccomp_flags);
    security::seccomp(&process.seccomp.0, flags).map(drop)
}

fn seccomp(process: &ProcessPlan, reporter: &Reporter) -> Result<(), Failure> {
    if process.seccomp.0.is_empty() {
        return Ok(());
    }
    let flags = process.extra.as_deref().map_or(0, |extra| extra.seccomp_flags);
    if !notifies(process) {
        return security::seccomp(&process.seccomp.0, flags).map(drop).during("seccomp");
    }
    reporter.announce_listener()?;
    let listener = security::seccomp(&process.seccomp.0, flags).during("seccomp")?;
    // Every call from here on may wait for an answer by whoever gets the listener.
    reporter.wait_for_taker()?;
    drop(listener);
    Ok(())
}

fn drop_bounding(mut set: u64) -> Result<(), Failure> {
    while set != 0 {
        let cap = set.trailing_zeros();
        match security::drop_bounding(cap) {
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            // That may be dropped by few, and is gone.
            Err(Errno::PERM) if !security::is_bounding(cap) => {}
            done => done.during("capabilities")?,
        }
        set &= set - 1;
    }
    Ok(())
}

fn set_identity(who: &Identity, asked_for_groups: bool) -> Result<(), Failure> {
    let groups: Vec<Gid> = who.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    match set_thread_groups(&groups) {
        // A user namespace without these groups, or with setgroups denied altogether. Membership that the
        // image's group file grants means nothing there.
        Err(Errno::PERM | Errno::INVAL) if !asked_for_groups => match set_thread_groups(&[]) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(e) => return Err(failure("user", b"groups", e)),
        },
        other => other.map_err(|e| no_such_id("group", &format!("{:?}", who.groups), e))?,
    }
    let (uid, gid) = (Uid::from_raw(who.uid), Gid::from_raw(who.gid));
    // The helper runs as root of its user namespace, in all of the ids.
    if uid.is_root() && gid.is_root() {
        return Ok(());
    }
    security::keep_caps(true).during("user")?;
    set_thread_res_gid(gid, gid, gid).map_err(|e| no_such_id("group", &who.gid.to_string(), e))?;
    set_thread_res_uid(uid, uid, uid).map_err(|e| no_such_id("user", &who.uid.to_string(), e))?;
    security::keep_caps(false).during("user")
}

/// An id that the user namespace does not have: nothing is wrong with it, but the machine grants too few.
fn no_such_id(kind: &str, id: &str, errno: Errno) -> Failure {
    let mut f = failure("user", id.as_bytes(), errno);
    if matches!(errno, Errno::INVAL | Errno::PERM) {
        f.code = "unsupported".into();
        f.detail = format!(
            "{kind} id {id} is not mapped in the container's user namespace: give the caller a range that has \
             it in /etc/subuid and /etc/subgid, and install newuidmap (Debian: package uidmap)"
        );
    }
    f
}

fn set_caps(caps: &CapSets) -> Result<(), Failure> {
    security::clear_ambient().during("capabilities")?;
    let permitted = caps.permitted | caps.effective;
    // Effective ones first: an ambient capability has to be permitted and inheritable.
    security::set_caps(caps.effective, permitted, caps.inheritable | caps.ambient).during("capabilities")?;
    let mut ambient = caps.ambient;
    while ambient != 0 {
        security::raise_ambient(ambient.trailing_zeros()).during("capabilities")?;
        ambient &= ambient - 1;
    }
    Ok(())
}

/// Ends this process when its parent ends, also when that has happened already.
pub fn die_with(parent: BorrowedFd<'_>) -> Result<(), Failure> {
    security::parent_death_signal(libc::SIGKILL).during("pdeathsig")?;
    if is_gone(parent) {
        return Err(failure("pdeathsig", b"", Errno::SRCH));
    }
    Ok(())
}

/// Whether the process behind a pidfd has ended.
pub fn is_gone(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|n| n > 0)
}
