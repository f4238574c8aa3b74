//! What is told of the steps of a process. Where runc's log has a word for a step, it is in the text as well: people and
//! scripts look for those.

use super::Engine;
use containers_protocol::plan::ProcessPlan;

impl Engine {
    /// Tells of a step.
    pub(super) fn step(&self, text: impl FnOnce() -> String) {
        if let Some(tell) = &self.debug {
            tell(&text());
        }
    }

    /// Tells what a process will be given by its plan.
    pub(super) fn step_planned(&self, process: &ProcessPlan) {
        let flags = process.extra.as_ref().map_or(0, |extra| extra.seccomp_flags);
        if !process.seccomp.0.is_empty() {
            self.step(|| format!("seccomp filter flags: {flags}"));
        }
    }

    /// Tells of a process that is in its namespaces, the last of the helper's work.
    pub(super) fn step_born(&self, pid: i32) {
        self.step(|| format!("nsexec container setup: process {pid} is in its namespaces"));
        self.step(|| format!("child process in init(): process {pid} prepares itself"));
    }

    /// Tells of a further process that has entered the container, and says that it executes its command.
    pub(super) fn step_joined(&self, pid: i32, initial_cpus: Option<&[u64]>) {
        if let Some(cpus) = initial_cpus {
            self.step(|| format!("nsexec of process {pid}: affinity: {}", hexadecimal(cpus)));
        }
        self.step_born(pid);
        self.step(|| format!("setns_init: about to exec: process {pid}"));
    }
}

/// A mask of CPUs, whose words begin with the lowest.
fn hexadecimal(mask: &[u64]) -> String {
    let words: Vec<u64> = mask.iter().rev().copied().skip_while(|word| *word == 0).collect();
    let (first, rest) = words.split_first().unwrap_or((&0, &[]));
    rest.iter().fold(format!("{first:#x}"), |text, word| format!("{text}{word:016x}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn masks_are_one_number() {
        let cases: [(&[u64], &str); 4] =
            [(&[], "0x0"), (&[3, 0], "0x3"), (&[1, 2], "0x20000000000000001"), (&[0, 0], "0x0")];
        for (mask, text) in cases {
            assert_eq!(super::hexadecimal(mask), text);
        }
    }
}
