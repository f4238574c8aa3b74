//! Further processes in a running container.

use super::report::Reporter;
use super::{Finish, Scratch, enter_cgroups, exec, extra, finish, tty};
use crate::failure::{Context, coded};
use crate::launcher::userns;
use crate::sys::process::{self, CStrings, Forked};
use crate::sys::sched;
use containers_protocol::control::Failure;
use containers_protocol::plan::ProcessPlan;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// All that a joining child is given.
pub struct Joiner<'a> {
    /// The container's first process.
    pub target: BorrowedFd<'a>,
    /// Namespaces that the container has of its own.
    pub namespaces: u64,
    /// Files of its cgroup to enter through.
    pub entrances: &'a [OwnedFd],
    /// What to become.
    pub process: &'a ProcessPlan,
    /// Program and arguments.
    pub args: &'a CStrings,
    /// Standard streams; -1: `/dev/null`.
    pub stdio: [RawFd; 3],
    /// pidfd of the process that this one must not outlive, if there is one.
    pub parent: Option<BorrowedFd<'a>>,
    /// Capabilities that the parent has: permitted, and bounding.
    pub held: (u64, u64),
    /// Limit of open files, if it is to be set back.
    pub nofile: Option<(u64, u64)>,
    /// How many descriptors from 3 on the command keeps.
    pub preserved: u32,
}

impl Joiner<'_> {
    /// Enters the container; a sibling born inside becomes the command. Returns only on failure.
    ///
    /// Nobody inside can trace or look into this process: it is not dumpable, as its parent is not.
    pub fn run(&self, scratch: &mut Scratch, reporter: &mut Reporter) -> Failure {
        match self.enter(reporter) {
            Ok(()) => self.become_command(scratch, reporter),
            Err(failed) if self.has_ended(failed.errno) => {
                coded("not_running", "exec", b"", "the container has just ended")
            }
            Err(failed) => failed,
        }
    }

    /// Whether the container's first process has ended, or is about to: while it still exits, its pid namespace takes no
    /// new process, and says that with the error for no memory (pid_namespaces(7)).
    fn has_ended(&self, errno: i32) -> bool {
        let patience = Timespec { tv_sec: i64::from(errno == libc::ENOMEM), tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.target, PollFlags::IN)];
        poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
    }

    fn enter(&self, reporter: &Reporter) -> Result<(), Failure> {
        if let Some(cpus) = self.process.extra.as_ref().and_then(|e| e.initial_cpus.as_ref()) {
            sched::set_affinity(cpus).during("cpu_affinity")?;
        }
        if let Some(score) = self.process.oom_score_adj {
            extra::set_oom_score(score)?;
        }
        enter_cgroups(self.entrances)?;
        if self.process.extra.as_ref().is_some_and(|e| e.initial_cpus.is_none() && e.final_cpus.is_none()) {
            sched::reset_affinity();
        }
        process::setns(self.target, self.namespaces).during("setns")?;
        if self.namespaces & libc::CLONE_NEWUSER as u64 != 0 {
            userns::become_root()?;
        }
        // A child of our parent, so that the parent can wait for it.
        match process::fork(libc::CLONE_PARENT as u64, None).during("clone")? {
            Forked::Child => Ok(()),
            Forked::Parent { pid, pidfd } => {
                let told = reporter.send_joined(pid, &pidfd);
                process::exit(if told.is_ok() { 0 } else { 1 })
            }
        }
    }

    fn become_command(&self, scratch: &mut Scratch, reporter: &mut Reporter) -> Failure {
        let confined = self.confine(scratch, reporter);
        match confined {
            Ok(()) => {
                reporter.send_executing();
                exec::exec(self.args, &scratch.env, scratch.found)
            }
            Err(failed) => failed,
        }
    }

    fn confine(&self, scratch: &mut Scratch, reporter: &mut Reporter) -> Result<(), Failure> {
        let pty = match self.process.tty {
            Some((rows, cols)) => Some(tty::open_inside(rows, cols)?),
            None => None,
        };
        let mut stdio = self.stdio;
        if let Some(pty) = &pty {
            reporter.send_master(&pty.master)?;
            stdio = [pty.slave.as_raw_fd(); 3];
        }
        finish(
            &Finish {
                process: self.process,
                root: None,
                stdio,
                parent: self.parent,
                held: self.held,
                nofile: self.nofile,
                pid1: false,
                preserved: self.preserved,
                gate: None,
            },
            scratch,
            reporter,
        )
    }
}
