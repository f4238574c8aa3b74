//! From the values of cgroup v1, which options and `config.json` speak, to those of v2.

/// `cpu.shares` (2 to 262144, usually 1024) as `cpu.weight` (1 to 10000, usually 100). A quadratic curve through
/// the least, the usual and the greatest values, the one that the other runtimes agreed on.
pub(crate) fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        shares => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// `blkio.weight` (10 to 1000) as `io.weight` (1 to 10000), linearly.
pub(crate) fn io_weight(blkio: u16) -> u64 {
    1 + u64::from(blkio.saturating_sub(10)) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_meet_the_ends_and_the_usual_value() {
        assert_eq!([0, 1, 2].map(cpu_weight), [1, 1, 1]);
        assert_eq!([1024, 262_144, u64::MAX].map(cpu_weight), [100, 10_000, 10_000]);
        assert!((3..262_144).step_by(101).all(|s| cpu_weight(s) <= cpu_weight(s + 101)));
        assert_eq!([10, 500, 1000].map(io_weight), [1, 4950, 10_000]);
    }
}
