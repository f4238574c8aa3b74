//! Where the cgroup of a container goes: `linux.cgroupsPath` and the machine decide.

use crate::cgroup::hierarchy::{self, Hierarchy};
use crate::{Error, ErrorKind, Result};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The JSON path of what this module reads.
pub(super) const FIELD: &str = "linux.cgroupsPath";

/// Mount options of v1 hierarchies that are no controllers.
const NO_CONTROLLER: &[&str] =
    &["rw", "ro", "xattr", "noprefix", "none", "clone_children", "cpuset_v2_mode", "favordynmods"];

/// The hierarchies of the machine as this process sees them.
pub(crate) struct Machine {
    pub(super) hierarchies: Vec<Hierarchy>,
    /// Where this process is, by controller, once somebody wants to know.
    own: OnceCell<BTreeMap<String, String>>,
}

/// One v1 hierarchy and the cgroup's folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct V1Place {
    pub(super) mount: PathBuf,
    pub(super) controllers: Vec<String>,
    pub(super) dir: PathBuf,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitName {
    pub(super) slice: String,
    pub(super) name: String,
}

impl Machine {
    /// This one.
    pub(crate) fn look() -> Machine {
        let hierarchies = hierarchy::unified_alone().map_or_else(hierarchy::visible, |unified| vec![unified]);
        Machine { hierarchies, own: OnceCell::new() }
    }

    /// This process's own cgroup of a controller.
    fn own(&self, controller: &str) -> Option<&str> {
        self.own.get_or_init(hierarchy::own).get(controller).map(String::as_str)
    }

    pub(crate) fn is_v1(&self) -> bool {
        hierarchy::uses_v1(&self.hierarchies)
    }

    /// The folders above a cgroup that this process is not in, the deepest first.
    pub(super) fn strangers_above<'a>(&self, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
        let found = self.hierarchies.iter().filter(|h| dir.starts_with(&h.mount));
        let ours: Vec<PathBuf> = found
            .flat_map(|h| {
                let name = |c: &String| self.own(c).map(|own| hierarchy::place(h, own));
                h.controllers.iter().filter_map(name).chain([h.mount.clone()])
            })
            .collect();
        dir.ancestors().skip(1).take_while(move |above| !ours.iter().any(|own| own.starts_with(above)))
    }

    /// The mount point of the unified hierarchy.
    pub(super) fn unified(&self) -> Result<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.v2).ok_or_else(|| {
            let text = "no cgroup file system is mounted; mount cgroup2 at /sys/fs/cgroup";
            Error::new(ErrorKind::Unsupported, text).with_context("field", FIELD)
        })
    }

    /// The folder on v2. A relative path starts beside our own cgroup: that one has processes, so no cgroup
    /// below it could have controllers.
    pub(super) fn v2(&self, path: &CgroupPath) -> Result<PathBuf> {
        let unified = self.unified()?;
        let start = if path.absolute {
            unified.mount.clone()
        } else {
            let own = hierarchy::place(unified, self.own("").unwrap_or("/"));
            let above = own.parent().filter(|p| p.starts_with(&unified.mount));
            above.map_or_else(|| own.clone(), Path::to_path_buf)
        };
        Ok(start.join(&path.inner))
    }

    /// The folders in all hierarchies of a machine with v1. A relative path starts in our own cgroup.
    pub(super) fn v1(&self, path: &CgroupPath) -> Vec<V1Place> {
        let mut places: Vec<V1Place> = Vec::new();
        for h in self.hierarchies.iter().filter(|h| !h.v2) {
            let is_controller =
                |c: &&String| !NO_CONTROLLER.contains(&c.as_str()) && !c.starts_with("release_agent=");
            let controllers: Vec<_> = h.controllers.iter().filter(is_controller).cloned().collect();
            let Some(first) = controllers.first() else { continue };
            if places.iter().any(|p| p.controllers.contains(first)) {
                continue;
            }
            let start = if path.absolute {
                h.mount.clone()
            } else {
                hierarchy::place(h, self.own(first).unwrap_or("/"))
            };
            places.push(V1Place { mount: h.mount.clone(), dir: start.join(&path.inner), controllers });
        }
        places.extend(self.hybrid(path));
        places
    }

    /// The folder in the unified hierarchy of a machine with v1, if that is mounted as well.
    pub(super) fn hybrid(&self, path: &CgroupPath) -> Option<V1Place> {
        let h = self.hierarchies.iter().find(|h| h.v2).filter(|_| self.is_v1())?;
        let start = match path.absolute {
            true => h.mount.clone(),
            false => hierarchy::place(h, self.own("").unwrap_or("/")),
        };
        let (mount, dir) = (h.mount.clone(), start.join(&path.inner));
        Some(V1Place { mount, dir, controllers: vec![String::new()] })
    }
}

/// A checked path below the root of a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupPath {
    pub(super) absolute: bool,
    pub(super) inner: PathBuf,
}

impl CgroupPath {
    /// From `linux.cgroupsPath` for the cgroupfs driver. Without one the container's id names the cgroup.
    pub(super) fn parse(wanted: Option<&Path>, id: &str) -> Result<CgroupPath> {
        let wanted = wanted.filter(|p| !p.as_os_str().is_empty());
        let Some(wanted) = wanted else {
            return Ok(CgroupPath { absolute: false, inner: PathBuf::from(id) });
        };
        let mut inner = PathBuf::new();
        for part in wanted.components() {
            match part {
                Component::Normal(name) => inner.push(name),
                Component::ParentDir => return Err(bad(wanted, "\"..\" is not allowed in it")),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if inner.as_os_str().is_empty() {
            return Err(bad(wanted, "it names the root cgroup, which is no container's own"));
        }
        if inner.to_str().is_none_or(|text| text.contains(['\n', '\0'])) {
            return Err(bad(wanted, "it must be UTF-8 text of one line"));
        }
        Ok(CgroupPath { absolute: wanted.is_absolute(), inner })
    }
}

impl UnitName {
    /// From `slice:prefix:name` for the systemd driver.
    pub(super) fn parse(wanted: Option<&Path>, id: &str, user: bool) -> Result<UnitName> {
        let text = wanted.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let (slice, prefix, name) = if text.is_empty() {
            ("", "containers", id)
        } else {
            let parts: Vec<&str> = text.split(':').collect();
            let [slice, prefix, name] = parts[..] else {
                return Err(bad(Path::new(&text), "the systemd driver wants slice:prefix:name"));
            };
            (slice, prefix, name)
        };
        if name.is_empty() {
            return Err(bad(Path::new(&text), "the unit has no name"));
        }
        let slice = match slice {
            "" if user => "user.slice",
            "" => "system.slice",
            slice => slice,
        };
        expand_slice(slice)?;
        let name = match prefix {
            _ if name.ends_with(".slice") => name.to_owned(),
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:\\@".contains(c);
        if name.len() > 255 || !name.chars().all(allowed) {
            let why = "letters, digits and -_.:\\@ make a unit's name, 255 at most";
            return Err(bad(Path::new(&text), why));
        }
        Ok(UnitName { slice: slice.to_owned(), name })
    }

    /// Its path below the manager's cgroup.
    pub(super) fn path(&self) -> Result<PathBuf> {
        Ok(expand_slice(&self.slice)?.join(&self.name))
    }

    /// It is a slice, not a scope: nothing runs in it itself.
    pub(super) fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// `a-b.slice` lies in `a.slice`; `-.slice` is the root.
pub(super) fn expand_slice(slice: &str) -> Result<PathBuf> {
    let wrong = || bad(Path::new(slice), "this is no name of a slice");
    let name = slice.strip_suffix(".slice").filter(|n| !n.is_empty()).ok_or_else(wrong)?;
    if name == "-" {
        return Ok(PathBuf::new());
    }
    if name.contains(['/', '\n', '\0']) || name.split('-').any(str::is_empty) {
        return Err(wrong());
    }
    let mut path = PathBuf::new();
    for (i, _) in name.match_indices('-') {
        path.push(format!("{}.slice", &name[..i]));
    }
    path.push(slice);
    Ok(path)
}

fn bad(value: &Path, why: &str) -> Error {
    let text = format!("the cgroup path {:?} can't be used: {why}", value.to_string_lossy());
    Error::new(ErrorKind::InvalidArgument, text).with_context("field", FIELD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<CgroupPath> {
        CgroupPath::parse(Some(Path::new(text)), "id")
    }

    #[test]
    fn paths_are_cleaned_and_never_leave_the_root() {
        let inner = |text| path(text).map(|p| (p.absolute, p.inner.to_string_lossy().into_owned()));
        assert_eq!(inner("/a//b/./c/").unwrap(), (true, "a/b/c".into()));
        assert_eq!(inner("a/b").unwrap(), (false, "a/b".into()));
        assert_eq!(inner("").unwrap(), (false, "id".into()));
        for wrong in ["/..", "a/../../b", "..", "/", "//", ".", "/a/..", "/a\nb"] {
            let e = path(wrong).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{wrong:?}");
            assert!(e.to_string().contains(FIELD));
        }
    }

    #[test]
    fn units_are_named_by_slice_prefix_and_name() {
        let unit = |text: &str| UnitName::parse(Some(Path::new(text)), "id", false);
        let full = |text: &str| unit(text).unwrap().path().unwrap().to_string_lossy().into_owned();
        assert_eq!(full("machine.slice:libpod:abc"), "machine.slice/libpod-abc.scope");
        assert_eq!(full("a-b-c.slice::x"), "a.slice/a-b.slice/a-b-c.slice/x.scope");
        assert_eq!(full(":docker:x"), "system.slice/docker-x.scope");
        assert_eq!(full("-.slice:p:x"), "p-x.scope");
        assert_eq!(full(""), "system.slice/containers-id.scope");
        assert_eq!(full("a.slice:p:x.slice"), "a.slice/x.slice");
        assert_eq!(UnitName::parse(None, "id", true).unwrap().slice, "user.slice");
        for wrong in [
            "/a/b",
            "a:b",
            "a.slice:b:",
            "../x.slice:p:n",
            "a--b.slice:p:n",
            "a.slice:p:n/../m",
            ".slice:p:n",
        ] {
            assert!(unit(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn relative_paths_start_in_our_own_cgroup_on_v1_and_beside_it_on_v2() {
        let h = |mount: &str, v2, controllers: &[&str]| Hierarchy {
            mount: PathBuf::from(mount),
            root: "/".into(),
            v2,
            controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        };
        let machine = Machine {
            hierarchies: vec![
                h("/none/cpu,cpuacct", false, &["rw", "cpu", "cpuacct"]),
                h("/none/systemd", false, &["rw", "xattr", "name=systemd"]),
                h("/none/again", false, &["rw", "cpu", "cpuacct"]),
                h("/none/unified", true, &["rw"]),
            ],
            own: OnceCell::from(BTreeMap::new()),
        };
        assert!(machine.is_v1());
        let places = machine.v1(&path("/x/y").unwrap());
        assert_eq!(places.len(), 3);
        assert_eq!(places[0].dir, Path::new("/none/cpu,cpuacct/x/y"));
        assert_eq!(places[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(places[1].controllers, ["name=systemd"]);
        assert_eq!(
            (places[2].dir.as_path(), &*places[2].controllers[0]),
            (Path::new("/none/unified/x/y"), "")
        );
        assert_eq!(machine.v2(&path("x").unwrap()).unwrap(), Path::new("/none/unified/x"));
    }
}
