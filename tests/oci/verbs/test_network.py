"""The network namespace of a container, whoever makes it: a process on another processor, or the container's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from program import Oci

SYSCTL = "net.ipv4.ip_unprivileged_port_start"
SYSFS = "ls /sys/class/net; cat /sys/class/net/lo/flags;"
LOOK = f"ls -l /proc/self/ns/net; {SYSFS} cat /proc/sys/{SYSCTL.replace('.', '/')}"


def one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def look(oci: Oci, name: str, prepare: Callable[[], None] | None = None) -> str:
    return oci("run", name, preexec_fn=prepare).stdout.decode()


def check(said: str) -> None:
    """It is another one than ours, its only interface is up, and sysfs and sysctls are its own."""
    space, interfaces = said.splitlines()[0].rpartition("-> ")[2], said.splitlines()[1:]
    assert space.startswith("net:[") and space != os.readlink("/proc/self/ns/net")
    # IFF_UP | IFF_LOOPBACK
    assert interfaces == ["lo", "0x9", "77"]


@pytest.fixture
def looking(oci: Oci) -> Oci:
    oci.command("sh", "-c", LOOK)
    oci.change(lambda c: c["linux"].update(sysctl={SYSCTL: "77"}))
    return oci


@pytest.mark.parametrize("prepare", [None, one_processor])
def test_it_is_the_containers_own(looking: Oci, prepare: Callable[[], None] | None) -> None:
    check(look(looking, "c", prepare))


def test_many_at_once(looking: Oci) -> None:
    # Some of the processes that make one come too late, or late.
    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda n: look(looking, f"c{n}"), range(60)))
    for one in said:
        check(one)
    assert len({one.splitlines()[0] for one in said}) > 1


def test_without_sysfs(looking: Oci) -> None:
    # Nothing else needs it before the sysctls.
    looking.command("sh", "-c", LOOK.replace(SYSFS, ""))
    looking.change(lambda c: c["mounts"].remove(next(m for m in c["mounts"] if m["type"] == "sysfs")))
    looking.change(lambda c: c.update(mounts=[m for m in c["mounts"] if m["type"] != "cgroup"]))
    assert look(looking, "c").splitlines()[1:] == ["77"]


def test_hooks_find_it(looking: Oci, tmp_path: Path) -> None:
    script = f'read state; pid=${{state#*\\"pid\\":}}; ls -l /proc/${{pid%%[,\\}}]*}}/ns/net > {tmp_path}/hook'
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script]}
    looking.change(lambda c: c.update(hooks={"createRuntime": [hook]}))
    said = look(looking, "c")
    check(said)
    assert (tmp_path / "hook").read_text().rpartition("-> ")[2].strip() == said.splitlines()[0].rpartition("-> ")[2]


def test_binds_show_it_too(looking: Oci) -> None:
    binds = [
        {"destination": f"/mnt/{name}", "type": "bind", "source": source, "options": ["bind", "ro"]}
        for name, source in (("ns", "/proc/self/ns/net"), ("dev", "/proc/self/net/dev"))
    ]
    looking.change(lambda c: c.update(mounts=binds + c["mounts"]))
    looking.command("sh", "-c", "ls -l /proc/self/ns/net; ls -di /mnt/ns; cat /mnt/dev")
    own, bound, *interfaces = look(looking, "c").splitlines()
    assert f"[{bound.split()[0]}]" in own
    assert [line.split(":")[0].strip() for line in interfaces[2:]] == ["lo"]


@pytest.fixture
def two() -> Iterator[Path]:
    """A cgroup in which two processes may be, those of cgroups below included."""
    folder = Path("/sys/fs/cgroup/pids/containers-oci-two")
    if not folder.parent.is_dir():
        pytest.skip("needs the pids controller of v1")
    folder.mkdir()
    (folder / "pids.max").write_text("2")
    yield folder
    folder.rmdir()


def test_it_takes_no_process_that_is_needed(looking: Oci, two: Path) -> None:
    def enter() -> None:
        (two / "cgroup.procs").write_text("0")

    looking.command("ls", "-l", "/proc/self/ns/net")
    assert "net:[" in look(looking, "c", enter)
