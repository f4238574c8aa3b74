"""The first process of a container is made in the runtime's own memory, unless that may not be."""

import json
import os
import subprocess
from pathlib import Path

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


def test_a_program_that_could_not_leave_the_containers_reach_has_a_helper(oci: Oci) -> None:
    oci.command("true")
    program = os.open(PROGRAM, os.O_PATH)
    try:
        done = subprocess.run(
            [PROGRAM, "--root", str(oci.root), "--debug", "run", "c"],
            executable=f"/dev/fd/{program}", pass_fds=[program],
            cwd=oci.bundle, stdin=subprocess.DEVNULL, capture_output=True, check=True,
        )  # fmt: skip
    finally:
        os.close(program)
    assert BY_HELPER in done.stderr


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
