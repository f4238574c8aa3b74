//! The end of a start that waits for somebody: everything is done but the last hooks and the command.

use super::report::Reporter;
use super::{Child, Scratch, confine, exec, hook};
use crate::failure::{Context, coded, failure};
use crate::sys::{process, security};
use containers_protocol::control::Failure;
use containers_protocol::plan::Step;
use rustix::fd::AsRawFd;
use rustix::io::Errno;

impl Child<'_> {
    /// Where the gate is among the steps.
    pub(super) fn gate_step(&self) -> Option<usize> {
        self.plan.steps.iter().position(|step| matches!(step, Step::Gate { .. }))
    }

    /// Waits at the gate, the step `at`, and carries out the steps after it.
    pub(super) fn pass_gate(
        &self,
        at: usize,
        scratch: &mut Scratch,
        reporter: &mut Reporter,
    ) -> Result<(), Failure> {
        let Step::Gate { fd } = &self.plan.steps[at] else { return Ok(()) };
        let gate = self.fds.get(*fd as usize).ok_or_else(|| failure("gate", b"", Errno::BADF))?;
        // Whoever waits for the start hears of a missing command now, not when nobody listens.
        exec::look_up(self.args, &scratch.env)?;
        // Nothing of the host may stay within reach of those who can look into this process.
        let mut keep: Vec<_> = (0..3 + self.preserved as i32).chain([gate.as_raw_fd()]).collect();
        keep.extend(reporter.socket());
        process::close_all_but(&mut keep).during("gate")?;
        security::parent_death_signal(0).during("gate")?;
        reporter.send_ready();
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
                Step::Hook(hook) => hook::run(hook)?,
                other => {
                    return Err(coded("internal", other.name(), b"", "this step can't come after the gate"));
                }
            }
        }
        confine::late_filter(self.process)
    }
}
