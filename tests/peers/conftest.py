"""One folder for each engine: its root, its sockets, its containers. Nothing of it outlives the tests."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scene import cgroup_mounts, root_file_system  # noqa: E402

# Where the engines make folders, and podman cgroups, whatever they are told.
FIXED = ("/run/containerd", "/run/docker", *(str(mount / "libpod_parent") for mount, _ in cgroup_mounts()))


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short path: sockets lie in it."""
    new = [at for at in FIXED if not os.path.exists(at)]
    with tempfile.TemporaryDirectory(prefix="p") as name:
        os.chmod(name, 0o711)
        yield Path(name)
    for at in (inner for top in new for inner, _, _ in os.walk(top, topdown=False)):
        with contextlib.suppress(OSError):
            os.rmdir(at)


@pytest.fixture(scope="session")
def archive(folder: Path) -> Path:
    """A root file system as a tar."""
    file = folder / "box.tar"
    root_file_system(file)
    file.chmod(0o644)
    return file
