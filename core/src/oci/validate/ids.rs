//! Id mappings.

use super::wrong;
use crate::Result;
use oci_spec::runtime::LinuxIdMapping;

/// The kernel takes so many lines.
const MAX_LINES: usize = 340;

/// One list: no empty, overflowing or overlapping range.
pub(super) fn check(mappings: &[LinuxIdMapping], field: &str) -> Result<()> {
    ensure!(mappings.len() <= MAX_LINES, field, format!("there are more than {MAX_LINES} mappings"))?;
    for (index, m) in mappings.iter().enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        ensure!(m.size() > 0, at("size"), "the range is empty")?;
        for (name, first) in [("containerID", m.container_id()), ("hostID", m.host_id())] {
            ensure!(
                first.checked_add(m.size() - 1).is_some_and(|last| last != u32::MAX),
                at(name),
                "the range goes beyond the last id",
            )?;
        }
        for other in &mappings[..index] {
            let overlap = |a: u32, b: u32| a <= b + (other.size() - 1) && b <= a + (m.size() - 1);
            for (name, own, theirs) in [
                ("containerID", m.container_id(), other.container_id()),
                ("hostID", m.host_id(), other.host_id()),
            ] {
                if overlap(own, theirs) {
                    return Err(wrong(at(name), "the range overlaps with an earlier one"));
                }
            }
        }
    }
    Ok(())
}
