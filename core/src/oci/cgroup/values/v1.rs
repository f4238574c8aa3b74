//! Values for the controllers of cgroup v1.

use super::common::{bytes, check_swap, io_weight, throttles};
use super::{Missing, Values, invalid, unsupported};
use crate::Result;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxNetwork, LinuxResources};

/// All values; `has_file` tells whether a controller has a file in the container's cgroup. Device rules are
/// not among them.
pub(in super::super) fn v1(
    resources: &LinuxResources,
    has_file: &dyn Fn(&str, &str) -> bool,
) -> Result<Values> {
    let mut values = Values::default();
    if resources.unified().as_ref().is_some_and(|u| !u.is_empty()) {
        let text = "invalid configuration: these are files of cgroup v2, and this machine uses v1; name the \
                    limits by their own fields";
        return Err(unsupported("unified", text));
    }
    if let Some(cpu) = resources.cpu() {
        values.cpu_v1(cpu)?;
        values.cpuset(cpu);
    }
    if let Some(memory) = resources.memory() {
        values.memory_v1(memory)?;
    }
    values.pids(resources);
    if let Some(io) = resources.block_io() {
        values.io_v1(io, has_file)?;
    }
    values.huge_pages(resources, "limit_in_bytes")?;
    values.rdma(resources)?;
    if let Some(network) = resources.network() {
        values.network_v1(network)?;
    }
    Ok(values)
}

impl Values {
    fn cpu_v1(&mut self, cpu: &LinuxCpu) -> Result<()> {
        if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
            if !(2..=262_144).contains(&shares) {
                return Err(invalid("cpu.shares", format!("{shares} is out of range: 2 to 262144")));
            }
            self.put("cpu", "cpu.shares", shares, "cpu.shares");
        }
        if let Some(period) = cpu.realtime_period().filter(|p| *p != 0) {
            self.put("cpu", "cpu.rt_period_us", period, "cpu.realtimePeriod");
        }
        if let Some(runtime) = cpu.realtime_runtime().filter(|r| *r != 0) {
            self.put("cpu", "cpu.rt_runtime_us", runtime, "cpu.realtimeRuntime");
        }
        if let Some(period) = cpu.period().filter(|p| *p != 0) {
            self.put("cpu", "cpu.cfs_period_us", period, "cpu.period");
        }
        if let Some(quota) = cpu.quota().filter(|q| *q != 0) {
            self.put("cpu", "cpu.cfs_quota_us", quota.max(-1), "cpu.quota");
        }
        if let Some(burst) = cpu.burst() {
            let missing = if burst == 0 { Missing::Holds } else { Missing::Fails };
            self.put_unless("cpu", "cpu.cfs_burst_us", burst, "cpu.burst", missing);
        }
        if let Some(idle) = cpu.idle() {
            let missing = if idle == 0 { Missing::Holds } else { Missing::Fails };
            self.put_unless("cpu", "cpu.idle", idle, "cpu.idle", missing);
        }
        Ok(())
    }

    fn memory_v1(&mut self, memory: &LinuxMemory) -> Result<()> {
        check_swap(memory)?;
        let text = |value: Option<u64>| value.map_or("-1".to_owned(), |v| v.to_string());
        if memory.use_hierarchy() == Some(true) {
            // The only way since Linux 5.11.
            self.put_unless("memory", "memory.use_hierarchy", 1, "memory.useHierarchy", Missing::Holds);
        }
        let limit = bytes(memory.limit(), "memory.limit")?;
        let mut swap = bytes(memory.swap(), "memory.swap")?;
        if let Some(limit) = limit {
            // Memory without a limit means swap without one, unless that is given.
            if limit.is_none() && swap.is_none() {
                swap = Some(None);
            }
            self.put("memory", "memory.limit_in_bytes", text(limit), "memory.limit");
        }
        if let Some(swap) = swap {
            let missing = if swap.is_none() { Missing::Holds } else { Missing::Fails };
            let file = "memory.memsw.limit_in_bytes";
            self.put_unless("memory", file, text(swap), "memory.swap", missing);
        }
        if let Some(soft) = bytes(memory.reservation(), "memory.reservation")? {
            self.put("memory", "memory.soft_limit_in_bytes", text(soft), "memory.reservation");
        }
        #[allow(deprecated, reason = "the specification still has it")]
        if let Some(kernel) = bytes(memory.kernel(), "memory.kernel")? {
            let missing = if kernel.is_none() { Missing::Holds } else { Missing::Warns };
            self.put_unless("memory", "memory.kmem.limit_in_bytes", text(kernel), "memory.kernel", missing);
        }
        if let Some(tcp) = bytes(memory.kernel_tcp(), "memory.kernelTCP")? {
            self.put("memory", "memory.kmem.tcp.limit_in_bytes", text(tcp), "memory.kernelTCP");
        }
        if let Some(swappiness) = memory.swappiness() {
            if swappiness > 100 {
                let text = format!("{swappiness} is out of range: 0 to 100");
                return Err(invalid("memory.swappiness", text));
            }
            self.put("memory", "memory.swappiness", swappiness, "memory.swappiness");
        }
        if memory.disable_oom_killer() == Some(true) {
            self.put("memory", "memory.oom_control", 1, "memory.disableOOMKiller");
        }
        Ok(())
    }

    fn io_v1(&mut self, io: &LinuxBlockIo, has_file: &dyn Fn(&str, &str) -> bool) -> Result<()> {
        // The scheduler that is built in decides on the names.
        let prefix = if has_file("blkio", "blkio.weight") { "blkio." } else { "blkio.bfq." };
        if let Some(weight) = io_weight(io.weight(), "blockIO.weight")? {
            self.put("blkio", &format!("{prefix}weight"), weight, "blockIO.weight");
        }
        if let Some(weight) = io_weight(io.leaf_weight(), "blockIO.leafWeight")? {
            self.put("blkio", "blkio.leaf_weight", weight, "blockIO.leafWeight");
        }
        for (i, device) in io.weight_device().iter().flatten().enumerate() {
            let at = format!("{}:{}", device.major(), device.minor());
            let field = format!("blockIO.weightDevice[{i}].weight");
            if let Some(weight) = io_weight(device.weight(), &field)? {
                self.put("blkio", &format!("{prefix}weight_device"), format!("{at} {weight}"), &field);
            }
            let field = format!("blockIO.weightDevice[{i}].leafWeight");
            if let Some(weight) = io_weight(device.leaf_weight(), &field)? {
                self.put("blkio", "blkio.leaf_weight_device", format!("{at} {weight}"), &field);
            }
        }
        for (name, file, _, list) in throttles(io) {
            for (i, device) in list.iter().flatten().enumerate() {
                let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
                let field = format!("blockIO.{name}[{i}]");
                self.put("blkio", &format!("blkio.throttle.{file}"), value, &field);
            }
        }
        Ok(())
    }

    fn network_v1(&mut self, network: &LinuxNetwork) -> Result<()> {
        if let Some(class) = network.class_id().filter(|c| *c != 0) {
            self.put("net_cls", "net_cls.classid", class, "network.classID");
        }
        for (i, interface) in network.priorities().iter().flatten().enumerate() {
            let field = format!("network.priorities[{i}]");
            if interface.name().is_empty() || interface.name().contains(char::is_whitespace) {
                return Err(invalid(&format!("{field}.name"), "this is no name of an interface"));
            }
            let value = format!("{} {}", interface.name(), interface.priority());
            self.put("net_prio", "net_prio.ifpriomap", value, &field);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn text(json: &str) -> String {
        let values = v1(&resources(json), &|_, _| false).unwrap();
        values.writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn every_field_has_its_file() {
        assert_eq!(
            text(
                r#"{"cpu":{"shares":512,"quota":-5,"period":50000,"burst":0,"idle":1,"realtimePeriod":7,
                "realtimeRuntime":6,"cpus":"0-1","mems":"0"}}"#
            ),
            "cpu.shares=512;cpu.rt_period_us=7;cpu.rt_runtime_us=6;cpu.cfs_period_us=50000;cpu.cfs_quota_us=-1;\
             cpu.cfs_burst_us=0;cpu.idle=1;cpuset.cpus=0-1;cpuset.mems=0"
        );
        assert_eq!(
            text(
                r#"{"memory":{"limit":10,"swap":20,"reservation":5,"kernel":-1,"kernelTCP":3,"swappiness":60,
                "disableOOMKiller":true,"useHierarchy":true}}"#
            ),
            "memory.use_hierarchy=1;memory.limit_in_bytes=10;memory.memsw.limit_in_bytes=20;\
             memory.soft_limit_in_bytes=5;memory.kmem.limit_in_bytes=-1;memory.kmem.tcp.limit_in_bytes=3;\
             memory.swappiness=60;memory.oom_control=1"
        );
        assert_eq!(
            text(r#"{"memory":{"limit":-1}}"#),
            "memory.limit_in_bytes=-1;memory.memsw.limit_in_bytes=-1"
        );
        assert_eq!(
            text(
                r#"{"blockIO":{"weight":10,"leafWeight":11,"weightDevice":[{"major":8,"minor":0,"weight":20,
                "leafWeight":30}],"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":5}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":2,"rate":6}]}}"#
            ),
            "blkio.bfq.weight=10;blkio.leaf_weight=11;blkio.bfq.weight_device=8:0 20;\
             blkio.leaf_weight_device=8:0 30;blkio.throttle.read_bps_device=8:1 5;\
             blkio.throttle.write_iops_device=8:2 6"
        );
        assert_eq!(
            text(
                r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4}],"rdma":{"mlx5_1":{"hcaHandles":3},
                "a":{"hcaObjects":4,"hcaHandles":1}},
                "network":{"classID":65537,"priorities":[{"name":"lo","priority":5}]},"pids":{"limit":9}}"#
            ),
            "pids.max=9;hugetlb.2MB.limit_in_bytes=4;hugetlb.2MB.rsvd.limit_in_bytes=4;\
             rdma.max=a hca_handle=1 hca_object=4;rdma.max=mlx5_1 hca_handle=3;net_cls.classid=65537;\
             net_prio.ifpriomap=lo 5"
        );
        assert_eq!(text(r#"{"pids":{"limit":0}}"#), "pids.max=1");
        assert_eq!(text(r#"{"pids":{"limit":-1}}"#), "pids.max=max");
        assert_eq!(text(r#"{"cpu":{"shares":0,"quota":0,"period":0},"memory":{"limit":0,"swap":0}}"#), "");
    }

    #[test]
    fn the_kernels_names_of_weights_are_found() {
        let values = v1(&resources(r#"{"blockIO":{"weight":10}}"#), &|_, f| f == "blkio.weight").unwrap();
        assert_eq!(values.writes[0].file, "blkio.weight");
    }

    #[test]
    fn wrong_values_name_their_field() {
        for (json, field, kind) in [
            (r#"{"memory":{"limit":-2}}"#, "memory.limit", ErrorKind::InvalidArgument),
            (r#"{"memory":{"limit":10,"swap":5}}"#, "memory.swap", ErrorKind::InvalidArgument),
            (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness", ErrorKind::InvalidArgument),
            (r#"{"cpu":{"shares":1}}"#, "cpu.shares", ErrorKind::InvalidArgument),
            (r#"{"blockIO":{"weight":5}}"#, "blockIO.weight", ErrorKind::InvalidArgument),
            (
                r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#,
                "hugepageLimits[0].pageSize",
                ErrorKind::InvalidArgument,
            ),
            (r#"{"rdma":{"x":{}}}"#, "rdma.x", ErrorKind::InvalidArgument),
            (r#"{"unified":{"memory.high":"1"}}"#, "unified", ErrorKind::Unsupported),
        ] {
            let e = v1(&resources(json), &|_, _| false).unwrap_err();
            assert_eq!(e.kind(), kind, "{json}");
            let field = ("field", format!("linux.resources.{field}"));
            assert!(e.context().contains(&field), "{json}: {e}");
        }
    }
}
