"""Fixtures of the command line's tests: the built program, a root of its own, a registry."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "target" / os.environ.get("CONTAINERS_TEST_PROFILE", "release") / "containers"


class Cli:
    """Runs the program on one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, "CONTAINERS_ROOT": str(root)}

    def __call__(
        self, *args: str, code: int = 0, stdin: bytes | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs it, checks the exit code, gives its output."""
        done = subprocess.run(
            [str(PROGRAM), *args], env=self.env, input=stdin, capture_output=True, timeout=timeout, check=False
        )
        if stdin is None:
            assert done.returncode == code, (args, done)
        else:
            assert done.returncode == code, (args, done.returncode, done.stderr)
        return done

    def out(self, *args: str, code: int = 0) -> str:
        """Its standard output as text without the last newline."""
        return self(*args, code=code).stdout.decode().rstrip("\n")

    def error(self, *args: str, code: int) -> str:
        """Its standard error as text, for a call that must fail with `code`."""
        return self(*args, code=code).stderr.decode()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The program on a fresh root; what runs in the end is removed."""
    cli = Cli(tmp_path / "root")
    yield cli
    names = cli.out("ps", "-aq").split()
    if names:
        cli("rm", "-f", *names)


@contextmanager
def started(*flags: str) -> Iterator[dict[str, str]]:
    """A registry; the keys are those that tests/registry/start.py prints."""
    start = REPOSITORY / "tests/registry/start.py"
    command = [sys.executable, str(start), *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdin
    values = {}
    for line in process.stdout:
        if line.strip() == "ready":
            break
        key, _, value = line.strip().partition("=")
        values[key] = value
    assert "registry" in values, "the registry did not start"
    yield values
    process.stdin.close()
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def registry() -> Iterator[dict[str, str]]:
    """A registry with small images."""
    with started() as values:
        yield values


@pytest.fixture(scope="session")
def closed_registry() -> Iterator[dict[str, str]]:
    """A registry that wants bob with the password s3cret."""
    with started("--auth", "bob:s3cret", "--images", "oci") as values:
        yield values
