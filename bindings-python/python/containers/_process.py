"""Processes with open streams, and logs being read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ._options import input_bytes, signal_number
from ._types import Communicated, LogLine, Output, StreamName

if TYPE_CHECKING:
    from types import TracebackType

    from . import _containers
    from ._options import BytesLike, Seconds

_CHUNK = 65536


class ProcessInput(io.RawIOBase):
    """Standard input of a :class:`Process`: writes wait while the process does not read."""

    def __init__(self, native: _containers.Process) -> None:
        super().__init__()
        self._native = native

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Writes all of ``data``. Raises BrokenPipeError, as an :class:`~containers.Io`'s cause, when nobody reads."""
        if self.closed:
            raise ValueError("write to closed file")
        given = input_bytes(data, False)
        if given:
            self._native.write(given).wait()
        return len(given or b"")

    def close(self) -> None:
        """Closes it: the process sees the end of its input."""
        if not self.closed:
            super().close()
            self._native.close_stdin()


class _RawOutput(io.RawIOBase):
    def __init__(self, native: _containers.Process, stream: StreamName) -> None:
        super().__init__()
        self._native = native
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._native.read(self._stream, len(view)).wait()
        view[: len(data)] = data
        return len(data)


class ProcessOutput(io.BufferedReader):
    """Standard output or error of a :class:`Process`: a buffered binary file."""

    def __init__(self, native: _containers.Process, stream: StreamName) -> None:
        super().__init__(_RawOutput(native, stream), _CHUNK)


class Process:
    """A further process in a container (:meth:`Container.exec`), or its first one (:meth:`Container.attach`).

    Iterate over it for ``("stdout" | "stderr", bytes)`` in order of arrival, or read :attr:`stdout` and
    :attr:`stderr`, or call :meth:`communicate`: one of them, not several at a time. Streams are lossless: a process
    waits while nobody reads. Leaving the ``with`` block closes its input and waits for its end, as with
    subprocess.Popen; a process that is given up without that is killed with its group.
    """

    def __init__(self, native: _containers.Process) -> None:
        self._native = native
        stdin, stdout, stderr = native.fds()
        self._stdin = ProcessInput(native) if stdin is not None else None
        self._stdout = ProcessOutput(native, "stdout") if stdout is not None else None
        self._stderr = ProcessOutput(native, "stderr") if stderr is not None else None

    @property
    def stdin(self) -> ProcessInput | None:
        """Standard input, a writable binary file; None unless it was asked for."""
        return self._stdin

    @property
    def stdout(self) -> ProcessOutput | None:
        """Standard output, a readable binary file; everything with a terminal."""
        return self._stdout

    @property
    def stderr(self) -> ProcessOutput | None:
        """Standard error, a readable binary file; None with a terminal."""
        return self._stderr

    @property
    def returncode(self) -> int | None:
        """The exit code if it has ended, else None: :meth:`poll`."""
        return self.poll()

    def __iter__(self) -> Iterator[tuple[StreamName, bytes]]:
        """Output of both streams in order of arrival, until both have ended."""
        while (chunk := self._native.next().wait()) is not None:
            yield cast("tuple[StreamName, bytes]", chunk)

    def wait(self, timeout: Seconds | None = None) -> int:
        """Waits for its end; the exit code (128 + n after death by signal n).

        ``timeout`` in seconds: raises ExecTimeout then and kills nothing. Also raises it when exec's own ``timeout``
        has killed the process.
        """
        return self._native.wait(timeout).wait()

    def poll(self) -> int | None:
        """The exit code if it has ended, else None."""
        return self._native.poll().wait()

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Sends it a signal: ``"SIGTERM"``, ``"TERM"``, ``15`` or ``signal.SIGTERM``.

        Raises InvalidArgument for what is no signal.
        """
        self._native.kill(signal_number(signal)).wait()

    def resize(self, rows: int, cols: int) -> None:
        """Sets the size of its terminal in characters."""
        self._native.resize(rows, cols).wait()

    def communicate(self, input: BytesLike | None = None) -> Communicated:
        """Writes ``input``, closes standard input, collects all output, waits.

        Returns both streams as bytes: ``stdout, stderr = p.communicate()``; the result also has ``exit_code``.
        """
        native = self._native.communicate(input_bytes(input, False) or b"").wait()
        return Communicated.of(Output(*native))

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stdin is not None:
            self._stdin.close()
        if kind is not None and self.poll() is None:
            self.kill()
        self.wait()


class LogStream:
    """The output of a container line by line: :meth:`Container.logs_stream`."""

    def __init__(self, native: _containers.Log) -> None:
        self._native: _containers.Log | None = native

    def __iter__(self) -> LogStream:
        return self

    def __next__(self) -> LogLine:
        native = self._native
        line = native.next().wait() if native is not None else None
        if line is None:
            raise StopIteration
        return log_line(line)

    def close(self) -> None:
        """Reads no further. Closing twice is fine."""
        self._native = None

    def __enter__(self) -> LogStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def log_line(line: tuple[str, bytes, int]) -> LogLine:
    """A line of the native half."""
    stream, data, nanoseconds = line
    return LogLine(cast(StreamName, stream), data, nanoseconds / 1e9)
