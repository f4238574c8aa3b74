"""What executes in a container before its command: the program itself, out of the container's reach (CVE-2019-5736)."""

import ctypes
import errno
import os
import subprocess
from pathlib import Path

import pytest
from program import PROGRAM, Oci


def test_the_program_is_executed_from_a_mount_that_nobody_can_change(oci: Oci, tmp_path: Path) -> None:
    oci.silently("create", "c")
    exe = Path(f"/proc/{oci.state('c')['pid']}/exe")
    before = Path(PROGRAM).stat()
    # With all rights on the machine, which are more than those of any container.
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(OSError) as refused:
            os.close(os.open(exe, flags))
        assert refused.value.errno in (errno.EROFS, errno.ETXTBSY)
    point = tmp_path / "point"
    point.touch()
    # By the kernel's call: the program would look at where the link seems to lead.
    mount = ctypes.CDLL(None, use_errno=True).mount
    remount, bind, move = 32, 4096, 8192
    for source, target, flags in ((exe, point, bind), (None, exe, remount | bind), (exe, point, move)):
        failed = mount(source and bytes(source), bytes(target), None, flags, None)
        assert (failed, ctypes.get_errno()) == (-1, errno.EINVAL), flags
    with pytest.raises(OSError):
        os.chmod(exe, 0o777)
    after = Path(PROGRAM).stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_size) == (after.st_mode, after.st_mtime_ns, after.st_size)
    mounts = Path(f"/proc/{oci.state('c')['pid']}/mountinfo").read_text()
    assert "containers-oci" not in mounts


def test_a_command_that_is_the_program_itself_gets_nowhere(oci: Oci) -> None:
    oci.command("/proc/self/exe", "--version")
    oci.change(lambda c: c["process"].update(noNewPrivileges=False))
    done = subprocess.run(
        [PROGRAM, "--root", str(oci.root), "run", "c"], cwd=oci.bundle, stdin=subprocess.DEVNULL, capture_output=True
    )
    # It is executed, and can't be written while it is or later.
    assert done.returncode in (0, 126, 127), done
    oci.command("sleep", "1000")
    oci.detached("d")
    script = "echo x > /proc/$$/exe; echo $?"
    assert b"0" not in oci("exec", "d", "sh", "-c", script).stdout.split()[-1:]
