//! `pause`, `resume` and `update`.

use super::{Engine, config, rdt};
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

/// New limits; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateOptions {
    /// `linux.resources` as JSON; then nothing else counts.
    pub resources: Option<Vec<u8>>,
    /// `blockIO.weight`.
    pub blkio_weight: Option<u16>,
    /// `cpu.period`.
    pub cpu_period: Option<u64>,
    /// `cpu.quota`.
    pub cpu_quota: Option<i64>,
    /// `cpu.burst`.
    pub cpu_burst: Option<u64>,
    /// `cpu.idle`.
    pub cpu_idle: Option<i64>,
    /// `cpu.shares`.
    pub cpu_share: Option<u64>,
    /// `cpu.realtimePeriod`.
    pub cpu_rt_period: Option<u64>,
    /// `cpu.realtimeRuntime`.
    pub cpu_rt_runtime: Option<i64>,
    /// `cpu.cpus`.
    pub cpuset_cpus: Option<String>,
    /// `cpu.mems`.
    pub cpuset_mems: Option<String>,
    /// `memory.limit`.
    pub memory: Option<i64>,
    /// `memory.reservation`.
    pub memory_reservation: Option<i64>,
    /// `memory.swap`.
    pub memory_swap: Option<i64>,
    /// `pids.limit`.
    pub pids_limit: Option<i64>,
    /// `intelRdt.l3CacheSchema`.
    pub l3_cache_schema: Option<String>,
    /// `intelRdt.memBwSchema`.
    pub mem_bw_schema: Option<String>,
}

impl UpdateOptions {
    fn resources(&self) -> Result<LinuxResources> {
        let wrong = |e: serde_json::Error| {
            Error::new(ErrorKind::InvalidArgument, "the resources are not valid").with_source(e)
        };
        if let Some(text) = &self.resources {
            return config::typed(serde_json::from_slice(text).map_err(wrong)?);
        }
        let mut document = json!({});
        let mut set = |section: &str, key: &str, value: Value| {
            if !value.is_null() {
                document[section][key] = value;
            }
        };
        set("blockIO", "weight", json!(self.blkio_weight));
        set("cpu", "period", json!(self.cpu_period));
        set("cpu", "quota", json!(self.cpu_quota));
        set("cpu", "burst", json!(self.cpu_burst));
        set("cpu", "idle", json!(self.cpu_idle));
        set("cpu", "shares", json!(self.cpu_share));
        set("cpu", "realtimePeriod", json!(self.cpu_rt_period));
        set("cpu", "realtimeRuntime", json!(self.cpu_rt_runtime));
        set("cpu", "cpus", json!(self.cpuset_cpus));
        set("cpu", "mems", json!(self.cpuset_mems));
        set("memory", "limit", json!(self.memory));
        set("memory", "reservation", json!(self.memory_reservation));
        set("memory", "swap", json!(self.memory_swap));
        set("pids", "limit", json!(self.pids_limit));
        config::typed(document)
    }
}

impl Engine {
    /// Stops all processes of a container.
    pub fn pause(&self, id: &str) -> Result<()> {
        let (found, _held) = self.lock(id)?;
        match found.status() {
            "running" | "created" => found.record.cgroup.freeze(),
            status => {
                let text = format!("container not running or created: {status}");
                Err(Error::new(ErrorKind::NotRunning, text))
            }
        }
    }

    /// Lets all processes of a paused container go on.
    pub fn resume(&self, id: &str) -> Result<()> {
        let (found, _held) = self.lock(id)?;
        match found.status() {
            "paused" => found.record.cgroup.thaw(),
            _ => Err(Error::new(ErrorKind::NotRunning, "container not paused")),
        }
    }

    /// Changes limits. Returns warnings.
    pub fn update(&self, id: &str, options: &UpdateOptions) -> Result<Vec<String>> {
        let (found, _held) = self.lock(id)?;
        if found.status() == "stopped" {
            return Err(Error::new(ErrorKind::NotRunning, "container not running"));
        }
        let resources = options.resources()?;
        let schemas: Vec<&str> = [&options.l3_cache_schema, &options.mem_bw_schema]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        match &found.record.rdt {
            Some(group) => group.change(&schemas)?,
            None if schemas.is_empty() => {}
            None => {
                let text = "the container is in no resctrl group; create it with linux.intelRdt";
                return Err(Error::new(ErrorKind::Unsupported, text).with_context("field", rdt::FIELD));
            }
        }
        found.record.cgroup.apply(&resources)
    }
}
