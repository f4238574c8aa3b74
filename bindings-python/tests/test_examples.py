"""The examples run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY, TIMEOUT


def run(root: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "python" / f"{name}.py"), *arguments],
        env={**os.environ, "CONTAINERS_ROOT": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def test_run(root: Path) -> None:
    done = run(root, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello from box, user root\n", "")
    assert run(root, "run", "sh", "-c", "exit 3").returncode == 3
    assert "command_not_found" in run(root, "run", "no-such-command").stderr


def test_lifecycle(root: Path) -> None:
    done = run(root, "lifecycle")
    assert done.returncode == 0, done.stderr
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["created", "started", "exec", "listed", "stopped", "logs"]
    assert "hi from" in done.stdout
    assert "exited with code 0" in done.stdout
    assert r"b'hello\nbye\n'" in done.stdout


def test_streams(root: Path) -> None:
    done = run(root, "streams")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "one -> ONE",
        "two -> TWO",
        "code 0",
        "stdout out",
        "stderr err",
        "stdout tick 1",
        "stdout tick 2",
        "stdout tick 3",
    ]


def test_pull(root: Path, registry: dict[str, str]) -> None:
    done = run(root, "pull", registry["oci"], "echo", "pulled")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "pulled"
    assert registry["oci"] in done.stdout


def test_parallel(root: Path) -> None:
    done = run(root, "parallel")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "squares 0 1 4 9 16 25 36 49 64 81",
        "stdout line 1",
        "stdout line 2",
        "stdout line 3",
        "cancelled",
    ]
