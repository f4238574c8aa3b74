//! From a configuration to a plan.

mod devices;
mod mounts;
mod namespaces;
mod options;
mod process;

use crate::{Error, ErrorKind, Result};
use containers_protocol::Bytes;
use containers_protocol::extra::{Extra, Leave};
use containers_protocol::plan::{Hook, Keep, Plan, ProcessPlan, Rootfs, Stdio, Step};
use oci_spec::runtime::{Linux, Process, Spec};
use std::path::{Path, PathBuf};

pub(super) use namespaces::types as namespace_types;
pub(super) use namespaces::{in_user_namespace, is_own as is_own_namespace};
pub(super) use options::{Options, names as mount_options, propagation};
pub(super) use process::mask;

/// The options of an entry of `mounts`.
pub(super) fn options(mount: &oci_spec::runtime::Mount) -> Options {
    options::parse(mount.options().as_deref().unwrap_or_default())
}

/// The kinds of hooks, in the order in which they run.
pub(super) const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// What a plan depends on besides the configuration.
#[derive(Clone)]
pub(crate) struct Setting<'a> {
    /// The container's id.
    pub(crate) id: &'a str,
    /// Its bundle, absolute.
    pub(crate) bundle: &'a Path,
    /// Its root file system, absolute.
    pub(crate) rootfs: PathBuf,
    /// Leave the old root with `MS_MOVE` and `chroot` instead of `pivot_root`.
    pub(crate) no_pivot: bool,
    /// Keep the caller's session keyring.
    pub(crate) no_new_keyring: bool,
    /// The caller is not root, or root of a user namespace.
    pub(crate) rootless: bool,
    /// Index of the descriptor that the gate waits on, among those of the start message.
    pub(crate) gate: u32,
    /// Rows and columns of the terminal, if there is one.
    pub(crate) tty: Option<(u16, u16)>,
    /// State document for hooks in the container, with `"pid":0` where the process id goes.
    pub(crate) hook_state: &'a [u8],
    /// Is told what is passed over.
    pub(crate) warn: &'a dyn Fn(&str),
}

/// A value that passed the types, but can't be translated.
fn wrong(field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_context("field", field)
}

/// The plan of a container. Its steps end with `Gate` and the `startContainer` hooks; those of `prestart` and
/// `createRuntime` are `Hook` steps that are not `in_container`, and carried out by the runtime; `poststart`
/// and `poststop` have no steps. Its standard streams are the first three descriptors of the start message.
pub(crate) fn plan(spec: &Spec, setting: &Setting<'_>) -> Result<Plan> {
    let none = empty_linux();
    let linux = spec.linux().as_ref().unwrap_or(&none);
    let spaces = namespaces::of(linux)?;
    let command = spec.process().as_ref().ok_or_else(|| wrong("process", "there is no process to run"))?;
    Ok(Plan {
        id: setting.id.to_owned(),
        namespaces: spaces.new,
        id_maps: namespaces::id_maps(linux, &spaces, setting)?,
        rootfs: Rootfs::Dir { path: Bytes::from(setting.rootfs.as_path()) },
        cgroup: None,
        steps: steps(spec, linux, &spaces, setting)?,
        process: first(process(command, spec, setting)?),
        stdio: Stdio::Direct([Some(0), Some(1), Some(2)]),
        keep: Keep::default(),
        quiet: false,
        extra: Some(Box::new(Extra {
            hierarchies: Vec::new(),
            join: spaces.join.clone(),
            time_offsets: namespaces::time_offsets(linux),
            propagation: mounts::root_propagation(linux)?.unwrap_or(0) | recursive(),
            net_devices: namespaces::net_devices(linux),
        })),
    })
}

/// Without what is said of further processes alone: `execCPUAffinity`.
fn first(mut process: ProcessPlan) -> ProcessPlan {
    if let Some(extra) = &mut process.extra {
        (extra.initial_cpus, extra.final_cpus) = (None, None);
    }
    process
}

fn recursive() -> u64 {
    libc::MS_REC
}

/// A `linux` section that asks for nothing.
fn empty_linux() -> Linux {
    let mut linux = Linux::default();
    linux.set_resources(None).set_namespaces(None).set_masked_paths(None).set_readonly_paths(None);
    linux
}

/// The plan of a further process in a container.
pub(crate) fn process(process: &Process, spec: &Spec, setting: &Setting<'_>) -> Result<ProcessPlan> {
    process::plan(process, spec, setting)
}

fn steps(
    spec: &Spec,
    linux: &Linux,
    spaces: &namespaces::Spaces,
    setting: &Setting<'_>,
) -> Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(64);
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        steps.push(mounts::entry(index, mount, linux, setting)?);
    }
    let read_only_later = mounts::read_only_later(&mut steps, setting.tty.is_some());
    devices::insert(&mut steps, devices::steps(spec, linux)?);
    steps.extend(read_only_later);
    let hooks = spec.hooks().as_ref();
    if let Some(hooks) = hooks {
        #[allow(deprecated, reason = "the specification still has them")]
        let prestart = hooks.prestart();
        steps.extend(hook_steps("prestart", prestart, setting));
        steps.extend(hook_steps("createRuntime", hooks.create_runtime(), setting));
        steps.extend(hook_steps("createContainer", hooks.create_container(), setting));
    }
    let readonly = spec.root().as_ref().is_some_and(|r| r.readonly() == Some(true));
    let how = match (spaces.mounts, setting.no_pivot) {
        (false, _) => Leave::Chroot,
        (true, true) => Leave::Move,
        (true, false) => Leave::Pivot,
    };
    let paths = |all: &Option<Vec<String>>| -> Vec<Bytes> {
        let mut seen = std::collections::HashSet::new();
        let once = all.iter().flatten().filter(|path| seen.insert(*path));
        once.map(|p| Bytes::from(p.as_str())).collect()
    };
    let (masked, read_only) = (paths(linux.masked_paths()), paths(linux.readonly_paths()));
    let mut sysctls: Vec<_> = linux.sysctl().iter().flatten().collect();
    sysctls.sort();
    for (key, value) in sysctls {
        steps.push(Step::Sysctl { key: key.clone(), value: value.clone() });
    }
    if let Some(name) = spec.hostname().as_deref().filter(|n| !n.is_empty()) {
        steps.push(Step::Hostname(name.into()));
    }
    if let Some(name) = spec.domainname().as_deref().filter(|n| !n.is_empty()) {
        steps.push(Step::Domainname(name.into()));
    }
    if spaces.new & namespaces::NET != 0 {
        steps.push(Step::Loopback);
    }
    if !read_only.is_empty() {
        steps.push(Step::ReadOnly(read_only));
    }
    if !masked.is_empty() {
        steps.push(Step::Mask(masked));
    }
    let propagation = mounts::root_propagation(linux)?.unwrap_or(0);
    steps.push(Step::PivotRoot { readonly, how, propagation });
    steps.push(Step::Gate { fd: setting.gate });
    if let Some(hooks) = hooks {
        steps.extend(hook_steps("startContainer", hooks.start_container(), setting));
    }
    Ok(steps)
}

/// The steps of one kind of hooks. Those of the runtime's namespaces are carried out by the runtime.
fn hook_steps<'a>(
    kind: &'a str,
    hooks: &'a Option<Vec<oci_spec::runtime::Hook>>,
    setting: &'a Setting<'_>,
) -> impl Iterator<Item = Step> + 'a {
    let in_container = matches!(kind, "createContainer" | "startContainer");
    hooks.iter().flatten().enumerate().map(move |(index, hook)| {
        let path = Bytes::from(hook.path().as_path());
        let args: Vec<Bytes> = hook.args().iter().flatten().map(|a| a.as_str().into()).collect();
        let timeout = hook.timeout().and_then(|t| u64::try_from(t).ok());
        Step::Hook(Hook {
            name: format!("{kind} hook #{index}"),
            args: if args.is_empty() { vec![path.clone()] } else { args },
            path,
            env: hook.env().iter().flatten().map(|e| e.as_str().into()).collect(),
            // The program that looks like the command's own beginning has its environment, unless it names one.
            inherits: kind == "startContainer" && hook.env().is_none(),
            stdin: Bytes(setting.hook_state.to_vec()),
            timeout_ms: timeout.map(|t| t.saturating_mul(1000)),
            in_container,
        })
    })
}

#[cfg(test)]
pub(super) mod tests;
