//! Usage from the files of v2, under the names that v1 gave them.

use super::{Blkio, BlkioEntry, Cpu, HugePages, Memory, MemoryEntry, Pids, Stats};
use super::{file, number, page_sizes, pressure, rdma, text};
use crate::Result;
use std::path::Path;

/// All controllers that are enabled.
pub(super) fn read(dir: &Path) -> Result<Stats> {
    let mut stats = Stats {
        cpu: cpu(dir)?,
        memory: memory(dir)?,
        pids: pids(dir)?,
        blkio: io(dir)?,
        rdma: rdma(&text(dir, "rdma.current")?.unwrap_or_default()),
        ..Stats::default()
    };
    for size in page_sizes() {
        let reserved = number(dir, &format!("hugetlb.{size}.rsvd.current"))?;
        let used = || number(dir, &format!("hugetlb.{size}.current"));
        let Some(usage) = reserved.map_or_else(used, |n| Ok(Some(n)))? else { continue };
        let events = text(dir, &format!("hugetlb.{size}.events"))?.unwrap_or_default();
        let failcnt = file::pairs(&events).find(|(key, _)| *key == "max").map_or(0, |(_, n)| n);
        stats.hugetlb.insert(size, HugePages { usage, max: 0, failcnt });
    }
    Ok(stats)
}

fn cpu(dir: &Path) -> Result<Cpu> {
    let mut cpu = Cpu::default();
    for (key, value) in file::pairs(&text(dir, "cpu.stat")?.unwrap_or_default()) {
        let nanoseconds = value.saturating_mul(1000);
        match key {
            "usage_usec" => cpu.usage.total = nanoseconds,
            "user_usec" => cpu.usage.user = nanoseconds,
            "system_usec" => cpu.usage.kernel = nanoseconds,
            "nr_periods" => cpu.throttling.periods = value,
            "nr_throttled" => cpu.throttling.throttled_periods = value,
            "throttled_usec" => cpu.throttling.throttled_time = nanoseconds,
            _ => {}
        }
    }
    cpu.psi = text(dir, "cpu.pressure")?.as_deref().map(pressure);
    Ok(cpu)
}

fn memory(dir: &Path) -> Result<Memory> {
    let mut memory = Memory::default();
    for (key, value) in file::pairs(&text(dir, "memory.stat")?.unwrap_or_default()) {
        memory.raw.insert(key.to_owned(), value);
    }
    memory.cache = memory.raw.get("file").copied().unwrap_or_default();
    let Some(usage) = number(dir, "memory.current")? else { return Ok(memory) };
    let get = |name: &str| Ok::<_, crate::Error>(number(dir, name)?.unwrap_or_default());
    let events = text(dir, "memory.events")?.unwrap_or_default();
    let failcnt = file::pairs(&events).find(|(key, _)| *key == "max").map_or(0, |(_, n)| n);
    memory.usage = MemoryEntry { limit: get("memory.max")?, usage, max: get("memory.peak")?, failcnt };
    if let Some(swap) = number(dir, "memory.swap.current")? {
        // v1 counts both together.
        memory.swap = MemoryEntry {
            limit: memory.usage.limit.saturating_add(get("memory.swap.max")?),
            usage: usage.saturating_add(swap),
            max: 0,
            failcnt: 0,
        };
    }
    memory.psi = text(dir, "memory.pressure")?.as_deref().map(pressure);
    Ok(memory)
}

fn pids(dir: &Path) -> Result<Pids> {
    let Some(current) = number(dir, "pids.current")? else {
        // Without the controller they are counted by hand.
        let pids = super::super::kill::walk(dir).unwrap_or_default();
        return Ok(Pids { current: pids.len() as u64, limit: 0 });
    };
    let limit = number(dir, "pids.max")?.filter(|n| *n != u64::MAX).unwrap_or_default();
    Ok(Pids { current, limit })
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …` lines.
fn io(dir: &Path) -> Result<Blkio> {
    let mut blkio = Blkio::default();
    for line in text(dir, "io.stat")?.unwrap_or_default().lines() {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().and_then(|d| d.split_once(':'));
        let numbers = device.map(|(a, b)| (file::parse_number(a), file::parse_number(b)));
        let Some((Some(major), Some(minor))) = numbers else { continue };
        for (key, value) in words.filter_map(|w| w.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            let value = file::parse_number(value).unwrap_or_default();
            list.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
    blkio.psi = text(dir, "io.pressure")?.as_deref().map(pressure);
    Ok(blkio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_the_names_of_v1() {
        let dir = std::env::temp_dir().join(format!("cgroup-v2-stats-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (name, text) in [
            ("cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 1\nthrottled_usec 7\n"),
            ("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"),
            ("memory.stat", "anon 1\nfile 4\n"),
            ("memory.current", "10\n"),
            ("memory.max", "100\n"),
            ("memory.peak", "20\n"),
            ("memory.events", "low 0\nmax 6\noom 0\n"),
            ("memory.swap.current", "3\n"),
            ("memory.swap.max", "max\n"),
            ("pids.current", "2\n"),
            ("pids.max", "8\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\n254:1 \n"),
        ] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let stats = read(&dir).unwrap();
        assert_eq!((stats.cpu.usage.total, stats.cpu.throttling.throttled_time), (5000, 7000));
        assert_eq!(stats.cpu.psi.unwrap().some.total, 9);
        assert_eq!((stats.memory.cache, stats.memory.usage.max, stats.memory.usage.failcnt), (4, 20, 6));
        assert_eq!((stats.memory.swap.limit, stats.memory.swap.usage), (u64::MAX, 13));
        assert_eq!(stats.pids, Pids { current: 2, limit: 8 });
        assert_eq!(stats.blkio.io_service_bytes_recursive.len(), 2);
        assert_eq!(stats.blkio.io_serviced_recursive[1].value, 4);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
