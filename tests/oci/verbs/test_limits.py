"""`update`, `events` and `spec --rootless`, and runs of an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import PROGRAM, Oci


def stats(oci: Oci, name: str) -> Any:
    return json.loads(oci("events", "--stats", name).stdout)["data"]


def test_update_by_flags_and_by_json(oci: Oci, tmp_path: Path) -> None:
    oci.change(lambda c: c["linux"]["resources"].update(memory={"limit": 64 << 20}, pids={"limit": 20}))
    oci.detached("c")
    assert stats(oci, "c")["memory"]["usage"]["limit"] == 64 << 20
    oci("update", "--memory", "32m", "--pids-limit", "33", "--cpu-share", "512", "c")
    oci("update", "--cpu-period", "100000", "--cpu-quota", "50000", "c")
    now = stats(oci, "c")
    assert now["memory"]["usage"]["limit"] == 32 << 20 and now["pids"]["limit"] == 33
    oci("update", "-r", "-", "c", input=json.dumps({"pids": {"limit": 44}}).encode())
    now = stats(oci, "c")
    assert now["memory"]["usage"]["limit"] == 32 << 20 and now["pids"]["limit"] == 44
    (tmp_path / "resources").write_text('{"memory": {"limit": -1}}')
    oci("update", "--resources", str(tmp_path / "resources"), "c")
    assert stats(oci, "c")["memory"]["usage"]["limit"] > 1 << 40
    assert b"invalid size" in oci("update", "--memory", "much", "c", code=1).stderr
    assert b"pids" in oci("update", "-r", "-", "c", code=1, input=b'{"pids": {"limit": "x"}}').stderr
    for flag in ("--l3-cache-schema=L3:0=f", "--mem-bw-schema=MB:0=20"):
        assert b"no resctrl group" in oci("update", flag, "c", code=1).stderr
    oci("kill", "c", "KILL")
    oci.until("c", "stopped")
    assert b"not running" in oci("update", "--pids-limit", "5", "c", code=1).stderr


def test_events_go_on_and_tell_of_lost_memory(oci: Oci) -> None:
    oci.change(lambda c: c["linux"]["resources"].update(memory={"limit": 16 << 20, "swap": 16 << 20}))
    oci.command("sh", "-c", "while ! [ -e /proc/1/root/tmp/go ]; do sleep 0.1; done; exec busybox tail /dev/zero")
    (oci.bundle / "rootfs/tmp").mkdir()
    oci.detached("c")
    told: list[dict[str, Any]] = []
    command = [PROGRAM, "--root", str(oci.root), "events", "--interval", "100ms", "c"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watching:
        assert watching.stdout
        for line in watching.stdout:
            told.append(json.loads(line))
            if len(told) == 2:
                (oci.bundle / "rootfs/tmp/go").touch()
        assert watching.wait(60) == 0
    assert [e["type"] for e in told[:2]] == ["stats", "stats"] and all(e["id"] == "c" for e in told)
    assert "oom" in {e["type"] for e in told}
    oci.until("c", "stopped")


def test_spec_is_written_once(tmp_path: Path, oci: Oci) -> None:
    oci("spec", "--bundle", str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["process"]["terminal"] is True
    assert b"exists" in oci("spec", "--bundle", str(tmp_path), code=1).stderr


USER = 47_113


@pytest.fixture
def users_oci() -> Iterator[Oci]:
    """A root and a bundle of an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="oci-user-"))
    os.chmod(folder, 0o755)
    made = Oci(folder)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER, USER, follow_symlinks=False)
    yield made
    shutil.rmtree(folder)


def test_an_ordinary_user_runs_containers(users_oci: Oci) -> None:
    reachable = subprocess.run([PROGRAM, "--version"], user=USER, group=USER, capture_output=True, check=False)
    if reachable.returncode:
        pytest.skip("an ordinary user can't get at the program")
    config = users_oci.bundle / "config.json"
    config.unlink()
    me: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []}
    users_oci("spec", "--rootless", cwd=users_oci.bundle, **me)
    written = json.loads(config.read_text())
    assert written["linux"]["uidMappings"] == [{"containerID": 0, "hostID": USER, "size": 1}]
    assert {"type": "user"} in written["linux"]["namespaces"] and "resources" not in written["linux"]
    users_oci.change(lambda c: c["process"].update(terminal=False, args=["sh", "-c", "id -u; exit 4"]))
    done = users_oci("run", "c", code=4, **me)
    assert done.stdout == b"0\n"
    assert not list(users_oci.root.iterdir())


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_limit_of_few_processes_lets_the_command_start(oci: Oci, limit: int) -> None:
    oci.change(lambda c: c["linux"]["resources"].update(pids={"limit": limit}))
    oci.command("sh", "-c", "sleep 1000 & sleep 1000")
    oci.detached("c")
    if limit < 2:
        oci.until("c", "stopped")
    else:
        assert stats(oci, "c")["pids"]["limit"] == limit
    oci("delete", "-f", "c")


def test_lines_of_events_begin_with_their_type(oci: Oci) -> None:
    oci.detached("c")
    assert oci("events", "--stats", "c").stdout.startswith(b'{"type":"stats","id":"c","data":{')
