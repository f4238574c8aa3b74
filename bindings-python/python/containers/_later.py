"""What the interface names and this version does not have yet: using it says so, as ``Unsupported``."""

from __future__ import annotations

from typing import Any

from .errors import Unsupported, _rebuild


class _NotYet(Unsupported, AttributeError):
    """Also an AttributeError, so that ``hasattr`` answers."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (Unsupported, self.code, self.message, self.operation, self.context, self.output, str(self))


# It is named by its code, as all errors are.
_NotYet.__name__ = _NotYet.__qualname__ = Unsupported.__name__
_NotYet.__module__ = Unsupported.__module__


_NOT_YET: dict[str, dict[str, str]] = {
    "Runtime": {
        "networks": "networks beyond none and host are not built yet; use network='host'",
        "volumes": "named volumes are not built yet; bind a host folder with volumes={'/host': {'bind': '/inside'}}",
        "events": "events are not built yet; wait for containers with wait()",
        "probe": "probe() is not built yet; info()['warnings'] says what this machine lacks",
        "prune": "prune() is not built yet; remove images and containers one by one",
    },
    "Images": {
        "build": "building images is not built yet; build with another tool and load() its archive",
        "push": "push is not built yet; push with another tool",
        "save": "save is not built yet",
        "prune": "prune is not built yet; remove images one by one",
    },
    "Image": {
        "push": "push is not built yet; push with another tool",
        "save": "save is not built yet",
    },
    "Containers": {
        "prune": "prune is not built yet; remove containers one by one",
    },
    "Container": {
        "fs": "fs is not built yet; bind a host folder with volumes=, or exec_run a command",
        "copy_to": "copy_to is not built yet; bind a host folder with volumes=",
        "copy_from": "copy_from is not built yet; bind a host folder with volumes=",
        "commit": "commit is not built yet",
        "diff": "diff is not built yet",
        "export": "export is not built yet",
        "stats": "stats are not built yet; read the files of the container's cgroup",
        "stats_stream": "stats are not built yet; read the files of the container's cgroup",
        "top": "top is not built yet; exec_run(['ps']) in the container",
        "events": "events are not built yet; wait for the container with wait()",
        "update": "update is not built yet; create a new container with other limits",
    },
}


def missing(owner: object, name: str) -> Exception:
    """The exception for an attribute that is not there."""
    kind = type(owner).__name__
    why = _NOT_YET.get(kind, {}).get(name)
    if why is None:
        return AttributeError(f"'{kind}' object has no attribute '{name}'", name=name, obj=owner)
    return _NotYet(why, operation=f"{kind.lower()}.{name}")
