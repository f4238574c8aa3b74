"""What operations return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, AnyStr, Generic, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from ._options import HealthCheck

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Output(Generic[AnyStr]):
    """The result of a command that ran to its end."""

    exit_code: int
    """Exit code; 128 + n after death by signal n."""
    stdout: AnyStr
    """What it wrote to standard output: bytes, or str with ``text=True``."""
    stderr: AnyStr
    """What it wrote to standard error."""
    args: list[str] = field(default_factory=list)
    """The command that ran: entrypoint and arguments."""
    signal: int | None = None
    """The signal that ended it; None: it exited."""
    oom_killed: bool = False
    """The kernel killed it, or a process of it, for want of memory."""

    def check(self) -> Output[AnyStr]:
        """Returns itself; raises :class:`~containers.ExitError` unless the exit code is 0."""
        if self.exit_code == 0:
            return self
        from .errors import ExitError

        raise ExitError(f"the command ended with exit code {self.exit_code}", output=self)


def as_text(output: Output[bytes]) -> Output[str]:
    """The same with text; what is not UTF-8 becomes U+FFFD."""
    return Output(
        output.exit_code,
        output.stdout.decode("utf-8", "replace"),
        output.stderr.decode("utf-8", "replace"),
        output.args,
        output.signal,
        output.oom_killed,
    )


class ExecResult(NamedTuple):
    """The result of :meth:`Container.exec_run <containers.Container.exec_run>`."""

    exit_code: int
    """Exit code; 128 + n after death by signal n."""
    stdout: bytes
    """What it wrote to standard output; everything with a terminal."""
    stderr: bytes
    """What it wrote to standard error."""


class _Pair(NamedTuple):
    stdout: bytes
    stderr: bytes


class Communicated(_Pair):
    """The result of :meth:`Process.communicate <containers.Process.communicate>`.

    Unpacks to ``stdout, stderr`` as subprocess's does, and knows the exit code too.
    """

    exit_code: int
    """Exit code; 128 + n after death by signal n."""
    signal: int | None
    """The signal that ended it."""

    @classmethod
    def of(cls, output: Output[bytes]) -> Communicated:
        """Both streams of an output."""
        pair = cls(output.stdout, output.stderr)
        pair.exit_code, pair.signal = output.exit_code, output.signal
        return pair


class LogLine(NamedTuple):
    """One piece of a log: a line with its end, or a part of one where the stream paused."""

    stream: StreamName
    """``stdout`` or ``stderr``."""
    data: bytes
    """The bytes."""
    time: float
    """Seconds since the epoch, when they arrived."""


@dataclass(frozen=True)
class PullEvent:
    """Progress of a pull or load."""

    event: Literal["resolved", "exists", "downloading", "extracting", "done", "complete"]
    """
    ``resolved`` (has ``digest``, ``layers``, ``total``), then for each ``layer``: ``exists``, or
    ``downloading`` (``current``, ``total``), ``extracting``, ``done``; at last ``complete`` (``id``, ``fetched``).
    """
    layer: str | None = None
    """Digest of the layer."""
    current: int | None = None
    """Bytes so far."""
    total: int | None = None
    """Bytes in all, compressed."""
    digest: str | None = None
    """Digest of the manifest."""
    layers: int | None = None
    """Number of layers."""
    id: str | None = None
    """Id of the image."""
    fetched: bool | None = None
    """Whether anything was fetched."""


@dataclass(frozen=True)
class ImageConfig:
    """The part of an image's configuration that containers take over."""

    env: list[str] = field(default_factory=list)
    """``KEY=value``."""
    entrypoint: list[str] = field(default_factory=list)
    """What runs the command."""
    cmd: list[str] = field(default_factory=list)
    """The command when none is given."""
    working_dir: str = ""
    """Working directory."""
    user: str = ""
    """``user``, ``uid``, ``user:group`` or ``uid:gid``; empty: root."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels."""
    exposed_ports: list[str] = field(default_factory=list)
    """``80/tcp``."""
    volumes: list[str] = field(default_factory=list)
    """Paths of anonymous volumes."""
    stop_signal: str = ""
    """Signal of ``stop``; empty: SIGTERM."""
    healthcheck: HealthCheck | None = None
    """How the health of detached containers is checked."""


@dataclass(frozen=True)
class HistoryEntry:
    """One entry of an image's history."""

    created: float
    """Seconds since the epoch; 0: unknown."""
    created_by: str
    """What made it."""
    size: int
    """Unpacked bytes of its layer; 0 without one."""
    comment: str
    """Comment."""
    empty_layer: bool
    """It has no layer."""


class Info(TypedDict):
    """What this machine and a root have."""

    version: str
    root: str
    run_root: str
    rootless: bool
    cgroup_version: str
    cgroup_driver: str
    cgroup_controllers: list[str]
    driver: str
    kernel: str
    architecture: str
    os: str
    ncpu: int
    mem_total: int
    images: int
    containers: int
    containers_running: int
    warnings: list[str]


def known(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Those values that the class has fields for: a newer native half may send more."""
    names = cls.__dataclass_fields__
    return {key: value for key, value in values.items() if key in names}
