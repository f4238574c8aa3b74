//! `process`.

use super::{scheduling, unsupported, wrong};
use crate::Result;
use oci_spec::runtime::Process;
use std::collections::HashSet;
use std::path::Path;

/// The kernel takes single strings shorter than this, and so much of all together.
const MAX_STRING: usize = 128 << 10;
const MAX_STRINGS: usize = 6 << 20;

/// The largest id that is not "no change".
const MAX_ID: u32 = i32::MAX as u32;

/// Checks a process: the container's, or a further one.
pub(crate) fn check(process: &Process) -> Result<()> {
    let args = process.args().as_deref().unwrap_or_default();
    ensure!(!args.is_empty(), "process.args", "there is no command")?;
    ensure!(!args[0].is_empty(), "process.args[0]", "the command is empty")?;
    let cwd = process.cwd();
    ensure!(cwd.is_absolute(), "process.cwd", "the working directory is not absolute")?;
    for (index, entry) in process.env().iter().flatten().enumerate() {
        self::entry(entry, || format!("process.env[{index}]"))?;
    }
    lengths(process)?;
    user(process)?;
    limits(process)?;
    capabilities(process)?;
    if let Some(score) = process.oom_score_adj() {
        ensure!(
            (-1000..=1000).contains(&score),
            "process.oomScoreAdj",
            format!("{score} is not from -1000 to 1000"),
        )?;
    }
    if process.terminal() == Some(true)
        && let Some(size) = process.console_size()
    {
        let fits = size.height() <= u64::from(u16::MAX) && size.width() <= u64::from(u16::MAX);
        ensure!(fits, "process.consoleSize", "a terminal has at most 65535 rows and columns")?;
    }
    labels(process)?;
    scheduling::check(process)
}

/// An entry of an environment.
pub(super) fn entry(entry: &str, field: impl FnOnce() -> String) -> Result<()> {
    match entry.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(()),
        _ => Err(wrong(field(), "it is not KEY=value")),
    }
}

fn lengths(process: &Process) -> Result<()> {
    let mut all = 0;
    for (field, strings) in [("process.args", process.args()), ("process.env", process.env())] {
        for (index, text) in strings.iter().flatten().enumerate() {
            ensure!(text.len() < MAX_STRING, format!("{field}[{index}]"), "it is longer than 128 KiB")?;
            all += text.len() + 1 + size_of::<usize>();
            ensure!(all < MAX_STRINGS, field, "arguments and environment are too long together")?;
        }
    }
    Ok(())
}

fn user(process: &Process) -> Result<()> {
    let user = process.user();
    let fits = |id: u32| id <= MAX_ID;
    ensure!(fits(user.uid()), "process.user.uid", format!("{} is out of range", user.uid()))?;
    ensure!(fits(user.gid()), "process.user.gid", format!("{} is out of range", user.gid()))?;
    for (index, gid) in user.additional_gids().iter().flatten().enumerate() {
        ensure!(
            fits(*gid),
            format!("process.user.additionalGids[{index}]"),
            format!("{gid} is out of range"),
        )?;
    }
    ensure!(user.umask().is_none_or(|m| m <= 0o777), "process.user.umask", "it is not from 0 to 0777")
}

fn limits(process: &Process) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let field = |name: &str| format!("process.rlimits[{index}].{name}");
        ensure!(seen.insert(limit.typ() as u32), field("type"), format!("{} is there twice", limit.typ()))?;
        ensure!(limit.soft() <= limit.hard(), field("soft"), "the soft limit is above the hard one")?;
    }
    Ok(())
}

fn capabilities(process: &Process) -> Result<()> {
    let Some(sets) = process.capabilities() else { return Ok(()) };
    let lacks = |set: &Option<_>, of: &Option<HashSet<_>>| {
        let none = HashSet::new();
        let of = of.as_ref().unwrap_or(&none);
        set.iter().flatten().find(|cap| !of.contains(*cap)).map(ToString::to_string)
    };
    if let Some(cap) = lacks(sets.effective(), sets.permitted()) {
        let message = format!("CAP_{cap} is not in the permitted set");
        return Err(wrong("process.capabilities.effective", message));
    }
    // Ambient ones that are not permitted and inheritable too can't be had, and are left out with a warning.
    Ok(())
}

/// Labels are errors where the kernel would ignore them.
fn labels(process: &Process) -> Result<()> {
    let asked = |label: &Option<String>| label.as_deref().is_some_and(|l| !l.is_empty());
    if asked(process.apparmor_profile()) && !has_apparmor() {
        let message = "the kernel has no AppArmor, or it is switched off";
        return Err(unsupported("process.apparmorProfile", message));
    }
    if asked(process.selinux_label()) && !has_selinux() {
        let message = "the kernel has no SELinux, or it is switched off";
        return Err(unsupported("process.selinuxLabel", message));
    }
    Ok(())
}

fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether SELinux is on.
pub(super) fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
