"""Small helpers of the tests."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

_numbers = itertools.count(1)


def long_sleep() -> str:
    """Seconds for a `sleep` that no other process on this machine sleeps."""
    return f"86{os.getpid()}{next(_numbers)}.5"


def sleepers(seconds: str) -> list[int]:
    """Processes that run `sleep SECONDS`, in any namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[:2] == [b"sleep", seconds.encode()]:
            found.append(int(folder.name))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 20, what: str = "") -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what or "the condition does not come true"
        time.sleep(0.01)


def descriptors() -> set[str]:
    """What this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue
    return found
