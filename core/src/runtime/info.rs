//! What [`super::Runtime::info`] reports.

use super::{Info, Runtime};
use crate::container::Status;
use crate::image::machine;
use crate::{ListOptions, Result};

pub(super) fn info(runtime: &Runtime) -> Result<Info> {
    let inner = &runtime.inner;
    let uname = rustix::system::uname();
    let all = ListOptions { all: true, ..ListOptions::default() };
    let containers = runtime.containers().list(&all)?;
    let running = containers.iter().filter(|c| matches!(c.status, Status::Running | Status::Paused)).count();
    Ok(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        root: inner.root.clone(),
        run_root: inner.run_root.clone(),
        rootless: inner.rootless,
        cgroup_version: inner.cgroups.version.to_owned(),
        cgroup_driver: cgroup_driver(&inner.cgroups).to_owned(),
        cgroup_controllers: inner.cgroups.controllers.clone(),
        driver: "overlay".to_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        architecture: machine().architecture,
        os: "linux".to_owned(),
        ncpu: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        mem_total: memory(),
        images: runtime.images().list()?.len() as u64,
        containers: containers.len() as u64,
        containers_running: running as u64,
        warnings: inner.warnings.clone(),
    })
}

/// systemd's where it has made the cgroup for us, or is asked for one of each detached container.
fn cgroup_driver(cgroups: &crate::cgroup::Cgroups) -> &'static str {
    match cgroups.version {
        "none" => "none",
        _ if cgroups.has_manager() => "systemd",
        _ => "cgroupfs",
    }
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}
