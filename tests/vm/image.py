"""The kernel, the first file system and the disk of the machine; kept outside of the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "systemd systemd-sysv dbus dbus-user-session libpam-systemd python3 busybox-static iproute2 uidmap procps kmod "
    "strace crun criu iptables"
).split()
KERNEL = "linux-image-cloud-amd64"
# What finds the disk, the shared folder and the ports; everything else is loaded when it is used.
MODULES = "virtio_pci virtio_blk virtio_console virtiofs".split()
USERS = ["tester"]
DISK_SIZE = "3G"
# Counts changes of what is done with the packages below.
RECIPE = 1


@dataclass(frozen=True)
class Image:
    """What a machine starts from."""

    kernel: Path
    disk: Path
    modules: Path
    """Modules for the first file system, numbered in the order in which they are loaded."""


def cache_folder() -> Path:
    """Where images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "embedded-containers-tests"


def get() -> Image:
    """The image of the present package list, built when there is none."""
    wanted = [SUITE, KERNEL, *PACKAGES, *MODULES, *USERS, DISK_SIZE, str(RECIPE)]
    key = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:12]
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"machine-{key}"
    with open(cache / "machine.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            build(folder)
    return Image(folder / "vmlinuz", folder / "disk", folder / "modules")


def build(folder: Path) -> None:
    """Builds an image, then removes those of other package lists."""
    if os.geteuid() != 0:
        raise SystemExit("the machine's disk is built by debootstrap, which needs root")
    print(f"building the machine's disk in {folder}, once", file=sys.stderr)
    for old in folder.parent.glob("machine-*"):
        shutil.rmtree(old)
    work = Path(tempfile.mkdtemp(prefix="machine-", dir=folder.parent))
    try:
        (work / "image").mkdir()
        root = work / "root"
        step("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), MIRROR)
        version = kernel(work, root)
        modules(root / "lib/modules" / version, work / "image/modules")
        settle(root)
        step("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(work / "image/disk"), DISK_SIZE)
        (work / "image").rename(folder)
    finally:
        shutil.rmtree(work)


def kernel(work: Path, root: Path) -> str:
    """Fetches the kernel, puts its modules into the root file system, and says its version."""
    package = newest_kernel()
    if not package:
        step("apt-get", "update")
        package = newest_kernel()
    if not package:
        raise SystemExit(f"apt knows no package {KERNEL}")
    step("apt-get", "download", package, cwd=work)
    (archive,) = work.glob("linux-image-*.deb")
    step("dpkg", "-x", str(archive), str(work / "kernel"))
    (version,) = os.listdir(work / "kernel/lib/modules")
    shutil.copytree(work / "kernel/lib/modules" / version, root / "lib/modules" / version, symlinks=True)
    step("chroot", str(root), "depmod", version)
    shutil.copy(work / "kernel/boot" / f"vmlinuz-{version}", work / "image/vmlinuz")
    return version


def newest_kernel() -> str | None:
    """The package that the kernel's name stands for; none while apt has no lists."""
    depends = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=False).stdout
    return next((line.split()[1] for line in depends.splitlines() if "Depends: linux-image-" in line), None)


def modules(source: Path, target: Path) -> None:
    """Copies the first modules and what they need. `modules.dep`: each with those it needs, nearest first."""
    needs = {}
    for line in (source / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).stem.replace("-", "_")] = [*reversed(others.split()), path]
    target.mkdir()
    order = list(dict.fromkeys(path for name in MODULES for path in needs[name]))
    for path in order:
        shutil.copy(source / path, target)
    (target / "order").write_text("".join(f"{Path(path).name}\n" for path in order))


def settle(root: Path) -> None:
    """Settings of the root file system."""
    (root / "etc/hostname").write_text("machine\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost machine\n::1 localhost\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/machine-id").write_text("c0ffee00c0ffee00c0ffee00c0ffee00\n")
    for user in USERS:
        step("chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash", user)
    # Nothing starts by itself that the tests don't need.
    units = root / "etc/systemd/system"
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    for unit in (
        "getty.target getty@tty1.service console-getty.service systemd-firstboot.service systemd-pcrphase.service "
        "systemd-pcrphase-sysinit.service systemd-update-utmp.service systemd-update-utmp-runlevel.service "
        "systemd-journal-flush.service systemd-random-seed.service systemd-machine-id-commit.service "
        "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service "
        "fstrim.timer systemd-tmpfiles-clean.timer"
    ).split():
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    shutil.rmtree(root / "var/cache/apt")
    shutil.rmtree(root / "var/lib/apt/lists")


def step(*command: str, cwd: Path | None = None) -> None:
    """Runs a program; shows what it said when it fails."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout[-4000:]}\n{command[0]} failed with {done.returncode}")
