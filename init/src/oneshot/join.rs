//! A further process in a container.

use crate::child::join::Joiner;
use crate::child::report::Reporter;
use crate::child::{self, Scratch};
use crate::failure::{Context, failure};
use crate::sys::security;
use containers_protocol::control::Failure;
use containers_protocol::oneshot::Join;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;

/// Enters the container and makes the process there.
pub fn join(join: &Join, reporter: &mut Reporter, fds: &[OwnedFd]) -> Result<(), Failure> {
    let [target, stdin, stdout, stderr] = fds else {
        return Err(failure("setup", b"descriptors", Errno::BADF));
    };
    let (args, env) = child::strings(&join.process)?;
    let (_, permitted, _) = security::caps().during("capabilities")?;
    // In a user namespace that is entered, everything may be had.
    let enters_userns = join.namespaces & libc::CLONE_NEWUSER as u64 != 0;
    let held = if enters_userns { u64::MAX } else { permitted };
    let entrances = super::open_entrances(&join.entrances)?;
    let joiner = Joiner {
        target: target.as_fd(),
        namespaces: join.namespaces,
        entrances: &entrances,
        process: &join.process,
        args: &args,
        stdio: [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()],
        parent: None,
        held: (held, u64::MAX),
        nofile: None,
        preserved: join.preserved,
    };
    // Nobody inside may look into this process once it is there.
    security::set_dumpable(false).during("setup")?;
    let mut scratch = Scratch::new(env);
    // Only what is inside comes back from this, with a failure.
    Err(joiner.run(&mut scratch, reporter))
}
