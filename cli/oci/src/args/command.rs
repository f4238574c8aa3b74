//! The commands as they are carried out, and how they are filled in. What the fields are is told in [`super::flags`].

use super::flags::*;
use super::given::Given;
use super::verbs::{COMMAND, ID};
use super::wrong::Wrong;
use std::path::PathBuf;

/// A command with all that it was given.
#[derive(Debug, PartialEq)]
pub enum Command {
    Create(Create),
    Start { id: String },
    Run(Run),
    State { id: String },
    Kill { all: bool, id: String, signal: String },
    Delete { force: bool, id: String },
    Exec(Box<Exec>),
    Ps { format: String, id: String, options: Vec<String> },
    List { format: String, quiet: bool },
    Pause { id: String },
    Resume { id: String },
    Update(Box<Update>),
    Events { interval: String, stats: bool, id: String },
    Spec { bundle: Option<PathBuf>, rootless: bool },
    Features,
    Checkpoint(Box<Checkpoint>),
    Restore(Box<Restore>),
}

/// `create`, and most of `run`.
#[derive(Debug, Default, PartialEq)]
pub struct Create {
    pub bundle: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub preserve_fds: u32,
    pub id: String,
}

/// `run`.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    pub create: Create,
    pub detach: bool,
    pub keep: bool,
}

/// `exec`.
#[derive(Debug, Default, PartialEq)]
pub struct Exec {
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub cwd: Option<String>,
    pub env: Vec<String>,
    pub tty: bool,
    pub user: Option<String>,
    pub additional_gids: Vec<u32>,
    pub process: Option<PathBuf>,
    pub detach: bool,
    pub pid_file: Option<PathBuf>,
    pub process_label: Option<String>,
    pub apparmor: Option<String>,
    /// As the container has it, if this is None.
    pub no_new_privs: Option<bool>,
    pub cap: Vec<String>,
    pub preserve_fds: u32,
    pub cgroup: Vec<String>,
    pub ignore_paused: bool,
    pub id: String,
    pub command: Vec<String>,
}

/// `update`.
#[derive(Debug, Default, PartialEq)]
pub struct Update {
    pub resources: Option<PathBuf>,
    pub blkio_weight: Option<u16>,
    pub cpu_period: Option<u64>,
    pub cpu_quota: Option<i64>,
    pub cpu_burst: Option<u64>,
    pub cpu_idle: Option<i64>,
    pub cpu_share: Option<u64>,
    pub cpu_rt_period: Option<u64>,
    pub cpu_rt_runtime: Option<i64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    pub memory: Option<String>,
    pub memory_reservation: Option<String>,
    pub memory_swap: Option<String>,
    pub pids_limit: Option<i64>,
    pub l3_cache_schema: Option<String>,
    pub mem_bw_schema: Option<String>,
    pub id: String,
}

/// What `checkpoint` and `restore` have in common.
#[derive(Debug, Default, PartialEq)]
pub struct Criu {
    pub image_path: PathBuf,
    pub work_path: Option<PathBuf>,
    pub tcp_established: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub auto_dedup: bool,
    pub manage_cgroups_mode: String,
    pub empty_ns: Vec<String>,
    pub lazy_pages: bool,
    pub id: String,
}

/// `checkpoint`.
#[derive(Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub criu: Criu,
    pub parent_path: Option<String>,
    pub pre_dump: bool,
    pub leave_running: bool,
    pub tcp_skip_in_flight: bool,
    pub link_remap: bool,
    pub page_server: Option<String>,
    pub status_fd: Option<i32>,
}

/// `restore`.
#[derive(Debug, Default, PartialEq)]
pub struct Restore {
    pub criu: Criu,
    pub bundle: Option<PathBuf>,
    pub detach: bool,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub lsm_profile: Option<String>,
    pub lsm_mount_context: Option<String>,
}

pub fn create(given: &mut Given) -> Result<Create, Wrong> {
    Ok(Create {
        bundle: given.path(&BUNDLE),
        console_socket: given.path(&CONSOLE_SOCKET),
        pidfd_socket: given.path(&PIDFD_SOCKET),
        pid_file: given.path(&PID_FILE),
        no_pivot: given.switch(&NO_PIVOT),
        no_new_keyring: given.switch(&NO_NEW_KEYRING),
        preserve_fds: given.number(&PRESERVE_FDS)?.unwrap_or_default(),
        id: given.word(&ID)?,
    })
}

pub fn run(given: &mut Given) -> Result<Command, Wrong> {
    given.ignore(&NO_SUBREAPER);
    let (detach, keep) = (given.switch(&DETACH), given.switch(&KEEP));
    Ok(Command::Run(Run { create: create(given)?, detach, keep }))
}

pub fn exec(given: &mut Given) -> Result<Command, Wrong> {
    given.ignore(&EXEC_NO_SUBREAPER);
    Ok(Command::Exec(Box::new(Exec {
        console_socket: given.path(&CONSOLE_SOCKET),
        pidfd_socket: given.path(&PIDFD_SOCKET),
        cwd: given.text(&CWD)?,
        env: given.texts(&ENV)?,
        tty: given.switch(&TTY),
        user: given.text(&USER)?,
        additional_gids: given.numbers(&ADDITIONAL_GIDS)?,
        process: given.path(&PROCESS),
        detach: given.switch(&DETACH),
        pid_file: given.path(&PID_FILE),
        process_label: given.text(&PROCESS_LABEL)?,
        apparmor: given.text(&APPARMOR)?,
        no_new_privs: given.switch_or_not(&NO_NEW_PRIVS),
        cap: given.texts(&CAP)?,
        preserve_fds: given.number(&PRESERVE_FDS)?.unwrap_or_default(),
        cgroup: given.texts(&CGROUP)?,
        ignore_paused: given.switch(&IGNORE_PAUSED),
        id: given.word(&ID)?,
        command: given.rest(&COMMAND)?,
    })))
}

pub fn update(given: &mut Given) -> Result<Command, Wrong> {
    given.ignore(&KERNEL_MEMORY);
    given.ignore(&KERNEL_MEMORY_TCP);
    Ok(Command::Update(Box::new(Update {
        resources: given.path(&RESOURCES),
        blkio_weight: given.number(&BLKIO_WEIGHT)?,
        cpu_period: given.number(&CPU_PERIOD)?,
        cpu_quota: given.number(&CPU_QUOTA)?,
        cpu_burst: given.number(&CPU_BURST)?,
        cpu_idle: given.number(&CPU_IDLE)?,
        cpu_share: given.number(&CPU_SHARE)?,
        cpu_rt_period: given.number(&CPU_RT_PERIOD)?,
        cpu_rt_runtime: given.number(&CPU_RT_RUNTIME)?,
        cpuset_cpus: given.text(&CPUSET_CPUS)?,
        cpuset_mems: given.text(&CPUSET_MEMS)?,
        memory: given.text(&MEMORY)?,
        memory_reservation: given.text(&MEMORY_RESERVATION)?,
        memory_swap: given.text(&MEMORY_SWAP)?,
        pids_limit: given.number(&PIDS_LIMIT)?,
        l3_cache_schema: given.text(&L3_CACHE_SCHEMA)?,
        mem_bw_schema: given.text(&MEM_BW_SCHEMA)?,
        id: given.word(&ID)?,
    })))
}

fn criu(given: &mut Given) -> Result<Criu, Wrong> {
    Ok(Criu {
        image_path: given.path(&IMAGE_PATH).unwrap_or_default(),
        work_path: given.path(&WORK_PATH),
        tcp_established: given.switch(&TCP_ESTABLISHED),
        ext_unix_sk: given.switch(&EXT_UNIX_SK),
        shell_job: given.switch(&SHELL_JOB),
        file_locks: given.switch(&FILE_LOCKS),
        auto_dedup: given.switch(&AUTO_DEDUP),
        manage_cgroups_mode: given.text(&MANAGE_CGROUPS_MODE)?.unwrap_or_default(),
        empty_ns: given.texts(&EMPTY_NS)?,
        lazy_pages: given.switch(&LAZY_PAGES),
        id: given.word(&ID)?,
    })
}

pub fn checkpoint(given: &mut Given) -> Result<Command, Wrong> {
    Ok(Command::Checkpoint(Box::new(Checkpoint {
        criu: criu(given)?,
        parent_path: given.text(&PARENT_PATH)?,
        pre_dump: given.switch(&PRE_DUMP),
        leave_running: given.switch(&LEAVE_RUNNING),
        tcp_skip_in_flight: given.switch(&TCP_SKIP_IN_FLIGHT),
        link_remap: given.switch(&LINK_REMAP),
        page_server: given.text(&PAGE_SERVER)?,
        status_fd: given.number(&STATUS_FD)?,
    })))
}

pub fn restore(given: &mut Given) -> Result<Command, Wrong> {
    given.ignore(&NO_SUBREAPER);
    given.ignore(&RESTORE_NO_PIVOT);
    Ok(Command::Restore(Box::new(Restore {
        criu: criu(given)?,
        bundle: given.path(&BUNDLE),
        detach: given.switch(&DETACH),
        pid_file: given.path(&PID_FILE),
        console_socket: given.path(&CONSOLE_SOCKET),
        lsm_profile: given.text(&LSM_PROFILE)?,
        lsm_mount_context: given.text(&LSM_MOUNT_CONTEXT)?,
    })))
}
