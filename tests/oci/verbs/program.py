"""containers-oci on a root, with a busybox bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("CONTAINERS_OCI") or str(
    REPOSITORY / "target" / os.environ.get("CONTAINERS_TEST_PROFILE", "release") / "containers-oci"
)


class Oci:
    """Runs the program on one root, with one bundle."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bundle = folder / "bundle"
        binaries = self.bundle / "rootfs/bin"
        binaries.mkdir(parents=True)
        shutil.copy(str(shutil.which("busybox")), binaries / "busybox")
        for name in ("sh", "true", "false", "cat", "echo", "sleep", "id", "ls", "tty", "stty"):
            (binaries / name).symlink_to("busybox")
        (self.bundle / "rootfs/notes").write_text("no program")
        self("spec", cwd=self.bundle)
        self.change(lambda c: c["process"].update(terminal=False, args=["sleep", "1000"]))

    def change(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        path = self.bundle / "config.json"
        config = json.loads(path.read_text())
        edit(config)
        path.write_text(json.dumps(config))

    def command(self, *args: str) -> None:
        self.change(lambda c: c["process"].update(args=list(args)))

    def __call__(
        self, *args: str, code: int = 0, globals_: tuple[str, ...] = (), **how: Any
    ) -> subprocess.CompletedProcess[bytes]:
        how.setdefault("cwd", self.bundle if self.bundle.joinpath("config.json").exists() else None)
        if "input" not in how and "stdin" not in how:
            how["stdin"] = subprocess.DEVNULL
        done = subprocess.run(
            [PROGRAM, "--root", str(self.root), *globals_, *args],
            capture_output=True, timeout=60, check=False, **how,
        )  # fmt: skip
        assert done.returncode == code, (args, done)
        return done

    def state(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self("state", name).stdout))

    def detached(self, name: str) -> None:
        """Runs it detached."""
        self.silently("run", "-d", name)

    def silently(self, *args: str, env: dict[str, str] | None = None) -> None:
        """Its streams lead nowhere, as an engine's would: what stays running has them too."""
        subprocess.run(
            [PROGRAM, "--root", str(self.root), *args],
            cwd=self.bundle, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=60, check=True, env=env,
        )  # fmt: skip

    def until(self, name: str, status: str) -> None:
        for _ in range(500):
            if self.state(name)["status"] == status:
                return
            time.sleep(0.01)
        raise AssertionError((status, self.state(name)))
