"""`features`: what it names can be had (features.md, features-linux.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bundle import Bundle


@pytest.fixture
def features(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.runtime("features").stdout)
    return found


def test_the_whole_document(features: dict[str, Any]) -> None:
    assert features["ociVersionMin"] == "1.0.0" and features["ociVersionMax"].startswith("1.")
    assert features["hooks"][0] == "prestart" and len(features["hooks"]) == 6
    linux = features["linux"]
    assert set(linux["namespaces"]) == {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
    assert {"CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"} <= set(linux["capabilities"])
    assert {"rro", "rbind", "ridmap", "strictatime", "unbindable", "sync"} <= set(features["mountOptions"])
    seccomp = linux["seccomp"]
    assert {"SCMP_ACT_NOTIFY", "SCMP_ACT_KILL_PROCESS"} <= set(seccomp["actions"])
    assert "SCMP_CMP_MASKED_EQ" in seccomp["operators"] and "SCMP_ARCH_X86_64" in seccomp["archs"]
    assert "SECCOMP_FILTER_FLAG_LOG" in seccomp["supportedFlags"] == seccomp["knownFlags"]
    for part in ("apparmor", "selinux", "intelRdt", "netDevices"):
        assert isinstance(linux[part]["enabled"], bool)


def test_its_mount_options_are_options_of_a_mount(bundle: Bundle, features: dict[str, Any]) -> None:
    # One of a tmpfs that the kernel does not know would be an error; these need more than a tmpfs.
    other = {"bind", "rbind", "idmap", "ridmap", "remount", "mand", "nomand"}
    for number, option in enumerate(sorted(set(features["mountOptions"]) - other)):
        bundle.mount(f"/m{number}", "tmpfs", options=[option])
    count = sum(mount["destination"].startswith("/m") for mount in bundle.config["mounts"])
    assert bundle.sh("grep -c ' /m[0-9]* ' /proc/self/mountinfo") == f"{count}\n"


def test_its_seccomp_names_are_those_of_filters(bundle: Bundle, features: dict[str, Any]) -> None:
    seccomp = features["linux"]["seccomp"]
    args = [{"index": 0, "value": 1 << 40, "valueTwo": 1 << 40, "op": op} for op in seccomp["operators"]]
    calls = [{"names": ["getcpu"], "action": action, "args": args[:2]} for action in seccomp["actions"]]
    calls += [{"names": ["mincore"], "action": "SCMP_ACT_LOG", "args": [arg]} for arg in args]
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": seccomp["archs"],
        "flags": [flag for flag in seccomp["supportedFlags"] if "TSYNC" not in flag],
        "syscalls": [call for call in calls if call["action"] != "SCMP_ACT_NOTIFY"],
    }
    assert bundle.sh("echo it runs") == "it runs\n"
