"""Limits: in the cgroup's files, in what systemd knows, in what happens."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from box import UNIFIED, Box, eventually

MIB = 1 << 20


def has(controller: str) -> bool:
    """Whether the machine has a controller."""
    controllers = UNIFIED / "cgroup.controllers"
    return controllers.exists() and controller in controllers.read_text().split()


def opened_by(pid: int) -> str:
    """What a process has open."""
    return subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True, check=False).stdout


def test_every_limit_is_in_its_file(box: Box) -> None:
    box.resources.update(
        memory={"limit": 64 * MIB, "reservation": 16 * MIB, "swap": 96 * MIB},
        cpu={"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
        pids={"limit": 20},
        unified={"memory.high": str(48 * MIB), "pids.max": "21"},
    )
    box.start()
    wanted = {
        "memory.max": str(64 * MIB),
        "memory.low": str(16 * MIB),
        "memory.high": str(48 * MIB),
        "cpu.max": "50000 100000",
        "cpu.weight": "59",
        "cpuset.cpus": "0",
        "cpuset.cpus.effective": "0",
        "cpuset.mems.effective": "0",
        # What `unified` says is more exact.
        "pids.max": "21",
    }
    group = box.group()
    assert {name: (group / name).read_text().strip() for name in wanted} == wanted
    if (group / "memory.swap.max").exists():
        assert (group / "memory.swap.max").read_text().strip() == str(32 * MIB)
    if box.driver == "systemd":
        assert group == UNIFIED / "tests.slice" / box.unit
        known = {
            "MemoryMax": str(64 * MIB),
            "MemoryLow": str(16 * MIB),
            "MemoryHigh": str(48 * MIB),
            "CPUWeight": "59",
            "CPUQuotaPerSecUSec": "500ms",
            "AllowedCPUs": "0",
            "TasksMax": "21",
            "Delegate": "yes",
        }
        assert {name: box.show(name) for name in known} == known
    else:
        assert group == UNIFIED / "tests" / box.id


def test_update_changes_what_it_names(box: Box, tmp_path: Path) -> None:
    box.resources.update(memory={"limit": 64 * MIB}, pids={"limit": 20}, cpu={"quota": 50000, "period": 100000})
    box.start()
    box("update", "--memory", "32m", "--pids-limit", "30", box.id)
    assert (box.value("memory.max"), box.value("pids.max")) == (str(32 * MIB), "30")
    assert box.value("cpu.max") == "50000 100000"
    box("update", "--cpu-quota", "20000", "--cpu-share", "2048", "--cpuset-cpus", "1", box.id)
    assert (box.value("cpu.max"), box.value("cpuset.cpus")) == ("20000 100000", "1")
    more = {"memory": {"limit": 80 * MIB}, "pids": {"limit": -1}, "unified": {"memory.high": str(40 * MIB)}}
    box("update", "--resources", "-", box.id, input=json.dumps(more))
    assert (box.value("memory.max"), box.value("pids.max")) == (str(80 * MIB), "max")
    assert box.value("memory.high") == str(40 * MIB)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"unified": {"memory.nonsense": "1"}}))
    assert "memory.nonsense" in box("update", "--resources", str(bad), box.id, code=1)
    if box.driver == "systemd":
        assert (box.show("MemoryMax"), box.show("TasksMax")) == (str(80 * MIB), "infinity")
        # What systemd writes again is the same.
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        assert (box.value("memory.max"), box.value("cpu.max")) == (str(80 * MIB), "20000 100000")


def test_usage_is_told(box: Box) -> None:
    box.resources.update(memory={"limit": 64 * MIB}, pids={"limit": 20})
    box.sh("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 1001 & sleep 1000")
    box.start()
    eventually("both sleep", lambda: box.stats()["pids"]["current"] == 2)
    usage = box.stats()
    assert usage["memory"]["usage"]["limit"] == 64 * MIB
    assert 0 < usage["memory"]["usage"]["usage"] < 64 * MIB
    assert usage["pids"]["limit"] == 20
    assert usage["cpu"]["usage"]["total"] > 0
    assert sorted(json.loads(box("ps", "-f", "json", box.id))) == sorted(
        int(pid) for pid in box.value("cgroup.procs").split()
    )


def test_processes_are_limited(box: Box) -> None:
    box.resources["pids"] = {"limit": 4}
    box.sh("(for i in 1 2 3 4 5 6; do sleep 1001 & done); sleep 1000")
    box.start()
    eventually("it can't fork", lambda: not box.value("pids.events").endswith(" 0"))
    assert int(box.value("pids.current")) <= 4


def test_memory_that_runs_out(box: Box) -> None:
    box.resources["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    box.sh("tail /dev/zero")
    box.run(code=137)


def test_events_tell_of_memory_that_ran_out(box: Box) -> None:
    box.resources["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    box.sh("while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero; sleep 1000")
    box.start()
    command = box.command("events", "--interval", "600s", box.id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout
        try:
            inotify = Path(f"/proc/{events.pid}/fd")
            eventually("it watches", lambda: any("inotify" in str(fd.readlink()) for fd in inotify.iterdir()))
            (box.bundle.rootfs / "go").touch()
            assert json.loads(events.stdout.readline()) == {"type": "oom", "id": box.id}
            box.end()
            assert events.wait(60) == 0
        finally:
            events.kill()


@pytest.mark.skipif(not has("hugetlb"), reason="the kernel has no hugetlb controller")
def test_huge_pages_are_limited(box: Box) -> None:
    box.resources["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 * MIB}]
    box.start()
    assert box.value("hugetlb.2MB.max") == str(4 * MIB)
    assert "2MB" in box.stats()["hugetlb"]


@pytest.mark.skipif(not Path("/sys/block/vda/dev").exists(), reason="no disk to limit")
def test_disks_are_limited(box: Box) -> None:
    major, minor = Path("/sys/block/vda/dev").read_text().strip().split(":")
    device = {"major": int(major), "minor": int(minor)}
    box.resources["blockIO"] = {
        "throttleReadBpsDevice": [{**device, "rate": MIB}],
        "throttleWriteIOPSDevice": [{**device, "rate": 100}],
    }
    box.start()
    assert box.value("io.max") == f"{major}:{minor} rbps={MIB} wbps=max riops=max wiops=100"


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"cpu": {"cpus": "4000"}}, "linux.resources.cpu.cpus"),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "linux.resources.hugepageLimits[0]"),
        ({"unified": {"cgroup.procs": "0"}}, "cgroup.procs"),
        ({"unified": {"memory.nope": "1"}}, "memory.nope"),
        ({"memory": {"swappiness": 10}}, "linux.resources.memory.swappiness"),
        ({"network": {"classID": 5}}, "linux.resources.network.classID"),
    ],
)
def test_what_can_not_be_had_is_named(box: Box, resources: dict[str, object], field: str) -> None:
    box.resources.update(resources)
    box.bundle.write()
    said = box("run", "--bundle", str(box.bundle.path), box.id, code=1)
    assert field in said, said
