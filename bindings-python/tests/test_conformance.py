"""The conformance table, through plain calls and through asyncio."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conformance import Session, Surface, cases
from conftest import REPOSITORY, TIMEOUT, fresh_folder, remove_tree

TABLE = [
    pytest.param(case, id=f"{file.stem}-{case['name']}")
    for file in sorted((REPOSITORY / "tests" / "conformance").glob("*.json"))
    for case in cases(file)
]


@pytest.fixture(scope="module")
def empty_registry() -> Iterator[str | None]:
    """`host:port` of a registry without images."""
    script = REPOSITORY / "tests" / "registry" / "start.py"
    command = [sys.executable, str(script), "--images", "none"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    values = {}
    for line in process.stdout:
        if line.strip() == "ready":
            break
        key, _, value = line.strip().partition("=")
        values[key] = value
    yield values.get("registry")
    process.stdin.close()
    process.wait(TIMEOUT)


@pytest.fixture(scope="module", params=["sync", "aio"])
def session(request: pytest.FixtureRequest, empty_registry: str | None) -> Iterator[Session]:
    root = fresh_folder()
    made = Session(Surface(request.param == "aio"), root, empty_registry)
    yield made
    made.close()
    remove_tree(root)


@pytest.mark.parametrize("case", TABLE)
def test_case(session: Session, case: Any) -> None:
    why = session.lacks(case)
    if why is not None:
        pytest.skip(why)
    tmp, own_root = fresh_folder(), fresh_folder()
    try:
        session.replay(case, tmp, own_root)
    finally:
        remove_tree(tmp)
        remove_tree(own_root)
