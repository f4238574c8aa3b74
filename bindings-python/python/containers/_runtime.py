"""A runtime: one root with its images and containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _containers
from ._container import Containers
from ._image import Images
from ._later import missing
from ._types import Info, Output

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from ._image import Image
    from ._options import BytesLike, Command, CreateOptions, Seconds, StrPath


class Runtime:
    """An open root: its images and containers, and a warm launcher while it is open.

    ``root``: the folder for images, containers and records; default ``CONTAINERS_ROOT``, else
    /var/lib/embedded-containers for root and $XDG_DATA_HOME/embedded-containers for others. It is created when
    missing, and what a crash left is repaired. ``rootless``: whether containers live in a user namespace of the
    runtime's own; default: unless the caller is root.

    Use it as a context manager, or call :meth:`close`; it may be used from any thread. After ``os.fork()`` the child's
    copy raises HandleClosed: open a new one there.

    Raises Unsupported (with the fix) where this machine can't run containers, Permission, Io, Corrupt.
    """

    def __init__(self, root: StrPath | None = None, rootless: bool | None = None) -> None:
        given = os.fspath(root) if root is not None else None
        self._native = _containers.open(given, rootless).wait()
        self._images = Images(self._native)
        self._containers = Containers(self._native)

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
        return Path(self._native.root)

    def info(self) -> Info:
        """What this machine and this root have; ``warnings`` says what can't be had here, and the fix."""
        return cast(Info, self._native.info().wait())

    def close(self) -> None:
        """Kills attached containers, cleans up, ends the launcher. Closing twice is fine.

        Later calls through this runtime or its handles raise HandleClosed.
        """
        self._native.close().wait()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


@overload
def run(
    image: Image | str,
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
def run(
    image: Image | str,
    command: Command | None = None,
    *,
    input: BytesLike | str | None = None,
    text: Literal[True],
    check: bool = False,
    timeout: Seconds | None = None,
    max_output: int | None = None,
    **options: Unpack[CreateOptions],
) -> Output[str]: ...


def run(
    image: Image | str,
    command: Command | None = None,
    *,
    input: BytesLike | str | None = None,
    text: bool = False,
    check: bool = False,
    timeout: Seconds | None = None,
    max_output: int | None = None,
    **options: Unpack[CreateOptions],
) -> Output[bytes] | Output[str]:
    """:meth:`Containers.run` with a :class:`Runtime` opened for this call alone, like subprocess.run.

    Whoever runs several commands opens a Runtime once and saves its start each time.
    """
    with Runtime() as rt:
        call: Any = rt.containers.run
        made = call(
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
