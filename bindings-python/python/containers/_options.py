"""Arguments of calls, and how they become what the native half takes."""

from __future__ import annotations

import os
import signal as _signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from .errors import ContainersError, InvalidArgument

if TYPE_CHECKING:
    from ._types import Output

StrPath = Union[str, "os.PathLike[str]"]
Command = str | Sequence[StrPath]
"""A list of arguments, or text that is split as a shell would (without running one)."""
BytesLike = bytes | bytearray | memoryview
Seconds = float | int
PortTarget = int | tuple[str, int] | Sequence[Any] | None


class VolumeTarget(TypedDict, total=False):
    """Where a host path is seen, in docker-py's form."""

    bind: str
    """Absolute path in the container."""
    mode: str
    """``rw`` (default) or ``ro``."""


class Mount(TypedDict, total=False):
    """A mount, in docker's ``--mount`` vocabulary."""

    type: Literal["bind", "tmpfs", "volume"]
    """Default: ``bind`` when the source is a path, else ``volume``."""
    source: StrPath
    """Host path or volume name."""
    target: str
    """Absolute path in the container."""
    read_only: bool
    """Read-only, with everything below."""
    propagation: str
    """``private``, ``rprivate`` (default), ``slave``, ``rslave``, ``shared``, ``rshared``."""
    tmpfs_size: int | str
    """Size of a tmpfs: bytes, or text such as ``64m``."""
    tmpfs_mode: int
    """Mode bits of a tmpfs: ``0o1777``."""
    create_source: bool
    """Create the source folder when it is missing."""


class HealthCheck(TypedDict, total=False):
    """A health check. Times in seconds."""

    test: str | Sequence[str]
    """``["CMD", …]``, ``["CMD-SHELL", "…"]`` or ``["NONE"]``; a string is what ``CMD-SHELL`` runs."""
    interval: Seconds
    """Between checks; default 30."""
    timeout: Seconds
    """For one check; default 30."""
    retries: int
    """Failures in a row until unhealthy; default 3."""
    start_period: Seconds
    """Time after the start in which failures do not count; default 0."""


class Credentials(TypedDict, total=False):
    """Explicit credentials of a registry."""

    username: str
    password: str
    identity_token: str
    """An OAuth2 refresh token instead of the other two."""


class CreateOptions(TypedDict, total=False):
    """How to create a container. What is left out, or None, is the image's or docker's default.

    A type that does not fit is a TypeError that names the argument; a value that can never work is
    :class:`~containers.InvalidArgument` with ``context["field"]``; what this machine can't do is
    :class:`~containers.Unsupported`. No option is ever silently ignored.
    """

    name: str | None
    """Unique name; default: none for attached containers, else one is made up."""
    entrypoint: Command | None
    """None: the image's; ``[]``: cleared."""
    environment: Mapping[str, str | int] | Sequence[str] | None
    """Variables on top of the image's: ``{"A": "1"}`` or ``["A=1"]``."""
    working_dir: StrPath | None
    """Absolute path; created when missing."""
    user: str | int | None
    """``user``, ``uid``, ``user:group`` or ``uid:gid``."""
    group_add: Sequence[str | int] | None
    """Supplementary groups."""
    hostname: str | None
    """Default: the first 12 digits of the id."""
    domainname: str | None
    """NIS domain name."""
    labels: Mapping[str, str | int] | Sequence[str] | None
    """Labels on top of the image's."""
    annotations: Mapping[str, str | int] | Sequence[str] | None
    """OCI annotations: kept and shown, never acted on."""
    stdin: bool | None
    """Keep standard input open, for :meth:`Container.attach`; a run has ``input`` instead."""
    tty: bool | None
    """Give it a terminal."""
    tty_size: tuple[int, int] | None
    """Rows and columns of the terminal; default (24, 80)."""
    read_only: bool | None
    """Read-only root file system."""
    in_memory: bool | None
    """Keep the writable layer in memory instead of on disk; it counts as the container's memory."""
    init: bool | None
    """A small init as process 1."""
    mem_limit: int | str | None
    """Bytes, or text such as ``256m`` (b, k, m, g, t; powers of 1024)."""
    cpus: float | int | None
    """Processors, e.g. 1.5."""
    cpu_shares: int | None
    """Relative weight, 2 to 262144; default 1024."""
    cpuset_cpus: str | None
    """Processors it may use: ``0-2,4``."""
    pids_limit: int | None
    """Most processes; -1: no limit; default 2048 where it can be set."""
    ulimits: Mapping[str, int | tuple[int, int]] | None
    """``{"nofile": (soft, hard)}``; -1: no limit."""
    shm_size: int | str | None
    """Size of /dev/shm; default ``64m``."""
    cap_add: Sequence[str] | None
    """Capabilities added: ``NET_ADMIN``, ``ALL``."""
    cap_drop: Sequence[str] | None
    """Capabilities dropped."""
    privileged: bool | None
    """All capabilities and devices, no seccomp, nothing masked."""
    no_new_privs: bool | None
    """Default True."""
    seccomp_profile: StrPath | None
    """Docker's seccomp JSON itself, a path of such a file, or ``unconfined``."""
    userns: str | None
    """``host``, or ``auto`` for a user namespace of its own."""
    sysctls: Mapping[str, str | int] | None
    """Sysctls of the container's own namespaces."""
    devices: Sequence[str] | None
    """``source[:target[:rwm]]``."""
    network: str | None
    """``none`` (default) or ``host``."""
    ports: Mapping[str | int, PortTarget] | None
    """Published ports: ``{"80/tcp": 8080}``; None: a free one."""
    dns: Sequence[str] | None
    """Name servers."""
    extra_hosts: Mapping[str, str] | None
    """Host names to addresses."""
    volumes: Mapping[str, VolumeTarget | str] | Mapping[os.PathLike[str], VolumeTarget | str] | Sequence[str] | None
    """``{"/host": {"bind": "/inside", "mode": "ro"}}``, or ``["/host:/inside:ro"]``."""
    mounts: Sequence[Mount] | None
    """Mounts in the long form."""
    tmpfs: Mapping[str, str] | None
    """Path to options: ``{"/scratch": "size=64m,mode=1777"}``."""
    restart_policy: str | Mapping[str, str | int] | None
    """``no``, ``on-failure[:n]``, ``always``, ``unless-stopped``; only for detached containers."""
    healthcheck: HealthCheck | None
    """Health check; only for detached containers. What it leaves out is the image's; ``["NONE"]``: not even that."""
    stop_signal: str | int | None
    """Signal of :meth:`Container.stop`; default the image's, else SIGTERM."""
    stop_timeout: Seconds | None
    """Seconds that :meth:`Container.stop` waits before it kills; default 10."""
    auto_remove: bool | None
    """Remove it when it has ended."""
    pull: Literal["missing", "always", "never"] | None
    """Whether to pull the image first; default ``never``."""
    platform: str | None
    """``os/arch[/variant]`` of the image."""


def command_list(command: Command | None, field: str = "command") -> Any:
    """Arguments as a list; text is split as a shell would."""
    if not isinstance(command, str):
        return command
    import shlex

    try:
        return shlex.split(command)
    except ValueError as e:
        raise InvalidArgument(f"can't be split into arguments: {e}", context={"field": field}) from None


def create_options(command: Command | None, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What the native half takes for a container."""
    made = {**options, **more}
    made["command"] = command_list(command)
    if isinstance(made.get("entrypoint"), str):
        made["entrypoint"] = command_list(made["entrypoint"], "entrypoint")
    return made


def log_options(
    tail: int | str | None,
    since: datetime | Seconds | None,
    until: datetime | Seconds | None,
    stdout: bool,
    stderr: bool,
    follow: bool = False,
) -> dict[str, Any]:
    """What the native half takes for a log."""
    return {
        "tail": None if tail == "all" else tail,
        "since": since.timestamp() if isinstance(since, datetime) else since,
        "until": until.timestamp() if isinstance(until, datetime) else until,
        "follow": follow,
        "no_stdout": not stdout,
        "no_stderr": not stderr,
    }


def input_bytes(data: BytesLike | str | None, text: bool) -> bytes | None:
    """Standard input as bytes."""
    if data is None or type(data) is bytes:
        return data
    if isinstance(data, str):
        if text:
            return data.encode()
        raise TypeError("input: expected bytes, not str (or give text=True)")
    try:
        return bytes(memoryview(data))
    except TypeError:
        wanted = "str or bytes" if text else "bytes"
        raise TypeError(f"input: expected {wanted}, not {type(data).__name__}") from None


def text_error(error: ContainersError) -> None:
    """Gives an error's output as text."""
    from ._types import as_text

    output: Output[Any] | None = error.output
    if output is not None and isinstance(output.stdout, bytes):
        error.output = as_text(output)


def signal_name(signal: str | int | None) -> str:
    """A signal for a container."""
    if signal is None:
        return "SIGKILL"
    if isinstance(signal, str):
        return signal
    if isinstance(signal, int) and not isinstance(signal, bool):
        return str(int(signal))
    raise TypeError(f"signal: expected str or int, not {type(signal).__name__}")


def signal_number(signal: str | int) -> int:
    """A signal for a process."""
    if isinstance(signal, int) and not isinstance(signal, bool):
        return int(signal)
    if not isinstance(signal, str):
        raise TypeError(f"signal: expected str or int, not {type(signal).__name__}")
    if signal.isdigit():
        return int(signal)
    name = signal.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    try:
        return _signal.Signals[name].value
    except KeyError:
        raise InvalidArgument(f"'{signal}' is no signal", context={"field": "signal"}) from None
