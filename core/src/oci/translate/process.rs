//! The process of a configuration: command, identity, limits.

use super::{Setting, wrong};
use crate::Result;
use crate::oci::seccomp;
use crate::sandbox::capabilities::{self, capability};
use containers_protocol::extra::{ProcessExtra, Scheduler};
use containers_protocol::plan::{CapSets, ProcessPlan};
use oci_spec::runtime::{
    Capabilities, IOPriorityClass, Linux, LinuxIOPriority, LinuxMemoryPolicy, LinuxNamespaceType,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, PosixRlimitType, Process, Spec,
};
use std::collections::HashSet;

/// A set of numbers is at most so large.
const MAX_NUMBER: usize = 8191;

/// The plan of a process.
pub(super) fn plan(process: &Process, spec: &Spec, setting: &Setting<'_>) -> Result<ProcessPlan> {
    let user = process.user();
    let none = super::empty_linux();
    let linux = spec.linux().as_ref().unwrap_or(&none);
    let mut extra = extra(process, linux, setting)?;
    let mut program = Vec::new();
    if let Some(filter) = linux.seccomp() {
        let compiled = seccomp::compile(filter)?;
        extra.seccomp_flags = compiled.flags;
        extra.seccomp_notify = compiled.notify;
        compiled.warnings.iter().for_each(|warning| (setting.warn)(warning));
        program = compiled.program;
    }
    Ok(ProcessPlan {
        args: process.args().iter().flatten().map(|a| a.as_str().into()).collect(),
        env: env(process),
        cwd: process.cwd().as_path().into(),
        create_cwd: true,
        user: format!("{}:{}", user.uid(), user.gid()),
        groups: user.additional_gids().iter().flatten().map(u32::to_string).collect(),
        caps: caps(process, linux, setting)?,
        no_new_privs: process.no_new_privileges() == Some(true),
        seccomp: containers_protocol::Bytes(program),
        rlimits: rlimits(process),
        oom_score_adj: process.oom_score_adj(),
        umask: user.umask(),
        tty: setting.tty,
        init: false,
        extra: Some(Box::new(extra)),
    })
}

/// The environment. Of variables that are there twice the last one counts; an empty `HOME` is none, and the user's
/// is taken (as runc does).
fn env(process: &Process) -> Vec<containers_protocol::Bytes> {
    let all = process.env().as_deref().unwrap_or_default();
    let mut later = HashSet::new();
    let last = all.iter().rev().filter(|entry| later.insert(entry.split('=').next()));
    let mut kept: Vec<_> = last.filter(|entry| *entry != "HOME=").map(|e| e.as_str().into()).collect();
    kept.reverse();
    kept
}

fn extra(process: &Process, linux: &Linux, setting: &Setting<'_>) -> Result<ProcessExtra> {
    let text = |s: &Option<String>| s.clone().filter(|s| !s.is_empty());
    let affinity = process.exec_cpu_affinity().as_ref();
    let cpus = |list: Option<&Option<String>>, name: &str| match list.and_then(Option::as_ref) {
        Some(list) => mask(list, &format!("process.execCPUAffinity.{name}")).map(Some),
        None => Ok(None),
    };
    Ok(ProcessExtra {
        apparmor: text(process.apparmor_profile()),
        selinux: text(process.selinux_label()),
        scheduler: process.scheduler().as_ref().map(scheduler),
        io_priority: process.io_priority().as_ref().map(io_priority),
        personality: linux.personality().as_ref().map(|p| match p.domain() {
            LinuxPersonalityDomain::PerLinux => 0,
            LinuxPersonalityDomain::PerLinux32 => 8,
        }),
        memory_policy: linux.memory_policy().as_ref().map(memory_policy).transpose()?,
        initial_cpus: cpus(affinity.map(|a| a.initial()), "initial")?,
        final_cpus: cpus(affinity.map(|a| a.cpu_affinity_final()), "final")?,
        keep_keyring: setting.no_new_keyring,
        seccomp_flags: 0,
        seccomp_notify: false,
    })
}

fn caps(process: &Process, linux: &Linux, setting: &Setting<'_>) -> Result<CapSets> {
    let Some(sets) = process.capabilities() else { return Ok(CapSets::default()) };
    let bits = |set: &Option<Capabilities>| -> Result<u64> {
        let mut all = set.iter().flatten().map(|cap| capability(&cap.to_string(), "process.capabilities"));
        all.try_fold(0, |bits, bit| Ok(bits | bit?))
    };
    let (permitted, inheritable) = (bits(sets.permitted())?, bits(sets.inheritable())?);
    // The kernel has no ambient capability that is not in both.
    let wanted = bits(sets.ambient())?;
    let ambient = wanted & permitted & inheritable;
    for name in capabilities::names(wanted & !ambient) {
        (setting.warn)(&format!(
            "process.capabilities.ambient: can't raise ambient capability {name}: it is left out"
        ));
    }
    let caps = CapSets {
        bounding: bits(sets.bounding())?,
        effective: bits(sets.effective())?,
        permitted,
        inheritable,
        ambient,
    };
    let user_namespace =
        linux.namespaces().iter().flatten().any(|space| space.typ() == LinuxNamespaceType::User);
    if !user_namespace {
        // In a user namespace, all of them can be had.
        warn_of_missing(caps.permitted, setting.warn);
    }
    Ok(caps)
}

/// The specification wants a warning for capabilities that can't be granted; the helper leaves them out.
fn warn_of_missing(wanted: u64, warn: &dyn Fn(&str)) {
    let Ok(held) = rustix::thread::capabilities(None) else { return };
    let missing = wanted & !held.permitted.bits();
    for name in capabilities::names(missing) {
        warn(&format!("process.capabilities: {name} can't be granted: it is left out"));
    }
}

fn rlimits(process: &Process) -> Vec<(u32, u64, u64)> {
    let number = |kind: PosixRlimitType| match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
    };
    process.rlimits().iter().flatten().map(|l| (number(l.typ()), l.soft(), l.hard())).collect()
}

fn scheduler(s: &oci_spec::runtime::Scheduler) -> Scheduler {
    let policy = match s.policy() {
        LinuxSchedulerPolicy::SchedOther => libc::SCHED_OTHER,
        LinuxSchedulerPolicy::SchedFifo => libc::SCHED_FIFO,
        LinuxSchedulerPolicy::SchedRr => libc::SCHED_RR,
        LinuxSchedulerPolicy::SchedBatch => libc::SCHED_BATCH,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => libc::SCHED_IDLE,
        LinuxSchedulerPolicy::SchedDeadline => libc::SCHED_DEADLINE,
    };
    let flag = |f: &LinuxSchedulerFlag| match f {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    Scheduler {
        policy: policy as u32,
        flags: s.flags().iter().flatten().map(flag).fold(0, |all, f| all | f),
        nice: s.nice().unwrap_or(0),
        priority: s.priority().and_then(|p| u32::try_from(p).ok()).unwrap_or(0),
        runtime: s.runtime().unwrap_or(0),
        deadline: s.deadline().unwrap_or(0),
        period: s.period().unwrap_or(0),
    }
}

fn io_priority(p: &LinuxIOPriority) -> u32 {
    let class = match p.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    class << 13 | p.priority() as u32 & 7
}

fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(u32, Vec<u64>)> {
    let mode = match policy.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |f: &MemoryPolicyFlagType| match f {
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
    };
    let flags = policy.flags().iter().flatten().map(flag).fold(0, |all, f| all | f);
    let nodes = match policy.nodes().as_deref().filter(|n| !n.is_empty()) {
        Some(nodes) => mask(nodes, "linux.memoryPolicy.nodes")?,
        None => Vec::new(),
    };
    Ok((mode | flags, nodes))
}

/// A list such as `0-3,7` as a bit mask.
pub(in crate::oci) fn mask(list: &str, field: &str) -> Result<Vec<u64>> {
    let bad = || wrong(field, format!("not a list of numbers and ranges: {list:?}"));
    let mut bits = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n <= MAX_NUMBER).ok_or_else(bad);
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(bad());
        }
        bits.resize(bits.len().max(last / 64 + 1), 0u64);
        (first..=last).for_each(|n| bits[n / 64] |= 1 << (n % 64));
    }
    Ok(bits)
}
