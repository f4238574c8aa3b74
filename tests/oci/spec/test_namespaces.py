"""`linux.namespaces`, mappings, time offsets, network devices."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle import RUNTIME, Bundle

KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}


@pytest.fixture
def holder() -> Iterator[int]:
    """A process with namespaces of its own."""
    flags = ["--net", "--ipc", "--uts", "--cgroup"]
    process = subprocess.Popen(["unshare", *flags, "sleep", "300"])
    time_limit = time.monotonic() + 10
    while os.readlink(f"/proc/{process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        assert time.monotonic() < time_limit
    yield process.pid
    process.kill()
    process.wait()


def test_new_namespaces(bundle: Bundle) -> None:
    out = bundle.sh("for n in pid net ipc uts mnt cgroup user; do readlink /proc/self/ns/$n; done").split()
    for name in out:
        kind = name.split(":")[0]
        assert (os.readlink(f"/proc/self/ns/{kind}") != name) == (kind != "user"), name


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup"])
def test_namespaces_by_path(bundle: Bundle, holder: int, kind: str) -> None:
    name = KINDS[kind]
    bundle.config.pop("hostname")
    bundle.namespace(kind, path=f"/proc/{holder}/ns/{name}")
    assert bundle.sh(f"readlink /proc/self/ns/{name}").strip() == os.readlink(f"/proc/{holder}/ns/{name}")


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "pid"])
def test_the_runtimes_namespaces(bundle: Bundle, kind: str) -> None:
    name = KINDS[kind]
    bundle.config.pop("hostname")
    bundle.without(kind)
    bundle.config["mounts"].pop(0)
    bundle.mount("/proc", "bind" if kind == "pid" else "proc", "/proc", options=["rbind"] if kind == "pid" else [])
    assert bundle.sh(f"readlink /proc/self/ns/{name}").strip() == os.readlink(f"/proc/self/ns/{name}")


def test_a_pid_namespace_by_path(bundle: Bundle) -> None:
    process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "300"])
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            time.sleep(0.01)
        child = children.read_text().split()[0]
        bundle.namespace("pid", path=f"/proc/{child}/ns/pid")
        out = bundle.sh("readlink /proc/self/ns/pid; cat /proc/1/comm")
        assert out == os.readlink(f"/proc/{child}/ns/pid") + "\nsleep\n"
    finally:
        process.kill()
        process.wait()


def test_time_offsets(bundle: Bundle) -> None:
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": 100}, "boottime": {"secs": 1000000, "nanosecs": 5}}
    out = bundle.sh("cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime")
    lines = out.split()
    assert lines[:6] == ["monotonic", "100", "0", "boottime", "1000000", "5"]
    assert int(lines[6]) > 1000000


def test_a_user_namespace(bundle: Bundle) -> None:
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = maps
    os.chown(bundle.rootfs, 100000, 100000)
    bundle.path.chmod(0o755)
    source = bundle.path / "private"
    source.mkdir(mode=0o700)
    (source / "file").write_text("text")
    (source / "file").chmod(0o644)
    bundle.mount("/file", "bind", source / "file", options=["bind"])
    bundle.mount("/own", "bind", source, options=["bind", "idmap"])
    bundle.process["oomScoreAdj"] = 77
    out = bundle.sh(
        "cat /proc/self/uid_map /file; id -u; stat -c %u /own; cat /proc/self/oom_score_adj; echo >/dev/null"
    )
    assert out.split() == ["0", "100000", "65536", "text0", "0", "77"]


def test_a_user_namespace_by_path(bundle: Bundle) -> None:
    process = subprocess.Popen(["unshare", "--user", "sleep", "300"])
    try:
        while os.readlink(f"/proc/{process.pid}/ns/user") == os.readlink("/proc/self/ns/user"):
            time.sleep(0.01)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{name}").write_text("0 200000 1000\n")
        bundle.namespace("user", path=f"/proc/{process.pid}/ns/user")
        os.chown(bundle.rootfs, 200000, 200000)
        assert bundle.sh("id -u; cat /proc/self/uid_map").split() == ["0", "0", "200000", "1000"]
    finally:
        process.kill()
        process.wait()


def test_network_devices(bundle: Bundle) -> None:
    names = (f"a{os.getpid() % 100000}", f"b{os.getpid() % 100000}")
    subprocess.run(["ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1]], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "192.0.2.7/24", "dev", names[1]], check=True)
        bundle.linux["netDevices"] = {names[1]: {"name": "inside"}}
        out = bundle.sh("ip -o addr show inside; cat /sys/class/net/inside/flags 2>/dev/null || true")
        assert "192.0.2.7/24" in out
        bundle.linux["netDevices"] = {"nosuchdev": {}}
        bundle.fails("nosuchdev")
    finally:
        subprocess.run(["ip", "link", "del", names[0]], stderr=subprocess.DEVNULL)


def test_a_mount_namespace_by_path(bundle: Bundle) -> None:
    process = subprocess.Popen(["unshare", "--mount", "sleep", "300"])
    try:
        while os.readlink(f"/proc/{process.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            time.sleep(0.01)
        bundle.namespace("mount", path=f"/proc/{process.pid}/ns/mnt")
        assert bundle.sh("ls /etc") == "group\npasswd\n"
    finally:
        process.kill()
        process.wait()


def test_the_runtimes_mount_namespace(bundle: Bundle) -> None:
    bundle.without("mount")
    bundle.config["mounts"] = []
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (bundle.rootfs / "dev" / name).unlink(missing_ok=True)
    assert bundle.sh("ls /etc; pwd") == "group\npasswd\n/\n"


def test_an_ordinary_user_runs_it(bundle: Bundle) -> None:
    nobody = 65534
    folder = bundle.path.parent
    program = folder / "containers-oci"
    shutil.copy(RUNTIME, program)
    bundle.namespace("user")
    bundle.without("network")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": nobody, "size": 1}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": nobody, "size": 1}]
    bundle.mount("/sys", "none", "/sys", ("rbind", "ro"))
    bundle.process["args"] = ["sh", "-c", "id -u; ls -d /sys/kernel"]
    bundle.write()
    for path in (folder, bundle.path, bundle.rootfs):
        os.chown(path, nobody, nobody)
    done = subprocess.run(
        [program, "--root", str(bundle.state), "run", "--bundle", str(bundle.path), "user"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        user=nobody,
        group=nobody,
        extra_groups=[],
        env={"HOME": str(folder)},
        cwd=folder,
    )
    assert (done.returncode, done.stdout) == (0, "0\n/sys/kernel\n"), done.stderr
