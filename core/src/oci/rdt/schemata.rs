//! What a group gets: lines like `L3:0=7f0;1=1f` and `MB:0=20;1=70`.

use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::LinuxIntelRdt;
use std::collections::BTreeMap;

/// The lines of a configuration, in the order in which the specification has them written.
pub(super) fn wanted(rdt: &LinuxIntelRdt) -> Vec<&str> {
    let named = [rdt.l3_cache_schema(), rdt.mem_bw_schema()].into_iter().flatten();
    let all = named.chain(rdt.schemata().iter().flatten());
    all.map(String::as_str).filter(|line| !line.is_empty()).collect()
}

/// A class of service that exists has to be what the configuration says of it.
pub(super) fn compare(rdt: &LinuxIntelRdt, there: &str) -> Result<()> {
    let has: BTreeMap<&str, Shares<'_>> = there.lines().filter_map(parse).collect();
    let fields = [("l3CacheSchema", rdt.l3_cache_schema()), ("memBwSchema", rdt.mem_bw_schema())];
    for (field, schema) in fields {
        let lines = schema.iter().flat_map(|text| text.lines());
        for (resource, shares) in lines.filter_map(parse) {
            let of = has.get(resource);
            let same = |(domain, share)| of.and_then(|of| of.get(domain)) == Some(share);
            if !shares.iter().all(same) {
                let text = "the class of service exists, and has something else; leave this out, or change the class";
                return Err(Error::new(ErrorKind::Conflict, text)
                    .with_context("field", format!("linux.intelRdt.{field}")));
            }
        }
    }
    Ok(())
}

/// By the number of the cache or memory domain.
type Shares<'a> = BTreeMap<&'a str, u64>;

/// The resource of a line, and its shares. The kernel pads what it shows: `    L3:0=0007f;1=00fff`.
fn parse(line: &str) -> Option<(&str, Shares<'_>)> {
    let (resource, shares) = line.trim().split_once(':')?;
    // Bandwidth is a number, everything else a mask.
    let base = if resource.starts_with("MB") || resource.starts_with("SMBA") { 10 } else { 16 };
    let share = |part| share(part, base);
    let shares = shares.split(';').map(share);
    Some((resource, shares.collect::<Option<_>>()?))
}

fn share(part: &str, base: u32) -> Option<(&str, u64)> {
    let (domain, share) = part.split_once('=')?;
    Some((domain.trim().trim_start_matches('0'), u64::from_str_radix(share.trim(), base).ok()?))
}
