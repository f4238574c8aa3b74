//! The plan of a container: its steps in the right order.

use super::{Cache, devices, files, mounts};
use crate::Result;
use crate::container::spec::{Network, Spec};
use containers_protocol::Bytes;
use containers_protocol::extra::Leave;
use containers_protocol::plan::{
    CapSets, CgroupPlan, IdMaps, Keep, Overlay, Plan, ProcessPlan, Rootfs, Stdio, Step,
};
use std::path::{Path, PathBuf};

/// The trees of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RootfsParts {
    /// Read-only layers, topmost first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Further places with layers of their own: path in the container, layers.
    pub(crate) overlays: Vec<(String, Vec<PathBuf>)>,
    /// Files and folders of the machine shown read-only.
    pub(crate) shown: Vec<PathBuf>,
    /// Hidden again.
    pub(crate) hidden: Vec<PathBuf>,
}

/// What a plan is made from, besides the spec.
pub(crate) struct Request<'a> {
    pub(crate) id: &'a str,
    pub(crate) spec: &'a Spec,
    pub(crate) rootfs: &'a RootfsParts,
    /// The folder for writable layers; it exists.
    pub(crate) dir: &'a Path,
    /// The writable layer is thrown away at the container's end, and only that end is waited for.
    pub(crate) throw_away: bool,
    pub(crate) cgroup: Option<CgroupPlan>,
    pub(crate) id_maps: Option<IdMaps>,
    pub(crate) stdio: Stdio,
    pub(crate) keep: Keep,
    /// The launcher lives in a user namespace.
    pub(crate) rootless: bool,
    /// cgroup v2 is mounted on the machine.
    pub(crate) cgroup2: bool,
}

const NEWCGROUP: u64 = 0x0200_0000;
const NEWUTS: u64 = 0x0400_0000;
const NEWIPC: u64 = 0x0800_0000;
const NEWUSER: u64 = 0x1000_0000;
const NEWPID: u64 = 0x2000_0000;
const NEWNET: u64 = 0x4000_0000;
const NEWNS: u64 = 0x0002_0000;

/// Makes the plan.
pub(crate) fn build(cache: &Cache, request: Request<'_>) -> Result<Plan> {
    let spec = request.spec;
    let mut namespaces = NEWNS | NEWPID | NEWIPC | NEWUTS | NEWCGROUP;
    if spec.network == Network::None {
        namespaces |= NEWNET;
    }
    if request.id_maps.is_some() {
        namespaces |= NEWUSER;
    }
    let seccomp = cache.filter(&spec.seccomp, spec.caps.bounding)?;
    let hostname = hostname(&request);
    let steps = steps(cache, &request, &hostname)?;
    Ok(Plan {
        id: request.id.to_owned(),
        namespaces,
        rootfs: Rootfs::Overlay(overlay(&request, request.rootfs.lowers.clone(), request.dir)),
        steps,
        process: process(spec, &hostname, seccomp),
        id_maps: request.id_maps,
        cgroup: request.cgroup,
        stdio: request.stdio,
        keep: request.keep,
        quiet: request.throw_away,
        extra: None,
    })
}

/// Layers below a writable one. A read-only root needs a writable layer too, because mount points may be
/// missing in the image: a small one in memory, which is closed before the command runs.
fn overlay(request: &Request<'_>, lowers: Vec<PathBuf>, writable: &Path) -> Overlay {
    let in_memory = request.spec.layer_in_memory();
    Overlay {
        lower: lowers.into_iter().map(Bytes::from).collect(),
        writable: (!in_memory).then(|| Bytes::from(writable)),
        in_memory,
        volatile: request.throw_away,
        pool: None,
    }
}

fn steps(cache: &Cache, request: &Request<'_>, hostname: &str) -> Result<Vec<Step>> {
    let spec = request.spec;
    let mut steps = Vec::with_capacity(32);
    for (target, lowers) in &request.rootfs.overlays {
        let mut lower = overlay(request, lowers.clone(), &extra_writable(request.dir, target));
        if spec.read_only {
            (lower.in_memory, lower.writable) = (false, None);
        }
        steps.push(Step::Overlay { target: target.as_str().into(), overlay: lower });
    }
    for folder in &request.rootfs.shown {
        steps.push(mounts::shown(folder));
    }
    if !request.rootfs.hidden.is_empty() {
        steps.push(Step::Mask(request.rootfs.hidden.iter().map(|p| Bytes::from(p.as_path())).collect()));
    }
    mounts::volumes(spec, &mut steps);
    let own_cgroups = request.cgroup.as_ref().is_some_and(|plan| plan.controllers().next().is_some());
    let cgroups = match (request.cgroup2, own_cgroups) {
        (true, _) => mounts::Cgroups::V2,
        (false, true) => mounts::Cgroups::V1,
        (false, false) => mounts::Cgroups::None,
    };
    mounts::defaults(spec, cache, cgroups, &mut steps);
    // While nothing lies over the new procfs, it can be written through without a second one.
    sysctls(spec, request.rootless, &mut steps);
    devices::steps(spec, &mut steps)?;
    files::steps(spec, hostname, &mut steps);
    mounts::users(spec, &mut steps);
    if !spec.privileged {
        steps.push(Step::Mask(cache.masked()));
        steps.push(Step::ReadOnly(super::cache::READ_ONLY.iter().map(|p| Bytes::from(*p)).collect()));
    }
    steps.push(Step::Hostname(hostname.into()));
    if let Some(name) = &spec.domainname {
        steps.push(Step::Domainname(name.as_str().into()));
    }
    if spec.network == Network::None {
        steps.push(Step::Loopback);
    }
    steps.push(Step::PivotRoot { readonly: spec.read_only, how: Leave::Pivot, propagation: 0 });
    Ok(steps)
}

/// Sysctls of the container's own namespaces: docker's defaults of a network namespace, and the caller's.
fn sysctls(spec: &Spec, rootless: bool, steps: &mut Vec<Step>) {
    if spec.network == Network::None {
        let mut defaults = vec![("net.ipv4.ip_unprivileged_port_start", "0")];
        if !rootless && !spec.own_userns {
            // A user namespace has not got all of the groups.
            defaults.push(("net.ipv4.ping_group_range", "0 2147483647"));
        }
        defaults.retain(|(key, _)| !spec.sysctls.iter().any(|(asked, _)| asked == key));
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        steps.push(Step::DefaultSysctls(defaults.into_iter().map(owned).collect()));
    }
    for (key, value) in &spec.sysctls {
        steps.push(Step::Sysctl { key: key.clone(), value: value.clone() });
    }
}

/// The folder of the writable layer of a further overlay.
pub(crate) fn extra_writable(dir: &Path, target: &str) -> PathBuf {
    dir.join(format!("at{}", target.replace('/', "-")))
}

fn hostname(request: &Request<'_>) -> String {
    match (&request.spec.hostname, request.spec.network) {
        (Some(name), _) => name.clone(),
        (None, Network::Host) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        (None, Network::None) => request.id[..12].to_owned(),
    }
}

fn process(spec: &Spec, hostname: &str, seccomp: Bytes) -> ProcessPlan {
    let named = spec.env.iter().any(|e| e.starts_with("HOSTNAME="));
    let own = (!named).then(|| format!("HOSTNAME={hostname}"));
    ProcessPlan {
        args: spec.args.iter().map(|a| a.as_str().into()).collect(),
        env: spec.env.iter().map(|e| e.as_str().into()).chain(own.map(Bytes::from)).collect(),
        cwd: spec.cwd.as_str().into(),
        create_cwd: true,
        user: spec.user.clone(),
        groups: spec.groups.clone(),
        caps: CapSets { ..spec.caps },
        no_new_privs: spec.no_new_privs,
        seccomp,
        rlimits: spec.rlimits.clone(),
        oom_score_adj: None,
        umask: None,
        tty: spec.tty,
        init: spec.init,
        extra: None,
    }
}
