"""podman of an ordinary user on containers-oci, which then runs as root of podman's user namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_podman import Podman
from scene import RUNTIME, Scene, require, until
from shared import emptied

USER = f"peer{os.getpid()}"


@pytest.fixture(scope="module")
def engine(folder: Path, archive: Path) -> Iterator[Podman]:
    require("podman", "conmon", "newuidmap", "setpriv", "useradd")
    name = Path(RUNTIME).name
    scene = Scene(folder / "rootless", folder / "rootless/run" / name)
    # The user may not be able to walk to where it was built.
    runtime = shutil.copy(RUNTIME, scene.folder / name)
    subprocess.run(["useradd", "--no-create-home", "--home-dir", str(scene.folder), USER], check=True)
    try:
        scene.uid = pwd.getpwnam(USER).pw_uid
        yield Podman(scene, archive, USER, str(runtime))
    finally:
        scene.close()
        subprocess.run(["userdel", USER], check=True, capture_output=True)


@pytest.fixture
def podman(engine: Podman) -> Iterator[Podman]:
    yield from emptied(engine)


def test_run(podman: Podman) -> None:
    done = podman("run", "--rm", "-i", "box", "sh", "-c", "id -u; cat; exit 3", code=3, stdin="hello")
    assert done.out == "0\nhello"
    maps = podman.out("run", "--rm", "box", "cat", "/proc/self/uid_map").split()
    assert maps[:3] == ["0", str(podman.scene.uid), "1"]
    podman("run", "--rm", "box", "nope", code=127)
    podman("run", "--rm", "box", "/notes", code=126)


def test_options(podman: Podman) -> None:
    folder = podman.scene.folder / "shared"
    folder.mkdir(mode=0o777, exist_ok=True)
    folder.chmod(0o777)
    script = "id -u; hostname; echo there > /v/out; touch /t/x; touch /x 2>&1; ls /dev/other"
    options = ("--user", "5:6", "--read-only", "-v", f"{folder}:/v", "--tmpfs", "/t", "--hostname", "here")
    done = podman("run", "--rm", "--device", "/dev/null:/dev/other", *options, "box", "sh", "-c", script)
    assert done.out.split("\n")[:3] == ["5", "here", "touch: /x: Read-only file system"]
    assert "/dev/other" in done.out and (folder / "out").read_text() == "there\n"
    none = podman.out("run", "--rm", "--cap-drop", "ALL", "box", "grep", "CapEff", "/proc/self/status")
    assert none.split()[1] == "0" * 16


def test_the_life_of_a_container(podman: Podman) -> None:
    podman("run", "-d", "--name", "c", "box", "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done")
    until(lambda: podman.out("logs", "c") == "up")
    assert podman("exec", "-i", "c", "sh", "-c", "cat; exit 9", code=9, stdin="in").out == "in"
    podman("stop", "c")
    assert podman.inspect("c")["State"]["ExitCode"] == 7


def test_terminal(podman: Podman) -> None:
    terminal = podman.terminal("run", "--rm", "-it", "-e", "PS1=in> ", "box", "sh")
    terminal.expect("in> ")
    terminal.resize(30, 100)
    terminal.type("tty; until stty size | grep '30 100'; do sleep 0.1; done\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("\n30 100")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_a_pod(podman: Podman) -> None:
    podman("pod", "create", "--name", "p")
    for name in ("a", "b"):
        podman("run", "-d", "--pod", "p", "--name", name, "box", "sleep", "1000")
    spaces = [podman.out("exec", name, "readlink", "/proc/self/ns/net") for name in ("a", "b")]
    assert spaces[0] == spaces[1]
