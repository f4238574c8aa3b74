"""A dockerd of the tests' own on the runtime under test: in one folder, and in a network namespace of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scene import RUNTIME, Client, Daemon, Scene

# Debian's client: another one in PATH may be of a version that the daemon doesn't know.
CLIENT = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


class Docker(Client):
    """The daemon's client; `box` is the image, and the runtime under test both the default and called `ours`."""

    def __init__(self, scene: Scene, archive: Path) -> None:
        self.scene = scene
        socket = scene.path("docker.sock")
        configuration = scene.folder / "daemon.json"
        configuration.write_text(json.dumps({"runtimes": {"ours": {"path": RUNTIME}}, "default-runtime": "ours"}))
        options = [
            "--config-file", str(configuration), "--data-root", scene.path("data"), "--exec-root", scene.path("oci"),
            "--pidfile", scene.path("pid"), "--host", f"unix://{socket}", "--group", "root", "--iptables=false",
            "--ip6tables=false", "--cgroup-parent", scene.cgroup, "--oom-score-adjust", "0",
            "--storage-driver", "overlay2",
        ]  # fmt: skip
        super().__init__(scene.folder, [CLIENT, "--host", f"unix://{socket}"], {"DOCKER_CONFIG": scene.path("client")})
        # The bridge and what hangs on it end with the namespace.
        shell = 'ip link set lo up && exec dockerd "$@"'
        command = ["unshare", "--net", "sh", "-c", shell, "dockerd", *options]
        self.daemon = Daemon(command, scene.folder / "log", lambda: self("version", code=None).code == 0)
        self("import", str(archive), "box")

    def start(self, *args: str) -> str:
        """Runs a container in the background. Its id."""
        return self.out("run", "-d", *args)

    def once(self, *args: str) -> str:
        """Runs a container to its end. Its output."""
        return self.out("run", "--rm", *args)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the daemon knows of a container."""
        return dict(json.loads(self.out("container", "inspect", name))[0])

    def clear(self) -> None:
        """Removes all containers."""
        if names := self.out("ps", "-aq").split():
            self("rm", "-f", "-v", *names)
