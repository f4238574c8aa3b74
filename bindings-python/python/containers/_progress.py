"""Bars for ``progress=True``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from ._types import PullEvent

_UNITS = ("B", "kB", "MB", "GB", "TB")


def renderer(stream: TextIO | None = None) -> Callable[[PullEvent], None]:
    """Something that shows events on ``stream``, default standard error: bars on a terminal, else lines."""
    out = stream if stream is not None else sys.stderr
    return Bars(out) if out.isatty() else Lines(out)


def size(count: int) -> str:
    """Bytes for people: ``12.3MB``."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f}{unit}" if unit == "B" else f"{value:.1f}{unit}"
        value /= 1000
    raise AssertionError("the loop always returns")


def short(digest: str) -> str:
    """The first digits of a digest."""
    return digest.rpartition(":")[2][:12]


class Lines:
    """One line for each layer and for the image."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: PullEvent) -> None:
        if event.event == "exists" and event.layer:
            self._out.write(f"{short(event.layer)}: already exists\n")
        elif event.event == "done" and event.layer:
            self._out.write(f"{short(event.layer)}: complete\n")
        elif event.event == "complete" and event.id:
            self._out.write(f"image {short(event.id)}: {'pulled' if event.fetched else 'up to date'}\n")
        else:
            return
        self._out.flush()


class Bars:
    """One bar for each layer, redrawn in place."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows: dict[str, str] = {}
        self._drawn = 0
        self._interval = 0.1
        self._next = 0.0

    def __call__(self, event: PullEvent) -> None:
        if event.layer:
            self._rows[event.layer] = self._text(event)
        last = event.event == "complete"
        now = time.monotonic()
        if last or event.event != "downloading" or now >= self._next:
            self._next = now + self._interval
            self._draw()
        if last and event.id:
            self._out.write(f"image {short(event.id)}: {'pulled' if event.fetched else 'up to date'}\n")
            self._out.flush()

    @staticmethod
    def _text(event: PullEvent) -> str:
        if event.event == "downloading":
            current, total = event.current or 0, event.total or 0
            done = min(current / total, 1.0) if total else 0.0
            bar = ("=" * int(done * 30)).ljust(30)
            return f"[{bar}] {size(current)}/{size(total)}"
        return {"exists": "already exists", "extracting": "extracting", "done": "complete"}.get(event.event, "")

    def _draw(self) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        lines = "".join(f"\r\x1b[K{short(layer)}: {text}\n" for layer, text in self._rows.items())
        self._out.write(up + lines)
        self._out.flush()
        self._drawn = len(self._rows)
