"""Containers, for asyncio."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _containers
from ._aio_image import Image
from ._aio_process import LogStream, Process
from ._bridge import finish
from ._container import ContainerBase, exec_options, refuse_with_detach, run_options
from ._image import ImageBase, image_name
from ._later import missing
from ._options import create_options, input_bytes, log_options, signal_name, text_error
from ._types import ExecResult, Output, as_text
from .errors import ContainerNotFound, ContainersError, HandleClosed

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Unpack

    from ._options import BytesLike, Command, CreateOptions, Seconds, StrPath


class Container(ContainerBase):
    """One container, as :class:`containers.Container`."""

    async def image(self) -> Image:
        """The image it was made from. Raises ImageNotFound when that has been removed."""
        return Image(await finish(self._native.image()))

    async def inspect(self) -> dict[str, Any]:
        """Everything about it, as docker's inspect document."""
        return await finish(self._native.inspect())

    async def start(self) -> None:
        """Starts it: :meth:`containers.Container.start`."""
        await finish(self._native.start())

    async def stop(self, timeout: Seconds | None = None, *, stop_signal: str | int | None = None) -> None:
        """Stops it: :meth:`containers.Container.stop`."""
        await finish(self._native.stop(timeout, signal_name(stop_signal) if stop_signal is not None else None))

    async def restart(self, timeout: Seconds | None = None, *, stop_signal: str | int | None = None) -> None:
        """Stop, then start."""
        await finish(self._native.restart(timeout, signal_name(stop_signal) if stop_signal is not None else None))

    async def kill(self, signal: str | int | None = None) -> None:
        """Sends a signal, default SIGKILL: :meth:`containers.Container.kill`."""
        await finish(self._native.kill(signal_name(signal)))

    async def pause(self) -> None:
        """Freezes its processes."""
        await finish(self._native.pause())

    async def unpause(self) -> None:
        """Thaws its processes."""
        await finish(self._native.unpause())

    async def wait(self, timeout: Seconds | None = None) -> int:
        """Waits for its end; the exit code: :meth:`containers.Container.wait`."""
        return await finish(self._native.wait(timeout))

    async def exec(
        self,
        command: Command,
        *,
        stdin: bool = False,
        tty: bool = False,
        tty_size: tuple[int, int] | None = None,
        environment: Mapping[str, str | int] | list[str] | None = None,
        working_dir: StrPath | None = None,
        user: str | int | None = None,
        privileged: bool = False,
        timeout: Seconds | None = None,
    ) -> Process:
        """Starts a further process in it: :meth:`containers.Container.exec`."""
        options = exec_options(command, stdin, tty, tty_size, environment, working_dir, user, privileged, timeout)
        return Process(await finish(self._native.exec(options)))

    async def exec_run(
        self,
        command: Command,
        *,
        check: bool = False,
        tty: bool = False,
        environment: Mapping[str, str | int] | list[str] | None = None,
        working_dir: StrPath | None = None,
        user: str | int | None = None,
        privileged: bool = False,
        timeout: Seconds | None = None,
    ) -> ExecResult:
        """Runs a further process to its end: :meth:`containers.Container.exec_run`."""
        options = exec_options(command, False, tty, None, environment, working_dir, user, privileged, timeout)
        exit_code, stdout, stderr, *_ = await finish(self._native.exec_run(options, check))
        return ExecResult(exit_code, stdout, stderr)

    async def attach(self) -> Process:
        """Its streams from now on: :meth:`containers.Container.attach`."""
        return Process(await finish(self._native.attach()))

    async def logs(
        self,
        *,
        tail: int | Literal["all"] | None = None,
        since: datetime | Seconds | None = None,
        until: datetime | Seconds | None = None,
        stdout: bool = True,
        stderr: bool = True,
    ) -> bytes:
        """Its output so far: :meth:`containers.Container.logs`."""
        return await finish(self._native.logs(log_options(tail, since, until, stdout, stderr)))

    async def logs_stream(
        self,
        *,
        follow: bool = True,
        tail: int | Literal["all"] | None = None,
        since: datetime | Seconds | None = None,
        until: datetime | Seconds | None = None,
        stdout: bool = True,
        stderr: bool = True,
    ) -> LogStream:
        """Its output line by line: :meth:`containers.Container.logs_stream`."""
        options = log_options(tail, since, until, stdout, stderr, follow)
        return LogStream(await finish(self._native.logs_stream(options)))

    async def resize(self, rows: int, cols: int) -> None:
        """Sets the size of its terminal in characters."""
        await finish(self._native.resize(rows, cols))

    async def rename(self, name: str) -> None:
        """Gives it another name. Raises AlreadyExists, InvalidArgument."""
        await finish(self._native.rename(name))

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Removes it and all that is its own: :meth:`containers.Container.remove`."""
        await finish(self._native.remove(force, volumes))

    async def __aenter__(self) -> Container:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owned:
            with contextlib.suppress(ContainerNotFound, HandleClosed):
                await self.remove(force=True)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class Containers:
    """The containers of a runtime, as :class:`containers.Containers`."""

    __slots__ = ("_native",)

    def __init__(self, native: Callable[[], _containers.Runtime]) -> None:
        self._native = native

    @overload
    async def run(
        self,
        image: ImageBase | str,
        command: Command | None = None,
        *,
        input: BytesLike | None = None,
        text: Literal[False] = False,
        check: bool = False,
        timeout: Seconds | None = None,
        max_output: int | None = None,
        detach: Literal[False] = False,
        **options: Unpack[CreateOptions],
    ) -> Output[bytes]: ...

    @overload
    async def run(
        self,
        image: ImageBase | str,
        command: Command | None = None,
        *,
        input: BytesLike | str | None = None,
        text: Literal[True],
        check: bool = False,
        timeout: Seconds | None = None,
        max_output: int | None = None,
        detach: Literal[False] = False,
        **options: Unpack[CreateOptions],
    ) -> Output[str]: ...

    @overload
    async def run(
        self,
        image: ImageBase | str,
        command: Command | None = None,
        *,
        detach: Literal[True],
        **options: Unpack[CreateOptions],
    ) -> Container: ...

    async def run(
        self,
        image: ImageBase | str,
        command: Command | None = None,
        *,
        input: BytesLike | str | None = None,
        text: bool = False,
        check: bool = False,
        timeout: Seconds | None = None,
        max_output: int | None = None,
        detach: bool = False,
        **options: Unpack[CreateOptions],
    ) -> Output[bytes] | Output[str] | Container:
        """Runs a command to its end: :meth:`containers.Containers.run`. Cancelling the task kills the container."""
        if detach:
            refuse_with_detach(input, check, timeout, max_output)
            container = await self.create(image, command, detach=True, **options)
            try:
                await container.start()
            except BaseException:
                await container.remove(force=True)
                raise
            return container
        given = input_bytes(input, text)
        prepared = run_options(command, options, check, timeout, max_output)
        operation = self._native().run(image_name(image), prepared, given)
        if not text:
            return Output(*await finish(operation))
        try:
            return as_text(Output(*await finish(operation)))
        except ContainersError as error:
            text_error(error)
            raise

    async def create(
        self,
        image: ImageBase | str,
        command: Command | None = None,
        *,
        detach: bool = False,
        **options: Unpack[CreateOptions],
    ) -> Container:
        """Creates a container; nothing runs yet: :meth:`containers.Containers.create`."""
        prepared = create_options(command, options, detach=detach)
        made = await finish(self._native().create(image_name(image), prepared))
        return Container(made, owned=not detach)

    async def get(self, id_or_name: str) -> Container:
        """Finds a container by id, unique beginning of an id, or name. Raises ContainerNotFound."""
        return Container(await finish(self._native().get(id_or_name)))

    async def list(
        self, *, all: bool = False, filters: Mapping[str, str | int | list[str]] | None = None
    ) -> list[Container]:
        """Containers, newest first: :meth:`containers.Containers.list`."""
        found = []
        for row in await finish(self._native().list({"all": all, "filters": filters})):
            with contextlib.suppress(ContainerNotFound):  # Removed meanwhile.
                found.append(await self.get(row["id"]))
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)
