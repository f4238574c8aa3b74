//! From the command line to the runtime, and back to print.

use crate::args::{Cli, Command, Create, Exec, Update};
use crate::criu;
use crate::log::Log;
use crate::numbers;
use containers::oci::{CreateOptions, Engine, ExecOptions, State, UpdateOptions, features, template};
use containers::{Error, ErrorKind};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Why the program ends with a code other than 0.
pub struct Failure {
    pub code: u8,
    pub message: String,
    /// What people are told in place of the message, which is in the log if there is one.
    pub short: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { code: 1, message: error.to_string(), short: None }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure { code: 1, message, short: None }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure { code: 1, message: error.to_string(), short: None }
    }
}

/// Of a command that was not found, 127; of one that may not be executed, 126; otherwise `code`.
fn of_command(what: &str, code: u8, error: &Error) -> Failure {
    let not_found = |text: &str| text.contains("no such file") || text.contains("executable file not found");
    let code = match error.kind() {
        ErrorKind::CommandNotFound if not_found(error.message()) => 127,
        ErrorKind::CommandNotFound => 126,
        _ => code,
    };
    let message = match what {
        "exec" => format!("exec failed: {error}"),
        _ => format!("{} {what} failed: {error}", own_name()),
    };
    let short = if what == "run" { uninterpreted(error.message()) } else { None };
    Failure { code, message, short }
}

/// Of a script whose interpreter is missing, which shows when it is executed: what the container's process says itself
/// under runc, and all that is said then.
fn uninterpreted(message: &str) -> Option<String> {
    let (_, told) = message.split_once(": exec ")?;
    told.strip_suffix(": its interpreter is missing").map(|told| format!("exec {told}"))
}

/// The name by which it was called: where it takes another runtime's place, that one's.
pub fn own_name() -> String {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "containers-oci".to_owned())
}

/// `exec` itself failed.
const EXEC_FAILED: u8 = 255;

/// Carries a command out; the exit code.
pub fn dispatch(cli: Cli, log: &Log) -> Result<u8, Failure> {
    if cli.version {
        // Scripts read the first three lines of runc's by their order.
        let (commit, spec) = (option_env!("CONTAINERS_COMMIT").unwrap_or("unknown"), version());
        let version = env!("CARGO_PKG_VERSION");
        say(&format!("{} version {version}\ncommit: {commit}\nspec: {spec}\n", own_name()))?;
        return Ok(0);
    }
    let Some(command) = cli.command else {
        return Err("no command: see containers-oci --help".to_owned().into());
    };
    if let (Command::List { .. }, Some(root)) = (&command, &cli.root) {
        // A root that was named is expected to be there.
        std::fs::metadata(root).map_err(|e| format!("can't list {}: {e}", root.display()))?;
    }
    let warnings = log.clone();
    let engine = Engine::new(cli.root, cli.systemd_cgroup, cli.rootless)?;
    let engine = engine.with_first(containers_init::become_first);
    let engine = engine.on_warning(move |text| warnings.warning(text));
    let engine = match cli.debug {
        false => engine,
        true => {
            let steps = log.clone();
            engine.on_step(move |text| steps.debug(text))
        }
    };
    match command {
        Command::Create(create) => {
            let (id, mut options) = create_options(create);
            listen_fds(&mut options);
            engine.create(&id, &options).map_err(|e| of_command("create", 1, &e))?;
            // The process that waits may have this one's memory.
            #[cfg(all(own_start, not(test)))]
            crate::start::forget_arguments();
        }
        Command::Start { id } => engine.start(&id)?,
        Command::Run(run) => {
            let (id, options) = create_options(run.create);
            let mut options = CreateOptions { detach: run.detach, keep: run.keep, ..options };
            listen_fds(&mut options);
            return Ok(engine.run(&id, &options).map_err(|e| of_command("run", 1, &e))? as u8);
        }
        Command::State { id } => print_json(&engine.state(&id)?)?,
        Command::Kill { all, id, signal } => engine.kill(&id, numbers::signal(&signal)?, all)?,
        Command::Delete { force, id } => engine.delete(&id, force)?,
        Command::Exec(exec) => return run_exec(&engine, *exec),
        Command::Ps { format, id, options } => ps(&engine, &id, &format, &options)?,
        Command::List { format, quiet } => list(&engine.list()?, &format, quiet)?,
        Command::Pause { id } => engine.pause(&id)?,
        Command::Resume { id } => engine.resume(&id)?,
        Command::Update(update) => {
            let (id, options) = update_options(*update)?;
            for warning in engine.update(&id, &options)? {
                log.warning(&warning);
            }
        }
        Command::Events { interval, stats, id } => events(&engine, &id, &interval, stats)?,
        Command::Spec { bundle, rootless } => write_spec(bundle.as_deref(), rootless)?,
        Command::Features => print_json(&features())?,
        Command::Checkpoint(checkpoint) => {
            let (id, options) = criu::checkpoint(*checkpoint)?;
            engine.checkpoint(&id, &options)?;
            if !options.leave_running && !options.pre_dump {
                engine.delete(&id, true)?;
            }
        }
        Command::Restore(restore) => {
            let (id, options) = criu::restore(*restore)?;
            return Ok(engine.restore(&id, &options)? as u8);
        }
    }
    Ok(0)
}

fn version() -> String {
    features()["ociVersionMax"].as_str().unwrap_or_default().to_owned()
}

fn create_options(create: Create) -> (String, CreateOptions) {
    let options = CreateOptions {
        bundle: create.bundle.unwrap_or_default(),
        console_socket: create.console_socket,
        pidfd_socket: create.pidfd_socket,
        pid_file: create.pid_file,
        no_pivot: create.no_pivot,
        no_new_keyring: create.no_new_keyring,
        preserve_fds: create.preserve_fds,
        ..CreateOptions::default()
    };
    (create.id, options)
}

/// Descriptors of socket activation are passed on as well.
fn listen_fds(options: &mut CreateOptions) {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse::<u32>().ok());
    options.listen_fds = count.unwrap_or(0);
    options.preserve_fds += options.listen_fds;
}

fn run_exec(engine: &Engine, exec: Exec) -> Result<u8, Failure> {
    let usage = |message: &str| Failure { code: EXEC_FAILED, message: message.to_owned(), short: None };
    if exec.process.is_none() && exec.command.is_empty() {
        return Err(usage("exec needs a program, or --process"));
    }
    let options = ExecOptions {
        process: exec.process,
        args: exec.command,
        cwd: exec.cwd,
        env: exec.env,
        user: exec.user,
        additional_gids: exec.additional_gids,
        caps: exec.cap,
        no_new_privs: exec.no_new_privs,
        apparmor: exec.apparmor,
        process_label: exec.process_label,
        tty: exec.tty,
        ignore_paused: exec.ignore_paused,
        detach: exec.detach,
        pid_file: exec.pid_file,
        console_socket: exec.console_socket,
        pidfd_socket: exec.pidfd_socket,
        preserve_fds: exec.preserve_fds,
        cgroup: exec.cgroup,
    };
    Ok(engine.exec(&exec.id, &options).map_err(|e| of_command("exec", EXEC_FAILED, &e))? as u8)
}

fn update_options(update: Update) -> Result<(String, UpdateOptions), Failure> {
    let size = |text: &Option<String>| text.as_deref().map(numbers::size).transpose();
    let resources = match update.resources.as_deref() {
        None => None,
        Some(path) if path == Path::new("-") => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            Some(text)
        }
        Some(path) => Some(std::fs::read(path).map_err(|e| format!("can't read {}: {e}", path.display()))?),
    };
    let options = UpdateOptions {
        resources,
        blkio_weight: update.blkio_weight,
        cpu_period: update.cpu_period,
        cpu_quota: update.cpu_quota,
        cpu_burst: update.cpu_burst,
        cpu_idle: update.cpu_idle,
        cpu_share: update.cpu_share,
        cpu_rt_period: update.cpu_rt_period,
        cpu_rt_runtime: update.cpu_rt_runtime,
        cpuset_cpus: update.cpuset_cpus,
        cpuset_mems: update.cpuset_mems,
        memory: size(&update.memory)?,
        memory_reservation: size(&update.memory_reservation)?,
        memory_swap: size(&update.memory_swap)?,
        pids_limit: update.pids_limit,
        l3_cache_schema: update.l3_cache_schema,
        mem_bw_schema: update.mem_bw_schema,
    };
    Ok((update.id, options))
}

/// Writes to standard output, at once: the program's end leaves buffers alone.
pub fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(say(&format!("{text}\n"))?)
}

fn list(states: &[State], format: &str, quiet: bool) -> Result<(), Failure> {
    if quiet {
        let ids: String = states.iter().map(|s| format!("{}\n", s.id)).collect();
        return Ok(say(&ids)?);
    }
    match format {
        "json" => {
            let text = if states.is_empty() { "null".to_owned() } else { json(&states)? };
            Ok(say(&format!("{text}\n"))?)
        }
        "table" => {
            let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
            let row = |s: &State| {
                let bundle = s.bundle.display().to_string();
                [
                    s.id.clone(),
                    s.pid.to_string(),
                    s.status.to_owned(),
                    bundle,
                    s.created.clone(),
                    s.owner.clone(),
                ]
            };
            Ok(say(&table(std::iter::once(head).chain(states.iter().map(row)).collect()))?)
        }
        _ => Err("invalid format option".to_owned().into()),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| e.to_string().into())
}

/// Columns at least 12 wide, with a space between.
fn table(rows: Vec<[String; 6]>) -> String {
    const LEAST: usize = 12;
    let width = |column: usize| rows.iter().map(|r| r[column].len() + 1).max().unwrap_or(0).max(LEAST);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).take(5).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}{}\n", cells.collect::<String>(), row[5])
    };
    rows.iter().map(line).collect()
}

fn ps(engine: &Engine, id: &str, format: &str, options: &[String]) -> Result<(), Failure> {
    let pids = engine.pids(id)?;
    if format == "json" {
        return Ok(say(&format!("{}\n", json(&pids)?))?);
    }
    if format != "table" {
        return Err("invalid format option".to_owned().into());
    }
    let options = if options.is_empty() { &["-ef".to_owned()] } else { options };
    let output = std::process::Command::new("ps").args(options).output();
    let output = output.map_err(|e| format!("ps can't be run: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned().into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_ascii_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| "couldn't find PID field in ps output".to_owned())?;
    let ours = |line: &&str| {
        let pid = line.split_ascii_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let shown: String = std::iter::once(head).chain(lines.filter(ours)).map(|l| format!("{l}\n")).collect();
    Ok(say(&shown)?)
}

fn events(engine: &Engine, id: &str, interval: &str, once: bool) -> Result<(), Failure> {
    let interval = numbers::duration(interval)?;
    if once {
        return Ok(say(&event(&engine.stats(id)?))?);
    }
    engine.events(id, interval, |news| say(&event(news)).is_ok())?;
    Ok(())
}

/// A line for an event, its type and the container first: scripts read it as text.
fn event(news: &serde_json::Value) -> String {
    let data = news.get("data").map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("{{\"type\":{},\"id\":{}{data}}}\n", news["type"], news["id"])
}

fn write_spec(bundle: Option<&Path>, rootless: bool) -> Result<(), Failure> {
    let path: PathBuf = bundle.unwrap_or(Path::new("")).join("config.json");
    let text = serde_json::to_string_pretty(&template(rootless)).map_err(|e| e.to_string())?;
    let made = std::fs::File::options().write(true).create_new(true).open(&path);
    let mut file = made.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("File {} exists. Remove it first", path.display())
        }
        _ => format!("can't write {}: {e}", path.display()),
    })?;
    Ok(file.write_all(text.as_bytes())?)
}
