//! What is the same for every start of a runtime.

use crate::Result;
use crate::container::spec::Seccomp;
use crate::sandbox::seccomp;
use containers_protocol::Bytes;
use containers_protocol::plan::{IdMap, IdMaps};
use std::sync::{Arc, Mutex, OnceLock};

/// The group that owns terminals, on every distribution.
pub(super) const TTY_GROUP: u32 = 5;

/// Compiled profiles of callers that are kept.
const PROFILES: usize = 8;

/// A profile and the capabilities it was compiled for, with the program.
type Compiled = ((String, u64), Arc<[u8]>);

/// Kept by a runtime between starts.
pub(crate) struct Cache {
    /// The group of terminals exists in the containers' user namespace.
    pub(super) has_tty_group: bool,
    masked: OnceLock<Vec<Bytes>>,
    profiles: Mutex<Vec<Compiled>>,
}

/// Hidden: what tells about the machine or its other users, or has been a way out. The union of docker's and
/// podman's lists.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Shown, but not to be written.
pub(super) const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl Cache {
    /// Nothing kept yet, for containers with these ids (`None`: all there are).
    pub(crate) fn new(id_maps: Option<&IdMaps>) -> Cache {
        let mapped = |m: &IdMap| (m.inside..m.inside.saturating_add(m.count)).contains(&TTY_GROUP);
        Cache {
            has_tty_group: id_maps.is_none_or(|maps| maps.gids.iter().any(mapped)),
            masked: OnceLock::new(),
            profiles: Mutex::default(),
        }
    }

    /// Paths to hide, those of each processor included.
    pub(super) fn masked(&self) -> Vec<Bytes> {
        let list = self.masked.get_or_init(|| {
            let mut list: Vec<Bytes> = MASKED.iter().map(|p| Bytes::from(*p)).collect();
            for cpu in 0.. {
                let dir = format!("/sys/devices/system/cpu/cpu{cpu}");
                if !std::path::Path::new(&dir).is_dir() {
                    break;
                }
                let thermal = format!("{dir}/thermal_throttle");
                if std::path::Path::new(&thermal).is_dir() {
                    list.push(thermal.into());
                }
            }
            list
        });
        list.clone()
    }

    /// The program for a profile and a bounding set.
    pub(super) fn filter(&self, wanted: &Seccomp, caps: u64) -> Result<Bytes> {
        let text = match wanted {
            Seccomp::Unconfined => return Ok(Bytes::default()),
            Seccomp::Default => return Ok(Bytes(seccomp::default_filter(caps)?.to_vec())),
            Seccomp::Profile(text) => text,
        };
        let mut kept = self.profiles.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, program)) = kept.iter().find(|((t, c), _)| t == text && *c == caps) {
            return Ok(Bytes(program.to_vec()));
        }
        let profile = seccomp::Profile::parse(text)?;
        let program = seccomp::compile(&profile, &seccomp::Target::here(caps)?)?;
        if kept.len() == PROFILES {
            kept.remove(0);
        }
        kept.push(((text.clone(), caps), program.clone().into()));
        Ok(Bytes(program))
    }
}
