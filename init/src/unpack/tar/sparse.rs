//! Maps of sparse files.

use super::super::fault::{Fault, Result};
use super::header::BLOCK;
use super::pax::digits;

/// The most segments of one file.
const MAX_SEGMENTS: usize = 1 << 20;

/// A piece of a sparse file that has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) length: u64,
}

/// Numbers taken two by two.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Segment>> {
    if !numbers.len().is_multiple_of(2) {
        return Err(Fault::content("a sparse map has an offset without a length"));
    }
    check_count(numbers.len() / 2)?;
    Ok(numbers.chunks_exact(2).map(|p| Segment { offset: p[0], length: p[1] }).collect())
}

pub(super) fn check_count(segments: usize) -> Result<()> {
    if segments > MAX_SEGMENTS {
        return Err(Fault::limit(format!("a sparse map has more than {MAX_SEGMENTS} segments")));
    }
    Ok(())
}

/// Segments are in order, do not overlap, lie inside the file, and have all of the data.
pub(super) fn check(length: u64, map: &[Segment], size: u64) -> Result<()> {
    let mut end = 0u64;
    let mut sum = 0u64;
    for segment in map {
        let after = segment.offset.checked_add(segment.length);
        match after {
            Some(after) if segment.offset >= end && after <= length => end = after,
            _ => return Err(Fault::content("a sparse map has segments out of order or out of the file")),
        }
        sum += segment.length;
    }
    if sum != size {
        return Err(Fault::content(format!("a sparse map places {sum} bytes, the entry has {size}")));
    }
    Ok(())
}

/// Reads a map of format 1.0: lines of decimal numbers, first their count, filled up to whole blocks.
pub(super) struct MapReader {
    line: Vec<u8>,
    count: Option<u64>,
    numbers: Vec<u64>,
}

impl MapReader {
    pub(super) fn new() -> MapReader {
        MapReader { line: Vec::new(), count: None, numbers: Vec::new() }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.numbers.len() as u64 == count * 2)
    }

    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Result<()> {
        let bad = || Fault::content("a sparse map is malformed");
        for byte in block {
            if self.is_complete() {
                // The rest fills the block.
                return Ok(());
            }
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 20 {
                    return Err(bad());
                }
                continue;
            }
            let number = digits(&self.line).ok_or_else(bad)?;
            self.line.clear();
            if self.count.is_some() {
                self.numbers.push(number);
            } else {
                check_count(usize::try_from(number).unwrap_or(usize::MAX))?;
                self.count = Some(number);
            }
        }
        Ok(())
    }

    pub(super) fn into_map(self) -> Vec<Segment> {
        self.numbers.chunks_exact(2).map(|p| Segment { offset: p[0], length: p[1] }).collect()
    }
}
