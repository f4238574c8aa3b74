//! Names of sysctls, as `sysctl(8)` reads them: whichever of dot and slash comes first separates the parts, and the
//! other one stands for itself within a part (`net/ipv4/conf/eth0.1/rp_filter`).

/// The file below `/proc/sys`.
pub fn path(key: &str) -> String {
    if is_path(key) { key.to_owned() } else { swapped(key) }
}

/// The name with dots between the parts.
pub fn dotted(key: &str) -> String {
    if is_path(key) { swapped(key) } else { key.to_owned() }
}

fn is_path(key: &str) -> bool {
    key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'/')
}

fn swapped(key: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    key.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        for (key, file, name) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.ip_forward"),
            (
                "net.ipv4.conf.eth0/1.rp_filter",
                "net/ipv4/conf/eth0.1/rp_filter",
                "net.ipv4.conf.eth0/1.rp_filter",
            ),
            (
                "net/ipv4/conf/eth0.1/rp_filter",
                "net/ipv4/conf/eth0.1/rp_filter",
                "net.ipv4.conf.eth0/1.rp_filter",
            ),
            ("plain", "plain", "plain"),
        ] {
            assert_eq!((path(key).as_str(), dotted(key).as_str()), (file, name));
        }
    }
}
