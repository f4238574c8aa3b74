//! `features`: what this runtime can do.

use super::seccomp::convert::{ACTIONS, FLAGS, MACHINES, OPERATORS};
use super::translate::{HOOKS, mount_options, namespace_types};
use crate::sandbox::capabilities::NAMES;
use serde_json::{Value, json};

/// The features document of the specification.
pub fn features() -> Value {
    let flags = FLAGS.map(|(flag, _)| flag);
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": super::record::VERSION,
        "hooks": HOOKS,
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": namespace_types(),
            "capabilities": NAMES.as_slice(),
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
            "seccomp": {
                "enabled": true,
                "actions": ACTIONS,
                "operators": OPERATORS,
                "archs": MACHINES.map(|(machine, _)| machine),
                "knownFlags": flags,
                "supportedFlags": flags,
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "mountExtensions": {"idmap": {"enabled": true}},
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "netDevices": {"enabled": true}
        },
        "annotations": {
            "io.github.containers-oci.version": env!("CARGO_PKG_VERSION")
        }
    })
}
