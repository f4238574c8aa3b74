"""Archives that the kernel unpacks as its first file system (cpio, "newc")."""

from __future__ import annotations

import stat


class Archive:
    """Files and folders, in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0
        self.folders: set[str] = set()

    def add(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A file, and the folders above it."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in self.folders:
                self.folders.add(folder)
                self.entry(folder, b"", stat.S_IFDIR | 0o755)
        self.entry(path, content, stat.S_IFREG | mode)

    def entry(self, path: str, content: bytes, mode: int) -> None:
        """One header, name and content, each padded to four bytes."""
        self.count += 1
        name = path.encode() + b"\0"
        fields = [self.count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self.pad()
        self.data += content
        self.pad()

    def pad(self) -> None:
        self.data += b"\0" * (-len(self.data) % 4)

    def finished(self) -> bytes:
        """The whole archive."""
        self.entry("TRAILER!!!", b"", 0)
        return bytes(self.data)
