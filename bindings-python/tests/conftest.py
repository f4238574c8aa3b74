"""What the tests share: roots of their own, one runtime for many tests, a registry with small images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import containers

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 60


@pytest.fixture(scope="session", autouse=True)
def default_root() -> Iterator[Path]:
    """Nothing touches the machine's own root, also where a test opens a Runtime without naming one."""
    path = fresh_folder()
    before = os.environ.get("CONTAINERS_ROOT")
    os.environ["CONTAINERS_ROOT"] = str(path)
    yield path
    if before is None:
        del os.environ["CONTAINERS_ROOT"]
    else:
        os.environ["CONTAINERS_ROOT"] = before
    remove_tree(path)


def fresh_folder() -> Path:
    """A folder that containers' users may look into."""
    path = Path(tempfile.mkdtemp(prefix="containers-python-"))
    path.chmod(0o755)
    return path


def remove_tree(path: Path) -> None:
    """Removes a root; a launcher whose host was killed may still be cleaning up in it."""
    deadline = time.monotonic() + 20
    while True:
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@pytest.fixture
def root() -> Iterator[Path]:
    """A fresh root."""
    path = fresh_folder()
    yield path
    remove_tree(path)


@pytest.fixture(scope="module")
def rt() -> Iterator[containers.Runtime]:
    """One runtime for the tests of a file."""
    with containers.Runtime() as runtime:
        yield runtime


@pytest.fixture(scope="session")
def registry() -> Iterator[dict[str, str]]:
    """A registry on loopback with small images: `registry`, and a reference for each image name."""
    if not all(shutil.which(tool) for tool in ("docker-registry", "skopeo", "umoci")):
        pytest.skip("docker-registry, skopeo or umoci is missing")
    script = REPOSITORY / "tests" / "registry" / "start.py"
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    values: dict[str, str] = {}
    for line in process.stdout:
        if line.strip() == "ready":
            break
        key, _, value = line.strip().partition("=")
        values[key] = value
    else:
        pytest.fail(f"the registry did not start: exit code {process.wait()}")
    yield values
    assert process.stdin is not None
    process.stdin.close()
    process.wait(TIMEOUT)


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(root: Path) -> Script:
    """Runs Python code in a process of its own, with a fresh root."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "CONTAINERS_ROOT": str(root)}
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", code, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
