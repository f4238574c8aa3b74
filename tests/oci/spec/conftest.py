"""One bundle for each test; afterwards no mount and no container may be left."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from box import DRIVERS, UNIFIED, Box  # noqa: E402
from bundle import RUNTIME, Bundle  # noqa: E402


def mounts_below(path: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4].startswith(str(path))]


@pytest.fixture
def bundle() -> Iterator[Bundle]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not os.path.exists(RUNTIME):
        pytest.skip(f"{RUNTIME} is not built")
    folder = Path(tempfile.mkdtemp(prefix="oci-"))
    folder.chmod(0o755)
    made = Bundle(folder / "bundle", folder / "state")
    yield made
    left = mounts_below(folder), list((folder / "state").glob("*"))
    shutil.rmtree(folder, ignore_errors=True)
    assert left == ([], [])


@pytest.fixture(scope="session")
def shared_rootfs() -> Iterator[Path]:
    """A root file system that tests only add to, if anything: making one takes long on a slow machine."""
    folder = Path(tempfile.mkdtemp(prefix="oci-"))
    folder.chmod(0o755)
    yield folder / "rootfs"
    shutil.rmtree(folder)


@pytest.fixture(params=DRIVERS)
def box(request: pytest.FixtureRequest, shared_rootfs: Path) -> Iterator[Box]:
    """A container on cgroup v2 that sleeps. Afterwards neither it nor its cgroup may be left."""
    if os.geteuid() != 0 or not (UNIFIED / "cgroup.controllers").exists():
        pytest.skip("needs root and cgroup v2 alone; the machine of tests/vm has it")
    if not os.path.exists(RUNTIME):
        pytest.skip(f"{RUNTIME} is not built")
    folder = Path(tempfile.mkdtemp(prefix="oci-"))
    folder.chmod(0o755)
    box = Box(folder, request.param, shared_rootfs)
    yield box
    box.remove()
    left = [str(path) for path in UNIFIED.rglob(f"*{box.id}*")], list((folder / "state").glob("*"))
    shutil.rmtree(folder)
    assert left == ([], [])
