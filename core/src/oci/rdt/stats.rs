//! What a group uses, in the shape of `intel_rdt` of `runc events --stats`.

use super::Group;
use crate::Result;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

impl Group {
    /// Its schemata beside those of the root group, and what is counted for it.
    pub(in crate::oci) fn stats(&self, root: &Path) -> Result<Value> {
        let mut said = Map::new();
        let own = self.read("schemata")?;
        let all = fs::read_to_string(root.join("schemata")).unwrap_or_default();
        for (name, text) in [("_root", &all), ("", &own)] {
            for (resource, key) in [("L3", "l3_cache_schema"), ("MB", "mem_bw_schema")] {
                if let Some(line) = text.lines().map(str::trim).find(|line| line.starts_with(resource)) {
                    said.insert(format!("{key}{name}"), json!(line));
                }
            }
        }
        said.insert("schemata".into(), own.lines().map(str::trim).filter(|line| !line.is_empty()).collect());
        let counted = counters(self.monitor.as_deref().unwrap_or(&self.dir));
        for (key, names) in COUNTERS {
            let domains: Vec<Value> = counted.iter().filter_map(|of| pick(of, names)).collect();
            if !domains.is_empty() {
                said.insert(key.into(), domains.into());
            }
        }
        Ok(said.into())
    }
}

/// Bandwidth, and how much of a cache is used: bytes.
const COUNTERS: [(&str, &[&str]); 2] =
    [("mbm_stats", &["mbm_total_bytes", "mbm_local_bytes"]), ("cmt_stats", &["llc_occupancy"])];

fn pick(counted: &Map<String, Value>, names: &[&str]) -> Option<Value> {
    let picked: Map<String, Value> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), counted.get(*name)?.clone()))).collect();
    (!picked.is_empty()).then(|| picked.into())
}

/// The counters of each domain. One that can't be read just now (`Unavailable`) is left out.
fn counters(dir: &Path) -> Vec<Map<String, Value>> {
    let mut domains: Vec<_> = fs::read_dir(dir.join("mon_data"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    domains.sort();
    let read = |domain: &Path| -> Map<String, Value> {
        let names = COUNTERS.iter().flat_map(|(_, names)| *names);
        let number = |name: &str| fs::read_to_string(domain.join(name)).ok()?.trim().parse::<u64>().ok();
        names.filter_map(|name| Some(((*name).to_owned(), json!(number(name)?)))).collect()
    };
    domains.iter().map(|domain| read(domain)).collect()
}
