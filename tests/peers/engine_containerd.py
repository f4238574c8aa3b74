"""A containerd of the tests' own with its runc v2 shim on the runtime under test."""

from __future__ import annotations

import hashlib
import json
import tarfile
from io import BytesIO
from pathlib import Path

from scene import RUNTIME, Client, Daemon, Scene

SETTINGS = """
version = 2
root = "{root}"
state = "{run}"
disabled_plugins = [{disabled}]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""

# What would look for services of the machine, or for file systems that aren't there.
DISABLED = ("grpc.v1.cri", "snapshotter.v1.aufs", "snapshotter.v1.btrfs", "snapshotter.v1.devmapper",
            "snapshotter.v1.zfs", "tracing.processor.v1.otlp", "internal.v1.tracing", "internal.v1.opt")  # fmt: skip


def image(archive: Path, file: Path) -> None:
    """Packs a root file system as an archive that `ctr image import` reads."""
    layer = archive.read_bytes()
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": ["box:latest"], "Layers": ["layer.tar"]}]
    parts = {
        "layer.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(file, "w") as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))


class Containerd(Client):
    """Its test client, ctr."""

    IMAGE = "docker.io/library/box:latest"

    def __init__(self, scene: Scene, archive: Path) -> None:
        self.scene = scene
        socket, settings = scene.path("sock"), scene.folder / "config.toml"
        disabled = ", ".join(f'"io.containerd.{name}"' for name in DISABLED)
        settings.write_text(
            SETTINGS.format(root=scene.path("root"), run=scene.path("run"), socket=socket, disabled=disabled)
        )
        # Its namespace is the parent of its cgroups as well.
        super().__init__(scene.folder, ["ctr", "--address", socket, "--namespace", scene.cgroup.lstrip("/")])
        command = ["containerd", "--config", str(settings)]
        self.daemon = Daemon(command, scene.folder / "log", lambda: self("version", code=None).code == 0)
        file = scene.folder / "image.tar"
        image(archive, file)
        self("image", "import", str(file))

    def run(self, *args: str) -> list[str]:
        """The arguments of a run on the runtime under test; `args` are flags, then the id, then a command."""
        at = next(n for n, arg in enumerate(args) if not arg.startswith("-"))
        flags, rest = args[:at], args[at:]
        runtime = ("--runc-binary", RUNTIME, "--runc-root", str(self.scene.state))
        return ["run", *runtime, *flags, self.IMAGE, *rest]

    def clear(self) -> None:
        """Removes all tasks and containers."""
        for name in self.out("task", "ls", "-q").split():
            self("task", "kill", "-s", "SIGKILL", name, code=None)
            self("task", "rm", "-f", name, code=None)
        for name in self.out("container", "ls", "-q").split():
            self("container", "rm", name)
