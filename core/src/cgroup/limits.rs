//! Limits as values for cgroup files.

use super::Cgroups;
use crate::{Error, ErrorKind, Result};
use containers_protocol::plan::{CgroupPlan, CgroupWrite};

/// Length of a scheduling period in microseconds.
const PERIOD: u64 = 100_000;

/// Most processes of a container that asks for nothing.
const DEFAULT_PIDS: u64 = 2048;

/// What a container may use. `None`: not limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Processors.
    pub(crate) cpus: Option<f64>,
    /// Relative weight as on v1, 2 to 262144.
    pub(crate) cpu_shares: Option<u64>,
    /// Processors it may run on.
    pub(crate) cpuset: Option<String>,
    /// Most processes. `Some(None)`: no limit asked for.
    pub(crate) pids: Option<Option<u64>>,
}

/// What else decides which cgroups a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// It can be paused, and what it uses be read: a container that is not just one `run`.
    pub(crate) managed: bool,
    /// It may make device nodes.
    pub(crate) may_mknod: bool,
}

impl Cgroups {
    /// The values for a container. `unsupported` when a limit that was asked for can't be set here; the
    /// texts are defaults that can't be had.
    pub(crate) fn plan(&self, limits: &Limits, how: Use) -> Result<(Option<CgroupPlan>, Vec<String>)> {
        let mut out = Plan { cgroups: self, plan: CgroupPlan::default(), warnings: Vec::new() };
        out.memory(limits)?;
        out.cpu(limits)?;
        out.pids(limits)?;
        out.devices(how)?;
        let wanted = !out.plan.writes.is_empty() || (how.managed && self.version == "v2");
        Ok((wanted.then_some(out.plan), out.warnings))
    }

    fn missing(&self, controller: &str, field: &'static str) -> Error {
        let fix = match &self.warning {
            Some(why) => why.clone(),
            None => format!("the {controller} controller is not available to this process"),
        };
        Error::new(ErrorKind::Unsupported, format!("the limit can't be set on this machine: {fix}"))
            .with_context("field", field)
    }
}

struct Plan<'a> {
    cgroups: &'a Cgroups,
    plan: CgroupPlan,
    warnings: Vec<String>,
}

impl Plan<'_> {
    fn v2(&self) -> bool {
        self.cgroups.version == "v2"
    }

    fn put(&mut self, controller: &str, file: &str, value: String, option: Option<&str>) {
        let controller = if self.v2() { "" } else { controller };
        self.plan.writes.push(CgroupWrite {
            controller: controller.to_owned(),
            file: file.to_owned(),
            value,
            option: option.map(str::to_owned),
        });
    }

    fn need(&self, controller: &str, field: &'static str) -> Result<()> {
        if self.cgroups.has(controller) { Ok(()) } else { Err(self.cgroups.missing(controller, field)) }
    }

    fn memory(&mut self, limits: &Limits) -> Result<()> {
        let Some(bytes) = limits.memory else { return Ok(()) };
        self.need("memory", "mem_limit")?;
        let option = Some("mem_limit");
        if self.v2() {
            // docker allows as much swap again; it is there only where the kernel counts swap.
            self.put("memory", "memory.max", bytes.to_string(), option);
            self.put("memory", "memory.swap.max", bytes.to_string(), None);
            // An out-of-memory kill takes the process that did it, as without us.
            self.put("memory", "memory.oom.group", "0".into(), None);
        } else {
            self.put("memory", "memory.limit_in_bytes", bytes.to_string(), option);
            let both = bytes.saturating_mul(2).min(i64::MAX as u64);
            self.put("memory", "memory.memsw.limit_in_bytes", both.to_string(), None);
        }
        self.plan.watch_oom = true;
        Ok(())
    }

    fn cpu(&mut self, limits: &Limits) -> Result<()> {
        if let Some(cpus) = limits.cpus {
            self.need("cpu", "cpus")?;
            let quota = ((cpus * PERIOD as f64).round() as u64).max(1000);
            if self.v2() {
                self.put("cpu", "cpu.max", format!("{quota} {PERIOD}"), Some("cpus"));
            } else {
                self.put("cpu", "cpu.cfs_period_us", PERIOD.to_string(), Some("cpus"));
                self.put("cpu", "cpu.cfs_quota_us", quota.to_string(), Some("cpus"));
            }
        }
        if let Some(shares) = limits.cpu_shares {
            self.need("cpu", "cpu_shares")?;
            if self.v2() {
                let weight = super::convert::cpu_weight(shares);
                self.put("cpu", "cpu.weight", weight.to_string(), Some("cpu_shares"));
            } else {
                self.put("cpu", "cpu.shares", shares.to_string(), Some("cpu_shares"));
            }
        }
        if let Some(cpus) = &limits.cpuset {
            self.need("cpuset", "cpuset_cpus")?;
            self.put("cpuset", "cpuset.cpus", cpus.clone(), Some("cpuset_cpus"));
        }
        Ok(())
    }

    fn pids(&mut self, limits: &Limits) -> Result<()> {
        match limits.pids {
            Some(None) => {}
            Some(Some(most)) => {
                self.need("pids", "pids_limit")?;
                self.put("pids", "pids.max", most.to_string(), Some("pids_limit"));
            }
            None if self.cgroups.has("pids") => self.put("pids", "pids.max", DEFAULT_PIDS.to_string(), None),
            None => self.warnings.push(
                "the number of processes is not limited: the pids controller is not available here".into(),
            ),
        }
        Ok(())
    }

    /// Who may make device nodes must not reach the machine's disks with them.
    fn devices(&mut self, how: Use) -> Result<()> {
        if !how.may_mknod {
            return Ok(());
        }
        if self.v2() || !self.cgroups.has("devices") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "MKNOD would give the container every device of the machine, because access to devices can be \
                 limited only by the devices controller of cgroup v1 so far; drop it (cap_drop), and name the devices that \
                 the container needs",
            )
            .with_context("field", "cap_add"));
        }
        self.put("devices", "devices.deny", "a".into(), Some("cap_add"));
        for allowed in [
            "c *:* m",
            "b *:* m",
            "c 1:3 rwm",
            "c 1:5 rwm",
            "c 1:7 rwm",
            "c 1:8 rwm",
            "c 1:9 rwm",
            "c 5:0 rwm",
            "c 5:1 rwm",
            "c 5:2 rwm",
            "c 136:* rwm",
        ] {
            self.put("devices", "devices.allow", allowed.into(), Some("cap_add"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containers_protocol::launch::CgroupBase;

    fn cgroups(version: &'static str, controllers: &[&str]) -> Cgroups {
        Cgroups {
            base: CgroupBase::None,
            version,
            controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
            warning: None,
            scope: None,
            manager: None,
        }
    }

    #[test]
    fn values_differ_between_versions() {
        let all = ["memory", "cpu", "pids"];
        let limits =
            Limits { memory: Some(1 << 20), cpus: Some(1.5), cpu_shares: Some(1024), ..Limits::default() };
        let text = |version| {
            let (plan, _) = cgroups(version, &all).plan(&limits, Use::default()).unwrap();
            let writes = plan.unwrap().writes;
            writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect::<Vec<_>>().join(";")
        };
        assert_eq!(
            text("v1"),
            "memory.limit_in_bytes=1048576;memory.memsw.limit_in_bytes=2097152;cpu.cfs_period_us=100000;\
             cpu.cfs_quota_us=150000;cpu.shares=1024;pids.max=2048"
        );
        assert_eq!(
            text("v2"),
            "memory.max=1048576;memory.swap.max=1048576;memory.oom.group=0;cpu.max=150000 100000;\
             cpu.weight=100;pids.max=2048"
        );
    }

    #[test]
    fn what_was_asked_for_is_an_error_and_a_default_a_warning() {
        let none = cgroups("none", &[]);
        let (plan, warnings) = none.plan(&Limits::default(), Use::default()).unwrap();
        assert!(plan.is_none() && warnings.len() == 1);
        let asked = Limits { pids: Some(Some(5)), ..Limits::default() };
        let e = none.plan(&asked, Use::default()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.to_string().contains("pids_limit"));
    }
}
