"""Bundles with a busybox, and a runtime that runs them."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

REPOSITORY = Path(__file__).resolve().parents[3]
RUNTIME = os.environ.get("OCI_RUNTIME", str(REPOSITORY / "target/release/containers-oci"))
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

Config = dict[str, Any]

BASE: Config = {
    "ociVersion": "1.2.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin"],
        "cwd": "/",
        "capabilities": {name: CAPABILITIES for name in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
    ],
    "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")]},
}


@dataclass
class Result:
    """How a run ended."""

    code: int
    out: str
    err: str


class Bundle:
    """A folder with a `config.json` that a test changes before it runs it."""

    def __init__(self, path: Path, state: Path, rootfs: Path | None = None) -> None:
        """`rootfs`: one that others have too; none: its own."""
        self.path = path
        self.state = state
        self.rootfs = rootfs or path / "rootfs"
        self.config = copy.deepcopy(BASE)
        self.config["root"]["path"] = str(self.rootfs)
        path.mkdir(parents=True)
        if not self.rootfs.exists():
            self._fill()

    def _fill(self) -> None:
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            (self.rootfs / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", self.rootfs / "bin/busybox")
        for name in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True).stdout.split():
            if name != "busybox":
                (self.rootfs / "bin" / name).symlink_to("busybox")
        (self.rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (self.rootfs / "etc/group").write_text("root:x:0:\n")

    @property
    def process(self) -> Config:
        process: Config = self.config["process"]
        return process

    @property
    def linux(self) -> Config:
        linux: Config = self.config["linux"]
        return linux

    def namespace(self, kind: str, **more: Any) -> None:
        """Replaces a namespace, or adds one."""
        others = [n for n in self.linux["namespaces"] if n["type"] != kind]
        self.linux["namespaces"] = [*others, {"type": kind, **more}]

    def without(self, kind: str) -> None:
        """Leaves a namespace out."""
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def mount(
        self, destination: str, kind: str, source: object = None, options: Sequence[str] = (), **more: Any
    ) -> None:
        """Adds an entry of `mounts`."""
        entry = {"destination": destination, "type": kind, "source": str(source or kind), "options": list(options)}
        self.config["mounts"].append({**entry, **more})

    def runtime(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Calls the runtime."""
        return subprocess.run(
            [RUNTIME, "--root", str(self.state), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def silently(self, said: TextIO, *args: str) -> int:
        """Calls the runtime for a container that goes on, whose streams lead nowhere; what is said is in a file."""
        command = [RUNTIME, "--root", str(self.state), *args]
        nowhere = subprocess.DEVNULL
        return subprocess.run(command, stdin=nowhere, stdout=nowhere, stderr=said, timeout=60, check=False).returncode

    def write(self) -> None:
        (self.path / "config.json").write_text(json.dumps(self.config))

    def run(self, *flags: str, identity: str | None = None) -> Result:
        """Runs it to its end, and leaves nothing."""
        self.write()
        identity = identity or f"t{uuid.uuid4().hex[:12]}"
        try:
            done = self.runtime("run", *flags, "--bundle", str(self.path), identity)
        finally:
            self.runtime("delete", "--force", identity)
        return Result(done.returncode, done.stdout, done.stderr)

    def sh(self, script: str, *flags: str) -> str:
        """Output of a shell script that must succeed."""
        self.process["args"] = ["sh", "-c", script]
        done = self.run(*flags)
        assert done.code == 0, (done.code, done.out, done.err)
        return done.out

    def fails(self, *words: str) -> str:
        """The error of a run that must not even begin."""
        self.process["args"] = ["sh", "-c", "echo it runs"]
        done = self.run()
        assert done.code != 0 and "it runs" not in done.out, (done.code, done.out, done.err)
        for word in words:
            assert word in done.err, (word, done.err)
        return done.err
