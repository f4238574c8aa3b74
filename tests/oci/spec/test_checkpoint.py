"""`checkpoint` and `restore`, by a real criu, where the kernel is one that it can work with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from box import Box, eventually


@pytest.fixture(scope="module")
def criu() -> None:
    if not shutil.which("criu"):
        pytest.skip("needs criu")
    checked = subprocess.run(["criu", "check"], capture_output=True, text=True)
    if checked.returncode != 0:
        pytest.skip(f"criu can't work with this kernel: {checked.stderr.strip().splitlines()[-1]}")


@pytest.fixture
def image(criu: None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="oci-image-"))
    yield folder / "image"
    shutil.rmtree(folder)


def restore(box: Box, image: Path, *more: str) -> None:
    """Detached, with streams that lead nowhere."""
    with open(image.parent / "errors", "w+") as said:
        done = subprocess.run(
            box.command("restore", "-d", *more, "--image-path", str(image), "--bundle", str(box.bundle.path), box.id),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            timeout=120,
        )
    log = image / "restore.log"
    assert done.returncode == 0, ((image.parent / "errors").read_text(), log.exists() and log.read_text()[-4000:])


def piped(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts a program that is listened to."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def attributes(box: Box) -> dict[str, list[str]]:
    """Those of its mounts."""
    lines = Path(f"/proc/{box.state()['pid']}/mountinfo").read_text().splitlines()
    return {line.split()[4]: sorted(set(line.split()[5].split(",")) - {"relatime", "noatime"}) for line in lines}


def test_a_container_goes_on_where_it_was(box: Box, image: Path) -> None:
    shared = image.parent / "shared"
    shared.mkdir()
    (shared / "file").write_text("of the machine\n")
    box.bundle.config["root"]["readonly"] = True
    box.bundle.mount("/tmp", "tmpfs", options=["nosuid"])
    box.bundle.mount("/one", "bind", shared, ["rbind", "ro", "nosuid"])
    box.bundle.mount("/two", "bind", shared, ["rbind", "ro"])
    box.bundle.linux["maskedPaths"] = ["/proc/acpi", "/proc/keys", "/proc/timer_list"]
    box.bundle.linux["readonlyPaths"] = ["/proc/sys"]
    box.resources["pids"] = {"limit": 50}
    box.bundle.process["env"].append("KEPT=yes")
    box.sh("n=0; while :; do n=$((n+1)); echo $n $$ $KEPT > /tmp/new; mv /tmp/new /tmp/n; sleep 0.1; done")
    box.start()
    eventually("it counts", lambda: box.exec("cat /tmp/n 2>/dev/null || :").split()[:1] > ["3"])
    before, mounts = box.exec("cat /tmp/n").split(), attributes(box)
    box("checkpoint", "--image-path", str(image), box.id)
    assert "does not exist" in box("state", box.id, code=1)

    pid_file = image.parent / "pid"
    restore(box, image, "--pid-file", str(pid_file))
    state = box.state()
    assert (state["status"], pid_file.read_text()) == ("running", str(state["pid"]))
    eventually("it goes on", lambda: int(box.exec("cat /tmp/n").split()[0]) > int(before[0]))
    assert box.exec("cat /tmp/n").split()[1:] == ["1", "yes"]
    assert attributes(box) == mounts
    assert box.exec("cat /one/file /two/file; touch /two/x /y 2>/dev/null || echo; ls /proc/acpi; cat /proc/keys") == (
        "of the machine\nof the machine\n\n"
    )
    assert box.value("pids.max") == "50" and str(state["pid"]) in box.value("cgroup.procs").split()
    # Its cgroup is the root of what it sees.
    assert box.exec("cat /proc/self/cgroup") == "0::/\n"
    box.end()
    box("delete", box.id)
    assert sorted(path.name for path in shared.iterdir()) == ["file"]


def test_one_that_runs_on_and_its_image(box: Box, image: Path) -> None:
    box.bundle.mount("/tmp", "tmpfs")
    box.start()
    box("checkpoint", "--pre-dump", "--image-path", str(image.parent / "before"), box.id)
    box("checkpoint", "--leave-running", "--parent-path", "../before", "--image-path", str(image), box.id)
    assert box.state()["status"] == "running"
    # There is one of that name.
    assert "already exists" in box(
        "restore", "--image-path", str(image), "--bundle", str(box.bundle.path), box.id, code=1
    )
    box.end()
    box("delete", box.id)
    restore(box, image)
    assert box.exec("cat /proc/1/cmdline").split("\0")[:2] == ["sleep", "1000"]


def test_in_the_foreground(box: Box, image: Path) -> None:
    shared = image.parent / "shared"
    shared.mkdir()
    box.bundle.mount("/shared", "bind", shared, ["rbind"])
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"cat >> {image.parent}/told"], "env": ["PATH=/bin"]}
    box.bundle.config["hooks"] = {"createRuntime": [hook]}
    box.sh("while [ ! -e /shared/end ]; do sleep 0.1; done; echo over; exit 7")
    box.bundle.write()
    first = piped(box.command("run", "--bundle", str(box.bundle.path), box.id))
    eventually(
        "it runs", lambda: (box.bundle.state / box.id / "state.json").exists() and box.state()["status"] == "running"
    )
    box("checkpoint", "--image-path", str(image), box.id)
    out, err = first.communicate(timeout=120)
    assert (first.returncode, out) == (137, b""), err
    command = ["restore", "--image-path", str(image), "--bundle", str(box.bundle.path), box.id]
    again = piped(box.command(*command))
    eventually("it is back", lambda: again.poll() is not None or (box.bundle.state / box.id / "state.json").exists())
    (shared / "end").touch()
    out, err = again.communicate(timeout=120)
    assert (again.returncode, out) == (7, b"over\n"), err
    told = (image.parent / "told").read_text()
    assert told.count(f'"id":"{box.id}"') == 2 and '"status":"creating"' in told
    assert "does not exist" in box("state", box.id, code=1)


def test_with_a_terminal(box: Box, image: Path) -> None:
    box.bundle.process["terminal"] = True
    box.sh("while read line; do echo got $line; done")
    box.bundle.write()
    path = image.parent / "console"

    def master(*verb: str) -> int:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(120)
            command = box.command(*verb, "--bundle", str(box.bundle.path), "--console-socket", str(path), box.id)
            started = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            assert started.returncode == 0, started.stderr
            taken, _ = listener.accept()
            with taken:
                _, fds, _, _ = socket.recv_fds(taken, 100, 1)
        path.unlink()
        return fds[0]

    def says(fd: int, text: str) -> None:
        os.write(fd, f"{text}\n".encode())
        said = b""
        while f"got {text}".encode() not in said:
            said += os.read(fd, 1000)

    first = master("run", "-d")
    says(first, "one")
    box("checkpoint", "--image-path", str(image), box.id)
    os.close(first)
    again = master("restore", "-d", "--image-path", str(image))
    says(again, "two")
    os.close(again)


def test_bad_images(box: Box, image: Path) -> None:
    box.bundle.write()
    rest = ["--bundle", str(box.bundle.path), box.id]
    assert "can't be found" in box("restore", "--image-path", str(image), *rest, code=1)
    image.mkdir()
    # There is no terminal to send.
    socket_ = ["--console-socket", str(image.parent / "s")]
    assert "console socket" in box("restore", "-d", *socket_, "--image-path", str(image), *rest, code=1)
    assert "criu failed" in box("restore", "-d", "--image-path", str(image), *rest, code=1)
    (image / "mounts.json").write_text("[")
    assert "mounts.json" in box("restore", "-d", "--image-path", str(image), *rest, code=1)
    assert "lazy" in box("restore", "--lazy-pages", "--image-path", str(image), *rest, code=1)
    assert "soft" in box("restore", "--manage-cgroups-mode", "x", "--image-path", str(image), *rest, code=1)
    assert "does not exist" in box("state", box.id, code=1)
