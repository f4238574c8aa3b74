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

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _containers
from ._bridge import Source, finish
from ._container import ContainerBase, exec_options, refuse_with_detach, run_options
from ._image import ImageBase, Progress, image_name, import_options, on_event, pull_options
from ._later import missing
from ._options import create_options, input_bytes, log_options, signal_name, signal_number, text_error
from ._process import log_line
from ._types import Communicated, ExecResult, Info, LogLine, Output, StreamName, as_text
from .errors import ContainerNotFound, ContainersError, HandleClosed, ImageNotFound

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Unpack

    from ._options import BytesLike, Command, CreateOptions, Credentials, Seconds, StrPath

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

_CHUNK = 65536


class Image(ImageBase):
    """One image, as :class:`containers.Image`."""

    __slots__ = ()

    @staticmethod
    def host(paths: Iterable[StrPath] = ()) -> Image:
        """The machine's own system: :meth:`containers.Image.host`."""
        return Image(_containers.host([os.fspath(path) for path in paths]))

    async def tag(self, reference: str) -> None:
        """Gives it a further reference: :meth:`containers.Image.tag`."""
        await finish(self._native.tag(reference))

    async def inspect(self) -> dict[str, Any]:
        """Everything about it, as docker's inspect document."""
        return await finish(self._native.inspect())


class Images:
    """The images of a runtime, as :class:`containers.Images`."""

    __slots__ = ("_native",)

    def __init__(self, native: Callable[[], _containers.Runtime]) -> None:
        self._native = native

    async def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        policy: Literal["missing", "always", "never"] = "missing",
        auth: Credentials | None = None,
        insecure: bool = False,
        progress: Progress = None,
    ) -> Image:
        """Fetches an image: :meth:`containers.Images.pull`.

        A ``progress`` callable is called on the loop and must not wait; what it raises cancels the pull.
        """
        show = on_event(progress)
        options = pull_options(platform, policy, cast("Mapping[str, str] | None", auth), insecure)
        operation = self._native().image_pull(reference, options, show is not None)
        return Image(await finish(operation, show))

    async def load(self, path: StrPath, *, platform: str | None = None, progress: Progress = None) -> list[Image]:
        """Loads an OCI layout or a docker-archive: :meth:`containers.Images.load`."""
        show = on_event(progress)
        operation = self._native().image_load(os.fspath(path), platform, show is not None)
        return [Image(native) for native in await finish(operation, show)]

    async def import_(
        self,
        path: StrPath,
        *,
        tag: str | None = None,
        changes: Sequence[str] = (),
        message: str | None = None,
        platform: str | None = None,
    ) -> Image:
        """Makes an image of a root file system tar: :meth:`containers.Images.import_`."""
        options = import_options(tag, changes, message, platform)
        return Image(await finish(self._native().image_import(os.fspath(path), options)))

    async def get(self, reference: str) -> Image:
        """Finds an image: :meth:`containers.Images.get`."""
        return Image(await finish(self._native().image_get(reference)))

    async def list(self) -> list[Image]:
        """All images, newest first."""
        images = []
        for row in await finish(self._native().image_list()):
            with contextlib.suppress(ImageNotFound):  # Removed meanwhile.
                images.append(await self.get(row["id"]))
        return images

    async def remove(self, image: ImageBase | str, *, force: bool = False) -> None:
        """Removes a reference, or an image: :meth:`containers.Images.remove`."""
        name = image_name(image)
        await finish(self._native().image_remove(name if isinstance(name, str) else name.id, force))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class ProcessInput:
    """Standard input of a :class:`Process`."""

    def __init__(self, native: _containers.Process) -> None:
        self._native = native

    async def write(self, data: BytesLike) -> None:
        """Writes all of ``data``; waits while the process does not read. Raises Io when nobody reads any more."""
        given = input_bytes(data, False)
        if given:
            await finish(self._native.write(given))

    async def close(self) -> None:
        """Closes it: the process sees the end of its input. Closing twice is fine."""
        self._native.close_stdin()


class ProcessOutput:
    """Standard output or error of a :class:`Process`; ``async for`` gives its lines."""

    def __init__(self, native: _containers.Process, stream: StreamName) -> None:
        self._source = Source(lambda: native.read(stream, _CHUNK))
        self._buffer = bytearray()
        self._ended = False

    async def _fill(self) -> bool:
        if not self._ended:
            data = await self._source.next()
            self._ended = not data
            self._buffer += data
        return not self._ended

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, as soon as there are some; -1: everything until the end. Empty at the end."""
        if size < 0:
            while await self._fill():
                pass
            return self._take(len(self._buffer))
        if size > 0 and not self._buffer:
            await self._fill()
        return self._take(size)

    async def readline(self) -> bytes:
        """The next line with its end; what is left at the end of the stream, then empty."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if not await self._fill():
                return self._take(len(self._buffer))
        return self._take(end + 1)

    def __aiter__(self) -> ProcessOutput:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class Process:
    """A process with open streams, as :class:`containers.Process`; ``async for`` gives both streams in order."""

    def __init__(self, native: _containers.Process) -> None:
        self._native = native
        self._chunks = Source(native.next)
        stdin, stdout, stderr = native.fds()
        self._stdin = ProcessInput(native) if stdin is not None else None
        self._stdout = ProcessOutput(native, "stdout") if stdout is not None else None
        self._stderr = ProcessOutput(native, "stderr") if stderr is not None else None

    @property
    def stdin(self) -> ProcessInput | None:
        """Standard input; None unless it was asked for."""
        return self._stdin

    @property
    def stdout(self) -> ProcessOutput | None:
        """Standard output; everything with a terminal."""
        return self._stdout

    @property
    def stderr(self) -> ProcessOutput | None:
        """Standard error; None with a terminal."""
        return self._stderr

    @property
    def returncode(self) -> int | None:
        """The exit code if it has ended, else None."""
        return self._native.poll().wait()

    async def __aiter__(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        """Output of both streams in order of arrival, until both have ended."""
        while (chunk := await self._chunks.next()) is not None:
            yield cast("tuple[StreamName, bytes]", chunk)

    async def wait(self, timeout: Seconds | None = None) -> int:
        """Waits for its end; the exit code: :meth:`containers.Process.wait`."""
        return await finish(self._native.wait(timeout))

    async def poll(self) -> int | None:
        """The exit code if it has ended, else None."""
        return await finish(self._native.poll())

    async def kill(self, signal: str | int = "SIGKILL") -> None:
        """Sends it a signal: :meth:`containers.Process.kill`."""
        await finish(self._native.kill(signal_number(signal)))

    async def resize(self, rows: int, cols: int) -> None:
        """Sets the size of its terminal in characters."""
        await finish(self._native.resize(rows, cols))

    async def communicate(self, input: BytesLike | None = None) -> Communicated:
        """Writes ``input``, closes standard input, collects all output, waits: ``stdout, stderr``."""
        native = await finish(self._native.communicate(input_bytes(input, False) or b""))
        return Communicated.of(Output(*native))

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stdin is not None:
            await self._stdin.close()
        if kind is not None and self.returncode is None:
            await self.kill()
        await self.wait()


class LogStream:
    """The output of a container line by line, as :class:`containers.LogStream`."""

    def __init__(self, native: _containers.Log) -> None:
        self._source: Source[tuple[str, bytes, int] | None] | None = Source(native.next)

    def __aiter__(self) -> LogStream:
        return self

    async def __anext__(self) -> LogLine:
        line = await self._source.next() if self._source is not None else None
        if line is None:
            raise StopAsyncIteration
        return log_line(line)

    async def close(self) -> None:
        """Reads no further. Closing twice is fine."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    async def __aenter__(self) -> LogStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


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

    async def stop(self, timeout: Seconds | None = None) -> None:
        """Stops it: :meth:`containers.Container.stop`."""
        await finish(self._native.stop(timeout))

    async def restart(self, timeout: Seconds | None = None) -> None:
        """Stop, then start."""
        await finish(self._native.restart(timeout))

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
