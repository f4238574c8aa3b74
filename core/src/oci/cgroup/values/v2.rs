//! Values for the files of cgroup v2: `config.json` speaks v1, so most are converted.

use super::common::{bytes, check_swap, io_weight, throttles};
use super::{Missing, Values, file, invalid, unsupported};
use crate::cgroup::convert;
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use std::path::Path;

/// Files that are no limits: they move, stop or kill processes, or change what the cgroup is.
const NO_LIMITS: &[&str] = &[
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.kill",
    "cgroup.freeze",
    "cgroup.type",
    "cgroup.subtree_control",
    "cgroup.pressure",
];

/// The period of a quota that names none.
const PERIOD: u64 = 100_000;

/// All values for the cgroup in `dir`. Device rules are not among them.
pub(in super::super) fn v2(resources: &LinuxResources, dir: &Path) -> Result<Values> {
    let mut values = Values::default();
    if let Some(cpu) = resources.cpu() {
        values.cpu_v2(cpu, dir)?;
        values.cpuset(cpu);
    }
    if let Some(memory) = resources.memory() {
        values.memory_v2(memory)?;
    }
    values.pids(resources);
    if let Some(io) = resources.block_io() {
        values.io_v2(io, dir)?;
    }
    values.huge_pages(resources, "max")?;
    values.rdma(resources)?;
    if let Some(network) = resources.network() {
        let text =
            "cgroup v2 has no net_cls and net_prio controllers; use nftables or tc with `socket cgroupv2`";
        if network.class_id().is_some_and(|c| c != 0) {
            return Err(unsupported("network.classID", text));
        }
        if network.priorities().as_ref().is_some_and(|p| !p.is_empty()) {
            return Err(unsupported("network.priorities", text));
        }
    }
    values.unified(resources)?;
    Ok(values)
}

/// `checkBeforeUpdate`: a limit below what is used would kill, so it is refused.
pub(in super::super) fn check_usage(resources: &LinuxResources, dir: &Path) -> Result<()> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    if memory.check_before_update() != Some(true) {
        return Ok(());
    }
    // A cgroup that is not there yet uses nothing.
    let Ok(used) = file::number(dir, "memory.current") else { return Ok(()) };
    for (limit, field) in [(memory.limit(), "memory.limit"), (memory.swap(), "memory.swap")] {
        if let Some(Some(limit)) = bytes(limit, field)?
            && limit <= used
        {
            let text = format!("the limit of {limit} bytes is refused: {used} are in use");
            let error = Error::new(ErrorKind::InUse, text);
            return Err(error.with_context("field", format!("linux.resources.{field}")));
        }
    }
    Ok(())
}

impl Values {
    fn cpu_v2(&mut self, cpu: &LinuxCpu, dir: &Path) -> Result<()> {
        if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
            self.put("cpu", "cpu.weight", convert::cpu_weight(shares), "cpu.shares");
        }
        let quota = cpu.quota().filter(|q| *q != 0);
        let period = cpu.period().filter(|p| *p != 0);
        if quota.is_some() || period.is_some() {
            let current = file::get(dir, "cpu.max").unwrap_or_default();
            let mut current = current.split_ascii_whitespace();
            let (quota_now, period_now) = (current.next().unwrap_or("max"), current.next());
            let value = match quota {
                Some(quota) if quota < 0 => "max".to_owned(),
                Some(quota) => quota.to_string(),
                None => quota_now.to_owned(),
            };
            // A quota without a period goes with the one that is in force.
            let period = period.or_else(|| period_now?.parse().ok()).unwrap_or(PERIOD);
            let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
            self.put("cpu", "cpu.max", format!("{value} {period}"), field);
        }
        if let Some(burst) = cpu.burst() {
            let missing = if burst == 0 { Missing::Holds } else { Missing::Fails };
            self.put_unless("cpu", "cpu.max.burst", burst, "cpu.burst", missing);
        }
        if let Some(idle) = cpu.idle() {
            let missing = if idle == 0 { Missing::Holds } else { Missing::Fails };
            self.put_unless("cpu", "cpu.idle", idle, "cpu.idle", missing);
        }
        let realtime = [
            ("cpu.realtimeRuntime", cpu.realtime_runtime().is_some_and(|r| r != 0)),
            ("cpu.realtimePeriod", cpu.realtime_period().is_some_and(|p| p != 0)),
        ];
        match realtime.into_iter().find(|(_, asked)| *asked) {
            Some((field, _)) => Err(unsupported(field, "cgroup v2 doesn't limit real-time scheduling")),
            None => Ok(()),
        }
    }

    fn memory_v2(&mut self, memory: &LinuxMemory) -> Result<()> {
        check_swap(memory)?;
        let text = |value: Option<u64>| value.map_or("max".to_owned(), |v| v.to_string());
        let limit = bytes(memory.limit(), "memory.limit")?;
        if let Some(swap) = swap_v2(memory)? {
            // Without swap accounting there is none to limit or to forbid.
            let missing = if matches!(swap, None | Some(0)) { Missing::Holds } else { Missing::Fails };
            self.put_unless("memory", "memory.swap.max", text(swap), "memory.swap", missing);
        }
        if let Some(limit) = limit {
            let missing = if limit.is_none() { Missing::Holds } else { Missing::Fails };
            self.put_unless("memory", "memory.max", text(limit), "memory.limit", missing);
        }
        if let Some(low) = bytes(memory.reservation(), "memory.reservation")? {
            self.put("memory", "memory.low", text(low), "memory.reservation");
        }
        #[allow(deprecated, reason = "the specification still has it")]
        if let Some(Some(_)) = bytes(memory.kernel(), "memory.kernel")? {
            let warning =
                "linux.resources.memory.kernel is ignored: cgroup v2 counts kernel memory in memory.limit";
            self.warnings.push(warning.to_owned());
        }
        let tcp = bytes(memory.kernel_tcp(), "memory.kernelTCP")?.flatten();
        for (asked, field, text) in [
            (tcp.is_some(), "kernelTCP", "cgroup v2 counts socket buffers in memory.limit"),
            (
                memory.swappiness().is_some(),
                "swappiness",
                "cgroup v2 has no swappiness; memory.swap limits swap",
            ),
            (
                memory.disable_oom_killer() == Some(true),
                "disableOOMKiller",
                "cgroup v2 can't stop the OOM killer; unified memory.high throttles before the limit",
            ),
            (memory.use_hierarchy() == Some(false), "useHierarchy", "cgroup v2 is always hierarchical"),
        ] {
            if asked {
                return Err(unsupported(&format!("memory.{field}"), text));
            }
        }
        Ok(())
    }

    fn io_v2(&mut self, io: &LinuxBlockIo, dir: &Path) -> Result<()> {
        // The BFQ scheduler has weights of its own, in v1's range.
        let bfq = file::get(dir, "io.bfq.weight").ok();
        let per_device = bfq.as_ref().is_none_or(|text| text.trim().parse::<u64>().is_err());
        let convert = |weight: u16| match bfq {
            Some(_) => ("io.bfq.weight", u64::from(weight)),
            None => ("io.weight", convert::io_weight(weight)),
        };
        if let Some(weight) = io_weight(io.weight(), "blockIO.weight")? {
            let (file, value) = convert(weight);
            self.put("io", file, value, "blockIO.weight");
        }
        let leaf = "cgroup v2 has no leaf weights; put processes into sub-cgroups with weights of their own";
        if io.leaf_weight().is_some_and(|w| w != 0) {
            return Err(unsupported("blockIO.leafWeight", leaf));
        }
        for (i, device) in io.weight_device().iter().flatten().enumerate() {
            let field = format!("blockIO.weightDevice[{i}]");
            if device.leaf_weight().is_some_and(|w| w != 0) {
                return Err(unsupported(&format!("{field}.leafWeight"), leaf));
            }
            let field = format!("{field}.weight");
            if let Some(weight) = io_weight(device.weight(), &field)? {
                if !per_device {
                    return Err(unsupported(&field, "this kernel's BFQ has no weights for single devices"));
                }
                let (file, value) = convert(weight);
                self.put("io", file, format!("{}:{} {value}", device.major(), device.minor()), &field);
            }
        }
        for (name, _, key, list) in throttles(io) {
            for (i, device) in list.iter().flatten().enumerate() {
                let rate = match device.rate() {
                    0 => "max".to_owned(),
                    rate => rate.to_string(),
                };
                let value = format!("{}:{} {key}={rate}", device.major(), device.minor());
                self.put("io", "io.max", value, &format!("blockIO.{name}[{i}]"));
            }
        }
        Ok(())
    }

    /// Files by their own names, last: they are more exact than what was converted.
    fn unified(&mut self, resources: &LinuxResources) -> Result<()> {
        let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
        unified.sort_by_key(|(name, _)| *name);
        for (name, value) in unified {
            let field = format!("unified[{name:?}]");
            let controller = match name.split_once('.') {
                Some((c, rest)) if !c.is_empty() && !rest.is_empty() && !name.contains(['/', '\0']) => c,
                _ => return Err(invalid(&field, "the key must be the name of a file: controller.parameter")),
            };
            if NO_LIMITS.contains(&name.as_str()) {
                return Err(invalid(&field, "this file sets no limit"));
            }
            // Each line is one value, as for `io.max`.
            for line in value.lines().filter(|line| !line.trim().is_empty()) {
                self.put(controller, name, line, &field);
            }
        }
        Ok(())
    }
}

/// `memory.swap.max` from memory and swap together. `None`: leave it; `Some(None)`: no limit.
pub(in super::super) fn swap_v2(memory: &LinuxMemory) -> Result<Option<Option<u64>>> {
    let limit = bytes(memory.limit(), "memory.limit")?;
    let swap = bytes(memory.swap(), "memory.swap")?;
    match (limit, swap) {
        // Memory without a limit means swap without one, unless that is given.
        (Some(None), None) => Ok(Some(None)),
        (_, None) => Ok(None),
        (_, Some(None)) => Ok(Some(None)),
        (Some(None), Some(swap)) => Ok(Some(swap)),
        (Some(Some(limit)), Some(Some(swap))) => Ok(Some(Some(swap.saturating_sub(limit)))),
        (None, Some(Some(_))) => {
            Err(invalid("memory.swap", "it limits memory and swap together, so it needs a memory.limit too"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(json: &str, dir: &Path) -> Result<String> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let values = v2(&resources, dir)?;
        Ok(values.writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect::<Vec<_>>().join(";"))
    }

    fn text(json: &str) -> String {
        at(json, Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn v1_fields_are_converted() {
        assert_eq!(
            text(r#"{"cpu":{"shares":1024,"quota":50000,"period":200000,"burst":5,"idle":0,"cpus":"1"}}"#),
            "cpu.weight=100;cpu.max=50000 200000;cpu.max.burst=5;cpu.idle=0;cpuset.cpus=1"
        );
        assert_eq!(text(r#"{"cpu":{"quota":-1}}"#), "cpu.max=max 100000");
        assert_eq!(
            text(r#"{"memory":{"limit":100,"swap":150,"reservation":-1}}"#),
            "memory.swap.max=50;memory.max=100;memory.low=max"
        );
        assert_eq!(text(r#"{"memory":{"limit":100,"swap":100}}"#), "memory.swap.max=0;memory.max=100");
        assert_eq!(text(r#"{"memory":{"limit":-1}}"#), "memory.swap.max=max;memory.max=max");
        assert_eq!(text(r#"{"memory":{"limit":-1,"swap":7}}"#), "memory.swap.max=7;memory.max=max");
        assert_eq!(text(r#"{"memory":{"limit":9,"swap":-1}}"#), "memory.swap.max=max;memory.max=9");
        assert_eq!(
            text(
                r#"{"blockIO":{"weight":1000,"weightDevice":[{"major":8,"minor":0,"weight":10}],
                "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}],
                "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":0}],
                "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":6}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":7}]}}"#
            ),
            "io.weight=10000;io.weight=8:0 1;io.max=8:0 rbps=5;io.max=8:0 wbps=max;io.max=8:0 riops=6;\
             io.max=8:0 wiops=7"
        );
        assert_eq!(
            text(r#"{"hugepageLimits":[{"pageSize":"1GB","limit":0}],"pids":{"limit":-1}}"#),
            "pids.max=max;hugetlb.1GB.max=0;hugetlb.1GB.rsvd.max=0"
        );
    }

    #[test]
    fn unified_files_come_last_line_by_line() {
        assert_eq!(
            text(r#"{"unified":{"memory.high":"5","io.max":"8:0 rbps=1\n8:1 rbps=2\n"},"pids":{"limit":2}}"#),
            "pids.max=2;io.max=8:0 rbps=1;io.max=8:1 rbps=2;memory.high=5"
        );
    }

    #[test]
    fn what_is_in_force_completes_quota_period_and_weights() {
        let dir = std::env::temp_dir().join(format!("cgroup-v2-values-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cpu.max"), "2000 50000\n").unwrap();
        std::fs::write(dir.join("io.bfq.weight"), "default 100\n").unwrap();
        std::fs::write(dir.join("memory.current"), "500\n").unwrap();
        assert_eq!(at(r#"{"cpu":{"period":40000}}"#, &dir).unwrap(), "cpu.max=2000 40000");
        assert_eq!(at(r#"{"cpu":{"quota":3000}}"#, &dir).unwrap(), "cpu.max=3000 50000");
        assert_eq!(
            at(r#"{"blockIO":{"weight":30,"weightDevice":[{"major":8,"minor":0,"weight":10}]}}"#, &dir)
                .unwrap(),
            "io.bfq.weight=30;io.bfq.weight=8:0 10"
        );
        let usage = |json: &str| check_usage(&serde_json::from_str(json).unwrap(), &dir);
        assert!(usage(r#"{"memory":{"limit":500}}"#).is_ok());
        assert!(usage(r#"{"memory":{"limit":501,"checkBeforeUpdate":true}}"#).is_ok());
        let e = usage(r#"{"memory":{"limit":500,"checkBeforeUpdate":true}}"#).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InUse);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_v2_lacks_is_an_error_that_names_the_field() {
        for (json, field, kind) in [
            (r#"{"memory":{"swappiness":0}}"#, "memory.swappiness", ErrorKind::Unsupported),
            (r#"{"memory":{"disableOOMKiller":true}}"#, "memory.disableOOMKiller", ErrorKind::Unsupported),
            (r#"{"memory":{"kernelTCP":4}}"#, "memory.kernelTCP", ErrorKind::Unsupported),
            (r#"{"memory":{"swap":4}}"#, "memory.swap", ErrorKind::InvalidArgument),
            (r#"{"memory":{"limit":9,"swap":4}}"#, "memory.swap", ErrorKind::InvalidArgument),
            (r#"{"cpu":{"realtimeRuntime":4}}"#, "cpu.realtimeRuntime", ErrorKind::Unsupported),
            (r#"{"network":{"classID":4}}"#, "network.classID", ErrorKind::Unsupported),
            (r#"{"blockIO":{"leafWeight":40}}"#, "blockIO.leafWeight", ErrorKind::Unsupported),
            (r#"{"unified":{"a/b.c":"1"}}"#, "unified[\"a/b.c\"]", ErrorKind::InvalidArgument),
            (r#"{"unified":{"memory":"1"}}"#, "unified[\"memory\"]", ErrorKind::InvalidArgument),
            (r#"{"unified":{"cgroup.procs":"1"}}"#, "unified[\"cgroup.procs\"]", ErrorKind::InvalidArgument),
        ] {
            let e = at(json, Path::new("/nonexistent")).unwrap_err();
            assert_eq!(e.kind(), kind, "{json}");
            assert!(e.context().contains(&("field", format!("linux.resources.{field}"))), "{json}: {e}");
        }
        assert_eq!(text(r#"{"memory":{"disableOOMKiller":false,"kernel":-1}}"#), "");
    }
}
