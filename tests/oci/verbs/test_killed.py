"""What a killed containers-oci leaves, `delete` finds."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from program import PROGRAM, Oci


def begin(oci: Oci, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [PROGRAM, "--root", str(oci.root), *args],
        cwd=oci.bundle, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def cgroups(name: str) -> list[Path]:
    """Its cgroups in all hierarchies, which need not be mounted from their roots on."""
    # Those of others may go away meanwhile.
    return [Path(at) for at, _, _ in os.walk("/sys/fs/cgroup") if at.endswith(f"/{name}")]


def users(oci: Oci, name: str) -> list[str]:
    """Processes that have the bundle mounted, or are in a cgroup of the name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = process.joinpath("mountinfo").read_text()
            inside = process.joinpath("cgroup").read_text()
        except OSError:
            continue
        if str(oci.bundle) in mounts or name in inside:
            found.append(process.name)
    return found


def gone(oci: Oci, name: str) -> None:
    assert cgroups(name) == []
    # A process whose socket or parent has gone is about to end.
    for _ in range(500):
        if not users(oci, name):
            break
        time.sleep(0.01)
    assert users(oci, name) == []


def test_killed_while_it_makes_the_container(oci: Oci, tmp_path: Path) -> None:
    """Who should take the terminal does not: so it is killed where the cgroup is made, and the process in it."""
    oci.change(lambda c: c["process"].update(terminal=True))
    path = str(tmp_path / "console")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        for cgroup in ("", f"/{tmp_path.name}-above/here"):
            oci.change(lambda c, cgroup=cgroup: c["linux"].update(cgroupsPath=cgroup))  # type: ignore[misc]
            name = f"{tmp_path.name}-killed"
            running = begin(oci, "create", "--console-socket", path, name)
            place = cgroup.lstrip("/") or name
            for _ in range(500):
                if any((found / "cgroup.procs").read_text().strip() for found in cgroups(place)):
                    break
                time.sleep(0.01)
            else:
                raise AssertionError("the process did not get as far as its cgroup")
            running.kill()
            running.wait()
            assert oci.state(name)["status"] in ("creating", "stopped")
            oci("delete", name)
            assert cgroups(place) == []
            gone(oci, name)
            assert cgroups(f"{tmp_path.name}-above") == []
            oci("state", name, code=1)


def test_killed_at_any_moment(oci: Oci, tmp_path: Path) -> None:
    dice = random.Random(1)
    for turn in range(60):
        name = f"{tmp_path.name}-{turn}"
        how = dice.choice((("create",), ("run",), ("run", "-d")))
        running = begin(oci, *how, name)
        time.sleep(dice.random() * 0.02)
        running.kill()
        running.wait()
        oci("delete", "-f", name)
        assert cgroups(name) == []
    gone(oci, tmp_path.name)


def test_delete_waits_for_who_makes_it(oci: Oci, tmp_path: Path) -> None:
    """A container on its way is not deleted under the hands of who makes it."""
    hook = {"path": str(tmp_path / "slow")}
    (tmp_path / "slow").write_text("#!/bin/sh\nsleep 0.5\n")
    (tmp_path / "slow").chmod(0o755)
    oci.change(lambda c: c.update(hooks={"createRuntime": [hook]}))
    name = f"{tmp_path.name}-slow"
    running = begin(oci, "create", name)
    for _ in range(500):
        if oci.root.joinpath(name, "state.json").exists():
            break
        time.sleep(0.01)
    oci("delete", "-f", name)
    assert running.wait() == 0
    gone(oci, name)


def test_a_record_that_is_not_whole_yet_is_none(oci: Oci, tmp_path: Path) -> None:
    name = f"{tmp_path.name}-torn"
    oci.silently("create", name)
    record = oci.root / name / "state.json"
    lines = record.read_bytes()
    # Who makes it was killed while it wrote the second version, or the first.
    record.write_bytes(lines[:-20])
    assert oci.state(name)["status"] == "creating"
    record.write_bytes(lines[:20])
    for args in (("state", name), ("delete", name), ("start", name)):
        assert b"does not exist" in oci(*args, code=1).stderr
    assert oci("list", "-q").stdout == b""
    assert b"already exists" in oci("create", name, code=1).stderr
    record.write_bytes(lines)
    oci("delete", "--force", name)
    gone(oci, name)


def test_what_is_appended_to_a_record_loses_no_container(oci: Oci, tmp_path: Path) -> None:
    name = f"{tmp_path.name}-more"
    oci.detached(name)
    with (oci.root / name / "state.json").open("a") as record:
        record.write("nonsense\n")
    assert oci.state(name)["status"] == "running"
    oci("delete", "--force", name)
    gone(oci, name)


def test_a_delete_that_was_killed_is_done_again(oci: Oci, tmp_path: Path) -> None:
    """The record goes last."""
    name = f"{tmp_path.name}-half"
    oci.silently("create", name)
    oci("kill", name, "KILL")
    oci.until(name, "stopped")
    for file in ("exec.fifo", "config.json"):
        (oci.root / name / file).unlink()
        assert oci.state(name)["status"] == "stopped"
    oci("delete", name)
    assert not (oci.root / name).exists()
    gone(oci, name)


def test_a_run_leaves_a_later_container_of_its_name_alone(oci: Oci, tmp_path: Path) -> None:
    name = f"{tmp_path.name}-again"
    running = begin(oci, "run", name)
    for _ in range(500):
        if (oci.root / name / "state.json").exists():
            break
        time.sleep(0.01)
    oci.until(name, "running")
    # Once it has let go of the folder, it waits for the end.
    folder = os.open(oci.root / name, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    os.close(folder)
    running.send_signal(signal.SIGSTOP)
    oci("delete", "--force", name)
    oci.detached(name)
    running.send_signal(signal.SIGCONT)
    assert running.wait() == 137
    assert oci.state(name)["status"] == "running"
    oci("delete", "--force", name)
    gone(oci, name)
