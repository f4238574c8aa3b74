//! Values that are the same on both versions.

use super::{Missing, Values, invalid};
use crate::Result;
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

/// Bytes of a limit: `None` when there is none to set, `Some(None)` for no limit.
pub(super) fn bytes(value: Option<i64>, field: &str) -> Result<Option<Option<u64>>> {
    match value {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(None)),
        Some(n) => u64::try_from(n)
            .map(|n| Some(Some(n)))
            .map_err(|_| invalid(field, format!("{n} is no size: bytes, or -1 for no limit"))),
    }
}

/// Memory and swap together can't be less than memory.
pub(super) fn check_swap(memory: &LinuxMemory) -> Result<()> {
    let limit = bytes(memory.limit(), "memory.limit")?;
    let swap = bytes(memory.swap(), "memory.swap")?;
    match (limit, swap) {
        (Some(Some(limit)), Some(Some(swap))) if swap < limit => Err(invalid(
            "memory.swap",
            format!("{swap} is less than memory.limit, {limit}: it limits memory and swap together"),
        )),
        _ => Ok(()),
    }
}

impl Values {
    /// Processors and memory nodes.
    pub(super) fn cpuset(&mut self, cpu: &LinuxCpu) {
        let lists = [("cpuset.cpus", cpu.cpus(), "cpu.cpus"), ("cpuset.mems", cpu.mems(), "cpu.mems")];
        for (file, list, field) in lists {
            if let Some(list) = list.as_deref().map(str::trim).filter(|l| !l.is_empty()) {
                self.put("cpuset", file, list, field);
            }
        }
    }

    /// Processes. 0, which nothing could run with, is 1, as for systemd; below it there is no limit.
    pub(super) fn pids(&mut self, resources: &LinuxResources) {
        let Some(pids) = resources.pids() else { return };
        let value = match pids.limit() {
            ..0 => "max".to_owned(),
            0 => "1".to_owned(),
            most => most.to_string(),
        };
        // No limit needs no controller.
        let missing = if value == "max" { Missing::Holds } else { Missing::Fails };
        self.put_unless("pids", "pids.max", value, "pids.limit", missing);
    }

    /// Huge pages: `limit` ends the name of the file.
    pub(super) fn huge_pages(&mut self, resources: &LinuxResources, limit: &str) -> Result<()> {
        for (i, page) in resources.hugepage_limits().iter().flatten().enumerate() {
            let field = format!("hugepageLimits[{i}]");
            let size = page.page_size();
            let number = size.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let unit = &size[number.len()..];
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            if !is_number || !["KB", "MB", "GB"].contains(&unit) {
                let text = format!("{size:?} is no page size: a number and KB, MB or GB");
                return Err(invalid(&format!("{field}.pageSize"), text));
            }
            let Ok(bytes) = u64::try_from(page.limit()) else {
                let text = format!("{} is no size in bytes", page.limit());
                return Err(invalid(&format!("{field}.limit"), text));
            };
            let field = format!("{field}.limit");
            self.put("hugetlb", &format!("hugetlb.{size}.{limit}"), bytes, &field);
            let reserved = format!("hugetlb.{size}.rsvd.{limit}");
            self.put_unless("hugetlb", &reserved, bytes, &field, Missing::Holds);
        }
        Ok(())
    }

    /// RDMA devices.
    pub(super) fn rdma(&mut self, resources: &LinuxResources) -> Result<()> {
        let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
        devices.sort_by_key(|(name, _)| *name);
        for (name, limits) in devices {
            let field = format!("rdma.{name}");
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(invalid(&field, "this is no name of a device"));
            }
            let part = |key: &str, value: Option<u32>| value.map(|v| format!(" {key}={v}"));
            let handles = part("hca_handle", limits.hca_handles());
            let objects = part("hca_object", limits.hca_objects());
            if handles.is_none() && objects.is_none() {
                return Err(invalid(&field, "it needs hcaHandles or hcaObjects"));
            }
            let value = format!("{name}{}{}", handles.unwrap_or_default(), objects.unwrap_or_default());
            self.put("rdma", "rdma.max", value, &field);
        }
        Ok(())
    }
}

/// The lists of `blockIO` that throttle: JSON name, file of v1, key of v2.
pub(super) type Throttle<'a> =
    (&'static str, &'static str, &'static str, &'a Option<Vec<LinuxThrottleDevice>>);

/// All of them.
pub(super) fn throttles(io: &oci_spec::runtime::LinuxBlockIo) -> [Throttle<'_>; 4] {
    [
        ("throttleReadBpsDevice", "read_bps_device", "rbps", io.throttle_read_bps_device()),
        ("throttleWriteBpsDevice", "write_bps_device", "wbps", io.throttle_write_bps_device()),
        ("throttleReadIOPSDevice", "read_iops_device", "riops", io.throttle_read_iops_device()),
        ("throttleWriteIOPSDevice", "write_iops_device", "wiops", io.throttle_write_iops_device()),
    ]
}

/// A weight of block I/O in the range that the specification gives.
pub(super) fn io_weight(weight: Option<u16>, field: &str) -> Result<Option<u16>> {
    match weight {
        None | Some(0) => Ok(None),
        Some(w @ 10..=1000) => Ok(Some(w)),
        Some(w) => Err(invalid(field, format!("{w} is no weight: 10 to 1000"))),
    }
}
