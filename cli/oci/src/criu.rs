//! Options of `checkpoint` and `restore`.

use crate::args::{Checkpoint, Criu, Restore};
use containers::oci::{CgroupsMode, CheckpointOptions, RestoreOptions};
use containers::{Error, ErrorKind, Result};

fn unsupported(option: &str, instead: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{option} is not supported; {instead}"))
        .with_context("field", option)
}

/// Refuses what neither of the two does.
fn check(criu: &Criu) -> Result<CgroupsMode> {
    if criu.lazy_pages {
        return Err(unsupported("--lazy-pages", "restore all pages, which needs no option"));
    }
    CgroupsMode::parse(&criu.manage_cgroups_mode)
}

/// Id and options.
pub fn checkpoint(args: Checkpoint) -> Result<(String, CheckpointOptions)> {
    let Checkpoint { criu, .. } = args;
    let cgroups = check(&criu)?;
    if args.status_fd.is_some() {
        return Err(unsupported("--status-fd", "it is for lazy pages alone"));
    }
    let options = CheckpointOptions {
        cgroups,
        image_path: criu.image_path,
        work_path: criu.work_path.unwrap_or_default(),
        parent_path: args.parent_path,
        pre_dump: args.pre_dump,
        leave_running: args.leave_running,
        tcp_established: criu.tcp_established,
        ext_unix_sk: criu.ext_unix_sk,
        shell_job: criu.shell_job,
        file_locks: criu.file_locks,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        auto_dedup: criu.auto_dedup,
        empty_network: !criu.empty_ns.is_empty(),
        page_server: args.page_server.as_deref().map(page_server).transpose()?,
    };
    Ok((criu.id, options))
}

fn page_server(text: &str) -> Result<(String, u16)> {
    let parts =
        text.rsplit_once(':').and_then(|(address, port)| Some((address.to_owned(), port.parse().ok()?)));
    parts.filter(|(address, _)| !address.is_empty()).ok_or_else(|| {
        let text = format!("{text:?} is not ADDRESS:PORT");
        Error::new(ErrorKind::InvalidArgument, text).with_context("field", "--page-server")
    })
}

/// Id and options.
pub fn restore(args: Restore) -> Result<(String, RestoreOptions)> {
    let Restore { criu, .. } = args;
    let cgroups = check(&criu)?;
    if args.lsm_mount_context.is_some() {
        return Err(unsupported(
            "--lsm-mount-context",
            "use linux.mountLabel of the bundle that is checkpointed",
        ));
    }
    let options = RestoreOptions {
        cgroups,
        image_path: criu.image_path,
        work_path: criu.work_path.unwrap_or_default(),
        bundle: args.bundle.unwrap_or_default(),
        detach: args.detach,
        pid_file: args.pid_file,
        console_socket: args.console_socket,
        tcp_established: criu.tcp_established,
        ext_unix_sk: criu.ext_unix_sk,
        shell_job: criu.shell_job,
        file_locks: criu.file_locks,
        auto_dedup: criu.auto_dedup,
        empty_network: !criu.empty_ns.is_empty(),
        lsm_profile: args.lsm_profile,
    };
    Ok((criu.id, options))
}
