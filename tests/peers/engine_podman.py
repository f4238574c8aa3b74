"""podman on the runtime under test, with everything of it in one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from scene import RUNTIME, Client, Scene

# Without CAP_SYS_RESOURCE no limit can be raised, and podman's defaults would. Locks in files and events in a
# file stay in the folder.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime_supports_json = ["containers-oci", "crun", "runc"]
"""

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{root}"
runroot = "{run}"
"""


class Podman(Client):
    """Its command line; `box` is the image."""

    def __init__(self, scene: Scene, archive: Path, user: str = "", runtime: str = RUNTIME) -> None:
        """`user` is who runs it, root by default; the folder is that user's then, and home."""
        self.scene = scene
        settings, storage = scene.folder / "containers.conf", scene.folder / "storage.conf"
        settings.write_text(SETTINGS)
        storage.write_text(STORAGE.format(root=scene.path("root"), run=scene.path("run")))
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        command = [
            *prefix, "podman", "--tmpdir", scene.path("tmp"), "--runtime", runtime,
        ]  # fmt: skip
        env = {
            "CONTAINERS_CONF": str(settings),
            "CONTAINERS_STORAGE_CONF": str(storage),
            # There may be no systemd that could run health checks: the tests do.
            "DISABLE_HC_SYSTEMD": "true",
        }
        if user:
            run = scene.folder / "run"
            run.mkdir(mode=0o700)
            for at in (scene.folder, run):
                shutil.chown(at, user, user)
            env |= {"HOME": str(scene.folder), "USER": user, "XDG_RUNTIME_DIR": str(run)}
            # Not those of whoever runs the tests, where this user may not write.
            usual = {"CACHE": ".cache", "CONFIG": ".config", "DATA": ".local/share"}
            env |= {f"XDG_{name}_HOME": str(scene.folder / path) for name, path in usual.items()}
        super().__init__(scene.folder, command, env)
        self("import", str(archive), "box")

    def start(self, *args: str) -> str:
        """Runs a container in the background. Its id."""
        return self.out("run", "-d", "--cgroup-parent", self.scene.cgroup, *args)

    def once(self, *args: str) -> str:
        """Runs a container to its end. Its output."""
        return self.out("run", "--rm", "--cgroup-parent", self.scene.cgroup, *args)

    def inspect(self, name: str) -> dict[str, Any]:
        """What podman knows of a container."""
        return dict(json.loads(self.out("container", "inspect", name))[0])

    def clear(self) -> None:
        """Removes all pods and containers."""
        self("pod", "rm", "-a", "-f", "-t", "0")
        self("rm", "-a", "-f", "-t", "0")

    def pid(self, name: str) -> int:
        """The process id of a container."""
        return int(self.inspect(name)["State"]["Pid"])
