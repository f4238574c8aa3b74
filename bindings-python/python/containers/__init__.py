"""Containers inside the program that needs them: no daemon, no root.

::

    import containers

    r = containers.run("host", ["id", "-u"], timeout=10)
    r.exit_code, r.stdout, r.stderr

    with containers.Runtime() as rt:
        image = rt.images.pull("localhost:5000/app:1", progress=True)
        with rt.containers.create(image, ["sleep", "inf"], mem_limit="256m") as c:
            c.start()
            print(c.exec_run(["ls"], check=True).stdout.decode())

:mod:`containers.aio` is the same for asyncio. Errors are subclasses of :class:`ContainersError`.
"""

from __future__ import annotations

import atexit as _atexit

from . import _containers
from ._container import Container, Containers
from ._image import Image, Images, Progress
from ._options import Command, CreateOptions, Credentials, HealthCheck, Mount, VolumeTarget
from ._process import LogStream, Process, ProcessInput, ProcessOutput
from ._runtime import Runtime, run
from ._types import (
    Communicated,
    ExecResult,
    HistoryEntry,
    ImageConfig,
    Info,
    LogLine,
    Output,
    PullEvent,
    StreamName,
)
from .errors import (
    AlreadyExists,
    Auth,
    Build,
    Cancelled,
    CommandNotFound,
    Conflict,
    ContainerNotFound,
    ContainersError,
    Corrupt,
    Exec,
    ExecTimeout,
    ExitError,
    HandleClosed,
    ImageNotFound,
    Internal,
    InUse,
    InvalidArgument,
    Io,
    LimitExceeded,
    NetworkNotFound,
    NotFound,
    NotRunning,
    PathNotFound,
    Permission,
    Registry,
    Unsupported,
    VolumeNotFound,
)

__version__: str = _containers.__version__

_atexit.register(_containers.at_exit)

__all__ = [
    "AlreadyExists",
    "Auth",
    "Build",
    "Cancelled",
    "Command",
    "CommandNotFound",
    "Communicated",
    "Conflict",
    "Container",
    "ContainerNotFound",
    "Containers",
    "ContainersError",
    "Corrupt",
    "CreateOptions",
    "Credentials",
    "Exec",
    "ExecResult",
    "ExecTimeout",
    "ExitError",
    "HandleClosed",
    "HealthCheck",
    "HistoryEntry",
    "Image",
    "ImageConfig",
    "ImageNotFound",
    "Images",
    "InUse",
    "Info",
    "Internal",
    "InvalidArgument",
    "Io",
    "LimitExceeded",
    "LogLine",
    "LogStream",
    "Mount",
    "NetworkNotFound",
    "NotFound",
    "NotRunning",
    "Output",
    "PathNotFound",
    "Permission",
    "Process",
    "ProcessInput",
    "ProcessOutput",
    "Progress",
    "PullEvent",
    "Registry",
    "Runtime",
    "StreamName",
    "Unsupported",
    "VolumeNotFound",
    "VolumeTarget",
    "errors",
    "run",
]
