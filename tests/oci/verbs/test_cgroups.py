"""Where a container is on a machine with cgroup v1."""

from pathlib import Path

import pytest
from program import Oci

MOUNTS = Path("/proc/self/mountinfo")


def unified() -> list[Path]:
    """Where a hybrid machine shows the unified hierarchy."""
    lines = [line.split(" ") for line in MOUNTS.read_text().splitlines()]
    return [Path(f[4]) for f in lines if f[f.index("-") + 1] == "cgroup2" and f[4] != "/sys/fs/cgroup"]


@pytest.mark.parametrize("namespaces", [(), ("user",)])
def test_a_hybrid_machines_unified_hierarchy_has_the_container_too(oci: Oci, namespaces: tuple[str, ...]) -> None:
    mounts = unified()
    if not mounts or not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("needs a machine with cgroup v1 and the unified hierarchy")
    place = "/oci-hybrid/inner"
    oci.change(lambda c: c["linux"].update(cgroupsPath=place))
    maps = [{"containerID": 0, "hostID": 0, "size": 65536}]
    for kind in namespaces:
        oci.change(lambda c, kind=kind: c["linux"]["namespaces"].append({"type": kind}))  # type: ignore[misc]
        oci.change(lambda c: c["linux"].update(uidMappings=maps, gidMappings=maps))
    oci.detached("c")
    lines = Path(f"/proc/{oci.state('c')['pid']}/cgroup").read_text().splitlines()
    assert {line.split(":", 2)[2] for line in lines} == {place}
    # A further process is where the first one is.
    oci.silently("exec", "-d", "--pid-file", str(oci.root / "pid"), "c", "sleep", "1000")
    pid = (oci.root / "pid").read_text()
    (oci.root / "pid").unlink()
    assert Path(f"/proc/{pid}/cgroup").read_text().splitlines() == lines
    oci("delete", "-f", "c")
    assert not [mount for mount in mounts if (mount / "oci-hybrid").exists()]


def test_a_start_that_fails_leaves_no_cgroup(oci: Oci) -> None:
    oci.change(lambda c: c["linux"].update(cgroupsPath="/oci-failed/inner"))
    oci.command("/not/there")
    oci("run", "c", code=127)
    oci.change(lambda c: c["linux"].update(resources={"pids": {"limit": 10}, "memory": {"limit": 1}}))
    oci("run", "c", code=1)
    assert not list(Path("/sys/fs/cgroup").glob("**/oci-failed"))
