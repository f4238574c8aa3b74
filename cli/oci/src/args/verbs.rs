//! The commands, and what each of them takes.

use super::command::{self, Command};
use super::flags::*;
use super::table::{Flag, Flags, Takes, Verb, Word};

/// What stands before the command.
pub static GLOBAL: Flags =
    &[&[&ROOT, &LOG, &LOG_FORMAT, &DEBUG, &SYSTEMD_CGROUP, &ROOTLESS, &CRIU, &VERSION]];

/// What `create` and `run` have in common.
static CREATE: &[&Flag] =
    &[&BUNDLE, &CONSOLE_SOCKET, &PIDFD_SOCKET, &PID_FILE, &NO_PIVOT, &NO_NEW_KEYRING, &PRESERVE_FDS];

/// What `checkpoint` and `restore` have in common.
static IMAGE: &[&Flag] = &[
    &IMAGE_PATH,
    &WORK_PATH,
    &TCP_ESTABLISHED,
    &EXT_UNIX_SK,
    &SHELL_JOB,
    &FILE_LOCKS,
    &AUTO_DEDUP,
    &MANAGE_CGROUPS_MODE,
    &EMPTY_NS,
    &LAZY_PAGES,
];

pub static ID: Word = Word { name: "container-id", help: "Container id", takes: Takes::One };
pub static SIGNAL: Word = Word { name: "signal", help: "Name or number", takes: Takes::Default("SIGTERM") };
pub static COMMAND: Word = Word { name: "command", help: "Program and arguments", takes: Takes::Words };
pub static PS_OPTIONS: Word = Word { name: "ps options", help: "Options for ps", takes: Takes::All };

/// All commands.
pub static VERBS: &[Verb] = &[
    Verb {
        name: "create",
        about: "Create a container",
        flags: &[CREATE],
        words: &[&ID],
        make: |given| command::create(given).map(Command::Create),
    },
    Verb {
        name: "start",
        about: "Start a created container",
        flags: &[],
        words: &[&ID],
        make: |given| Ok(Command::Start { id: given.word(&ID)? }),
    },
    Verb {
        name: "run",
        about: "Create and start a container",
        flags: &[CREATE, &[&DETACH, &KEEP, &NO_SUBREAPER]],
        words: &[&ID],
        make: command::run,
    },
    Verb {
        name: "state",
        about: "Print the state of a container",
        flags: &[],
        words: &[&ID],
        make: |given| Ok(Command::State { id: given.word(&ID)? }),
    },
    Verb {
        name: "kill",
        about: "Send a signal to a container",
        flags: &[&[&ALL]],
        words: &[&ID, &SIGNAL],
        make: |given| {
            let all = given.switch(&ALL);
            Ok(Command::Kill { all, id: given.word(&ID)?, signal: given.word(&SIGNAL)? })
        },
    },
    Verb {
        name: "delete",
        about: "Remove a stopped container",
        flags: &[&[&FORCE]],
        words: &[&ID],
        make: |given| Ok(Command::Delete { force: given.switch(&FORCE), id: given.word(&ID)? }),
    },
    Verb {
        name: "exec",
        about: "Run a further process in a container",
        flags: &[&[
            &CONSOLE_SOCKET,
            &PIDFD_SOCKET,
            &CWD,
            &ENV,
            &TTY,
            &USER,
            &ADDITIONAL_GIDS,
            &PROCESS,
            &DETACH,
            &PID_FILE,
            &PROCESS_LABEL,
            &APPARMOR,
            &NO_NEW_PRIVS,
            &CAP,
            &PRESERVE_FDS,
            &CGROUP,
            &IGNORE_PAUSED,
            &EXEC_NO_SUBREAPER,
        ]],
        words: &[&ID, &COMMAND],
        make: command::exec,
    },
    Verb {
        name: "ps",
        about: "List the processes of a container",
        flags: &[&[&FORMAT]],
        words: &[&ID, &PS_OPTIONS],
        make: |given| {
            let format = given.text(&FORMAT)?.unwrap_or_default();
            Ok(Command::Ps { format, id: given.word(&ID)?, options: given.rest(&PS_OPTIONS)? })
        },
    },
    Verb {
        name: "list",
        about: "List containers",
        flags: &[&[&FORMAT, &QUIET]],
        words: &[],
        make: |given| {
            let format = given.text(&FORMAT)?.unwrap_or_default();
            Ok(Command::List { format, quiet: given.switch(&QUIET) })
        },
    },
    Verb {
        name: "pause",
        about: "Stop all processes of a container",
        flags: &[],
        words: &[&ID],
        make: |given| Ok(Command::Pause { id: given.word(&ID)? }),
    },
    Verb {
        name: "resume",
        about: "Let all processes of a container go on",
        flags: &[],
        words: &[&ID],
        make: |given| Ok(Command::Resume { id: given.word(&ID)? }),
    },
    Verb {
        name: "update",
        about: "Change limits of a container",
        flags: &[&[
            &RESOURCES,
            &BLKIO_WEIGHT,
            &CPU_PERIOD,
            &CPU_QUOTA,
            &CPU_BURST,
            &CPU_IDLE,
            &CPU_SHARE,
            &CPU_RT_PERIOD,
            &CPU_RT_RUNTIME,
            &CPUSET_CPUS,
            &CPUSET_MEMS,
            &KERNEL_MEMORY,
            &KERNEL_MEMORY_TCP,
            &MEMORY,
            &MEMORY_RESERVATION,
            &MEMORY_SWAP,
            &PIDS_LIMIT,
            &L3_CACHE_SCHEMA,
            &MEM_BW_SCHEMA,
        ]],
        words: &[&ID],
        make: command::update,
    },
    Verb {
        name: "events",
        about: "Print what a container uses, and when it wants memory",
        flags: &[&[&INTERVAL, &STATS]],
        words: &[&ID],
        make: |given| {
            let interval = given.text(&INTERVAL)?.unwrap_or_default();
            Ok(Command::Events { interval, stats: given.switch(&STATS), id: given.word(&ID)? })
        },
    },
    Verb {
        name: "spec",
        about: "Write a configuration to begin with",
        flags: &[&[&BUNDLE, &SPEC_ROOTLESS]],
        words: &[],
        make: |given| {
            Ok(Command::Spec { bundle: given.path(&BUNDLE), rootless: given.switch(&SPEC_ROOTLESS) })
        },
    },
    Verb {
        name: "features",
        about: "Print what this runtime can do",
        flags: &[],
        words: &[],
        make: |_| Ok(Command::Features),
    },
    Verb {
        name: "checkpoint",
        about: "Write a container's processes to an image",
        flags: &[
            IMAGE,
            &[
                &PARENT_PATH,
                &PRE_DUMP,
                &LEAVE_RUNNING,
                &TCP_SKIP_IN_FLIGHT,
                &LINK_REMAP,
                &PAGE_SERVER,
                &STATUS_FD,
            ],
        ],
        words: &[&ID],
        make: command::checkpoint,
    },
    Verb {
        name: "restore",
        about: "Make a container from an image",
        flags: &[
            IMAGE,
            &[
                &BUNDLE,
                &DETACH,
                &PID_FILE,
                &CONSOLE_SOCKET,
                &LSM_PROFILE,
                &LSM_MOUNT_CONTEXT,
                &NO_SUBREAPER,
                &RESTORE_NO_PIVOT,
            ],
        ],
        words: &[&ID],
        make: command::restore,
    },
];
