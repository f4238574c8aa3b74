"""Everything that can fail raises a subclass of :class:`ContainersError`.

One tree, the same in every language of this library; the stable word for a class is its ``code``::

    ContainersError
    ├── NotFound             not_found
    │   ├── ImageNotFound, ContainerNotFound, NetworkNotFound, VolumeNotFound
    │   └── PathNotFound     (also a FileNotFoundError)
    ├── Conflict             conflict
    │   └── AlreadyExists, InUse, NotRunning
    ├── InvalidArgument      (also a ValueError)
    ├── Auth, Registry, Build
    ├── Exec                 exec
    │   ├── ExecTimeout      (also a TimeoutError)
    │   └── ExitError, CommandNotFound
    ├── Permission           (also a PermissionError)
    └── Unsupported, LimitExceeded, Cancelled, HandleClosed, Corrupt, Io, Internal

A value of a wrong type and an unknown keyword are Python's own ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._types import Output


class ContainersError(Exception):
    """Base of all errors of this library.

    ``str(error)`` is one line with the operation, the message, the context and the cause.
    """

    code: str = "error"
    """The stable word for what went wrong: ``image_not_found``, ``exec_timeout``…"""

    message: str
    """The sentence alone, without operation, context and cause."""

    operation: str
    """What was being done: ``image.pull``, ``container.start``…"""

    context: dict[str, str]
    """What it was about: ``ref``, ``path``, ``field``, ``step``…"""

    output: Output[Any] | None
    """What the command had written until then (``exec_timeout``, ``exit_error``, ``limit_exceeded``)."""

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "",
        context: Mapping[str, str] | None = None,
        output: Output[Any] | None = None,
        text: str | None = None,
    ) -> None:
        super().__init__(text if text is not None else message)
        self.message = message
        self.operation = operation
        self.context = dict(context or {})
        self.output = output

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.message, self.operation, self.context, self.output, str(self))
        return _rebuild, (type(self), self.code, *state)


class NotFound(ContainersError):
    """Something named does not exist."""

    code = "not_found"


class ImageNotFound(NotFound):
    """No such image in this root (nor, for a pull, in the registry)."""

    code = "image_not_found"


class ContainerNotFound(NotFound):
    """No such container in this root; it may have been removed meanwhile."""

    code = "container_not_found"


class NetworkNotFound(NotFound):
    """No such network."""

    code = "network_not_found"


class VolumeNotFound(NotFound):
    """No such volume."""

    code = "volume_not_found"


class PathNotFound(NotFound, FileNotFoundError):
    """No such path: ``context["path"]`` names it."""

    code = "path_not_found"


class Conflict(ContainersError):
    """The state of something forbids it."""

    code = "conflict"


class AlreadyExists(Conflict):
    """The name is taken."""

    code = "already_exists"


class InUse(Conflict):
    """Something else still needs it."""

    code = "in_use"


class NotRunning(Conflict):
    """The container does not run."""

    code = "not_running"


class InvalidArgument(ContainersError, ValueError):
    """A value that can never work: ``context["field"]`` names the argument."""

    code = "invalid_argument"


class Auth(ContainersError):
    """The registry refused the credentials, or wants some."""

    code = "auth"


class Registry(ContainersError):
    """The registry failed, can't be reached, or sent something wrong."""

    code = "registry"


class Build(ContainersError):
    """A build step failed."""

    code = "build"


class Exec(ContainersError):
    """A command failed."""

    code = "exec"

    @property
    def stdout(self) -> Any:
        """What the command had written to standard output; None when nothing was collected."""
        return self.output.stdout if self.output is not None else None

    @property
    def stderr(self) -> Any:
        """What the command had written to standard error; None when nothing was collected."""
        return self.output.stderr if self.output is not None else None


class ExecTimeout(Exec, TimeoutError):
    """A command, or a wait, did not end in time."""

    code = "exec_timeout"


class ExitError(Exec):
    """A command ended with a code other than 0, and ``check=True`` was given."""

    code = "exit_error"

    @property
    def exit_code(self) -> int | None:
        """The exit code."""
        return self.output.exit_code if self.output is not None else None


class CommandNotFound(Exec):
    """The command is not in the container, or can't be executed there."""

    code = "command_not_found"


class Unsupported(ContainersError):
    """This machine, or this version, can't do it; the message names the cause and the fix."""

    code = "unsupported"


class Permission(ContainersError, PermissionError):
    """The kernel or the file system forbids it."""

    code = "permission"


class LimitExceeded(ContainersError):
    """A bound was reached: output, size, entries, time."""

    code = "limit_exceeded"


class Cancelled(ContainersError):
    """The work was cancelled."""

    code = "cancelled"


class HandleClosed(ContainersError):
    """The runtime of the handle is closed, or the handle belongs to the process before a fork."""

    code = "handle_closed"


class Corrupt(ContainersError):
    """Stored data is damaged."""

    code = "corrupt"


class Io(ContainersError):
    """Input or output failed; ``__cause__`` is the OSError where there is one."""

    code = "io"


class Internal(ContainersError):
    """A defect of this library."""

    code = "internal"


def _descendants(base: type[ContainersError]) -> Iterable[type[ContainersError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _descendants(cls)


BY_CODE: dict[str, type[ContainersError]] = {cls.code: cls for cls in _descendants(ContainersError)}
"""The class for each code."""


def _rebuild(
    cls: type[ContainersError],
    code: str,
    message: str,
    operation: str,
    context: Mapping[str, str],
    output: Output[Any] | None,
    text: str,
) -> ContainersError:
    error = cls(message, operation=operation, context=context, output=output, text=text)
    if error.code != code:
        error.code = code
    return error


def _from_native(
    code: str,
    operation: str,
    message: str,
    context: Iterable[tuple[str, str]],
    output: tuple[int, bytes, bytes, list[str], int | None, bool] | None,
    text: str,
) -> ContainersError:
    """The exception for an error of the native half."""
    pairs: dict[str, str] = {}
    for key, value in context:
        pairs[key] = f"{pairs[key]}, {value}" if key in pairs else value
    made = Output(*output) if output is not None else None
    return _rebuild(BY_CODE.get(code, ContainersError), code, message, operation, pairs, made, text)


__all__ = ["BY_CODE", "ContainersError", *sorted(cls.__name__ for cls in BY_CODE.values())]
