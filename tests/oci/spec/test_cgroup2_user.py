"""An ordinary user's containers with limits, on cgroup v2, where a manager of systemd serves the user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from box import DRIVERS, UNIFIED, Box, eventually, members

MIB = 1 << 20
pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 or "XDG_RUNTIME_DIR" not in os.environ,
    reason="needs an ordinary user with a session; the machine of tests/vm has one",
)


@pytest.fixture(params=DRIVERS)
def mine(request: pytest.FixtureRequest, shared_rootfs: Path) -> Iterator[Box]:
    """A container of this user, in a user namespace of one id."""
    folder = Path(tempfile.mkdtemp(prefix="oci-"))
    box = Box(folder, request.param, shared_rootfs)
    box.bundle.namespace("user")
    box.bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
    box.bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": os.getgid(), "size": 1}]
    if box.driver == "cgroupfs":
        box.bundle.linux["cgroupsPath"] = box.id
    del box.resources["devices"]
    yield box
    box.remove()
    left = [str(path) for path in UNIFIED.rglob(f"*{box.id}*")], list((folder / "state").glob("*"))
    shutil.rmtree(folder)
    assert left == ([], [])


def test_limits_and_life(mine: Box) -> None:
    mine.resources.update(memory={"limit": 64 * MIB}, pids={"limit": 20}, cpu={"quota": 50000, "period": 100000})
    mine.start()
    group = mine.group()
    assert f"user@{os.getuid()}.service" in str(group)
    assert (mine.value("memory.max"), mine.value("pids.max")) == (str(64 * MIB), "20")
    assert mine.value("cpu.max") == "50000 100000"
    assert mine.exec("id -u") == "0\n"
    assert mine.stats()["pids"]["limit"] == 20
    mine("pause", mine.id)
    assert (mine.state()["status"], mine.value("cgroup.freeze")) == ("paused", "1")
    mine("resume", mine.id)
    mine("update", "--memory", "32m", "--pids-limit", "30", mine.id)
    assert (mine.value("memory.max"), mine.value("pids.max")) == (str(32 * MIB), "30")
    if mine.driver == "systemd":
        command = ["systemctl", "--user", "show", "--value", "-p", "MemoryMax", mine.unit]
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == str(32 * MIB)
    mine.end()
    mine("delete", mine.id)
    eventually("the group goes", lambda: not group.exists())


def test_memory_that_runs_out(mine: Box) -> None:
    mine.resources["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    mine.sh("tail /dev/zero")
    mine.run(code=137)


def test_kill_reaches_all(mine: Box) -> None:
    mine.sh("sleep 1001 & sleep 1002 & sleep 1000")
    mine.start()
    group = mine.group()
    eventually("all sleep", lambda: len(members(group)) == 3)
    mine("kill", "--all", mine.id, "KILL")
    eventually("it is empty", lambda: not members(group))
    mine("delete", mine.id)
