//! The end of a start that waits for somebody: everything is done but the last hooks and the command.

use super::report::Reporter;
use super::{Child, Scratch, confine, exec, hook};
use crate::failure::{Context, coded, failure};
use crate::sys::{process, security};
use containers_protocol::control::Failure;
use containers_protocol::plan::Step;
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;

impl Child<'_> {
    /// Where the gate is among the steps.
    pub(super) fn gate_step(&self) -> Option<usize> {
        self.plan.steps.iter().position(|step| matches!(step, Step::Gate { .. }))
    }

    /// The descriptors that are needed at the gate, the step `at`, and after it.
    pub(super) fn kept_at_gate(&self, at: usize, reporter: &Reporter) -> Result<Vec<RawFd>, Failure> {
        let gate = self.gate(at)?;
        let mut kept: Vec<_> = (0..3 + self.preserved as i32).chain([gate.as_raw_fd()]).collect();
        kept.extend(self.parent.map(|parent| parent.as_raw_fd()));
        kept.extend(reporter.descriptor());
        Ok(kept)
    }

    fn gate(&self, at: usize) -> Result<&OwnedFd, Failure> {
        let Step::Gate { fd } = &self.plan.steps[at] else {
            return Err(coded("internal", "gate", b"", "this step is no gate"));
        };
        self.fds.get(*fd as usize).ok_or_else(|| failure("gate", b"", Errno::BADF))
    }

    /// Waits at the gate, the step `at`, and carries out the steps after it.
    pub(super) fn pass_gate(
        &self,
        at: usize,
        scratch: &mut Scratch,
        reporter: &mut Reporter,
    ) -> Result<(), Failure> {
        let gate = self.gate(at)?;
        // Whoever waits for the start hears of a missing command now, not when nobody listens.
        scratch.found = exec::look_up(self.args, &scratch.env)?;
        confine::listened_filter(self.process, reporter)?;
        security::parent_death_signal(0).during("gate")?;
        process::end_on_signals();
        reporter.send_ready()?;
        loop {
            match rustix::io::read(gate, &mut [0u8; 1]) {
                Err(Errno::INTR) => continue,
                Ok(1) => break,
                Ok(_) => return Err(coded("cancelled", "gate", b"", "the gate was closed")),
                Err(e) => return Err(failure("gate", b"", e)),
            }
        }
        for step in &self.plan.steps[at + 1..] {
            match step {
                Step::Hook(hook) => hook::run(hook, Some((&scratch.env, self.process)))?,
                other => {
                    return Err(coded("internal", other.name(), b"", "this step can't come after the gate"));
                }
            }
        }
        confine::late_filter(self.process, reporter)
    }
}
