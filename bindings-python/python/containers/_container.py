"""Containers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _containers
from ._image import Image, image_name
from ._later import missing
from ._options import create_options, input_bytes, log_options, signal_name, text_error
from ._process import LogStream, Process
from ._types import ExecResult, Output, as_text
from .errors import ContainerNotFound, ContainersError, HandleClosed, InvalidArgument

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Unpack

    from ._options import BytesLike, Command, CreateOptions, Seconds, StrPath


def exec_options(
    command: Command,
    stdin: bool,
    tty: bool,
    tty_size: tuple[int, int] | None,
    environment: Any,
    working_dir: StrPath | None,
    user: str | int | None,
    privileged: bool,
    timeout: Seconds | None,
) -> dict[str, Any]:
    """What the native half takes for a further process."""
    options = {
        "stdin": stdin,
        "tty": tty,
        "tty_size": tty_size,
        "environment": environment,
        "working_dir": working_dir,
        "user": user,
        "privileged": privileged,
        "timeout": timeout,
    }
    return create_options(command, options)


def run_options(
    command: Command | None,
    options: Mapping[str, Any],
    check: bool,
    timeout: Seconds | None,
    max_output: int | None,
) -> dict[str, Any]:
    """What the native half takes for a run."""
    return create_options(command, options, check=check, timeout=timeout, max_output=max_output)


def refuse_with_detach(input: object, check: bool, timeout: object, max_output: object) -> None:
    """A detached container has nobody to collect its output for."""
    given = {
        "input": input is not None,
        "check": check,
        "timeout": timeout is not None,
        "max_output": max_output,
    }
    for field, is_given in given.items():
        if is_given:
            raise InvalidArgument(f"{field} has no meaning with detach=True", context={"field": field})


class ContainerBase:
    """What is known about a container without waiting for more than a record on disk."""

    def __init__(self, native: _containers.Container, owned: bool = False) -> None:
        self._native = native
        self._owned = owned

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self._native.id

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self._native.id[:12]

    @property
    def name(self) -> str:
        """Its name; may be empty for an attached one."""
        return self._native.name

    @property
    def status(self) -> str:
        """How it stands now: ``created running paused restarting exited dead``.

        Raises ContainerNotFound when it has been removed.
        """
        return self._native.status().wait()

    @property
    def pid(self) -> int | None:
        """Process id of its first process on the host; None when it does not run."""
        return self._native.pid().wait()

    @property
    def ports(self) -> dict[str, Any]:
        """Published ports, as in docker's inspect document."""
        settings = self._native.inspect().wait().get("NetworkSettings") or {}
        return cast("dict[str, Any]", settings.get("Ports") or {})

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, and those of its image."""
        config = self._native.inspect().wait().get("Config") or {}
        return cast("dict[str, str]", config.get("Labels") or {})

    def fileno(self) -> int:
        """A descriptor that polls readable when the container has ended, over restarts too.

        It belongs to this handle: ``select.select([container], [], [])`` and ``loop.add_reader(container, …)`` work.
        """
        return self._native.exit_fd().wait()

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<{type(self).__name__}: {self.short_id}{name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContainerBase) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class Container(ContainerBase):
    """One container: one command with its own file system, processes and limits.

    The handle from :meth:`Containers.create` owns an attached container: when it goes, or this process ends in any
    way, the container is killed and removed. Handles from ``get`` and ``list`` never kill. As a context manager, an
    owned attached container is removed at the end of the block; others are left as they are.

    Every method raises ContainerNotFound when the container has been removed, and HandleClosed when the runtime is
    closed or the process has forked. Times are in seconds.
    """

    @property
    def image(self) -> Image:
        """The image it was made from. Raises ImageNotFound when that has been removed."""
        return Image(self._native.image().wait())

    def inspect(self) -> dict[str, Any]:
        """Everything about it, as docker's inspect document."""
        return self._native.inspect().wait()

    def start(self) -> None:
        """Starts it; returns when its command has been executed.

        Raises CommandNotFound, InvalidArgument (user, working directory), PathNotFound (a bind source), Permission.
        """
        self._native.start().wait()

    def stop(self, timeout: Seconds | None = None, *, stop_signal: str | int | None = None) -> None:
        """Sends ``stop_signal``, waits ``timeout`` (both default to the container's), then kills.

        Fine when it does not run.
        """
        self._native.stop(timeout, signal_name(stop_signal) if stop_signal is not None else None).wait()

    def restart(self, timeout: Seconds | None = None, *, stop_signal: str | int | None = None) -> None:
        """Stop, then start."""
        self._native.restart(timeout, signal_name(stop_signal) if stop_signal is not None else None).wait()

    def kill(self, signal: str | int | None = None) -> None:
        """Sends a signal to its first process, default SIGKILL: ``"SIGHUP"``, ``"HUP"`` or ``1``.

        Raises NotRunning, and InvalidArgument for what is no signal.
        """
        self._native.kill(signal_name(signal)).wait()

    def pause(self) -> None:
        """Freezes its processes. Raises NotRunning, Unsupported."""
        self._native.pause().wait()

    def unpause(self) -> None:
        """Thaws its processes. Raises Conflict when it is not paused."""
        self._native.unpause().wait()

    def wait(self, timeout: Seconds | None = None) -> int:
        """Waits for its end; the exit code (128 + n after death by signal n).

        Raises ExecTimeout after ``timeout`` seconds, and kills nothing.
        """
        return self._native.wait(timeout).wait()

    def exec(
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
        """Starts a further process in it.

        ``stdin`` opens its standard input for writing, else it is /dev/null. ``tty`` gives it a terminal of
        ``tty_size`` (rows, columns; default 24, 80). ``environment`` comes on top of the container's. ``timeout``:
        seconds until its process group is killed; then waiting and reading raise ExecTimeout.

        Raises NotRunning, CommandNotFound, InvalidArgument (user, working directory).
        """
        options = exec_options(command, stdin, tty, tty_size, environment, working_dir, user, privileged, timeout)
        return Process(self._native.exec(options).wait())

    def exec_run(
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
        """Runs a further process to its end: ``exit_code, stdout, stderr``.

        Raises ExecTimeout with the partial output after ``timeout`` seconds (it is killed then), ExitError with
        ``check`` and an exit code other than 0, and what :meth:`exec` raises.
        """
        options = exec_options(command, False, tty, None, environment, working_dir, user, privileged, timeout)
        exit_code, stdout, stderr, *_ = self._native.exec_run(options, check).wait()
        return ExecResult(exit_code, stdout, stderr)

    def attach(self) -> Process:
        """Its streams from now on; before :meth:`start` too. Input only when it was created with ``stdin=True``."""
        return Process(self._native.attach().wait())

    def logs(
        self,
        *,
        tail: int | Literal["all"] | None = None,
        since: datetime | Seconds | None = None,
        until: datetime | Seconds | None = None,
        stdout: bool = True,
        stderr: bool = True,
    ) -> bytes:
        """Its output so far, both streams in order of arrival.

        ``tail``: only the last so many lines. ``since``, ``until``: a datetime, or seconds since the epoch.
        """
        return self._native.logs(log_options(tail, since, until, stdout, stderr)).wait()

    def logs_stream(
        self,
        *,
        follow: bool = True,
        tail: int | Literal["all"] | None = None,
        since: datetime | Seconds | None = None,
        until: datetime | Seconds | None = None,
        stdout: bool = True,
        stderr: bool = True,
    ) -> LogStream:
        """Its output line by line, an iterator of :class:`LogLine`; with ``follow`` until the container has ended."""
        options = log_options(tail, since, until, stdout, stderr, follow)
        return LogStream(self._native.logs_stream(options).wait())

    def resize(self, rows: int, cols: int) -> None:
        """Sets the size of its terminal in characters."""
        self._native.resize(rows, cols).wait()

    def rename(self, name: str) -> None:
        """Gives it another name. Raises AlreadyExists, InvalidArgument."""
        self._native.rename(name).wait()

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Removes it and all that is its own; ``volumes``: its anonymous volumes too.

        What its image declares as volumes is the container's own, and goes in any case.

        Raises Conflict while it runs, unless ``force``.
        """
        self._native.remove(force, volumes).wait()

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owned:
            with contextlib.suppress(ContainerNotFound, HandleClosed):
                self.remove(force=True)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class Containers:
    """The containers of a runtime: :attr:`Runtime.containers`."""

    __slots__ = ("_native",)

    def __init__(self, native: _containers.Runtime) -> None:
        self._native = native

    @overload
    def run(
        self,
        image: Image | str,
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
    def run(
        self,
        image: Image | str,
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
    def run(
        self,
        image: Image | str,
        command: Command | None = None,
        *,
        detach: Literal[True],
        **options: Unpack[CreateOptions],
    ) -> Container: ...

    def run(
        self,
        image: Image | str,
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
        """Runs a command to its end in a throw-away container and collects its output.

        ``image``: an :class:`Image`, a reference, an id, or ``"host"``. ``command``: a list, or text that is split as
        a shell would; None: the image's. ``input``: bytes (with ``text`` also str) for standard input, else it is
        /dev/null. ``text``: output as str, decoded from UTF-8 with U+FFFD for what is none. ``timeout``: seconds
        until the whole container is killed. ``max_output``: most bytes of output to collect, default 64 MiB.
        ``options``: :class:`CreateOptions`. With ``detach=True`` the container is started and returned instead, and
        lives on without this process.

        Death by signal n is exit code 128 + n with ``signal`` set. ^C kills the container and raises
        KeyboardInterrupt. Nothing is left behind.

        Raises ExecTimeout and LimitExceeded with the partial output, ExitError with ``check`` and an exit code other
        than 0, ImageNotFound, CommandNotFound, InvalidArgument, PathNotFound (a bind source), Unsupported, Permission.
        """
        if detach:
            refuse_with_detach(input, check, timeout, max_output)
            container = self.create(image, command, detach=True, **options)
            try:
                container.start()
            except BaseException:
                container.remove(force=True)
                raise
            return container
        given = input_bytes(input, text)
        prepared = run_options(command, options, check, timeout, max_output)
        operation = self._native.run(image_name(image), prepared, given)
        if not text:
            return Output(*operation.wait())
        try:
            return as_text(Output(*operation.wait()))
        except ContainersError as error:
            text_error(error)
            raise

    def create(
        self,
        image: Image | str,
        command: Command | None = None,
        *,
        detach: bool = False,
        **options: Unpack[CreateOptions],
    ) -> Container:
        """Creates a container; nothing runs yet. ``options``: :class:`CreateOptions`.

        By default it is attached: it dies, and is cleaned up, with this handle or this process. With ``detach=True``
        it lives on, and any process that opens the same root finds it.

        Raises ImageNotFound, AlreadyExists (the name), InvalidArgument, PathNotFound, Unsupported.
        """
        made = self._native.create(image_name(image), create_options(command, options, detach=detach)).wait()
        return Container(made, owned=not detach)

    def get(self, id_or_name: str) -> Container:
        """Finds a container by id, unique beginning of an id, or name. Raises ContainerNotFound."""
        return Container(self._native.get(id_or_name).wait())

    def list(self, *, all: bool = False, filters: Mapping[str, str | int | list[str]] | None = None) -> list[Container]:
        """Containers, newest first: those that run, or ``all``.

        ``filters``: docker's ``name``, ``id``, ``label``, ``status``, ``ancestor``, ``exited``, each with a value or
        a list of them. Raises InvalidArgument for an unknown one.
        """
        found = []
        for row in self._native.list({"all": all, "filters": filters}).wait():
            with contextlib.suppress(ContainerNotFound):  # Removed meanwhile.
                found.append(self.get(row["id"]))
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)
