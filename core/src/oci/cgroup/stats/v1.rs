//! Usage from the controllers of v1.

use super::{Blkio, BlkioEntry, Cpu, Cpuset, HugePages, Memory, MemoryEntry, Pids, Stats};
use super::{file, number, page_sizes, rdma, text};
use crate::Result;
use std::path::Path;

/// All controllers that there are.
pub(super) fn read<'a>(dir: &dyn Fn(&str) -> Option<&'a Path>) -> Result<Stats> {
    let mut stats = Stats::default();
    if let Some(dir) = dir("cpu") {
        throttling(dir, &mut stats.cpu)?;
    }
    if let Some(dir) = dir("cpuacct") {
        cpu(dir, &mut stats.cpu)?;
    }
    if let Some(dir) = dir("cpuset") {
        stats.cpuset = cpuset(dir)?;
    }
    if let Some(dir) = dir("memory") {
        stats.memory = memory(dir)?;
    }
    if let Some(dir) = dir("pids") {
        let limit = number(dir, "pids.max")?.filter(|n| *n != u64::MAX).unwrap_or_default();
        stats.pids = Pids { current: number(dir, "pids.current")?.unwrap_or_default(), limit };
    }
    if let Some(dir) = dir("blkio") {
        stats.blkio = blkio(dir)?;
    }
    if let Some(dir) = dir("hugetlb") {
        for size in page_sizes() {
            let get = |name: &str| {
                let reserved = number(dir, &format!("hugetlb.{size}.rsvd.{name}"))?;
                let used = || number(dir, &format!("hugetlb.{size}.{name}"));
                Ok::<_, crate::Error>(reserved.map_or_else(used, |n| Ok(Some(n)))?.unwrap_or_default())
            };
            let pages = HugePages {
                usage: get("usage_in_bytes")?,
                max: get("max_usage_in_bytes")?,
                failcnt: get("failcnt")?,
            };
            stats.hugetlb.insert(size, pages);
        }
    }
    if let Some(dir) = dir("rdma") {
        stats.rdma = rdma(&text(dir, "rdma.current")?.unwrap_or_default());
    }
    Ok(stats)
}

fn throttling(dir: &Path, cpu: &mut Cpu) -> Result<()> {
    for (key, value) in file::pairs(&text(dir, "cpu.stat")?.unwrap_or_default()) {
        match key {
            "nr_periods" => cpu.throttling.periods = value,
            "nr_throttled" => cpu.throttling.throttled_periods = value,
            "throttled_time" => cpu.throttling.throttled_time = value,
            _ => {}
        }
    }
    Ok(())
}

fn cpu(dir: &Path, cpu: &mut Cpu) -> Result<()> {
    /// Ticks of user space, in nanoseconds.
    const TICK: u64 = 10_000_000;
    let usage = &mut cpu.usage;
    usage.total = number(dir, "cpuacct.usage")?.unwrap_or_default();
    let list = |text: String| text.split_ascii_whitespace().filter_map(file::parse_number).collect();
    usage.percpu = text(dir, "cpuacct.usage_percpu")?.map(list).unwrap_or_default();
    for (key, value) in file::pairs(&text(dir, "cpuacct.stat")?.unwrap_or_default()) {
        match key {
            "user" => usage.user = value.saturating_mul(TICK),
            "system" => usage.kernel = value.saturating_mul(TICK),
            _ => {}
        }
    }
    // `cpu user system`, with a headline.
    for line in text(dir, "cpuacct.usage_all")?.unwrap_or_default().lines().skip(1) {
        let numbers: Vec<u64> = line.split_ascii_whitespace().filter_map(file::parse_number).collect();
        if let [_, user, kernel] = numbers[..] {
            usage.percpu_user.push(user);
            usage.percpu_kernel.push(kernel);
        }
    }
    Ok(())
}

fn cpuset(dir: &Path) -> Result<Cpuset> {
    let get = |name: &str| Ok::<_, crate::Error>(number(dir, name)?.unwrap_or_default());
    let level = text(dir, "cpuset.sched_relax_domain_level")?;
    Ok(Cpuset {
        cpus: ranges(&text(dir, "cpuset.cpus")?.unwrap_or_default()),
        cpu_exclusive: get("cpuset.cpu_exclusive")?,
        mems: ranges(&text(dir, "cpuset.mems")?.unwrap_or_default()),
        mem_hardwall: get("cpuset.mem_hardwall")?,
        mem_exclusive: get("cpuset.mem_exclusive")?,
        memory_migrate: get("cpuset.memory_migrate")?,
        memory_spread_page: get("cpuset.memory_spread_page")?,
        memory_spread_slab: get("cpuset.memory_spread_slab")?,
        memory_pressure: get("cpuset.memory_pressure")?,
        sched_load_balance: get("cpuset.sched_load_balance")?,
        sched_relax_domain_level: level.and_then(|l| l.trim().parse().ok()).unwrap_or_default(),
    })
}

/// `0-2,5` as numbers.
fn ranges(text: &str) -> Vec<u16> {
    let part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.trim().split(',').filter_map(part).flatten().collect()
}

fn memory(dir: &Path) -> Result<Memory> {
    let mut memory = Memory::default();
    for (key, value) in file::pairs(&text(dir, "memory.stat")?.unwrap_or_default()) {
        memory.raw.insert(key.to_owned(), value);
    }
    let is_hierarchical = number(dir, "memory.use_hierarchy")? != Some(0);
    let cache = if is_hierarchical { "total_cache" } else { "cache" };
    memory.cache = memory.raw.get(cache).copied().unwrap_or_default();
    let entry = |prefix: &str| {
        let get = |name: &str| {
            Ok::<_, crate::Error>(number(dir, &format!("memory.{prefix}{name}"))?.unwrap_or_default())
        };
        Ok::<_, crate::Error>(MemoryEntry {
            limit: get("limit_in_bytes")?,
            usage: get("usage_in_bytes")?,
            max: get("max_usage_in_bytes")?,
            failcnt: get("failcnt")?,
        })
    };
    memory.usage = entry("")?;
    memory.swap = entry("memsw.")?;
    memory.kernel = entry("kmem.")?;
    memory.kernel_tcp = entry("kmem.tcp.")?;
    Ok(memory)
}

/// The schedulers' own numbers where there are some, else those of throttling.
fn blkio(dir: &Path) -> Result<Blkio> {
    let get = |names: &[&str]| {
        for name in names {
            if let Some(text) = text(dir, &format!("blkio.{name}"))? {
                let entries = blkio_entries(&text);
                if !entries.is_empty() {
                    return Ok::<_, crate::Error>(entries);
                }
            }
        }
        Ok(Vec::new())
    };
    Ok(Blkio {
        io_service_bytes_recursive: get(&[
            "bfq.io_service_bytes_recursive",
            "io_service_bytes_recursive",
            "throttle.io_service_bytes_recursive",
            "throttle.io_service_bytes",
        ])?,
        io_serviced_recursive: get(&[
            "bfq.io_serviced_recursive",
            "io_serviced_recursive",
            "throttle.io_serviced_recursive",
            "throttle.io_serviced",
        ])?,
        io_queue_recursive: get(&["bfq.io_queued_recursive", "io_queued_recursive"])?,
        io_service_time_recursive: get(&["bfq.io_service_time_recursive", "io_service_time_recursive"])?,
        io_wait_time_recursive: get(&["bfq.io_wait_time_recursive", "io_wait_time_recursive"])?,
        io_merged_recursive: get(&["bfq.io_merged_recursive", "io_merged_recursive"])?,
        io_time_recursive: get(&["bfq.time_recursive", "time_recursive"])?,
        sectors_recursive: get(&["bfq.sectors_recursive", "sectors_recursive"])?,
        psi: None,
    })
}

/// `8:0 Read 5` and `8:0 5` lines; the `Total` of all devices is left out.
fn blkio_entries(text: &str) -> Vec<BlkioEntry> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split([' ', ':']).collect();
        let (major, minor, op, value) = match words[..] {
            [major, minor, value] => (major, minor, "", value),
            [major, minor, op, value] => (major, minor, op, value),
            _ => return None,
        };
        let [major, minor, value] = [major, minor, value].map(file::parse_number);
        Some(BlkioEntry { major: major?, minor: minor?, op: op.to_owned(), value: value? })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_their_files() {
        let dir = std::env::temp_dir().join(format!("cgroup-v1-stats-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (name, text) in [
            ("cpu.stat", "nr_periods 4\nnr_throttled 3\nthrottled_time 2\n"),
            ("cpuacct.usage", "1000\n"),
            ("cpuacct.usage_percpu", "600 400 \n"),
            ("cpuacct.usage_all", "cpu user system\n0 500 100\n1 300 100\n"),
            ("cpuacct.stat", "user 2\nsystem 1\n"),
            ("cpuset.cpus", "0-2,5\n"),
            ("cpuset.sched_relax_domain_level", "-1\n"),
            ("memory.stat", "cache 1\ntotal_cache 9\n"),
            ("memory.usage_in_bytes", "50\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
            ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 5\n8:0 Total 5\nTotal 5\n"),
            ("blkio.bfq.io_service_bytes_recursive", ""),
            ("blkio.time_recursive", "8:16 77\n"),
        ] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let stats = read(&|_| Some(&dir)).unwrap();
        assert_eq!(stats.cpu.usage.percpu_user, [500, 300]);
        assert_eq!((stats.cpu.usage.total, stats.cpu.usage.user), (1000, 20_000_000));
        assert_eq!((stats.cpu.throttling.periods, stats.cpu.throttling.throttled_time), (4, 2));
        assert_eq!((stats.cpuset.cpus, stats.cpuset.sched_relax_domain_level), (vec![0, 1, 2, 5], -1));
        assert_eq!((stats.memory.cache, stats.memory.usage.usage), (9, 50));
        assert_eq!(stats.pids, Pids { current: 2, limit: 0 });
        let bytes = &stats.blkio.io_service_bytes_recursive;
        assert_eq!((bytes.len(), bytes[0].op.as_str(), bytes[0].value), (2, "Read", 5));
        assert_eq!(stats.blkio.io_time_recursive[0].minor, 16);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
