"""podman on the runtime under test, with everything of it in one folder."""

from __future__ import annotations

import json
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
"""

STORAGE = """
[storage]
driver = "{driver}"
graphroot = "{root}"
runroot = "{run}"
"""


class Podman(Client):
    """Its command line; `box` is the image."""

    def __init__(self, scene: Scene, archive: Path, driver: str = "overlay", prefix: tuple[str, ...] = ()) -> None:
        self.scene = scene
        settings, storage = scene.folder / "containers.conf", scene.folder / "storage.conf"
        settings.write_text(SETTINGS)
        storage.write_text(STORAGE.format(driver=driver, root=scene.path("root"), run=scene.path("run")))
        command = [
            *prefix, "podman", "--tmpdir", scene.path("tmp"), "--runtime", RUNTIME,
        ]  # fmt: skip
        env = {
            "CONTAINERS_CONF": str(settings),
            "CONTAINERS_STORAGE_CONF": str(storage),
            # There may be no systemd that could run health checks: the tests do.
            "DISABLE_HC_SYSTEMD": "true",
        }
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

    def pid(self, name: str) -> int:
        """The process id of a container."""
        return int(self.inspect(name)["State"]["Pid"])
