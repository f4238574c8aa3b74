#!/usr/bin/env python3
"""What a test suite leaves on the machine.

`leaks.py snapshot FILE` writes an inventory: mounts, cgroups, network namespaces, links, firewall rules,
processes, files in temporary and state folders, the owner of /dev/null. `leaks.py diff FILE` takes another
one, waits up to ten seconds for it to become equal, and exits with 1 and the difference when it does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

Inventory = dict[str, list[str]]

STATE_FOLDERS = [
    "/run/embedded-containers",
    "/var/lib/embedded-containers",
    "/run/containers-oci",
    "/run/containerd/fifo",
    "/run/containerd/s",
    "/dev/shm",
    "/run/netns",
]


def mounts() -> list[str]:
    """Mount points with their type and source, without ids, which change."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        dash = fields.index("-")
        found.append(f"{fields[4]} {fields[dash + 1]} {fields[dash + 2]}")
    return found


def cgroups() -> list[str]:
    """Every folder of every cgroup hierarchy."""
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup")]


def is_ours(pid: int) -> bool:
    """Whether this process is an ancestor of the check, or the check itself."""
    current = os.getpid()
    while current > 1:
        if current == pid:
            return True
        try:
            stat = Path(f"/proc/{current}/stat").read_text()
        except OSError:
            return False
        current = int(stat.rsplit(")", 1)[1].split()[1])
    return False


def processes() -> tuple[list[str], list[str]]:
    """User-space processes as `pid start-time command`, and the network namespaces they are in."""
    found, netns = [], set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            namespace = os.readlink(entry / "ns/net")
        except OSError:
            continue
        kernel_thread = int(stat[6]) & 0x00200000
        if kernel_thread or is_ours(int(entry.name)):
            continue
        found.append(f"{entry.name} {stat[19]} {stat[0]} {command[:80]}")
        netns.add(namespace)
    return found, sorted(netns)


def output_of(*command: str) -> list[str]:
    """Lines that a program prints; none when it is not installed."""
    if not shutil.which(command[0]):
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def files() -> list[str]:
    """Files of the state folders, whole, and the first level of the temporary folder."""
    temporary = os.environ.get("TMPDIR", "/tmp")
    found = [f"{temporary}/{name}" for name in os.listdir(temporary)]
    for folder in STATE_FOLDERS:
        for parent, folders, names in os.walk(folder):
            found += [f"{parent}/{name}" for name in folders + names]
    return found


def inventory() -> Inventory:
    """Everything, sorted."""
    running, netns = processes()
    null = os.stat("/dev/null")
    parts = {
        "mounts": mounts(),
        "cgroups": cgroups(),
        "processes": running,
        "network namespaces": netns,
        "links": [line.split(":")[1].strip() for line in output_of("ip", "-o", "link")],
        "firewall rules": output_of("nft", "list", "ruleset"),
        "files": files(),
        "/dev/null": [f"{null.st_uid}:{null.st_gid} {null.st_mode:o}"],
    }
    return {name: sorted(values) for name, values in parts.items()}


def additions(before: Inventory, after: Inventory) -> Inventory:
    """What is there now and was not before."""
    left = {name: sorted(set(after[name]) - set(before.get(name, []))) for name in after}
    return {name: values for name, values in left.items() if values}


def main() -> int:
    """Runs one of the two commands."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("snapshot", "diff"):
        print(__doc__, file=sys.stderr)
        return 2
    file = Path(sys.argv[2])
    if sys.argv[1] == "snapshot":
        file.write_text(json.dumps(inventory()))
        return 0
    before = json.loads(file.read_text())
    deadline = time.monotonic() + 10
    while (left := additions(before, inventory())) and time.monotonic() < deadline:
        time.sleep(0.2)
    for name, values in left.items():
        print(f"left behind, {name}:")
        for value in values:
            print(f"  {value}")
    if not left:
        print("leak check: nothing left behind")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
