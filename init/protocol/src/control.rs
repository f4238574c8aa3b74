//! The control protocol: any process to the parent of a container, over a `SOCK_SEQPACKET` socket.
//!
//! One JSON document a message. The client's first message is [`Request::Hello`]. The protocol is frozen
//! and additive, because a monitor may be older or newer than its client.

use serde::{Deserialize, Serialize};

/// Version of this protocol.
pub const VERSION: u32 = 1;

/// What a client asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Names the container all further requests of this connection are about. Answer: `hello`.
    Hello {
        /// [`VERSION`] of the client.
        version: u32,
        /// Container id.
        container: String,
    },
    /// Answer: `state`.
    State,
    /// Sends a signal to the container's first process, or on an exec connection to that process's group.
    /// Answer: `done`.
    Kill {
        /// Signal number.
        signal: i32,
    },
    /// Freezes all processes. Answer: `done`.
    Pause,
    /// Thaws all processes. Answer: `done`.
    Unpause,
    /// Starts a further process; this connection is that process's from then on. Descriptors: stdin,
    /// stdout, stderr as `stdio` says. Answers: `started`, later `exited`.
    Exec(Box<Exec>),
    /// Streams output from now on into the descriptors sent along (stdout, stderr), reads input from the
    /// one for stdin, as the flags say. Answer: `done`. Lasts until the container ends or the other ends of
    /// the descriptors are closed, whatever becomes of this connection. The descriptors should be pipes or
    /// sockets made for this: they are switched to non-blocking.
    Attach {
        /// A descriptor for input is sent.
        stdin: bool,
        /// A descriptor for output is sent.
        stdout: bool,
        /// A descriptor for error output is sent.
        stderr: bool,
    },
    /// Sets the size of the terminal. Answer: `done`.
    Resize {
        /// Rows.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// Answer, when the container has ended (at once if it has): `exited`.
    Wait,
    /// Changes cgroup values. Answer: `done`.
    Update {
        /// Controller (v1; empty on v2), file, value.
        writes: Vec<(String, String, String)>,
    },
    /// Asks not to restart the container any more (before a stop). Answer: `done`.
    NoRestart,
}

/// A further process in a running container. What is not said is as for the container's command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=value` entries, on top of the container's.
    #[serde(default)]
    pub env: Vec<String>,
    /// Working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// As in [`crate::plan::ProcessPlan::user`].
    #[serde(default)]
    pub user: Option<String>,
    /// All capabilities of the parent instead of the container's.
    #[serde(default)]
    pub privileged: bool,
    /// A terminal of this many rows and columns; its master comes with `started`, and `stdio` is unused.
    #[serde(default)]
    pub tty: Option<(u16, u16)>,
    /// Which of stdin, stdout, stderr are sent along, in this order; the others are `/dev/null`.
    #[serde(default)]
    pub stdio: [bool; 3],
    /// Run in its own process group and, when this connection closes, kill it.
    #[serde(default)]
    pub kill_on_close: bool,
    /// Kill its group after so many milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// What a parent answers or reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Answer to [`Request::Hello`].
    Hello {
        /// [`VERSION`] of the parent.
        version: u32,
        /// Process id of the parent.
        pid: i32,
    },
    /// A monitor is there, and waits for a cgroup of its own; only who has it started sees that.
    Born {
        /// Its process id.
        pid: i32,
    },
    /// The request is carried out.
    Done,
    /// The process runs. With a direct terminal, its master comes along.
    Started(Started),
    /// The process has ended, and the connection with it.
    Exited(ExitRecord),
    /// How it stands.
    State(State),
    /// The request, or the start, failed.
    Failed(Failure),
}

/// A process that runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Started {
    /// Process id as the parent's process namespace counts.
    pub pid: i32,
    /// Start time in clock ticks since boot (`/proc/<pid>/stat`, field 22); 0: not read.
    #[serde(default)]
    pub start_time: u64,
    /// Unix time in nanoseconds.
    #[serde(default)]
    pub at: i64,
    /// cgroup directories of the container.
    #[serde(default)]
    pub cgroups: Vec<String>,
    /// Defaults that could not be had.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code; 128 + n after signal n.
    pub code: i32,
    /// The signal that ended it; 0: none.
    #[serde(default)]
    pub signal: i32,
    /// The kernel killed a process of it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Unix time in nanoseconds.
    #[serde(default)]
    pub started_at: i64,
    /// Unix time in nanoseconds.
    #[serde(default)]
    pub finished_at: i64,
    /// How often a monitor has restarted it.
    #[serde(default)]
    pub restarts: u32,
    /// Why it could not be started (again).
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// How a container stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// `created`, `running`, `paused`, `restarting`, `exited`.
    pub status: String,
    /// The running process.
    #[serde(default)]
    pub started: Option<Started>,
    /// The last end.
    #[serde(default)]
    pub exit: Option<ExitRecord>,
    /// How often it was restarted.
    #[serde(default)]
    pub restarts: u32,
    /// `starting`, `healthy`, `unhealthy`; empty without a health check.
    #[serde(default)]
    pub health: String,
}

/// Why something failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The library's error code when the parent knows better than errno says: `command_not_found`,
    /// `invalid_argument`, `not_running`…; empty: decided by errno.
    #[serde(default)]
    pub code: String,
    /// The step that failed: `mount`, `pivot_root`, `user`, `exec`…
    pub step: String,
    /// The path or name it was about.
    #[serde(default)]
    pub path: String,
    /// The kernel's errno; 0: none.
    #[serde(default)]
    pub errno: i32,
    /// One sentence more.
    #[serde(default)]
    pub detail: String,
}
