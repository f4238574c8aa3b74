"""Terminal sessions, as a user has them: in a real terminal emulator (tmux)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROGRAM, Cli


class Terminal:
    """A tmux server of its own with one shell in it."""

    def __init__(self, socket: Path, env: dict[str, str]) -> None:
        self.socket = str(socket)
        self.env = {**env, "PS1": "host$ ", "TERM": "xterm"}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-c", str(socket.parent), "-x", "100", "-y", "30", "sh")
        # A shell of root has a prompt of its own.
        self.type("PS1='host$ '; clear", "Enter")
        self.prompt("host$")

    def tmux(self, *args: str) -> str:
        command = ["tmux", "-S", self.socket, *args]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True).stdout

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def expect(self, text: str, seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while text not in (screen := self.screen()):
            assert time.monotonic() < deadline, f"{text!r} did not appear:\n{screen}"
            time.sleep(0.05)
        return screen

    def prompt(self, text: str, seconds: float = 20) -> None:
        """Waits until the last line is a prompt: not the command line in which it was set."""
        deadline = time.monotonic() + seconds
        while not (screen := self.screen().rstrip()).rsplit("\n", 1)[-1].startswith(text):
            assert time.monotonic() < deadline, f"no prompt {text!r}:\n{screen}"
            time.sleep(0.05)


@pytest.fixture
def terminal(cli: Cli, tmp_path: Path) -> Iterator[Terminal]:
    env = {**cli.env, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    terminal = Terminal(tmp_path / "tmux", env)
    yield terminal
    terminal.tmux("kill-server")


def test_a_shell_with_job_control_resize_and_exit_code(terminal: Terminal) -> None:
    terminal.type("stty -g > before; containers run --rm -it -e PS1='inside# ' host sh", "Enter")
    terminal.prompt("inside#")
    terminal.type("stty size; tty", "Enter")
    screen = terminal.expect("/dev/pts/0")
    assert "30 100" in screen
    terminal.tmux("resize-window", "-x", "90", "-y", "25")
    time.sleep(0.3)
    terminal.type("stty size", "Enter")
    terminal.expect("25 90")
    terminal.type("sleep 100", "Enter")
    time.sleep(0.3)
    terminal.type("C-c")
    terminal.type("exit 5", "Enter")
    # What is typed before may still go into the container.
    terminal.prompt("host$")
    terminal.type("echo code=$?; stty -g | cmp - before && echo the same", "Enter")
    terminal.expect("code=5")
    terminal.expect("the same")


def test_full_screen_programs(terminal: Terminal) -> None:
    terminal.type("containers run --rm -it host busybox vi /tmp/note", "Enter")
    terminal.expect("~")
    terminal.type("i", "written in vi", "Escape")
    terminal.expect("written in vi")
    terminal.type(":q!", "Enter")
    terminal.prompt("host$")
    terminal.type("clear; containers run --rm -it host busybox top", "Enter")
    terminal.expect("PID")
    terminal.type("q")
    # What is typed before may still go into the container.
    terminal.prompt("host$")
    terminal.type("echo back", "Enter")
    terminal.expect("back")


def test_detach_and_attach(terminal: Terminal, cli: Cli) -> None:
    terminal.type("containers run -it --name s -e PS1='inside# ' host sh", "Enter")
    terminal.prompt("inside#")
    terminal.type("C-p", "C-q")
    terminal.expect("read escape sequence")
    assert cli.out("ps", "--format", "{{.Names}}") == "s"
    terminal.type("clear; containers attach s", "Enter")
    time.sleep(0.5)
    terminal.type("echo again $((40+2))", "Enter")
    terminal.expect("again 42")
    terminal.type("exit", "Enter")
    terminal.prompt("host$")


def test_exec_has_a_terminal_too(terminal: Terminal, cli: Cli) -> None:
    cli("run", "-d", "--name", "s", "host", "sleep", "300")
    terminal.type("containers exec -it s sh -c 'tty; stty size'", "Enter")
    terminal.expect("/dev/pts/")
    terminal.expect("30 100")
