"""One run of the machine: qemu, the daemon that shares the tree, and what comes out of them."""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import image
from archive import Archive

GUEST = Path(__file__).parent / "guest"
TREE = Path(__file__).parents[2]
BUSYBOX = "/bin/busybox"
DAEMONS = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"]
MEMORY = "2G"
PORTS = ["status", "stdout", "stderr"]
TIMED_OUT = 124
BROKEN = 125

Sink = Callable[[str, bytes], None]


class Machine:
    """Runs one shell command in a new machine. Nothing of it outlives `run`."""

    def __init__(self, kind: str, command: str, sink: Sink, verbose: bool = False) -> None:
        self.kind = kind
        self.command = command
        self.sink = sink
        self.verbose = verbose
        self.console = bytearray()
        self.status = bytearray()
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, limit: float) -> int:
        """The command's exit code; `TIMED_OUT`, or `BROKEN` when the machine did not get that far."""
        started = image.get()
        with tempfile.TemporaryDirectory(prefix="machine-") as name:
            folder = Path(name)
            try:
                return self.attend(self.start(started, folder), time.monotonic() + limit)
            finally:
                for process in reversed(self.processes):
                    process.kill()
                    process.wait()

    def start(self, started: image.Image, folder: Path) -> dict[socket.socket, str]:
        """Starts both programs; returns our ends of the machine's ports."""
        self.share(folder / "tree")
        (folder / "initrd").write_bytes(self.initrd(started))
        command = [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", "q35,memory-backend=memory", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
            *("-m", MEMORY, "-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on"),
            *("-kernel", str(started.kernel), "-initrd", str(folder / "initrd")),
            *("-append", "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off systemd.show_status=0"),
            *("-drive", f"file={started.disk},format=raw,if=virtio,snapshot=on,cache=unsafe"),
            *(
                "-chardev",
                f"socket,id=tree,path={folder / 'tree'}",
                "-device",
                "vhost-user-fs-pci,chardev=tree,tag=tree",
            ),
            *("-device", "virtio-serial-pci"),
        ]
        ends: dict[socket.socket, str] = {}
        passed = []
        for port in ["console", *PORTS]:
            ours, theirs = socket.socketpair()
            ends[ours] = port
            passed.append(theirs)
            command += ["-chardev", f"socket,id={port},fd={theirs.fileno()}"]
            command += (
                ["-serial", "chardev:console"]
                if port == "console"
                else ["-device", f"virtserialport,chardev={port},name={port}"]
            )
        self.spawn(command, pass_fds=[end.fileno() for end in passed])
        for end in passed:
            end.close()
        return ends

    def share(self, socket_path: Path) -> None:
        """Starts the daemon that serves the tree. It only reads: the machine mounts it read-only."""
        daemon = next((path for path in DAEMONS if os.access(path, os.X_OK)), None)
        if not daemon:
            raise SystemExit("virtiofsd is missing: scripts/setup.sh installs it")
        command = [daemon, f"--socket-path={socket_path}", "--rlimit-nofile=0"]
        if daemon == DAEMONS[0]:
            command += ["-o", f"source={TREE},sandbox=chroot,cache=always,log_level=err"]
        else:
            command += [f"--shared-dir={TREE}", "--sandbox=chroot", "--cache=always", "--log-level=error"]
        process = self.spawn(command)
        deadline = time.monotonic() + 20
        while not socket_path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("virtiofsd does not start (it needs root)")
            time.sleep(0.01)

    def spawn(self, command: list[str], pass_fds: list[int] | None = None) -> subprocess.Popen[bytes]:
        """Starts a program that ^C does not reach, and that dies with us however we end."""
        output = None if self.verbose else subprocess.DEVNULL
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output if pass_fds is None else None,
            pass_fds=pass_fds or [],
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self.processes.append(process)
        return process

    def initrd(self, started: image.Image) -> bytes:
        """The first file system, with the job in it."""
        archive = Archive()
        archive.add("init", (GUEST / "initrd").read_bytes(), 0o755)
        archive.add("busybox", Path(shutil.which("busybox") or BUSYBOX).read_bytes(), 0o755)
        for module in sorted(started.modules.iterdir()):
            archive.add(f"modules/{module.name}", module.read_bytes())
        for name, mode in [("plain", 0o755), ("job", 0o644), ("machine.service", 0o644)]:
            archive.add(f"machine/{name}", (GUEST / name).read_bytes(), mode)
        archive.add("machine/settings", f"KIND={self.kind}\nTREE='{TREE}'\n".encode())
        archive.add("machine/command", self.command.encode())
        return archive.finished()

    def attend(self, ends: dict[socket.socket, str], deadline: float) -> int:
        """Passes on what comes until the machine is off, or has been given up."""
        selector = selectors.DefaultSelector()
        for end, port in ends.items():
            selector.register(end, selectors.EVENT_READ, port)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return self.give_up("the time limit is over", TIMED_OUT)
            for key, _ in selector.select(left):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                self.take(key.data, data)
                # Its output is out: writes to a port wait until they have arrived.
                code = self.exit_code()
                if code is not None:
                    self.drain(selector)
                    return code
        return self.give_up("it went down", BROKEN)

    def drain(self, selector: selectors.BaseSelector) -> None:
        """What has arrived on the other ports before the end was reported."""
        while ready := [key for key, _ in selector.select(0) if key.data in ("stdout", "stderr")]:
            for key in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                self.take(key.data, data)

    def take(self, port: str, data: bytes) -> None:
        """Something from a port."""
        if port == "status":
            self.status += data
        elif port == "console":
            self.console += data
            if self.verbose:
                self.sink("stderr", data)
        elif data:
            self.sink(port, data)

    def exit_code(self) -> int | None:
        """What the job has reported."""
        for line in self.status.decode(errors="replace").splitlines(keepends=True):
            if line.startswith("ended ") and line.endswith("\n"):
                return int(line.split()[1])
        return None

    def give_up(self, why: str, code: int) -> int:
        """Says what is known."""
        seen = b"" if self.verbose else bytes(self.console[-6000:])
        when = "while the command ran" if b"started" in self.status else "before the command started"
        self.sink("stderr", b"%s\nmachine (%s): %s %s\n" % (seen, self.kind.encode(), why.encode(), when.encode()))
        return code


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """In the child."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)


def to_streams(port: str, data: bytes) -> None:
    """A sink: our own output."""
    stream = sys.stdout if port == "stdout" else sys.stderr
    stream.buffer.write(data)
    stream.buffer.flush()
