//! What only OCI configurations ask of the command: labels, scheduling, execution domain.

use crate::failure::{Context, coded, failure};
use crate::fs;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID};
use crate::sys::sched;
use containers_protocol::control::Failure;
use containers_protocol::extra::ProcessExtra;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;

/// `PROC_SUPER_MAGIC`.
const PROC_MAGIC: u64 = 0x9fa0;

/// Files of the process's own `/proc/self/attr`, opened while the machine's procfs is at hand: the image's may
/// be anything.
#[derive(Default)]
pub struct Labels {
    apparmor: Option<OwnedFd>,
    selinux: Option<OwnedFd>,
}

impl Labels {
    /// Opens what the labels of a process need.
    pub fn open(extra: Option<&ProcessExtra>) -> Result<Labels, Failure> {
        let mut labels = Labels::default();
        let Some(extra) = extra else { return Ok(labels) };
        if extra.apparmor.is_some() {
            let own = attribute("self/attr/apparmor/exec");
            labels.apparmor = Some(own.or_else(|_| attribute("self/attr/exec")).during("apparmor")?);
        }
        if extra.selinux.is_some() {
            labels.selinux = Some(attribute("self/attr/exec").during("selinux")?);
        }
        Ok(labels)
    }

    /// Makes the next exec change to the labels.
    pub fn apply(&self, extra: &ProcessExtra) -> Result<(), Failure> {
        if let (Some(file), Some(profile)) = (&self.apparmor, &extra.apparmor) {
            let text = format!("exec {profile}");
            rustix::io::write(file, text.as_bytes()).map_err(|e| not_taken("apparmor", profile, e))?;
        }
        if let (Some(file), Some(label)) = (&self.selinux, &extra.selinux) {
            rustix::io::write(file, label.as_bytes()).map_err(|e| not_taken("selinux", label, e))?;
        }
        Ok(())
    }
}

fn not_taken(step: &str, label: &str, errno: Errno) -> Failure {
    Failure { detail: "the kernel does not take the label".into(), ..failure(step, label.as_bytes(), errno) }
}

/// A file of the true procfs.
fn attribute(path: &str) -> Result<OwnedFd, Errno> {
    let proc = procfs()?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), how)
}

/// A procfs that nothing of the image is mounted on or below: one of our own, or where that is not allowed the
/// machine's. `self` in it is this process.
pub fn procfs() -> Result<OwnedFd, Errno> {
    match fs::new_mount("proc", &[], ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC) {
        Err(Errno::PERM) => host_proc(),
        done => done,
    }
}

/// The text of a file in a procfs. Each call that reads of it costs as much as the whole.
pub fn read_proc(proc: OwnedFd, path: &str) -> Result<String, Errno> {
    /// Most are shorter.
    const USUAL: usize = 16 << 10;
    let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::with_capacity(USUAL);
    match File::from(file).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    }
}

/// `oom_score_adj` of this process.
pub fn set_oom_score(score: i32) -> Result<(), Failure> {
    let text = score.to_string();
    let set = || -> Result<(), Errno> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(procfs()?, "self/oom_score_adj", flags, Mode::empty(), how)?;
        rustix::io::write(file, text.as_bytes()).map(drop)
    };
    set().at("oom_score_adj", text.as_bytes())
}

/// The machine's procfs, before its root is left.
pub fn host_proc() -> Result<OwnedFd, Errno> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = openat(CWD, c"/proc", how, Mode::empty())?;
    match rustix::fs::fstatfs(&proc)?.f_type as u64 {
        PROC_MAGIC => Ok(proc),
        _ => Err(Errno::NOENT),
    }
}

/// Scheduling, priorities, memory policy and execution domain; before capabilities are given up.
pub fn schedule(extra: &ProcessExtra) -> Result<(), Failure> {
    if let Some(cpus) = &extra.final_cpus {
        sched::set_affinity(cpus).during("cpu_affinity")?;
    }
    if let Some(scheduler) = &extra.scheduler {
        sched::set_scheduler(scheduler).map_err(|e| match e {
            // Its deadlines are promised on all processors.
            Errno::PERM if scheduler.policy == libc::SCHED_DEADLINE as u32 => {
                let text =
                    "process scheduler can't be used together with AllowedCPUs, or without CAP_SYS_NICE";
                Failure { detail: text.into(), ..failure("scheduler", b"", e) }
            }
            // Where groups have shares of their own, one without a share runs nothing in real time.
            Errno::PERM if [libc::SCHED_FIFO as u32, libc::SCHED_RR as u32].contains(&scheduler.policy) => {
                let text = "real-time scheduling needs CAP_SYS_NICE, and on cgroup v1 \
                            linux.resources.cpu.realtimeRuntime where the kernel has it";
                Failure { detail: text.into(), ..failure("scheduler", b"", e) }
            }
            e => failure("scheduler", b"", e),
        })?;
    }
    if let Some(value) = extra.io_priority {
        sched::set_io_priority(value).during("io_priority")?;
    }
    if let Some((mode, nodes)) = &extra.memory_policy {
        sched::set_memory_policy(*mode, nodes).map_err(|e| match e {
            Errno::NOSYS => coded("unsupported", "memory_policy", b"", "the kernel has no memory policies"),
            e => failure("memory_policy", b"", e),
        })?;
    }
    match extra.personality {
        Some(domain) => sched::set_personality(domain).during("personality"),
        None => Ok(()),
    }
}
