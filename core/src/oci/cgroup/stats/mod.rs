//! What a container uses, in the shape of `data` of `runc events --stats`.

mod v1;
mod v2;

use super::{Cgroup, Tree, file};
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Omitted where it is zero, as the consumers of this shape are used to.
fn zero(n: &u64) -> bool {
    *n == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Stats {
    pub(crate) cpu: Cpu,
    pub(crate) cpuset: Cpuset,
    pub(crate) memory: Memory,
    pub(crate) pids: Pids,
    pub(crate) blkio: Blkio,
    pub(crate) hugetlb: BTreeMap<String, HugePages>,
    /// Usage of RDMA devices.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) rdma: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) intel_rdt: BTreeMap<String, String>,
    pub(crate) network_interfaces: Option<Vec<()>>,
}

/// Time on processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cpu {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) usage: CpuUsage,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) psi: Option<Pressure>,
}

/// Nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct CpuUsage {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) percpu_user: Vec<u64>,
    pub(crate) kernel: u64,
    pub(crate) user: u64,
}

/// How often and long the quota stopped it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throttling {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) periods: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "zero")]
    pub(crate) throttled_time: u64,
}

/// Processors and memory nodes (v1).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cpus: Vec<u16>,
    pub(crate) cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mems: Vec<u16>,
    pub(crate) mem_hardwall: u64,
    pub(crate) mem_exclusive: u64,
    pub(crate) memory_migrate: u64,
    pub(crate) memory_spread_page: u64,
    pub(crate) memory_spread_slab: u64,
    pub(crate) memory_pressure: u64,
    pub(crate) sched_load_balance: u64,
    pub(crate) sched_relax_domain_level: i64,
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Memory {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) cache: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) usage: MemoryEntry,
    /// With memory.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) swap: MemoryEntry,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) kernel: MemoryEntry,
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    pub(crate) kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) psi: Option<Pressure>,
}

/// One kind of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct MemoryEntry {
    pub(crate) limit: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) max: u64,
    pub(crate) failcnt: u64,
}

/// Processes; a limit of 0 is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Pids {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) current: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) limit: u64,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_queue_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) psi: Option<Pressure>,
}

/// One number of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BlkioEntry {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) major: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) op: String,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) value: u64,
}

/// Huge pages of one size.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct HugePages {
    #[serde(skip_serializing_if = "zero")]
    pub(crate) usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub(crate) max: u64,
    pub(crate) failcnt: u64,
}

/// Pressure stall information.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Pressure {
    pub(crate) some: Stall,
    pub(crate) full: Stall,
}

/// Shares of time in percent, and all of it in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Stall {
    pub(crate) avg10: f64,
    pub(crate) avg60: f64,
    pub(crate) avg300: f64,
    pub(crate) total: u64,
}

impl Cgroup {
    /// What it uses now.
    pub(crate) fn stats(&self) -> Result<Stats> {
        match &self.tree {
            Tree::None => Ok(Stats::default()),
            Tree::V1(_) => v1::read(&|controller| self.v1(controller)),
            Tree::V2(dir) => v2::read(dir),
        }
    }
}

/// A file that may be missing, because its controller or the kernel's option is.
fn text(dir: &Path, name: &str) -> Result<Option<String>> {
    optional(dir, name, file::get(dir, name))
}

fn number(dir: &Path, name: &str) -> Result<Option<u64>> {
    optional(dir, name, file::number(dir, name))
}

fn optional<T>(dir: &Path, name: &str, got: io::Result<T>) -> Result<Option<T>> {
    match got {
        Ok(value) => Ok(Some(value)),
        // Pressure files are there but refuse to be opened where they are switched off.
        Err(e) if file::is(&e, libc::ENOENT) || file::is(&e, libc::EOPNOTSUPP) => Ok(None),
        Err(e) => {
            let path = dir.join(name).display().to_string();
            Err(Error::io("the usage of the container can't be read", e).with_context("path", path))
        }
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` lines.
fn pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let stall = match words.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        for (key, value) in words.filter_map(|w| w.split_once('=')) {
            match key {
                "avg10" => stall.avg10 = value.parse().unwrap_or_default(),
                "avg60" => stall.avg60 = value.parse().unwrap_or_default(),
                "avg300" => stall.avg300 = value.parse().unwrap_or_default(),
                "total" => stall.total = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
    }
    pressure
}

/// `device key=value key=value` lines of `rdma.current`.
fn rdma(text: &str) -> BTreeMap<String, BTreeMap<String, u64>> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let device = words.next()?.to_owned();
        let pair = |w: &str| {
            let (key, value) = w.split_once('=')?;
            Some((key.to_owned(), file::parse_number(value)?))
        };
        Some((device, words.filter_map(pair).collect()))
    };
    text.lines().filter_map(line).collect()
}

/// Sizes of huge pages, as the files of cgroups name them.
fn page_sizes() -> Vec<String> {
    let Ok(list) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let name = |e: std::fs::DirEntry| page_size(e.file_name().to_str()?);
    list.flatten().filter_map(name).collect()
}

/// `hugepages-2048kB` as `2MB`.
fn page_size(folder: &str) -> Option<String> {
    let kib: u64 = folder.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kib {
        0..1024 => format!("{kib}KB"),
        1024..1_048_576 => format!("{}MB", kib >> 10),
        _ => format!("{}GB", kib >> 20),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_that_others_read() {
        let stats = Stats::default();
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["cpu"], serde_json::json!({}));
        assert_eq!(json["cpuset"]["sched_relax_domain_level"], 0);
        assert_eq!(json["network_interfaces"], serde_json::Value::Null);
        assert!(json.get("rdma").is_none());
        let cpu = CpuUsage { total: 5, ..CpuUsage::default() };
        assert_eq!(serde_json::to_string(&cpu).unwrap(), r#"{"total":5,"kernel":0,"user":0}"#);
    }

    #[test]
    fn pressure_and_page_sizes_are_parsed() {
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";
        let p = pressure(text);
        assert_eq!((p.some.avg10, p.some.avg60, p.some.total, p.full.total), (1.5, 0.25, 77, 3));
        let sizes = ["hugepages-2048kB", "hugepages-1048576kB", "hugepages-64kB", "x"].map(page_size);
        assert_eq!(sizes.map(Option::unwrap_or_default), ["2MB", "1GB", "64KB", ""]);
        let current = rdma("mlx4_0 hca_handle=2 hca_object=max\n");
        assert_eq!(current["mlx4_0"]["hca_handle"], 2);
    }
}
