//! A delegated subtree on v2: what is ours already, or a transient scope of systemd that only the launcher enters.

use super::Cgroups;
use super::detect::{found, make_v2};
use super::systemd::{self, Manager};
use crate::{Error, ErrorKind, Result};
use containers_protocol::launch::Apart;
use std::fs;
use std::path::{Path, PathBuf};

/// The cgroup of the launcher or monitor itself in its scope: one with processes can't have children with controllers.
const LEAF: &str = "parent";

/// What is needed to look for a subtree.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) mount: PathBuf,
    /// The cgroup of this process.
    pub(super) own: PathBuf,
    pub(super) root_hash: String,
}

impl Wanted {
    /// The nearest cgroup above us that systemd has delegated; not where that is a manager of a user, which is asked.
    pub(super) fn delegated(&self) -> Option<PathBuf> {
        let above = self.own.ancestors().take_while(|p| p.starts_with(&self.mount));
        let nearest = above.into_iter().find(|p| is_delegated(p))?;
        let name = nearest.file_name()?.to_str()?;
        (!(name.starts_with("user@") && name.ends_with(".service"))).then(|| nearest.to_owned())
    }

    /// The first cgroup in which children can have controllers, from our own up to `top`. A group with processes
    /// can't, except the root.
    pub(super) fn below(&self, top: &Path) -> Result<Cgroups, String> {
        let mut reason = None;
        for parent in self.own.ancestors().take_while(|p| p.starts_with(top)) {
            match make_v2(parent, &self.root_hash) {
                Ok((folder, controllers)) => return Ok(found(parent, folder, controllers)),
                Err(e) => reason = reason.or(Some(format!("{}: {e}", parent.display()))),
            }
        }
        Err(reason.unwrap_or_default())
    }

    /// Without systemd: wherever we may.
    pub(super) fn beside(&self) -> Cgroups {
        self.below(&self.mount).unwrap_or_else(|reason| {
            Cgroups::none(format!(
                "no cgroup is delegated to this process, so limits can't be set ({reason}); start it with \
                 `systemd-run --user --scope -p Delegate=yes` or as root"
            ))
        })
    }

    fn unit(&self, name: &str) -> String {
        format!("embedded-containers-{}-{name}.scope", self.root_hash)
    }

    /// Has systemd make a scope for a launcher or monitor, and our folder in it.
    fn scope(&self, pid: i32, name: &str, description: &str) -> Result<Cgroups> {
        let user = !rustix::process::geteuid().is_root();
        let unit = self.unit(name);
        let properties = systemd::scope(description, pid.cast_unsigned());
        Manager::connect(user)?.start(&unit, &properties)?;
        let failed = |what: &str, e| Error::io(format!("the scope {unit} can't be used: {what}"), e);
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|e| failed("where it is", e))?;
        let own = super::hierarchy::parse_own(&text);
        let path = own.get("").filter(|p| p.ends_with(&unit)).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("systemd has not moved process {pid} into {unit}"))
        })?;
        let scope = self.mount.join(path.trim_start_matches('/'));
        let leaf = scope.join(LEAF);
        fs::create_dir(&leaf).map_err(|e| failed("its sub-cgroups", e))?;
        fs::write(leaf.join("cgroup.procs"), pid.to_string()).map_err(|e| failed("moving in it", e))?;
        let (folder, controllers) = make_v2(&scope, &self.root_hash).map_err(|e| failed("controllers", e))?;
        Ok(found(&scope, folder, controllers))
    }
}

impl Cgroups {
    /// Whether [`adopt`](Cgroups::adopt) has to be called with the launcher's process before it is used.
    pub(crate) fn wants_scope(&self) -> bool {
        self.scope.is_some()
    }

    /// Gives a launcher, and so its containers, a subtree of their own. Where that can't be had, there is a warning.
    pub(crate) fn adopt(&mut self, pid: i32, launcher: &str) {
        let Some(wanted) = self.scope.take() else { return };
        let name = launcher.trim_start_matches("l-");
        let made = wanted.scope(pid, name, "containers of an embedded runtime").unwrap_or_else(|e| {
            let mut other = wanted.beside();
            let why = format!("systemd gave no cgroup: {e}");
            other.warning = Some(other.warning.map_or(why.clone(), |w| format!("{w}; {why}")));
            other
        });
        *self = Cgroups { manager: Some(wanted), ..made };
    }

    /// The scope that was made for a launcher.
    pub(crate) fn scope_of(&self, launcher: &str) -> Option<PathBuf> {
        let unit = self.manager.as_ref()?.unit(launcher.trim_start_matches("l-"));
        let folder = self.folders().into_iter().next()?;
        folder.ancestors().find(|p| p.ends_with(&unit)).map(Path::to_owned)
    }

    /// Wants a scope again if the launcher's has gone with it.
    pub(crate) fn renew(&mut self, launcher: &str) {
        if self.scope_of(launcher).is_some_and(|scope| !scope.exists()) {
            self.scope = self.manager.take();
        }
    }

    /// Whether detached containers can have a scope of their own: they live on when the unit of the process that has
    /// started them is stopped.
    pub(crate) fn has_manager(&self) -> bool {
        self.manager.is_some()
    }

    /// The place of one detached container, whose monitor is `pid`. Where systemd refuses, they share ours, and
    /// there is a warning.
    pub(crate) fn apart(&self, pid: i32, id: &str) -> Apart {
        let Some(wanted) = &self.manager else { return Apart { base: self.base.clone(), warning: None } };
        // A unit of the same name, of the run before, may not be gone yet.
        let name = crate::sys::random_hex::<4>().map(|run| format!("{}-{run}", &id[..id.len().min(12)]));
        match name.and_then(|name| wanted.scope(pid, &name, "a detached container")) {
            Ok(own) => Apart { base: own.base, warning: None },
            Err(e) => {
                let warning = format!(
                    "the container shares the cgroup of its launcher, because systemd gave no scope of its own: {e}"
                );
                Apart { base: self.base.clone(), warning: Some(warning) }
            }
        }
    }
}

/// systemd marks what it delegates.
fn is_delegated(dir: &Path) -> bool {
    let mut value = [0u8; 8];
    ["trusted.delegate", "user.delegate"]
        .iter()
        .any(|name| rustix::fs::getxattr(dir, *name, &mut value).is_ok_and(|n| value[..n] == *b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_refused_is_a_warning() {
        let cgroups = Cgroups::none("");
        assert_eq!(cgroups.apart(1, &"a".repeat(64)), Apart { base: cgroups.base.clone(), warning: None });
        if systemd::is_running() {
            return println!("skipped: systemd would make one");
        }
        let (mount, own) = (PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/sys/fs/cgroup"));
        let manager = Some(Wanted { mount, own, root_hash: "0123456789abcdef".into() });
        let refused = Cgroups { manager, ..cgroups.clone() }.apart(1, &"a".repeat(64));
        assert_eq!(refused.base, cgroups.base);
        assert!(refused.warning.is_some_and(|w| w.contains("shares the cgroup of its launcher")));
    }

    #[test]
    fn a_scope_holds_the_launcher_and_goes_with_it() {
        let v2 = super::super::hierarchy::visible().into_iter().find(|h| h.v2);
        let (true, true, Some(v2)) = (systemd::is_running(), rustix::process::geteuid().is_root(), v2) else {
            return println!("skipped: it needs root, systemd and cgroup v2");
        };
        let own = super::super::hierarchy::own();
        let own = super::super::hierarchy::place(&v2, &own[""]);
        let wanted = Wanted { mount: v2.mount, own, root_hash: "0123456789abcdef".into() };
        assert_eq!(wanted.delegated(), None);
        let mut launcher = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let launcher_id = launcher.id() as i32;
        let mut cgroups = Cgroups { scope: Some(wanted.clone()), ..Cgroups::none("") };
        assert!(cgroups.wants_scope());
        cgroups.adopt(launcher_id, &format!("l-{launcher_id}"));
        assert!(cgroups.version == "v2" && cgroups.has("memory") && cgroups.has("pids"), "{cgroups:?}");
        let folder = cgroups.folders().remove(0);
        let scope = folder.ancestors().nth(2).unwrap().to_owned();
        let members = |dir: &Path| fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert_eq!(members(&scope.join(LEAF)).trim(), launcher_id.to_string());
        assert_eq!(members(&scope), "");
        assert!(is_delegated(&scope));
        // Whoever is inside may go on below it.
        let inside = Wanted { own: scope.join(LEAF), ..wanted };
        let same = inside.delegated().and_then(|top| inside.below(&top).ok()).unwrap();
        assert_eq!(same.folders(), cgroups.folders());
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        while scope.exists() {
            std::thread::yield_now();
        }
    }
}
