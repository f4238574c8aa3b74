//! Transient units of systemd: cgroups that it makes and delegates to us.

mod bus;

pub(crate) use zbus::Variant;

use crate::{Error, ErrorKind, Result};
use bus::{Bus, Failed};
use std::path::Path;
use zbus::ObjectPath;

/// Properties of a unit.
pub(crate) type Properties = Vec<(String, Variant<'static>)>;

/// A connection to the system's manager or to a user's.
pub(crate) struct Manager {
    bus: Bus,
}

impl Manager {
    /// Connects. `user`: to the manager of this user.
    pub(crate) fn connect(user: bool) -> Result<Manager> {
        Ok(Manager { bus: Bus::connect(user)? })
    }

    /// The cgroup of the manager, below which its units are.
    pub(crate) fn cgroup(&mut self) -> Result<String> {
        let what = "systemd doesn't tell its cgroup";
        self.bus.text_property("ControlGroup").map_err(|e| e.into_error(what))
    }

    /// Its version; 0 where it can't be read.
    pub(crate) fn version(&mut self) -> u32 {
        let text = self.bus.text_property("Version").unwrap_or_default();
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or_default()
    }

    /// Starts a transient unit and waits until it is there. One of the same name that has failed is cleared
    /// away first; one that runs is `InUse`.
    pub(crate) fn start(&mut self, unit: &str, properties: &Properties) -> Result<()> {
        let what = format!("systemd can't start {unit}");
        let mut started = self.start_transient(unit, properties);
        if let Err(Failed::Refused { name, .. }) = &started
            && name.ends_with("UnitExists")
        {
            let _ = self.bus.call("ResetFailedUnit", &unit);
            started = self.start_transient(unit, properties);
        }
        let result = started.map_err(|e| e.into_error(&what))?;
        let is_there = match result.as_deref() {
            Some(result) => result == "done",
            None => self.bus.call("GetUnit", &unit).is_ok(),
        };
        if !is_there {
            let _ = self.bus.call("ResetFailedUnit", &unit);
            let result = result.unwrap_or_default();
            return Err(Error::new(ErrorKind::Io, format!("{what}: its job ended with {result:?}")));
        }
        Ok(())
    }

    fn start_transient(&mut self, unit: &str, properties: &Properties) -> Result<Option<String>, Failed> {
        let others: Vec<(&str, Properties)> = Vec::new();
        let answer = self.bus.call("StartTransientUnit", &(unit, "fail", properties, others))?;
        let job = answer.read::<ObjectPath<'_>>()?.as_str().to_owned();
        self.bus.wait(&job)
    }

    /// Changes properties until the unit goes.
    pub(crate) fn set(&mut self, unit: &str, properties: &Properties) -> Result<()> {
        let what = format!("systemd can't change {unit}");
        let set = self.bus.call("SetUnitProperties", &(unit, true, properties));
        set.map(drop).map_err(|e| e.into_error(&what))
    }

    /// Stops a unit and forgets it. One that is gone is fine.
    pub(crate) fn stop(&mut self, unit: &str) -> Result<()> {
        let what = format!("systemd can't stop {unit}");
        let stopped = self.bus.call("StopUnit", &(unit, "replace"));
        let waited = stopped.and_then(|answer| {
            let job = answer.read::<ObjectPath<'_>>()?.as_str().to_owned();
            self.bus.wait(&job)
        });
        let _ = self.bus.call("ResetFailedUnit", &unit);
        match waited {
            Ok(_) => Ok(()),
            Err(Failed::Refused { name, .. }) if name.ends_with("NoSuchUnit") => Ok(()),
            Err(e) => Err(e.into_error(&what)),
        }
    }
}

/// Whether systemd runs this machine.
pub(crate) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Properties that every scope of ours has: its processes, and the right to make cgroups below it.
pub(crate) fn scope(description: &str, pid: u32) -> Properties {
    let property = |name: &str, value: Variant<'static>| (name.to_owned(), value);
    vec![
        property("Description", Variant::from(description.to_owned())),
        property("Delegate", Variant::from(true)),
        property("PIDs", Variant::from(vec![pid])),
        property("DefaultDependencies", Variant::from(false)),
    ]
}
