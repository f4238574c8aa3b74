"""`linux.seccomp` with `SCMP_ACT_NOTIFY`: another process decides about calls."""

import array
import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle import RUNTIME, Bundle

RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTIFICATION = struct.Struct("=QII iI Q 6Q")
CONTINUE = 1

# From the number of a call to an error number; None lets it happen.
Decision = Callable[[int], int | None]


class Agent:
    """Listens at a socket, and answers for the calls of one container after the other."""

    def __init__(self, path: Path, decide: Decision) -> None:
        self.path, self.decide = path, decide
        self.states: list[dict[str, Any]] = []
        self.asked: list[int] = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    text, control, _, _ = connection.recvmsg(65536, socket.CMSG_LEN(4))
                    while more := connection.recv(65536):
                        text += more
                self.states.append(json.loads(text))
                fds = array.array("i")
                fds.frombytes(control[0][2])
                threading.Thread(target=self.answer, args=(fds[0],), daemon=True).start()

    def answer(self, listener: int) -> None:
        while True:
            asked = bytearray(NOTIFICATION.size)
            try:
                fcntl.ioctl(listener, RECEIVE, asked)
            except OSError as e:
                if e.errno == errno.EINTR:
                    continue
                break  # Nobody is left who could ask.
            identity, _, _, number, *_ = NOTIFICATION.unpack(asked)
            self.asked.append(number)
            error = self.decide(number)
            answer = struct.pack("=QqiI", identity, 0, -(error or 0), CONTINUE if error is None else 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(listener, SEND, answer)
        os.close(listener)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)


@pytest.fixture
def agent(bundle: Bundle) -> Iterator[Callable[..., Agent]]:
    """Makes an agent for calls of the bundle."""
    agents = []

    def make(decide: Decision, *names: str, **more: Any) -> Agent:
        agents.append(Agent(bundle.path / "agent", decide))
        bundle.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": str(bundle.path / "agent"),
            "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}],
            **more,
        }
        return agents[-1]

    yield make
    for made in agents:
        made.close()


@pytest.mark.parametrize("privileges", ["none are new", "may be new"])
def test_the_agent_decides(bundle: Bundle, agent: Callable[..., Agent], privileges: str) -> None:
    bundle.process["noNewPrivileges"] = privileges == "none are new"
    bundle.config["annotations"] = {"a": "b"}
    decides = agent(lambda _: errno.EXDEV, "mkdir", "mkdirat", listenerMetadata="what I said")
    said = bundle.sh("mkdir /tmp/new 2>&1 || echo no; ls /tmp; echo fine")
    assert "Invalid cross-device link" in said and said.endswith("no\nfine\n")
    assert len(decides.states) == 1 and decides.asked
    state = decides.states[0]
    assert state["fds"] == ["seccompFd"] and state["metadata"] == "what I said" and state["ociVersion"]
    assert state["pid"] == state["state"]["pid"] > 1
    assert state["state"]["status"] == "creating" and state["state"]["bundle"] == str(bundle.path)
    assert state["state"]["annotations"] == {"a": "b"}


def test_any_call_may_be_asked_for(bundle: Bundle, agent: Callable[..., Agent]) -> None:
    # Among them those by which the listener itself is handed over.
    names = ["sendmsg", "recvmsg", "read", "write", "close", "mmap", "brk", "execve", "exit_group"]
    decides = agent(lambda _: None, *names)
    assert bundle.sh("echo through") == "through\n"
    assert len(decides.asked) > len(names)


def test_a_further_process_has_a_listener_too(bundle: Bundle, agent: Callable[..., Agent]) -> None:
    decides = agent(lambda _: errno.EXDEV, "mkdir", "mkdirat")
    bundle.process["args"] = ["sleep", "100"]
    bundle.write()
    command = [RUNTIME, "--root", str(bundle.state), "run", "--detach", "--bundle", str(bundle.path), "notify"]
    null = subprocess.DEVNULL
    try:
        subprocess.run(command, stdin=null, stdout=null, stderr=null, check=True, timeout=60)
        done = bundle.runtime("exec", "notify", "mkdir", "/tmp/new")
        assert done.returncode == 1 and "cross-device" in done.stderr
        first, second = decides.states
        assert second["state"]["status"] == "running" and second["state"]["pid"] == first["pid"] != second["pid"]
    finally:
        bundle.runtime("delete", "--force", "notify")


def test_without_an_agent_nothing_starts(bundle: Bundle, agent: Callable[..., Agent]) -> None:
    agent(lambda _: None, "mkdir").close()
    bundle.fails("listenerPath")


def test_a_listener_that_no_action_asks_is_passed_over(bundle: Bundle, agent: Callable[..., Agent]) -> None:
    decides = agent(lambda _: None, "mkdir")
    bundle.linux["seccomp"]["syscalls"] = []
    bundle.process["args"] = ["mkdir", "/tmp/new"]
    done = bundle.run()
    assert done.code == 0 and "linux.seccomp.listenerPath: no action" in done.err
    assert decides.states == []


def test_features_list_it(bundle: Bundle) -> None:
    assert "SCMP_ACT_NOTIFY" in json.loads(bundle.runtime("features").stdout)["linux"]["seccomp"]["actions"]
