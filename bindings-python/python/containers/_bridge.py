"""How operations of the native half become asyncio futures.

The library's I/O thread never runs Python: it notes what has ended and makes a descriptor readable, which the event
loop watches while anything is awaited.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _containers

if TYPE_CHECKING:
    from ._containers import Operation

T = TypeVar("T")
_Event = Callable[[dict[str, Any]], object]


class Bridge:
    """What one event loop waits for."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._completions = _containers.Completions()
        self._pending: dict[int, tuple[Operation[Any], asyncio.Future[Any], _Event | None]] = {}
        self._next = 0

    def start(self, operation: Operation[T], on_event: _Event | None = None) -> asyncio.Future[T]:
        """Begins an operation; cancelling the future cancels it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._next += 1
        token = self._next
        if not self._pending:
            loop.add_reader(self._completions.fileno(), self._drain)
        self._pending[token] = (operation, future, on_event)
        try:
            operation.submit(self._completions, token)
        except BaseException:
            self._forget(token)
            raise
        future.add_done_callback(lambda done: self._finished(token, done))
        return future

    def _forget(self, token: int) -> Operation[Any] | None:
        entry = self._pending.pop(token, None)
        if entry is None:
            return None
        if not self._pending:
            asyncio.get_running_loop().remove_reader(self._completions.fileno())
        return entry[0]

    def _finished(self, token: int, future: asyncio.Future[Any]) -> None:
        operation = self._forget(token)
        if operation is not None and future.cancelled():
            operation.cancel()

    def _drain(self) -> None:
        for token in self._completions.drain():
            entry = self._pending.get(token)
            if entry is not None:
                self._deliver(*entry)

    @staticmethod
    def _deliver(operation: Operation[Any], future: asyncio.Future[Any], on_event: _Event | None) -> None:
        if future.done():
            return
        # Whether it is done comes first: its last events are there by then.
        done = operation.done()
        try:
            if on_event is not None:
                for event in operation.events():
                    on_event(event)
            if done:
                future.set_result(operation.result())
        except StopIteration as error:
            # Futures refuse it.
            operation.cancel()
            future.set_exception(RuntimeError(f"the callback raised {error!r}"))
        except Exception as error:
            operation.cancel()
            future.set_exception(error)


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge] = weakref.WeakKeyDictionary()


def start(operation: Operation[T], on_event: _Event | None = None) -> asyncio.Future[T]:
    """Begins an operation on the running loop."""
    loop = asyncio.get_running_loop()
    bridge = _bridges.get(loop)
    if bridge is None or bridge.pid != os.getpid():
        bridge = _bridges[loop] = Bridge()
    return bridge.start(operation, on_event)


async def finish(operation: Operation[T], on_event: _Event | None = None) -> T:
    """Does an operation; cancelling the task cancels it."""
    return await start(operation, on_event)


class Source(Generic[T]):
    """Items that come one after another. Cancelling a wait loses none: the next one goes on with it."""

    def __init__(self, begin: Callable[[], Operation[T]]) -> None:
        self._begin = begin
        self._future: asyncio.Future[T] | None = None

    async def next(self) -> T:
        """The next item."""
        if self._future is None:
            self._future = start(self._begin())
        try:
            item = await asyncio.shield(self._future)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._future = None
            raise
        self._future = None
        return item

    def close(self) -> None:
        """Gives up a wait that nobody is in any more."""
        future, self._future = self._future, None
        if future is not None and not future.done():
            with contextlib.suppress(RuntimeError):  # The loop is closed.
                future.get_loop().call_soon_threadsafe(future.cancel)

    def __del__(self) -> None:
        self.close()
