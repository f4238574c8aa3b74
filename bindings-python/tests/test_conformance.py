"""The conformance table, through plain calls and through asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conformance import Session, Surface, cases
from conftest import REPOSITORY, fresh_folder, remove_tree

TABLE = [
    pytest.param(case, id=f"{file.stem}-{case['name']}")
    for file in sorted((REPOSITORY / "tests" / "conformance").glob("*.json"))
    for case in cases(file)
]


@pytest.fixture(scope="module", params=["sync", "aio"])
def session(request: pytest.FixtureRequest, registry: dict[str, str]) -> Iterator[Session]:
    root = fresh_folder()
    made = Session(Surface(request.param == "aio"), root, registry["registry"])
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
