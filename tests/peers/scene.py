"""What the engines' tests share: the runtime under test, an image, clients, terminals, and the end of it all."""

from __future__ import annotations

import fcntl
import io
import os
import select
import shutil
import signal
import struct
import subprocess
import tarfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIME = os.environ.get("OCI_RUNTIME") or str(REPOSITORY / "target/release/containers-oci")

# How long anything may take; nothing asserts a time.
PATIENCE = 60


def require(*programs: str) -> None:
    """Skips with a reason what this machine can't run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    missing = [program for program in (*programs, RUNTIME, "busybox") if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed or built: {' '.join(missing)} (scripts/setup.sh peers, make build)")


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not (seen := what()):
        assert time.monotonic() < deadline, f"it did not become so: {seen!r}"
        time.sleep(0.05)


def root_file_system(file: Path) -> None:
    """Writes a tar with a busybox and what belongs around it."""

    def add(name: str, content: bytes | None = None, mode: int = 0o755, link: str = "") -> None:
        entry = tarfile.TarInfo(name)
        entry.mode = mode
        if link:
            entry.type, entry.linkname = tarfile.SYMTYPE, link
        elif content is None:
            entry.type = tarfile.DIRTYPE
        else:
            entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content or b""))

    busybox = Path(str(shutil.which("busybox"))).read_bytes()
    names = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(file, "w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "run", "sys", "var"):
            add(folder)
        add("tmp", mode=0o1777)
        add("bin/busybox", busybox)
        for name in names:
            if name != "busybox":
                add(f"bin/{name}", link="busybox")
        add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:5:6:user:/tmp:/bin/sh\n", 0o644)
        add("etc/group", b"root:x:0:\nusers:x:6:\nmore:x:7:user\n", 0o644)
        add("notes", b"no program", 0o644)


class Done:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self.master, slave = os.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.screen = ""

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size; whoever is in the foreground is told."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Types a line, or with `\\x03` and the like, keys."""
        os.write(self.master, text.encode())

    def expect(self, text: str) -> str:
        """Waits for a text, and forgets the screen up to it. What came before it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} did not appear in {self.screen!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:  # EIO: nobody has the other side any more.
                    assert text in self.screen, f"{text!r} did not appear in {self.screen!r}"
        before, _, self.screen = self.screen.partition(text)
        return before

    def end(self) -> int:
        """Waits for the command's end. Its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.screen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    break
        os.close(self.master)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()


class Client:
    """A command line with options that every call has."""

    def __init__(self, folder: Path, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Runs in `folder`: some leave files where they run."""
        self.folder = folder
        self.command = list(command)
        self.env = {**os.environ, **(env or {}), "TERM": "xterm"}

    def __call__(self, *args: str, code: int | None = 0, stdin: str | None = None) -> Done:
        """Runs it and checks its exit code."""
        done = subprocess.run(
            [*self.command, *args], env=self.env, cwd=self.folder, input=stdin or "", capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        ended = Done(done.returncode, done.stdout, done.stderr)
        assert code is None or ended.code == code, f"{' '.join(args)}: {ended}"
        return ended

    def out(self, *args: str, stdin: str | None = None) -> str:
        """Its standard output without white space around."""
        return self(*args, stdin=stdin).out.strip()

    def spawn(self, *args: str) -> subprocess.Popen[str]:
        """Starts it and lets it run."""
        return subprocess.Popen(
            [*self.command, *args], env=self.env, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def terminal(self, *args: str) -> Terminal:
        """Starts it in a terminal."""
        return Terminal([*self.command, *args], self.env, self.folder)


def cgroup_mounts() -> list[tuple[Path, set[str]]]:
    """Where cgroup hierarchies are mounted, and their options."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        kind = fields[fields.index("-") + 1]
        if kind in ("cgroup", "cgroup2"):
            found.append((Path(fields[4]), {kind, *fields[-1].split(",")}))
    return found


def limit(pid: int | str, v1: str, v2: str) -> str:
    """A file of the cgroup that a process is in: `memory.limit_in_bytes`, or `memory.max` on v2."""
    controller = v1.split(".")[0]
    places = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    for mount, options in cgroup_mounts():
        for names, place in places.items():
            wanted = controller in names.split(",") and controller in options
            if wanted or (not names and "cgroup2" in options and len(places) == 1):
                file = mount / place.lstrip("/") / (v1 if wanted else v2)
                return file.read_text().strip()
    raise AssertionError(f"no cgroup with {v1} or {v2}: {places}")


class Scene:
    """A folder and a cgroup of one engine; everything of it ends with it."""

    def __init__(self, folder: Path, state: Path | None = None, containers: str = "*") -> None:
        """`state`: where the runtime keeps its containers' states, by default a folder in ours; `containers`:
        what the cgroups of containers are called."""
        self.folder = folder
        folder.mkdir(mode=0o711)
        self.cgroup = f"/{folder.name}-{os.getpid()}"
        self.state = state or folder / "oci"
        self.containers = containers
        self.uid: int | None = None
        self.others = self.states()

    def path(self, *parts: str) -> str:
        """A path in the folder."""
        return str(self.folder.joinpath(*parts))

    def cgroups(self) -> list[Path]:
        """Its cgroups, the deepest first."""
        tops = [mount / self.cgroup.lstrip("/") for mount, _ in cgroup_mounts()]
        return [Path(at) for top in tops for at, _, _ in os.walk(top, topdown=False)]

    def mounts(self) -> list[str]:
        """Mount points below the folder, the latest first."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in lines]
        return [point for point in reversed(points) if point.startswith(f"{self.folder}/")]

    def processes(self) -> list[int]:
        """Processes that name the folder, are in one of the cgroups, or are of the user made for it."""
        found = set()
        for cgroup in self.cgroups():
            found |= {int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    own = self.uid is not None and entry.stat().st_uid == self.uid
                    if own or f"{self.folder}/".encode() in (entry / "cmdline").read_bytes():
                        found.add(int(entry.name))
                except OSError:
                    continue
        return sorted(found)

    def states(self) -> set[Path]:
        """States of the runtime's containers."""
        return set(self.state.rglob("state.json"))

    def left(self) -> list[str]:
        """What a runtime should not have left once its containers are deleted."""
        parents = {mount / self.cgroup.lstrip("/") for mount, _ in cgroup_mounts()}
        cgroups = [at for at in self.cgroups() if at not in parents and at.match(self.containers)]
        return [str(at) for at in [*(self.states() - self.others), *cgroups]]

    def close(self) -> None:
        """Ends and removes everything."""
        deadline = time.monotonic() + PATIENCE
        while (pids := self.processes()) and time.monotonic() < deadline:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)
        for point in self.mounts():
            subprocess.run(["umount", "-l", point], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        for cgroup in self.cgroups():
            until(partial(_removed, cgroup), 10)
        shutil.rmtree(self.folder)


def _removed(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Daemon:
    """A daemon that answers once a socket is there."""

    def __init__(self, command: Sequence[str], log: Path, ready: Callable[[], object]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{command[0]} did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Asks it to end, and insists."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
