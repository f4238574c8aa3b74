"""Processes with open streams and logs being read, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from ._bridge import Source, finish
from ._options import input_bytes, signal_number
from ._process import log_line
from ._types import Communicated, LogLine, Output, StreamName

if TYPE_CHECKING:
    from types import TracebackType

    from . import _containers
    from ._options import BytesLike, Seconds

_CHUNK = 65536


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
