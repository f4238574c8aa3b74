"""The same surface for asyncio.

::

    import asyncio
    from containers import aio

    async def main():
        async with aio.Runtime() as rt:
            r = await rt.containers.run("host", ["id", "-u"], timeout=10)
            async with await rt.containers.create("host", ["sleep", "inf"]) as c:
                await c.start()
                async for line in await c.logs_stream():
                    print(line.data)

    asyncio.run(main())

What waits is awaited; cancelling the task cancels the work (a run's container is killed, a pull ends). Properties are
plain attributes, as in :mod:`containers`: they read a record and do not wait. No thread is started beyond the
library's own one, and nothing blocks the loop. Arguments, results and errors are those of :mod:`containers`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _containers
from ._aio_container import Container, Containers
from ._aio_image import Image, Images
from ._aio_process import LogStream, Process, ProcessInput, ProcessOutput
from ._bridge import finish
from ._image import ImageBase
from ._later import missing
from ._types import Info, Output
from .errors import HandleClosed

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from ._options import BytesLike, Command, CreateOptions, Seconds, StrPath

__all__ = [
    "Container",
    "Containers",
    "Image",
    "Images",
    "LogStream",
    "Process",
    "ProcessInput",
    "ProcessOutput",
    "Runtime",
    "run",
]


class Runtime:
    """An open root, as :class:`containers.Runtime`.

    ``async with aio.Runtime() as rt``, or ``rt = await aio.Runtime()`` and later ``await rt.close()``. It may be used
    from several event loops.
    """

    def __init__(self, root: StrPath | None = None, rootless: bool | None = None) -> None:
        self._given = (os.fspath(root) if root is not None else None, rootless)
        self._opened: _containers.Runtime | None = None
        self._images = Images(self._native)
        self._containers = Containers(self._native)

    def _native(self) -> _containers.Runtime:
        if self._opened is None:
            raise HandleClosed("the runtime is not open: use `async with`, or await it", operation="runtime.open")
        return self._opened

    async def _open(self) -> Runtime:
        if self._opened is None:
            self._opened = await finish(_containers.open(*self._given))
            # One I/O thread for all awaits until close, not one for each.
            self._opened.hold_io()
        return self

    def __await__(self) -> Generator[Any, None, Runtime]:
        return self._open().__await__()

    async def __aenter__(self) -> Runtime:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def images(self) -> Images:
        """The images of this root."""
        return self._images

    @property
    def containers(self) -> Containers:
        """The containers of this root."""
        return self._containers

    @property
    def root(self) -> Path:
        """The folder it works in."""
        return Path(self._native().root)

    async def info(self) -> Info:
        """What this machine and this root have."""
        return cast(Info, await finish(self._native().info()))

    async def close(self) -> None:
        """Kills attached containers, cleans up, ends the launcher. Closing twice is fine."""
        if self._opened is not None:
            await finish(self._opened.close())
            self._opened.release_io()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


@overload
async def run(
    image: ImageBase | str,
    command: Command | None = None,
    *,
    input: BytesLike | None = None,
    text: Literal[False] = False,
    check: bool = False,
    timeout: Seconds | None = None,
    max_output: int | None = None,
    **options: Unpack[CreateOptions],
) -> Output[bytes]: ...


@overload
async def run(
    image: ImageBase | str,
    command: Command | None = None,
    *,
    input: BytesLike | str | None = None,
    text: Literal[True],
    check: bool = False,
    timeout: Seconds | None = None,
    max_output: int | None = None,
    **options: Unpack[CreateOptions],
) -> Output[str]: ...


async def run(
    image: ImageBase | str,
    command: Command | None = None,
    *,
    input: BytesLike | str | None = None,
    text: bool = False,
    check: bool = False,
    timeout: Seconds | None = None,
    max_output: int | None = None,
    **options: Unpack[CreateOptions],
) -> Output[bytes] | Output[str]:
    """:meth:`Containers.run` with a :class:`Runtime` opened for this call alone: :func:`containers.run`."""
    async with Runtime() as rt:
        call: Any = rt.containers.run
        made = await call(
            image,
            command,
            input=input,
            text=text,
            check=check,
            timeout=timeout,
            max_output=max_output,
            **options,
        )
        return cast("Output[bytes] | Output[str]", made)
