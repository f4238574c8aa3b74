"""A root and a bundle for each test."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from program import Oci  # noqa: E402


@pytest.fixture(autouse=True)
def needs() -> None:
    if os.geteuid() != 0 or not shutil.which("busybox"):
        pytest.skip("needs root and busybox-static")


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[Oci]:
    """A root and a bundle; what is left in the end is removed."""
    oci = Oci(tmp_path)
    yield oci
    if not oci.root.exists():
        return
    for name in oci("list", "-q").stdout.decode().split():
        oci("delete", "-f", name)
    assert not list(oci.root.iterdir())
