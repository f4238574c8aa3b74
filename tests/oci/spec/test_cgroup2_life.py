"""A container's life in its cgroup: from create to delete, frozen, killed, with devices, handed over."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from box import UNIFIED, Box, eventually, members

KMSG = {"type": "c", "major": 1, "minor": 11}


def with_kmsg(box: Box) -> None:
    """It has the kernel's log, may read it and make devices."""
    box.bundle.linux["devices"] = [{"path": "/dev/kmsg", **KMSG, "fileMode": 0o666}]
    caps = ["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]
    box.bundle.process["capabilities"] = {name: caps for name in ("bounding", "effective", "permitted")}


def test_from_create_to_delete(box: Box) -> None:
    box.resources["pids"] = {"limit": 50}
    box.make("create")
    state = box.state()
    assert state["status"] == "created"
    group = box.group()
    assert members(group) == [str(state["pid"])]
    box("start", box.id)
    assert box.state()["status"] == "running"
    # What joins is counted with it.
    joined = subprocess.Popen(box.command("exec", box.id, "sleep", "900"), stdin=subprocess.DEVNULL)
    eventually("it joins", lambda: len(members(group)) == 2)
    box("pause", box.id)
    assert box.state()["status"] == "paused"
    assert (group / "cgroup.freeze").read_text() == "1\n"
    assert "frozen 1" in (group / "cgroup.events").read_text()
    assert "paused" in box("exec", box.id, "true", code=255)
    box("update", "--pids-limit", "60", box.id)
    assert box.state()["status"] == "paused"
    box("resume", box.id)
    assert (box.state()["status"], (group / "cgroup.freeze").read_text()) == ("running", "0\n")
    box("kill", "--all", box.id, "KILL")
    assert joined.wait(60) == 137
    eventually("it stops", lambda: box.state()["status"] == "stopped")
    box("delete", box.id)
    assert not group.exists()
    if box.driver == "systemd":
        assert box.show("LoadState") == "not-found"


def test_run_leaves_no_group(box: Box) -> None:
    box.sh("echo hello; exit 3")
    assert box.run(code=3).startswith("hello\n")
    assert not list(UNIFIED.rglob(f"*{box.id}*"))


def test_kill_all_reaches_those_without_a_pid_namespace(box: Box) -> None:
    box.bundle.without("pid")
    box.sh("sleep 1001 & sleep 1002 & sleep 1000")
    box.start()
    group = box.group()
    eventually("all sleep", lambda: len(members(group)) == 3)
    box("pause", box.id)
    # Frozen ones die too.
    box("kill", "--all", box.id, "KILL")
    eventually("it is empty", lambda: not members(group))
    box("delete", box.id)
    assert not group.exists()


def test_delete_ends_what_is_left(box: Box) -> None:
    box.bundle.without("pid")
    box.sh("sleep 1001 & sleep 1000")
    box.start()
    group = box.group()
    eventually("both sleep", lambda: len(members(group)) == 2)
    box("pause", box.id)
    box("delete", "--force", box.id)
    assert not group.exists()


def test_only_devices_of_the_rules_open(box: Box) -> None:
    with_kmsg(box)
    box.resources["devices"] = [{"allow": False, "access": "rwm"}, {"allow": True, **KMSG, "access": "rw"}]
    box.start()
    probe = "for d in zero null kmsg; do (: </dev/$d) 2>/dev/null && echo $d; done; true"
    assert box.exec(probe).split() == ["zero", "null", "kmsg"]
    # Nodes of others can be made, as with other runtimes, but not opened.
    disk = "mknod /dev/disk b 254 0; (: </dev/disk) 2>&1; true"
    assert "Operation not permitted" in box.exec(disk)
    box("update", "--resources", "-", box.id, input='{"devices": [{"allow": false, "access": "rwm"}]}')
    assert box.exec(probe).split() == ["zero", "null"]


def test_all_devices_open_when_all_are_allowed(box: Box) -> None:
    with_kmsg(box)
    box.resources["devices"] = [{"allow": True, "access": "rwm"}]
    box.sh("(: </dev/kmsg) && echo open")
    assert box.run() == "open\n"


def test_it_sees_its_group_as_the_root(box: Box) -> None:
    box.resources["pids"] = {"limit": 11}
    box.bundle.mount("/sys", "sysfs", options=("ro",))
    box.bundle.mount("/sys/fs/cgroup", "cgroup", options=("ro", "nosuid", "noexec", "nodev"))
    box.sh("cat /proc/self/cgroup /sys/fs/cgroup/pids.max; mkdir /sys/fs/cgroup/x 2>&1")
    text = box.run(code=1)
    assert text.startswith("0::/\n11\n") and "Read-only" in text


def test_a_writable_group_is_the_users(box: Box) -> None:
    box.bundle.mount("/sys", "sysfs", options=("ro",))
    box.bundle.mount("/sys/fs/cgroup", "cgroup", options=("rw", "nosuid", "noexec", "nodev"))
    box.bundle.process["user"] = {"uid": 1000, "gid": 1000}
    box.start()
    group = box.group()
    assert (os.stat(group).st_uid, os.stat(group / "cgroup.procs").st_uid) == (1000, 1000)
    assert os.stat(group / "pids.max").st_uid == 0
    box.exec("mkdir /sys/fs/cgroup/mine && echo $$ >/sys/fs/cgroup/mine/cgroup.procs")
    # A further process joins at the top or, when that can't have any more, beside the first.
    inside = box("exec", "--cgroup", "mine", box.id, "cat", "/proc/self/cgroup")
    assert inside == "0::/mine\n"
    box.end()
    box("delete", box.id)
    assert not group.exists()


def test_a_used_group_is_refused(box: Box) -> None:
    if box.driver == "systemd":
        box.start()
        again = box.command("run", "--bundle", str(box.bundle.path), f"{box.id}x")
        done = subprocess.run(again, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and box.id in done.stderr, done
        assert box.state()["status"] == "running"
        return
    box.bundle.linux["cgroupsPath"] = f"/{box.id}"
    group = UNIFIED / box.id
    group.mkdir()
    sleeper = subprocess.Popen(["sleep", "1000"])
    try:
        (group / "cgroup.procs").write_text(str(sleeper.pid))
        box.bundle.write()
        said = box("run", "--bundle", str(box.bundle.path), box.id, code=1)
        assert "not empty" in said and group.is_dir(), said
    finally:
        sleeper.kill()
        sleeper.wait()
        eventually("it is empty", lambda: not members(group))
        group.rmdir()


def test_a_relative_path_begins_beside_our_own(box: Box) -> None:
    if box.driver == "systemd":
        pytest.skip("systemd has no paths")
    box.bundle.linux["cgroupsPath"] = f"beside-{box.id}"
    box.start()
    own = UNIFIED / Path("/proc/self/cgroup").read_text().strip().removeprefix("0::/")
    assert box.group() == (own if own == UNIFIED else own.parent) / f"beside-{box.id}"
