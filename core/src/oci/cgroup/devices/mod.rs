//! Which devices a container may open or make: `linux.resources.devices`.

mod program;
mod rules;

pub(super) use rules::{Access, Devices, Kind as DeviceKind, State, warnings};

use super::file;
use crate::sys::bpf;
use crate::{Error, ErrorKind, Result};
use containers_protocol::bpf::load_devices;
use containers_protocol::meanwhile::{Meanwhile, Program};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::path::Path;

/// The JSON path of the rules.
const FIELD: &str = "linux.resources.devices";

/// Our programs' name in the kernel.
const NAME: &std::ffi::CStr = c"ctr_devices";

/// Sets the rules through the devices controller of v1.
pub(super) fn set_v1(rules: &[LinuxDeviceCgroup], dir: &Path) -> Result<()> {
    let wanted = State::build(rules)?;
    let failed = |e| failed(dir, "the device rules can't be set", e);
    let list = || {
        let text = file::get(dir, "devices.list").map_err(failed)?;
        State::listed(&text).ok_or_else(|| {
            let what = format!("{}/devices.list is not understood: {text:?}", dir.display());
            Error::new(ErrorKind::Internal, what)
        })
    };
    let (mut allows, mut denies) = (None, None);
    for (allow, line) in wanted.from(&list()?) {
        let (file, name) = if allow { (&mut allows, "devices.allow") } else { (&mut denies, "devices.deny") };
        let file = match file {
            Some(open) => open,
            None => file.insert(file::Writer::open(dir, name).map_err(failed)?),
        };
        match file.put(&line) {
            // The cgroups above don't have it either; whether that matters shows below.
            Err(e) if allow && file::is(&e, libc::EPERM) => {}
            put => put.map_err(failed)?,
        }
    }
    let now = list()?;
    let is_narrower = now.exceptions.keys().all(|d| wanted.exceptions.contains_key(d));
    if now.allows != wanted.allows || (!wanted.allows && !is_narrower) {
        let text = format!("the kernel did not take over the device rules: {} has others", dir.display());
        return Err(Error::new(ErrorKind::Permission, text).with_context("field", FIELD));
    }
    // What the configuration itself allows must be there.
    let asked = rules.iter().enumerate().filter(|(_, r)| r.allow()).find(|(_, rule)| {
        let one = State::build(std::slice::from_ref(*rule)).unwrap_or_default();
        !wanted.allows
            && one.exceptions.keys().any(|d| {
                let is_default = State::build(&[]).is_ok_and(|s| s.exceptions.contains_key(d));
                !is_default && wanted.exceptions.contains_key(d) && !now.exceptions.contains_key(d)
            })
    });
    match asked {
        None => Ok(()),
        Some((i, rule)) => {
            let text = format!("{rule} can't be allowed: the cgroups above {} deny it", dir.display());
            Err(Error::new(ErrorKind::Permission, text).with_context("field", format!("{FIELD}[{i}]")))
        }
    }
}

/// The program for the rules, which [`set_v2`] looks for. `None`: it does without one, or says why.
pub(super) fn program(rules: &[LinuxDeviceCgroup]) -> Option<Program> {
    let state = State::build(rules).ok().filter(|state| !state.is_free())?;
    Some((program::compile(&state), NAME))
}

/// Sets the rules by a BPF program on a v2 cgroup, in the place of an earlier one. It may have been loaded `meanwhile`.
pub(super) fn set_v2(rules: &[LinuxDeviceCgroup], dir: &Path, meanwhile: Option<&Meanwhile>) -> Result<()> {
    let state = State::build(rules)?;
    let result = if state.is_free() {
        bpf::detach_devices(dir, NAME)
    } else {
        let code = program::compile(&state);
        let ready = meanwhile.and_then(|meanwhile| meanwhile.program(&code));
        let program = ready.map_or_else(|| load_devices(&code, NAME), Ok);
        program.map_err(Into::into).and_then(|program| bpf::attach_devices(dir, &program, NAME))
    };
    match result {
        // Where BPF is forbidden (in a container, say), rules that only allow are no loss.
        Err(e) if file::is_refusal(&e) && rules.iter().all(only_allows) => Ok(()),
        result => result.map_err(|e| failed(dir, "the device rules can't be set by a BPF program", e)),
    }
}

fn only_allows(rule: &LinuxDeviceCgroup) -> bool {
    let is_whole = || rule.access().as_deref().is_some_and(|a| "rwm".chars().all(|c| a.contains(c)));
    rule.allow() && (matches!(rule.typ(), None | Some(LinuxDeviceType::A)) || is_whole())
}

fn failed(dir: &Path, text: &str, e: std::io::Error) -> Error {
    Error::io(text, e).with_context("field", FIELD).with_context("path", dir.display().to_string())
}
