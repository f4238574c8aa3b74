"""What every engine must do alike, and how its tests begin and end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from scene import Client, Daemon, Scene, Terminal


class Engine(Protocol):
    """An engine with a scene of its own."""

    scene: Scene

    def clear(self) -> None:
        """Removes all containers."""


class Served(Protocol):
    """The client of a daemon."""

    daemon: Daemon


E = TypeVar("E", bound=Engine)
S = TypeVar("S", bound=Served)


@contextlib.contextmanager
def served(scene: Scene, make: Callable[[Scene, Path], S], archive: Path) -> Iterator[S]:
    """The client of a daemon that is ended with its scene."""
    client = None
    try:
        client = make(scene, archive)
        yield client
    finally:
        if client:
            client.daemon.stop()
        scene.close()


def emptied(engine: E) -> Iterator[E]:
    """The engine without containers; afterwards the runtime has none either."""
    yield engine
    engine.clear()
    assert engine.scene.left() == []


def streams_and_exit_codes(engine: Client) -> None:
    """`run`, of an engine with docker's command line."""
    run = ("run", "--rm", "-i", "box")
    done = engine(*run, "sh", "-c", "cat; echo err >&2; exit 3", code=3, stdin="hello")
    assert (done.out, done.err) == ("hello", "err\n")
    assert "executable file not found in $PATH" in engine(*run, "nope", code=127).err
    assert "no such file or directory" in engine(*run, "/nope", code=127).err
    assert "permission denied" in engine(*run, "/notes", code=126).err
    engine(*run, "sh", "-c", "sh -c 'kill -9 $$'; exit $?", code=137)


def terminals(terminal: Terminal, further: Callable[[], Terminal]) -> str:
    """A shell with the prompt `in> ` in a terminal that changes its size, and in another terminal a further process,
    which says `tty`, reads a line, and in the end says it. What that said in between."""
    terminal.expect("in> ")
    terminal.type("tty; stty size\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("24 80")
    terminal.resize(30, 100)
    terminal.type("until stty size | grep '30 100'; do sleep 0.1; done\n")
    terminal.expect("\n30 100")
    other = further()
    other.expect("/dev/pts/")
    other.type("this\n")
    said = other.expect("got this")
    assert other.end() == 0
    return said
