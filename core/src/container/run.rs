//! One command to its end: the shortest way through everything.

use super::events::{self, gone};
use super::failure::describe;
use super::io::{Got, Wait, any_ready, input_pipe, output_pipe, read_some, write_some};
use super::record::Record;
use super::spec::{Spec, parse};
use super::{Output, RunOptions, base, names};
use crate::cgroup::Use;
use crate::executor::timeout_at;
use crate::image::store::Hold;
use crate::runtime::RuntimeInner;
use crate::sandbox::{self, RootfsParts};
use crate::{Error, ErrorKind, Result};
use containers_protocol::control::{self, Event, ExitRecord};
use containers_protocol::launch;
use containers_protocol::plan::{Keep, Rootfs, Stdio};
use containers_protocol::wire;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is collected of a command's output when the caller does not say.
const MAX_OUTPUT: u64 = 64 << 20;

/// How long the end of a killed container, or of its streams, is waited for.
const GRACE: Duration = Duration::from_secs(10);

/// A run that is over sooner leaves no record: files are what it would wait for longest.
const BRIEF: Duration = Duration::from_millis(25);

/// ^D.
const END_OF_INPUT: u8 = 4;

/// [`crate::Containers::run_with`].
pub(crate) async fn run(rt: &Arc<RuntimeInner>, image: &str, options: RunOptions) -> Result<Output> {
    rt.check_open()?;
    let RunOptions { create, input, timeout, check, max_output } = options;
    if create.detach {
        return Err(parse::bad(
            "detach",
            "run collects output; start a detached container with run_detached",
        ));
    }
    if create.stdin {
        let why = "run takes its standard input from `input`; a created container can keep its open";
        return Err(parse::bad("stdin", why));
    }
    let timeout = timeout.map(|t| parse::seconds(t, "timeout")).transpose()?;
    let deadline = timeout.map(|t| Instant::now() + t);
    // Options first: what is wrong with them does not depend on the image.
    let (base, hold) = base::resolve(rt, image, &create).await?;
    let spec = Spec::new(&create, &base.config)?;
    let id = crate::sys::random_hex::<32>()?;
    let name = create.name.clone().unwrap_or_default();
    let _held = names::claim(rt, &name, &id)?;
    let record = Record::new(id, name, &base, create);
    let mut input = input.unwrap_or_default();
    if spec.tty.is_some() && !input.is_empty() {
        // A terminal has no end of its own: this is what a user would type.
        input.push(END_OF_INPUT);
    }
    let mut run = Run {
        args: spec.args.clone(),
        input,
        deadline,
        timeout,
        max: max_output.unwrap_or(MAX_OUTPUT),
        collected: Output::default(),
        record: None,
    };
    let streams = start(rt, &record, &spec, &base.rootfs, !run.input.is_empty()).await?;
    let due = Instant::now() + if record.name.is_empty() { BRIEF } else { Duration::ZERO };
    run.record = Some(LateRecord { file: record_file(rt, &record.id), record, due, hold, written: false });
    run.collect(streams).await?.checked(check)
}

fn record_file(rt: &RuntimeInner, id: &str) -> PathBuf {
    rt.launcher.dir.join(format!("{id}.json"))
}

/// Our ends of a running command.
struct Streams {
    owner: OwnedFd,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// The command's ends of its output: while they are open, the end of a stream wakes nobody. What it
    /// wrote is complete when its end is reported, because all its processes are gone by then.
    _held: Vec<OwnedFd>,
    tty: bool,
}

async fn start(
    rt: &Arc<RuntimeInner>,
    record: &Record,
    spec: &Spec,
    rootfs: &RootfsParts,
    with_input: bool,
) -> Result<Streams> {
    // Named by the launcher: whoever opens the root sees from it whether the folder is in use.
    let dir = rt.container_dir(&format!("run-{}-{}", rt.launcher.name, &record.id[..12]));
    let file = record_file(rt, &record.id);
    let delete = vec![dir.clone().into(), file.clone().into()];
    let (cgroup, _warnings) =
        rt.cgroups.plan(&spec.limits, Use { managed: false, may_mknod: spec.may_mknod() })?;
    let tty = spec.tty.is_some();
    let stdin = if with_input && !tty { Some(input_pipe()?) } else { None };
    let outputs = if tty { None } else { Some((output_pipe()?, output_pipe()?)) };
    let mut fds: Vec<BorrowedFd<'_>> = Vec::with_capacity(3);
    let mut stdio = [None; 3];
    let theirs = [
        stdin.as_ref().map(|(_, theirs)| theirs.as_fd()),
        outputs.as_ref().map(|o| o.0.1.as_fd()),
        outputs.as_ref().map(|o| o.1.1.as_fd()),
    ];
    for (slot, fd) in stdio.iter_mut().zip(theirs) {
        if let Some(fd) = fd {
            *slot = Some(fds.len() as u32);
            fds.push(fd);
        }
    }
    let mut plan = sandbox::build(
        &rt.cache,
        sandbox::Request {
            id: &record.id,
            spec,
            rootfs,
            dir: &dir,
            throw_away: true,
            cgroup,
            id_maps: spec.own_userns.then(sandbox::idmap::auto),
            stdio: Stdio::Direct(stdio),
            keep: Keep { delete, ..Keep::default() },
            rootless: rt.rootless,
            cgroup2: rt.cgroups.version == "v2",
        },
    )?;
    if let Rootfs::Overlay(root) = &mut plan.rootfs
        && root.writable.take().is_some()
    {
        // The launcher has one ready, or makes it.
        root.pool = Some(rt.pool_dir().into());
    }
    let mut made = Made { rt, paths: vec![dir.clone(), file.clone()], keep: false };
    if !rootfs.overlays.is_empty() {
        super::make_writable(spec, rootfs, &dir)?;
    }
    let owner = rt.launcher.request(&launch::Request::Start(Box::new(plan)), &fds).await?;
    made.keep = true;
    drop(fds);
    let (stdout, stderr, _held) = match outputs {
        Some(((out, their_out), (err, their_err))) => (Some(out), Some(err), vec![their_out, their_err]),
        None => (None, None, Vec::new()),
    };
    Ok(Streams { owner, stdin: stdin.map(|(ours, _)| ours), stdout, stderr, _held, tty })
}

/// Removes what was made for a start that did not come to the launcher.
struct Made<'a> {
    rt: &'a RuntimeInner,
    paths: Vec<PathBuf>,
    keep: bool,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.keep && self.rt.is_own_process() {
            for path in &self.paths {
                let _ = std::fs::remove_dir_all(path).or_else(|_| std::fs::remove_file(path));
            }
        }
    }
}

/// A run in progress.
struct Run {
    args: Vec<String>,
    input: Vec<u8>,
    deadline: Option<Instant>,
    timeout: Option<Duration>,
    max: u64,
    collected: Output,
    record: Option<LateRecord>,
}

/// A record that is written only if the run takes longer, and removed with it.
struct LateRecord {
    record: Record,
    file: PathBuf,
    due: Instant,
    /// Keeps the image until the record does.
    hold: Option<Hold>,
    written: bool,
}

impl Drop for LateRecord {
    fn drop(&mut self) {
        // The launcher would do it a little later, and the image could not be removed until then.
        if self.written {
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

/// Why a run was ended before its end.
enum Cut {
    Timeout,
    TooMuch,
}

impl Run {
    async fn collect(mut self, mut s: Streams) -> Result<Output> {
        let mut exit = None;
        let ended = timeout_at(self.deadline, self.pump(&mut s, &mut exit)).await;
        let cut = match ended {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(cut))) => Some(cut),
            Ok(Err(e)) => return Err(e),
            Err(_) => Some(Cut::Timeout),
        };
        let Some(cut) = cut else { return Ok(self.finish(exit.ok_or_else(gone)?)) };
        // The whole container dies, and what it has still written is kept.
        s.stdin = None;
        if exit.is_none() {
            let kill = control::Request::Kill { signal: libc::SIGKILL };
            let _ = wire::send_json(&s.owner, &kill, &[]);
            self.max = self.max.saturating_add(1 << 20);
            let _ = timeout_at(Some(Instant::now() + GRACE), self.pump(&mut s, &mut exit)).await;
        }
        let error = match cut {
            Cut::Timeout => {
                let after = self.timeout.unwrap_or_default().as_secs_f64();
                Error::new(
                    ErrorKind::ExecTimeout,
                    format!("the command did not end within {after} s and was killed"),
                )
                .with_context("command", self.args.join(" "))
            }
            Cut::TooMuch => {
                let text =
                    "the command wrote more output than may be collected and was killed; raise max_output";
                Error::new(ErrorKind::LimitExceeded, text).with_context("field", "max_output")
            }
        };
        let output = self.finish(exit.unwrap_or_default());
        Err(error.with_output(output))
    }

    fn finish(self, exit: ExitRecord) -> Output {
        Output {
            exit_code: exit.code,
            signal: (exit.signal != 0).then_some(exit.signal),
            oom_killed: exit.oom_killed,
            args: self.args,
            ..self.collected
        }
    }

    /// Moves bytes until the command has ended and its streams too.
    async fn pump(&mut self, s: &mut Streams, exit: &mut Option<ExitRecord>) -> Result<Option<Cut>> {
        let mut written = 0;
        let mut drained = None;
        loop {
            while exit.is_none() {
                match events::try_next(&s.owner)? {
                    Some((Event::Exited(record), _)) => match record.failure {
                        Some(failure) => return Err(describe(failure)),
                        None => *exit = Some(record),
                    },
                    Some((Event::Failed(failure), _)) => return Err(describe(failure)),
                    Some((Event::Started(_), fds)) if s.tty => s.take_terminal(fds)?,
                    Some(_) => {}
                    None => break,
                }
            }
            if self.read(&mut s.stdout, true)? || self.read(&mut s.stderr, false)? {
                return Ok(Some(Cut::TooMuch));
            }
            self.feed(s, &mut written)?;
            if exit.is_some() {
                // Nobody is left to read, and soon nobody to write either.
                s.stdin = None;
                if !s.tty || s.stdout.is_none() {
                    return Ok(None);
                }
                let limit = *drained.get_or_insert_with(|| Instant::now() + GRACE);
                if timeout_at(Some(limit), any_ready(&s.waits(true))).await.is_err() {
                    return Ok(None);
                }
            } else {
                self.wait(s).await?;
            }
        }
    }

    /// Waits until something can be done. A run that takes longer is written down, for others to see.
    async fn wait(&mut self, s: &Streams) -> Result<()> {
        let Some(late) = self.record.as_mut().filter(|r| !r.written) else {
            return any_ready(&s.waits(false)).await;
        };
        match timeout_at(Some(late.due), any_ready(&s.waits(false))).await {
            Ok(ready) => ready,
            Err(_) => {
                late.written = true;
                late.record.write(&late.file)?;
                late.hold = None;
                Ok(())
            }
        }
    }

    /// Reads one stream as far as there is something; true: there is more than may be collected.
    fn read(&mut self, stream: &mut Option<OwnedFd>, is_stdout: bool) -> Result<bool> {
        let Some(fd) = stream else { return Ok(false) };
        loop {
            let out = if is_stdout { &mut self.collected.stdout } else { &mut self.collected.stderr };
            match read_some(&*fd, out)? {
                Got::Bytes(_) => {
                    let over = (self.collected.stdout.len() + self.collected.stderr.len()) as u64;
                    if over > self.max {
                        let excess = (over - self.max) as usize;
                        let out =
                            if is_stdout { &mut self.collected.stdout } else { &mut self.collected.stderr };
                        out.truncate(out.len().saturating_sub(excess));
                        return Ok(true);
                    }
                }
                Got::End => {
                    *stream = None;
                    return Ok(false);
                }
                Got::Nothing => return Ok(false),
            }
        }
    }

    /// Writes input as far as it is taken.
    fn feed(&mut self, s: &mut Streams, written: &mut usize) -> Result<()> {
        while let Some(stdin) = &s.stdin {
            if *written == self.input.len() {
                s.stdin = None;
                break;
            }
            match write_some(stdin, &self.input[*written..])? {
                Some(0) => break,
                Some(n) => *written += n,
                None => s.stdin = None,
            }
        }
        Ok(())
    }
}

impl Streams {
    fn take_terminal(&mut self, fds: Vec<OwnedFd>) -> Result<()> {
        let Some(master) = fds.into_iter().next() else { return Ok(()) };
        let failed = |e: rustix::io::Errno| Error::io("can't set up the terminal", e.into());
        rustix::io::ioctl_fionbio(&master, true).map_err(failed)?;
        self.stdin = Some(rustix::io::fcntl_dupfd_cloexec(&master, 0).map_err(failed)?);
        self.stdout = Some(master);
        Ok(())
    }

    fn waits(&self, ended: bool) -> Vec<Wait<'_>> {
        let mut waits = Vec::with_capacity(4);
        if !ended {
            waits.push(Wait::Read(&self.owner));
        }
        waits.extend(self.stdout.as_ref().map(Wait::Read));
        waits.extend(self.stderr.as_ref().map(Wait::Read));
        waits.extend(self.stdin.as_ref().map(Wait::Write));
        waits
    }
}
