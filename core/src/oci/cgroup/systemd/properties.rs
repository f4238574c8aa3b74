//! `linux.resources` and annotations as properties of a unit. systemd writes their values into the cgroup's files
//! again whenever it likes, so what it knows must agree with what we write.

use super::super::devices::{DeviceKind, State};
use super::super::values::swap_v2;
use super::text;
use crate::cgroup::convert;
use crate::cgroup::systemd::{Properties, Variant};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{LinuxCpu, LinuxResources, Spec};

/// The period of a quota that names none.
const PERIOD: u64 = 100_000;

/// Annotations with properties begin so.
const PREFIX: &str = "org.systemd.property.";

fn invalid(field: &str, text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_context("field", field)
}

/// Properties of the configuration's annotations, in the order of their names.
pub(super) fn annotated(spec: &Spec) -> Result<Properties> {
    let mut all: Vec<_> = spec.annotations().iter().flatten().collect();
    all.sort();
    let mut properties = Properties::new();
    for (key, value) in all {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let field = format!("annotations[{key:?}]");
        if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(invalid(&field, format!("{name:?} is no name of a systemd property: letters only")));
        }
        let parsed = text::parse(value);
        let parsed = parsed
            .map_err(|e| invalid(&field, format!("{value:?} is no value in GVariant's text form: {e}")))?;
        properties.push(match name.strip_suffix("Sec").filter(|n| !n.ends_with('U')) {
            // Times in seconds are for unit files; over D-Bus there are microseconds.
            Some(stem) => (
                format!("{stem}USec"),
                microseconds(&parsed).ok_or_else(|| invalid(&field, "no number of seconds"))?,
            ),
            None => (name.to_owned(), parsed),
        });
    }
    Ok(properties)
}

fn microseconds(seconds: &Variant<'_>) -> Option<Variant<'static>> {
    let whole = |n: i128| u64::try_from(n.checked_mul(1_000_000)?).ok();
    let n = match seconds {
        Variant::U8(n) => whole(i128::from(*n)),
        Variant::I16(n) => whole(i128::from(*n)),
        Variant::U16(n) => whole(i128::from(*n)),
        Variant::I32(n) => whole(i128::from(*n)),
        Variant::U32(n) => whole(i128::from(*n)),
        Variant::I64(n) => whole(i128::from(*n)),
        Variant::U64(n) => whole(i128::from(*n)),
        Variant::F64(n) if *n >= 0.0 && *n < 1e12 => Some((*n * 1e6) as u64),
        _ => None,
    };
    n.map(Variant::U64)
}

/// Properties for resources. `v1`: the names of the old controllers. `version`: systemd's, asked only where it
/// matters.
pub(super) fn of_resources(
    resources: &LinuxResources,
    v1: bool,
    version: &mut dyn FnMut() -> u32,
) -> Result<Properties> {
    let mut all = Properties::new();
    let mut put = |name: &str, value: Variant<'static>| all.push((name.to_owned(), value));
    if let Some(memory) = resources.memory() {
        let bytes = |n: Option<i64>| n.filter(|n| *n != 0).map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        if let Some(limit) = bytes(memory.limit()) {
            put(if v1 { "MemoryLimit" } else { "MemoryMax" }, Variant::U64(limit));
        }
        if !v1 {
            if let Some(low) = bytes(memory.reservation()) {
                put("MemoryLow", Variant::U64(low));
            }
            if let Some(swap) = swap_v2(memory)? {
                put("MemorySwapMax", Variant::U64(swap.unwrap_or(u64::MAX)));
            }
        }
    }
    if let Some(cpu) = resources.cpu() {
        processors(cpu, v1, version, &mut put)?;
    }
    if let Some(pids) = resources.pids() {
        put("TasksMax", Variant::U64(u64::try_from(pids.limit()).map_or(u64::MAX, |n| n.max(1))));
    }
    if let Some(weight) = resources.block_io().as_ref().and_then(|io| io.weight()).filter(|w| *w != 0 && v1) {
        put("BlockIOWeight", Variant::U64(u64::from(weight)));
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().filter(|_| !v1).collect();
    unified.sort();
    for (name, value) in unified {
        for (name, value) in file(name, value.trim(), version)? {
            // The file is more exact than what was converted.
            all.retain(|(n, _)| *n != name);
            all.push((name, value));
        }
    }
    Ok(all)
}

fn processors(
    cpu: &LinuxCpu,
    v1: bool,
    version: &mut dyn FnMut() -> u32,
    put: &mut dyn FnMut(&str, Variant<'static>),
) -> Result<()> {
    let idle = !v1 && cpu.idle() == Some(1) && knows_idle(version);
    if idle {
        put("CPUWeight", Variant::U64(0));
    } else if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
        let (name, value) =
            if v1 { ("CPUShares", shares) } else { ("CPUWeight", convert::cpu_weight(shares)) };
        put(name, Variant::U64(value));
    }
    let (quota, period) = (cpu.quota().filter(|q| *q != 0), cpu.period().filter(|p| *p != 0));
    if quota.is_some() || period.is_some() {
        for (name, value) in quota_properties(quota.unwrap_or(-1), period) {
            put(&name, value);
        }
    }
    for (list, name, field) in
        [(cpu.cpus(), "AllowedCPUs", "cpus"), (cpu.mems(), "AllowedMemoryNodes", "mems")]
    {
        if let Some(list) = list.as_deref().filter(|l| !l.trim().is_empty() && !v1) {
            put(name, Variant::from(bits(list, &format!("linux.resources.cpu.{field}"))?));
        }
    }
    Ok(())
}

/// systemd sets `cpu.idle` since 252.
fn knows_idle(version: &mut dyn FnMut() -> u32) -> bool {
    version() >= 252
}

fn quota_properties(quota: i64, period: Option<u64>) -> Properties {
    /// systemd counts hundredths of a processor.
    const STEP: u64 = 10_000;
    let mut all = Properties::new();
    if let Some(period) = period {
        all.push(("CPUQuotaPeriodUSec".into(), Variant::U64(period)));
    }
    let per_second = match u64::try_from(quota) {
        Err(_) => u64::MAX,
        Ok(quota) => {
            let exact = u128::from(quota) * 1_000_000 / u128::from(period.unwrap_or(PERIOD));
            u64::try_from(exact).unwrap_or(u64::MAX).div_ceil(STEP).saturating_mul(STEP)
        }
    };
    all.push(("CPUQuotaPerSecUSec".into(), Variant::U64(per_second)));
    all
}

/// One file of v2 as properties; none where systemd has none.
fn file(name: &str, value: &str, version: &mut dyn FnMut() -> u32) -> Result<Properties> {
    let field = format!("linux.resources.unified[{name:?}]");
    let number = || match value {
        "max" => Ok(u64::MAX),
        n => n.parse::<u64>().map_err(|_| invalid(&field, format!("{n:?} is no number"))),
    };
    let one = |name: &str, value: Variant<'static>| Ok(vec![(name.to_owned(), value)]);
    match name {
        "memory.max" => one("MemoryMax", Variant::U64(number()?)),
        "memory.high" => one("MemoryHigh", Variant::U64(number()?)),
        "memory.low" => one("MemoryLow", Variant::U64(number()?)),
        "memory.min" => one("MemoryMin", Variant::U64(number()?)),
        "memory.swap.max" => one("MemorySwapMax", Variant::U64(number()?)),
        "pids.max" => one("TasksMax", Variant::U64(number()?.max(1))),
        "cpu.weight" => one("CPUWeight", Variant::U64(number()?)),
        "cpu.idle" if value == "1" && knows_idle(version) => one("CPUWeight", Variant::U64(0)),
        "cpuset.cpus" => one("AllowedCPUs", Variant::from(bits(value, &field)?)),
        "cpuset.mems" => one("AllowedMemoryNodes", Variant::from(bits(value, &field)?)),
        "cpu.max" => {
            let mut words = value.split_ascii_whitespace();
            let wrong = || invalid(&field, format!("{value:?} is no quota and period"));
            let quota = match words.next() {
                Some("max") => -1,
                Some(n) => n.parse().map_err(|_| wrong())?,
                None => return Err(wrong()),
            };
            let period = words.next().map(|p| p.parse().map_err(|_| wrong())).transpose()?;
            Ok(quota_properties(quota, Some(period.filter(|p| *p != 0).unwrap_or(PERIOD))))
        }
        _ => Ok(Properties::new()),
    }
}

/// `0-2,5` as a bit mask, the lowest byte first.
fn bits(list: &str, field: &str) -> Result<Vec<u8>> {
    /// More than any kernel has.
    const MOST: usize = 1 << 16;
    let wrong = || invalid(field, format!("{list:?} is no list of numbers and ranges"));
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |n: &str| n.trim().parse::<usize>().ok().filter(|n| *n < MOST).ok_or_else(wrong);
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        if mask.len() <= last / 8 {
            mask.resize(last / 8 + 1, 0);
        }
        (first..=last).for_each(|n| mask[n / 8] |= 1 << (n % 8));
    }
    if mask.is_empty() { Err(wrong()) } else { Ok(mask) }
}

/// Device rules, as far as systemd can express them; the rest is ours alone.
pub(super) fn of_devices(state: &State) -> Properties {
    let none: Vec<(String, String)> = Vec::new();
    let mut all = vec![("DeviceAllow".to_owned(), Variant::from(none))];
    let policy = if state.is_free() { "auto" } else { "strict" };
    // Of a state that allows, systemd can say nothing: our program alone denies.
    let policy = if state.allows { "auto" } else { policy };
    all.push(("DevicePolicy".to_owned(), Variant::from(policy)));
    let entry = |(devices, access): (&super::super::devices::Devices, &super::super::devices::Access)| {
        let word = if devices.kind == DeviceKind::Block { "block" } else { "char" };
        let path = match (devices.major, devices.minor) {
            (None, None) => format!("{word}-*"),
            (Some(major), None) => format!("{word}-{major}"),
            (Some(major), Some(minor)) => format!("/dev/{word}/{major}:{minor}"),
            (None, Some(_)) => return None,
        };
        Some((path, access.to_string()))
    };
    if !state.allows {
        let entries: Vec<_> = state.exceptions.iter().filter_map(entry).collect();
        all.push(("DeviceAllow".to_owned(), Variant::from(entries)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(json: &str, v1: bool) -> String {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let all = of_resources(&resources, v1, &mut || 252).unwrap();
        let text = |v: &Variant<'_>| match v {
            Variant::U64(u64::MAX) => "max".to_owned(),
            Variant::U64(n) => n.to_string(),
            Variant::Array(a) => format!("{:?}", a.inner().len()),
            other => format!("{other:?}"),
        };
        all.iter().map(|(n, v)| format!("{n}={}", text(v))).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn resources_have_their_properties() {
        let json = r#"{"memory":{"limit":100,"swap":150,"reservation":5},"pids":{"limit":0},
            "cpu":{"shares":1024,"quota":12345,"period":50000,"cpus":"0-8"},"blockIO":{"weight":20}}"#;
        assert_eq!(
            properties(json, false),
            "MemoryMax=100;MemoryLow=5;MemorySwapMax=50;CPUWeight=100;CPUQuotaPeriodUSec=50000;\
             CPUQuotaPerSecUSec=250000;AllowedCPUs=2;TasksMax=1"
        );
        assert_eq!(
            properties(json, true),
            "MemoryLimit=100;CPUShares=1024;CPUQuotaPeriodUSec=50000;CPUQuotaPerSecUSec=250000;TasksMax=1;\
             BlockIOWeight=20"
        );
        assert_eq!(
            properties(r#"{"cpu":{"idle":1,"shares":3,"quota":-1},"pids":{"limit":-1}}"#, false),
            "CPUWeight=0;CPUQuotaPerSecUSec=max;TasksMax=max"
        );
        assert_eq!(
            properties(
                r#"{"memory":{"limit":5},"unified":{"memory.max":"7","memory.high":"max","cpu.max":"max",
                    "io.max":"8:0 rbps=1","cpuset.mems":"0"}}"#,
                false
            ),
            "CPUQuotaPeriodUSec=100000;CPUQuotaPerSecUSec=max;AllowedMemoryNodes=1;MemoryHigh=max;MemoryMax=7"
        );
    }

    #[test]
    fn masks_begin_with_the_lowest_byte() {
        assert_eq!(bits("0-2,9", "f").unwrap(), [7, 2]);
        for wrong in ["", "a", "3-1", "1-", "99999999"] {
            assert!(bits(wrong, "f").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn annotations_become_properties() {
        let spec = |name: &str, value: &str| -> Spec {
            serde_json::from_value(serde_json::json!({"ociVersion": "1.2.0",
                "annotations": {format!("org.systemd.property.{name}"): value, "other": "x"}}))
            .unwrap()
        };
        let one = |name: &str, value: &str| {
            annotated(&spec(name, value)).map(|p| (p[0].0.clone(), p[0].1.to_string()))
        };
        assert_eq!(
            one("TimeoutStopUSec", "uint64 5").unwrap(),
            ("TimeoutStopUSec".into(), "uint64 5".into())
        );
        assert_eq!(
            one("TimeoutStopSec", "1.5").unwrap(),
            ("TimeoutStopUSec".into(), "uint64 1500000".into())
        );
        assert_eq!(one("CollectMode", "'inactive'").unwrap().0, "CollectMode");
        for (name, value) in [("a.b", "1"), ("Good", "'"), ("GoodSec", "'a'"), ("ab", "1")] {
            let e = one(name, value).unwrap_err();
            assert!(e.to_string().contains(&format!("org.systemd.property.{name}")), "{e}");
        }
    }

    #[test]
    fn device_rules_are_paths_and_classes() {
        let state = State::build(&[]).unwrap();
        let all = of_devices(&state);
        assert_eq!(all[1].1, Variant::from("strict"));
        let text = all[2].1.to_string();
        assert!(text.contains("(\"char-*\", \"m\")") && text.contains("/dev/char/1:3"), "{text}");
        let free: oci_spec::runtime::LinuxDeviceCgroup = serde_json::from_str(r#"{"allow":true}"#).unwrap();
        let all = of_devices(&State::build(&[free]).unwrap());
        assert_eq!((all.len(), &all[1].1), (2, &Variant::from("auto")));
    }
}
