//! `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`.

use crate::container::spec::{Network, Spec};
use containers_protocol::plan::Step;
use std::fmt::Write;

pub(super) fn steps(spec: &Spec, hostname: &str, steps: &mut Vec<Step>) {
    let mut put = |path: &str, content: String| {
        if !spec.mounts.iter().any(|m| m.target() == path) {
            steps.push(Step::File { path: path.into(), content: content.into(), mode: 0o644 });
        }
    };
    put("/etc/hosts", hosts(spec, hostname));
    put("/etc/hostname", format!("{hostname}\n"));
    put("/etc/resolv.conf", resolv(spec));
}

fn hosts(spec: &Spec, hostname: &str) -> String {
    let mut text = match spec.network {
        Network::Host => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
        Network::None => format!(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
             ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n127.0.0.1\t{hostname}\n"
        ),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, address) in &spec.extra_hosts {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

fn resolv(spec: &Spec) -> String {
    if spec.dns.is_empty() && spec.network == Network::Host {
        return std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    }
    spec.dns.iter().map(|server| format!("nameserver {server}\n")).collect()
}
