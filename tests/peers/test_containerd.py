"""containerd's shim on containers-oci, by ctr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_containerd import Containerd
from scene import Scene, limit, require, until
from shared import emptied, served, terminals


@pytest.fixture(scope="module")
def engine(folder: Path, archive: Path) -> Iterator[Containerd]:
    require("containerd", "ctr", "containerd-shim-runc-v2")
    with served(Scene(folder / "ctr"), Containerd, archive) as containerd:
        yield containerd


@pytest.fixture
def ctr(engine: Containerd) -> Iterator[Containerd]:
    yield from emptied(engine)


def status(ctr: Containerd, name: str) -> str:
    lines = ctr.out("task", "ls").splitlines()[1:]
    return {line.split()[0]: line.split()[2] for line in lines}.get(name, "none")


def pid(ctr: Containerd, name: str) -> int:
    lines = ctr.out("task", "ls").splitlines()[1:]
    return {line.split()[0]: int(line.split()[1]) for line in lines}[name]


def test_run(ctr: Containerd) -> None:
    done = ctr(*ctr.run("--rm", "c", "sh", "-c", "echo out; echo err >&2; exit 3"), code=3)
    assert (done.out, done.err) == ("out\n", "err\n")
    assert "executable file not found in $PATH" in ctr(*ctr.run("--rm", "d", "nope"), code=1).err
    assert "permission denied" in ctr(*ctr.run("--rm", "e", "/notes"), code=1).err


def test_options(ctr: Containerd, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    script = "cat /v/in; pwd; echo $A; touch /x 2>&1"
    mount = f"--mount=type=bind,src={tmp_path},dst=/v,options=rbind:ro"
    run = ctr.run("--rm", mount, "--read-only", "--cwd=/tmp", "--env=A=a", "c", "sh", "-c", script)
    done = ctr(*run, code=1)
    assert done.out == "from the host/tmp\na\ntouch: /x: Read-only file system\n"


def test_the_life_of_a_task(ctr: Containerd) -> None:
    script = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
    ctr(*ctr.run("--detach", "--memory-limit=67108864", "--cpus=0.5", "c", "sh", "-c", script))
    assert status(ctr, "c") == "RUNNING"
    assert limit(pid(ctr, "c"), "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert ctr.out("task", "exec", "--exec-id", "x", "c", "sh", "-c", "echo inside") == "inside"
    assert ctr("task", "exec", "--exec-id", "x", "c", "sh", "-c", "exit 9", code=9)
    ctr("task", "exec", "--exec-id", "x", "c", "nope", code=1)
    ctr("task", "pause", "c")
    assert status(ctr, "c") == "PAUSED"
    ctr("task", "exec", "--exec-id", "x", "c", "true", code=1)
    ctr("task", "resume", "c")
    assert status(ctr, "c") == "RUNNING"
    metrics = ctr.out("task", "metrics", "--format", "json", "c")
    assert json.loads(metrics)["memory"]["usage"]["limit"] == 64 << 20
    assert str(pid(ctr, "c")) in ctr.out("task", "ps", "c")
    ctr("task", "kill", "c")
    until(lambda: status(ctr, "c") == "STOPPED")
    assert "exit code 7" in ctr("task", "rm", "c").err
    assert status(ctr, "c") == "none"


def test_terminal(ctr: Containerd) -> None:
    terminal = ctr.terminal(*ctr.run("--rm", "--tty", "--env=PS1=in> ", "c", "sh"))
    further = ("task", "exec", "--tty", "--exec-id", "x", "c", "sh", "-c", "tty; read line; echo got $line")
    terminals(terminal, lambda: ctr.terminal(*further))
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_events(ctr: Containerd) -> None:
    events = ctr.spawn("events")
    assert events.stdout
    ctr(*ctr.run("--rm", "--memory-limit=16777216", "c", "tail", "/dev/zero"), code=137)
    seen = ""
    while "/tasks/delete" not in seen:
        seen += events.stdout.readline()
    events.terminate()
    events.wait(60)
    for topic in ("/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit"):
        assert topic in seen, topic


def test_namespaces_of_another(ctr: Containerd) -> None:
    """What a pod is: a second container in the first one's namespaces."""
    ctr(*ctr.run("--detach", "pod", "sleep", "1000"))
    own = pid(ctr, "pod")
    spaces = (("network", "net"), ("ipc", "ipc"), ("uts", "uts"))
    joined = [f"--with-ns={kind}:/proc/{own}/ns/{name}" for kind, name in spaces]
    done = ctr.out(*ctr.run("--rm", *joined, "member", "readlink", "/proc/self/ns/net"))
    assert done == ctr.out("task", "exec", "--exec-id", "x", "pod", "readlink", "/proc/self/ns/net")


def test_checkpoint_says_what_is_missing(ctr: Containerd) -> None:
    ctr(*ctr.run("--detach", "c", "sleep", "1000"))
    assert "criu" in ctr("task", "checkpoint", "c", code=1).err
    assert status(ctr, "c") == "RUNNING"
