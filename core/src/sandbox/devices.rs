//! Devices beyond the default `/dev`.

use crate::container::spec::{DeviceSpec, Spec};
use crate::{Error, Result};
use containers_protocol::plan::{Device, Step};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// In every `/dev` already, or not to be taken over from the machine's.
const OWN: &[&str] =
    &["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue"];

/// The caller's devices; a privileged container has all of the machine's.
pub(super) fn steps(spec: &Spec, steps: &mut Vec<Step>) -> Result<()> {
    if spec.privileged {
        let failed = |e| Error::io("can't list the machine's devices", e).with_context("path", "/dev");
        all(Path::new("/dev"), steps).map_err(failed)?;
    }
    steps.extend(spec.devices.iter().map(one));
    Ok(())
}

fn one(spec: &DeviceSpec) -> Step {
    Step::Device(Device {
        path: spec.target.as_str().into(),
        source: spec.source.as_str().into(),
        mode: spec.mode,
        major: rustix::fs::major(spec.rdev),
        minor: rustix::fs::minor(spec.rdev),
        uid: spec.owner.0,
        gid: spec.owner.1,
    })
}

fn all(dir: &Path, steps: &mut Vec<Step>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if dir == Path::new("/dev") && OWN.iter().any(|own| name == *own) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            all(&path, steps)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            let meta = entry.metadata()?;
            let text = path.to_string_lossy().into_owned();
            steps.push(one(&DeviceSpec {
                source: text.clone(),
                target: text,
                mode: meta.mode(),
                rdev: meta.rdev(),
                owner: (meta.uid(), meta.gid()),
            }));
        }
    }
    Ok(())
}
