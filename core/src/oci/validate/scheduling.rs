//! Scheduler, I/O priority, CPU affinity of a process.

use super::wrong;
use crate::Result;
use crate::oci::translate::mask;
use oci_spec::runtime::{LinuxSchedulerPolicy as Policy, Process};

/// Checks what a process asks of the scheduler.
pub(super) fn check(process: &Process) -> Result<()> {
    if let Some(scheduler) = process.scheduler() {
        self::scheduler(scheduler)?;
    }
    if let Some(priority) = process.io_priority() {
        let fits = (0..=7).contains(&priority.priority());
        let message = format!("{} is not from 0 to 7", priority.priority());
        ensure!(fits, "process.ioPriority.priority", message)?;
    }
    if let Some(affinity) = process.exec_cpu_affinity() {
        for (name, list) in [("initial", affinity.initial()), ("final", affinity.cpu_affinity_final())] {
            if let Some(list) = list {
                mask(list, &format!("process.execCPUAffinity.{name}"))?;
            }
        }
    }
    Ok(())
}

fn scheduler(s: &oci_spec::runtime::Scheduler) -> Result<()> {
    let field = |name: &str| format!("process.scheduler.{name}");
    if let Some(nice) = *s.nice() {
        ensure!((-20..=19).contains(&nice), field("nice"), format!("{nice} is not from -20 to 19"))?;
    }
    let real_time = matches!(*s.policy(), Policy::SchedFifo | Policy::SchedRr);
    if let Some(priority) = *s.priority() {
        ensure!((0..=99).contains(&priority), field("priority"), format!("{priority} is not from 0 to 99"))?;
        ensure!(
            real_time || priority == 0,
            field("priority"),
            "only SCHED_FIFO and SCHED_RR have a priority",
        )?;
    }
    ensure!(
        !real_time || s.priority().is_some_and(|p| p > 0),
        field("priority"),
        "SCHED_FIFO and SCHED_RR need one from 1 to 99",
    )?;
    let deadline = *s.policy() == Policy::SchedDeadline;
    for (name, value) in [("runtime", s.runtime()), ("deadline", s.deadline()), ("period", s.period())] {
        if value.is_some_and(|v| v > 0) && !deadline {
            return Err(wrong(field(name), "it is for SCHED_DEADLINE alone"));
        }
    }
    Ok(())
}
