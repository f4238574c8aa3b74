//! An OCI runtime: what `containers-oci` does, without its command line.
//!
//! No launcher, no database and no executor: one folder for each container below a root, a helper that becomes the
//! container's process, and the kernel. Everything here may be called by a program of our own only: it waits for its
//! children, handles its signals while a container is in the foreground, and is executed again as the helper: the first
//! that it does is to ask [`is_helper`].

pub(crate) mod cgroup;
pub(crate) mod config;
mod control;
mod create;
mod criu;
mod delete;
mod events;
mod exec;
mod features;
mod folder;
mod foreground;
mod handover;
mod hooks;
mod identity;
mod inspect;
mod program;
pub(crate) mod rdt;
mod record;
pub(crate) mod seccomp;
mod session;
mod steps;
mod template;
pub(crate) mod translate;
pub(crate) mod validate;

pub use control::UpdateOptions;
pub use create::CreateOptions;
pub use criu::{CgroupsMode, CheckpointOptions, RestoreOptions};
pub use exec::ExecOptions;
pub use features::features;
pub use program::is_helper;
pub use record::State;
pub use template::template;

use crate::{Error, ErrorKind, Result};
use containers_protocol::oneshot::Become;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Who is told of something.
type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A folder with containers.
#[derive(Clone)]
pub struct Engine {
    root: PathBuf,
    systemd: bool,
    /// What was asked for.
    rootless: Option<bool>,
    /// See [`mapped`](Engine::mapped): most commands need not know, and the first look below `/proc` costs most of them all.
    mapped: OnceLock<bool>,
    warn: Tell,
    debug: Option<Tell>,
    first: Option<Become>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("root", &self.root)
            .field("systemd", &self.systemd)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Containers below `root`; `None`: the usual folder of whoever calls. `rootless`: `None` decides by who
    /// calls.
    pub fn new(root: Option<PathBuf>, systemd: bool, rootless: Option<bool>) -> Result<Engine> {
        let root = match root {
            Some(root) => std::path::absolute(root).map_err(|e| Error::io("the root is no path", e))?,
            None => usual_root(),
        };
        let mapped = OnceLock::new();
        Ok(Engine { root, systemd, rootless, mapped, warn: Arc::new(|_| {}), debug: None, first: None })
    }

    /// The caller is in a user namespace.
    fn mapped(&self) -> bool {
        *self.mapped.get_or_init(translate::in_user_namespace)
    }

    /// Root of a user namespace, as rootless engines are, is an ordinary user to the machine.
    fn rootless(&self) -> bool {
        self.rootless.unwrap_or_else(|| is_user() || self.mapped())
    }

    /// Tells of what goes on without being an error: hooks that failed late, options that the kernel no longer has.
    #[must_use]
    pub fn on_warning(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Engine {
        self.warn = Arc::new(tell);
        self
    }

    /// Tells of every step.
    #[must_use]
    pub fn on_step(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Engine {
        self.debug = Some(Arc::new(tell));
        self
    }

    /// What the first process of a container does, in a program that can make it in its own memory.
    #[must_use]
    pub fn with_first(mut self, first: Become) -> Engine {
        self.first = Some(first);
        self
    }

    fn driver(&self) -> cgroup::Driver {
        if self.systemd { cgroup::Driver::Systemd } else { cgroup::Driver::Cgroupfs }
    }

    fn dir(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        Ok(self.root.join(id))
    }
}

fn is_user() -> bool {
    !rustix::process::geteuid().is_root()
}

/// The folder that a login gave the user is taken, if there is one: also by root of a user namespace, if that is who logged in.
fn usual_root() -> PathBuf {
    let another = || std::env::var_os("USER").is_none_or(|name| name != "root");
    let own = || is_user() || another() && translate::in_user_namespace();
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty() && own()) {
        Some(dir) => Path::new(&dir).join("containers-oci"),
        None if is_user() => {
            PathBuf::from(format!("/run/user/{}/containers-oci", rustix::process::geteuid().as_raw()))
        }
        None => PathBuf::from("/run/containers-oci"),
    }
}

/// The longest id; it names a folder.
const MAX_ID: usize = 255;

fn check_id(id: &str) -> Result<()> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(known) || id == "." || id == ".." {
        let text = format!("invalid container ID format: {id:?}");
        return Err(Error::new(ErrorKind::InvalidArgument, text).with_context("field", "id"));
    }
    Ok(())
}
