"""The first process of a container is made in the runtime's own memory, unless that may not be."""

import contextlib
import ctypes
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import PROGRAM, Oci

IN_MEMORY, BY_HELPER = b"made in this program's memory", b"made by a helper"


def steps(oci: Oci, name: str = "c") -> bytes:
    return oci("run", name, globals_=("--debug",)).stderr


def test_an_ordinary_container_has_no_helper(oci: Oci) -> None:
    oci.command("true")
    said = steps(oci)
    assert IN_MEMORY in said and BY_HELPER not in said


def test_with_hooks_and_a_terminal_too(oci: Oci, tmp_path: Path) -> None:
    def hook(script: str) -> None:
        create = [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
        oci.change(lambda c: c.update(hooks={"createRuntime": create}))

    hook(f"cat > {tmp_path}/state")
    oci.change(lambda c: c["process"].update(terminal=True))
    oci.command("tty")
    done = oci("run", "c", globals_=("--debug", "--log", str(tmp_path / "log")))
    assert done.stdout.strip() == b"/dev/pts/0"
    assert IN_MEMORY in (tmp_path / "log").read_bytes()
    assert json.loads((tmp_path / "state").read_text())["pid"] > 0
    hook("exit 3")
    assert b"createRuntime hook #0" in oci("run", "c", code=1).stderr


def test_who_prepares_something_outside_has_a_helper(oci: Oci) -> None:
    oci.command("true")
    oci.change(lambda c: c["linux"]["namespaces"].append({"type": "time"}))
    assert BY_HELPER in steps(oci)


def test_who_may_lack_memory_has_a_helper(oci: Oci) -> None:
    # All that share memory with a process are killed when it has to go.
    oci.command("true")
    oci.change(lambda c: c["linux"].update(resources={"memory": {"limit": 1 << 20}}))
    assert BY_HELPER in steps(oci)
    oci.change(lambda c: c["linux"].update(resources={"memory": {"limit": 64 << 20}}))
    assert IN_MEMORY in steps(oci)


def executed_by(oci: Oci, path: str, program: int) -> bytes:
    """What the program says that is executed from a descriptor, by a path of that."""
    with open(program, closefd=True):
        done = subprocess.run(
            [PROGRAM, "--root", str(oci.root), "--debug", "run", "c"],
            executable=f"{path}/{program}", pass_fds=[program],
            cwd=oci.bundle, stdin=subprocess.DEVNULL, capture_output=True, check=True,
        )  # fmt: skip
    return done.stderr


def test_a_program_that_could_not_leave_the_containers_reach_has_a_helper(oci: Oci) -> None:
    oci.command("true")
    assert BY_HELPER in executed_by(oci, "/dev/fd", os.open(PROGRAM, os.O_RDONLY))


def test_the_runtime_keeps_its_own_rank(oci: Oci) -> None:
    # The kernel sets oom_score_adj for all that share memory.
    mine = Path("/proc/self/oom_score_adj").read_text()
    oci.command("sh", "-c", "cat /proc/self/oom_score_adj; read -r line")
    oci.change(lambda c: c["process"].update(oomScoreAdj=777))
    command = [PROGRAM, "--root", str(oci.root), "run", "c"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=oci.bundle, stdin=pipe, stdout=pipe) as run:
        assert run.stdin and run.stdout
        assert run.stdout.readline() == b"777\n"
        assert Path(f"/proc/{run.pid}/oom_score_adj").read_text() == mine
        run.stdin.write(b"\n")
        run.stdin.close()
        assert run.wait(timeout=30) == 0


def test_hooks_of_the_runtime_keep_its_rank(oci: Oci, tmp_path: Path) -> None:
    mine = Path("/proc/self/oom_score_adj").read_text()
    script = f"cat /proc/self/oom_score_adj > {tmp_path}/rank"
    create = [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
    oci.change(lambda c: c.update(hooks={"createRuntime": create}))
    oci.change(lambda c: c["process"].update(oomScoreAdj=700))
    oci.command("cat", "/proc/self/oom_score_adj")
    assert oci("run", "c").stdout == b"700\n"
    assert (tmp_path / "rank").read_text() == mine


@pytest.mark.parametrize("kind", ["createContainer", "startContainer"])
def test_no_program_of_the_container_runs_while_memory_is_shared(oci: Oci, kind: str) -> None:
    oci.change(lambda c: c.update(hooks={kind: [{"path": "/bin/true"}]}))
    oci.command("true")
    assert BY_HELPER in steps(oci)


def test_nobody_sees_into_a_process_that_waits(oci: Oci) -> None:
    oci.change(lambda c: c["process"].update(args=["sleep", "100"]))
    oci.silently("create", "c", env={**os.environ, "SECRET": "of-the-runtime"})
    process = Path(f"/proc/{oci.state('c')['pid']}")
    assert b"of-the-runtime" not in (process / "environ").read_bytes()
    assert str(oci.root).encode() not in (process / "cmdline").read_bytes()
    # Not even root, without the right to trace all: such a one can be in a container.
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_ptrace", "head", "-c", "1", process / "mem"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "ermission denied" in done.stderr
    oci("start", "c")
    assert b"sleep" in (process / "cmdline").read_bytes()


def test_a_mount_that_is_attached_nowhere_but_writable_is_not_enough(oci: Oci, tmp_path: Path) -> None:
    point = tmp_path / "point"
    point.touch()
    subprocess.run(["mount", "--bind", PROGRAM, point], check=True)
    program = os.open(point, os.O_RDONLY)
    subprocess.run(["umount", "--lazy", point], check=True)
    oci.command("true")
    assert BY_HELPER in executed_by(oci, "/proc/self/fd", program)


@contextlib.contextmanager
def tight(name: str) -> Iterator[None]:
    """A cgroup with little memory."""
    folder = Path("/sys/fs/cgroup/memory") / name
    if not folder.parent.is_dir():
        pytest.skip("no memory controller of cgroup v1")
    folder.mkdir()
    try:
        (folder / "memory.limit_in_bytes").write_text(str(1 << 20))
        yield
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def test_below_a_cgroup_with_little_memory_there_is_a_helper(oci: Oci) -> None:
    name = f"oci-tight-{os.getpid()}"
    oci.change(lambda c: c["linux"].update(cgroupsPath=f"/{name}/inner"))
    oci.command("true")
    with tight(name):
        assert BY_HELPER in steps(oci)


def test_a_runtime_that_is_killed_at_once_leaves_no_process_behind(oci: Oci) -> None:
    oci.change(lambda c: c.update(hooks={"createRuntime": [{"path": "/bin/true"}]}))
    libc = ctypes.CDLL(None)
    for number in range(40):
        run = subprocess.Popen(
            [PROGRAM, "--root", str(oci.root), "create", f"k{number}"],
            cwd=oci.bundle, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        with contextlib.suppress(OSError):
            while run.poll() is None and not children.read_text():
                pass
        libc.usleep(number * 15)
        run.kill()
        run.wait()
        # It would wait for the lock of a process that is left.
        oci("delete", "--force", f"k{number}")
