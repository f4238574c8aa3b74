"""One container on cgroup v2, its cgroup, and the commands on it."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bundle import RUNTIME, Bundle

UNIFIED = Path("/sys/fs/cgroup")
PATIENCE = 60.0

Driver = Literal["cgroupfs", "systemd"]
HAS_SYSTEMD = Path("/run/systemd/system").is_dir()
DRIVERS: list[Driver] = ["cgroupfs", "systemd"] if HAS_SYSTEMD else ["cgroupfs"]


def members(group: Path) -> list[str]:
    """The processes of a cgroup; none when it is gone, as systemd removes what is empty."""
    try:
        return (group / "cgroup.procs").read_text().split()
    except OSError:
        return []


def eventually(what: str, holds: Callable[[], object]) -> None:
    """Waits for something; how long that takes is never asserted."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        time.sleep(0.05)


class Box:
    """A container that sleeps until a test says otherwise."""

    def __init__(self, folder: Path, driver: Driver, rootfs: Path) -> None:
        self.driver = driver
        self.id = f"t{uuid.uuid4().hex[:12]}"
        self.bundle = Bundle(folder / "bundle", folder / "state", rootfs)
        self.bundle.linux["cgroupsPath"] = f"tests.slice:oci:{self.id}" if driver == "systemd" else f"/tests/{self.id}"
        self.bundle.process["args"] = ["sleep", "1000"]
        self.resources: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
        self.bundle.linux["resources"] = self.resources

    @property
    def unit(self) -> str:
        """Its unit, with systemd's driver."""
        return f"oci-{self.id}.scope"

    def sh(self, script: str) -> None:
        """What its first process is."""
        self.bundle.process["args"] = ["sh", "-c", script]

    def command(self, *args: str) -> list[str]:
        """A command line."""
        flags = ["--systemd-cgroup"] if self.driver == "systemd" else []
        return [RUNTIME, "--root", str(self.bundle.state), *flags, *args]

    def __call__(self, *args: str, code: int = 0, input: str | None = None) -> str:
        """The output of a command."""
        done = subprocess.run(
            self.command(*args), input=input or "", capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout + (done.stderr if code else "")

    def start(self) -> None:
        """Runs it detached, its streams lead nowhere."""
        self.make("run", "-d")

    def make(self, *verb: str) -> None:
        """`create` or `run -d`: the container keeps the streams, so they may be no pipes that somebody reads."""
        self.bundle.write()
        errors = self.bundle.path.parent / "errors"
        with open(errors, "w+") as said:
            done = subprocess.run(
                self.command(*verb, "--bundle", str(self.bundle.path), self.id),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=2 * PATIENCE,
                check=False,
            )
        assert done.returncode == 0, errors.read_text()

    def run(self, code: int = 0) -> str:
        """Runs it to its end; its output."""
        self.bundle.write()
        return self("run", "--bundle", str(self.bundle.path), self.id, code=code)

    def exec(self, script: str, code: int = 0) -> str:
        """The output of a script in it."""
        return self("exec", self.id, "sh", "-c", script, code=code)

    def state(self) -> dict[str, Any]:
        """What `state` prints."""
        found: dict[str, Any] = json.loads(self("state", self.id))
        return found

    def stats(self) -> dict[str, Any]:
        """What `events --stats` prints of its usage."""
        event: dict[str, Any] = json.loads(self("events", "--stats", self.id))
        assert (event["type"], event["id"]) == ("stats", self.id)
        data: dict[str, Any] = event["data"]
        return data

    def group(self) -> Path:
        """Its cgroup, as the kernel tells it of the first process."""
        text = Path(f"/proc/{self.state()['pid']}/cgroup").read_text()
        return UNIFIED / text.strip().removeprefix("0::/")

    def value(self, file: str) -> str:
        """What a file of its cgroup says."""
        return (self.group() / file).read_text().strip()

    def show(self, name: str) -> str:
        """A property of its unit."""
        command = ["systemctl", "show", "--value", "-p", name, self.unit]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def end(self) -> None:
        """Kills it and waits until that is seen."""
        self("kill", self.id, "KILL")
        eventually("it stops", lambda: self.state()["status"] == "stopped")

    def remove(self) -> None:
        """Whatever its state."""
        self("delete", "--force", self.id)
