"""One bundle for each test; afterwards no mount and no container may be left."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

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
