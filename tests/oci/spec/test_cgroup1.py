"""`linux.cgroupsPath` and `linux.resources` on cgroup v1. Version 2 is in `test_cgroup2_*.py`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle import Bundle

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


class Group:
    """A container that sleeps, and its folders."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.id = f"t{uuid.uuid4().hex[:12]}"
        self.resources: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
        bundle.linux.update(cgroupsPath=f"/oci-tests/{self.id}", resources=self.resources)
        bundle.process["args"] = ["sleep", "1000"]

    def start(self) -> None:
        self.bundle.write()
        for verb in (("create", "--bundle", str(self.bundle.path)), ("start",)):
            with open(self.bundle.path / "said", "w+") as said:
                code = self.bundle.silently(said, *verb, self.id)
            assert code == 0, (self.bundle.path / "said").read_text()

    def folder(self, controller: str) -> Path:
        return ROOT / controller / "oci-tests" / self.id

    def value(self, controller: str, name: str) -> str:
        return (self.folder(controller) / name).read_text().strip()

    def __call__(self, *args: str) -> str:
        done = self.bundle.runtime(*args, self.id)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def group(bundle: Bundle) -> Iterator[Group]:
    if not (ROOT / "memory/tasks").exists():
        pytest.skip("needs cgroup v1")
    group = Group(bundle)
    yield group
    bundle.runtime("delete", "--force", group.id)
    assert not list(ROOT.glob("*/oci-tests"))


def test_every_limit_is_in_its_file(group: Group) -> None:
    group.resources.update(
        memory={"limit": 64 * MIB, "reservation": 16 * MIB, "disableOOMKiller": True, "swappiness": 10},
        cpu={"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
        pids={"limit": 20},
    )
    group.start()
    wanted = {
        ("memory", "memory.limit_in_bytes"): str(64 * MIB),
        ("memory", "memory.soft_limit_in_bytes"): str(16 * MIB),
        ("memory", "memory.swappiness"): "10",
        ("cpu", "cpu.shares"): "512",
        ("cpu", "cpu.cfs_quota_us"): "50000",
        ("cpu", "cpu.cfs_period_us"): "100000",
        ("cpuset", "cpuset.cpus"): "0",
        ("cpuset", "cpuset.mems"): "0",
        ("pids", "pids.max"): "20",
    }
    assert {key: group.value(*key) for key in wanted} == wanted
    assert "oom_kill_disable 1" in group.value("memory", "memory.oom_control")
    group("update", "--pids-limit", "30")
    assert group.value("pids", "pids.max") == "30"


def test_devices_are_those_of_the_rules_and_of_the_specification(group: Group) -> None:
    group.resources["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"})
    group.start()
    rules = set(group.value("devices", "devices.list").splitlines())
    assert {"c 10:229 rw", "c 1:3 rwm", "c 136:* rwm"} <= rules and "a *:* rwm" not in rules


def test_the_freezer_stops_all(group: Group) -> None:
    group.start()
    group("pause")
    assert group.value("freezer", "freezer.state") == "FROZEN"
    assert json.loads(group("state"))["status"] == "paused"
    group("resume")
    assert group.value("freezer", "freezer.state") == "THAWED"


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"unified": {"memory.max": "1"}}, "linux.resources.unified"),
        ({"memory": {"swappiness": 101}}, "linux.resources.memory.swappiness"),
        ({"cpu": {"cpus": "4096"}}, "linux.resources.cpu.cpus"),
    ],
)
def test_what_can_not_be_had_is_named(group: Group, resources: dict[str, object], field: str) -> None:
    group.resources.update(resources)
    group.bundle.fails(field)
