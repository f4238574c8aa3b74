"""Options of `run`, `exec`, `kill` and the others; the foreground; containers in containers."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from program import PROGRAM, Oci


def test_options_before_and_after_the_id(oci: Oci) -> None:
    oci.command("true")
    oci("run", "c", "--keep")
    assert oci.state("c")["status"] == "stopped" and oci.state("c")["pid"] == 0
    assert oci("list", "-q", "-f", "json").stdout == b"c\n"
    oci("delete", "c", "--force")
    assert oci("list", "--format", "json").stdout == b"null\n"
    assert b"invalid format" in oci("list", "-f", "xml", code=1).stderr


def test_without_pivot_root(oci: Oci) -> None:
    oci.command("sh", "-c", "ls / | tr '\\n' ' '")
    listed = oci("run", "--no-pivot", "c").stdout.split()
    assert b"bin" in listed and b"notes" in listed and b"usr" not in listed


def test_kill_all(oci: Oci) -> None:
    oci.command("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    oci.change(lambda c: c["linux"].update(namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "pid"]))
    oci.detached("c")
    for _ in range(500):
        pids = json.loads(oci("ps", "-f", "json", "c").stdout)
        if len(pids) == 3:
            break
        time.sleep(0.01)
    assert len(pids) == 3
    oci("kill", "--all", "c", "KILL")
    oci.until("c", "stopped")
    gone = [not Path(f"/proc/{pid}").exists() or ") Z" in Path(f"/proc/{pid}/stat").read_text() for pid in pids]
    assert all(gone)


def test_exec_with_capabilities_and_groups(oci: Oci) -> None:
    oci.detached("c")
    status = oci("exec", "--cap", "CAP_NET_ADMIN", "c", "cat", "/proc/self/status").stdout.decode()
    sets = {line.split(":")[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert sets[name] & 1 << 12, name
    assert not sets["CapInh"]
    assert b"unknown capability" in oci("exec", "--cap", "CAP_MOON", "c", "true", code=255).stderr
    groups = oci("exec", "--additional-gids", "7", "-g", "8", "c", "id", "-G").stdout.split()
    assert {b"7", b"8"} <= set(groups)


def test_exec_in_a_paused_container_waits(oci: Oci) -> None:
    oci.detached("c")
    oci("pause", "c")
    command = [PROGRAM, "--root", str(oci.root), "exec", "--ignore-paused", "c", "echo", "late"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as waiting:
        time.sleep(0.3)
        assert waiting.poll() is None
        oci("resume", "c")
        assert waiting.communicate(timeout=60)[0] == b"late\n" and waiting.returncode == 0


def test_exec_in_a_cgroup_below(oci: Oci) -> None:
    oci.detached("c")
    lines = [line.split(":", 2) for line in Path(f"/proc/{oci.state('c')['pid']}/cgroup").read_text().splitlines()]
    places = {controller: path for _, controllers, path in lines for controller in controllers.split(",")}
    if "pids" in places:
        base, wanted = Path("/sys/fs/cgroup/pids") / places["pids"].lstrip("/"), "pids:below"
    else:
        base, wanted = Path("/sys/fs/cgroup") / places[""].lstrip("/"), "below"
    (base / "below").mkdir()
    assert b"/below\n" in oci("exec", "--cgroup", wanted, "c", "cat", "/proc/self/cgroup").stdout
    assert b"adding pid to the cgroup" in oci("exec", "--cgroup", wanted + "2", "c", "true", code=255).stderr
    assert b"must lie below" in oci("exec", "--cgroup", wanted + "/../..", "c", "true", code=255).stderr


def test_signals_reach_the_container(oci: Oci) -> None:
    oci.command("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    command = [PROGRAM, "--root", str(oci.root), "run", "c"]
    with subprocess.Popen(command, cwd=oci.bundle, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 9


def test_a_terminal_in_the_foreground(oci: Oci) -> None:
    script = "stty size; trap 'echo interrupted; exit 5' INT; read line; echo got $line; while :; do sleep 0.05; done"
    oci.change(lambda c: c["process"].update(terminal=True, args=["sh", "-c", script]))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    before = termios.tcgetattr(slave)
    command = [PROGRAM, "--root", str(oci.root), "run", "c"]
    with subprocess.Popen(
        command, cwd=oci.bundle, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as running:
        said = b""

        def until(text: bytes) -> None:
            nonlocal said
            while text not in said:
                said += os.read(master, 1000)

        until(b"31 97")
        os.write(master, b"word\n")
        until(b"got word")
        os.write(master, b"\x03")
        until(b"interrupted")
        assert running.wait(60) == 5
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_process_file_decides_all(oci: Oci, tmp_path: Path) -> None:
    oci.detached("c")
    process: dict[str, Any] = {
        "args": ["sh", "-c", "id -u; pwd; echo $A"], "cwd": "/bin", "user": {"uid": 12, "gid": 3},
        "env": ["PATH=/bin", "A=b"], "noNewPrivileges": True,
    }  # fmt: skip
    (tmp_path / "process.json").write_text(json.dumps(process))
    assert oci("exec", "-p", str(tmp_path / "process.json"), "c").stdout == b"12\n/bin\nb\n"
    (tmp_path / "process.json").write_text("{")
    assert b"JSON text is not valid" in oci("exec", "-p", str(tmp_path / "process.json"), "c", code=255).stderr


def test_it_works_in_its_own_containers(oci: Oci) -> None:
    linked = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=False)
    if linked.returncode == 0:
        pytest.skip("the program needs libraries: scripts/build-oci.sh makes one that does not")
    inner = oci.bundle / "rootfs/inner"
    shutil.copytree(oci.bundle / "rootfs/bin", inner / "rootfs/bin", symlinks=True)
    config = json.loads((oci.bundle / "config.json").read_text())
    config["process"]["args"] = ["sh", "-c", "echo from within; exit 6"]
    (inner / "config.json").write_text(json.dumps(config))
    shutil.copy(PROGRAM, oci.bundle / "rootfs/bin/containers-oci")
    names = json.loads(oci("features").stdout)["linux"]["capabilities"]
    held = int(next(x.split()[1] for x in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in x), 16)
    caps = [name for bit, name in enumerate(names) if held >> bit & 1]

    def outer(c: dict[str, Any]) -> None:
        c["process"].update(args=["containers-oci", "--root", "/tmp/s", "run", "-b", "/inner", "i"])
        c["process"]["noNewPrivileges"] = False
        c["process"]["capabilities"] = {name: caps for name in ("bounding", "effective", "permitted")}
        c["root"]["readonly"] = False
        c["linux"].update(maskedPaths=[], readonlyPaths=[])
        c["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        for mount in c["mounts"]:
            if mount["destination"] in ("/sys", "/sys/fs/cgroup"):
                mount["options"].remove("ro")

    oci.change(outer)
    done = oci("run", "c", code=6)
    assert done.stdout == b"from within\n"


def test_sockets_of_systemd_are_handed_on(oci: Oci) -> None:
    oci.command("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4")
    script = f'exec 3<one 4<two; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --root {oci.root} run --preserve-fds 1 c'
    for name in ("one", "two"):
        (oci.bundle / name).write_text(name)
    done = subprocess.run(
        ["sh", "-c", script, PROGRAM],
        cwd=oci.bundle,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b"1 1\nonetwo"


@pytest.mark.parametrize("count", [1, 2])
def test_only_the_callers_descriptors_are_handed_on(oci: Oci, tmp_path: Path, count: int) -> None:
    # Nothing but the standard streams is open, so 3 will be something of the program's own.
    oci.command("ls", "/proc/self/fd")
    log = ("--log", str(tmp_path / "log"))
    for globals_ in ((), log):
        for verb in (["run"], ["create"]):
            said = oci(*verb, "--preserve-fds", str(count), "c", code=1, globals_=globals_)
            text = (tmp_path / "log").read_bytes() if globals_ else said.stderr
            assert b"descriptor 3 is not open" in text
    assert b"descriptor 3 is not open" in oci("run", "c", code=1, env={**os.environ, "LISTEN_FDS": "1"}).stderr
    oci.command("sleep", "1000")
    oci.detached("c")
    said = oci("exec", "--preserve-fds", str(count), "c", "true", code=255)
    assert b"descriptor 3 is not open" in said.stderr


def test_a_root_may_depend_on_the_folder(oci: Oci) -> None:
    oci.root = Path("/proc/self/cwd/elsewhere")
    oci.command("echo", "here")
    assert oci("run", "c").stdout == b"here\n"


def test_streams_belong_to_the_user(oci: Oci) -> None:
    script = "echo by name > /dev/stdout; stat -L -c %u /proc/self/fd/1"
    oci.change(lambda c: c["process"].update(user={"uid": 77, "gid": 77}, args=["sh", "-c", script]))
    (oci.bundle / "rootfs/bin/stat").symlink_to("busybox")
    assert oci("run", "c").stdout == b"by name\n77\n"


def test_without_criu_there_is_a_clear_answer(oci: Oci, tmp_path: Path) -> None:
    oci.detached("c")
    bare = {"PATH": str(tmp_path)}
    image = str(tmp_path / "image")
    assert b"install the package criu" in oci("checkpoint", "--image-path", image, "c", code=1, env=bare).stderr
    assert oci.state("c")["status"] == "running" and not Path(image).exists()
    (tmp_path / "image").mkdir()
    assert b"install the package criu" in oci("restore", "--image-path", image, "d", code=1, env=bare).stderr
    assert b"can't be found" in oci("restore", "--image-path", image + "2", "d", code=1, env=bare).stderr


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_a_descriptor_of_the_process_is_sent(oci: Oci, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        if verb == "exec":
            oci.detached("c")
        told = ["--pidfd-socket", str(path), "--pid-file", str(tmp_path / "pid")]
        how = {"create": ["create", *told, "c"], "run": ["run", "-d", *told, "c"]}
        command = how.get(verb, ["exec", "-d", *told, "c", "sleep", "1000"])
        oci.silently(*command)
        with listener.accept()[0] as peer:
            name, fds, _, _ = socket.recv_fds(peer, 16, 1)
    assert name == b"pidfd"
    with open(fds[0], "rb"):
        info = Path(f"/proc/self/fdinfo/{fds[0]}").read_text()
    assert f"Pid:\t{(tmp_path / 'pid').read_text()}\n" in info


def test_signals_of_number_0_and_to_containers_in_our_pid_namespace(oci: Oci) -> None:
    oci.change(lambda c: c["linux"].update(namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "pid"]))
    oci.command("sh", "-c", "sleep 1000 & sleep 1000")
    oci.detached("c")
    oci("kill", "c", "0")
    pids = [json.loads(oci("ps", "-f", "json", "c").stdout)]
    oci("kill", "c", "KILL")
    oci.until("c", "stopped")
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids[0][1:]):
            break
        time.sleep(0.01)
    assert b"not running" in oci("kill", "c", "0", code=1).stderr


def test_a_root_that_is_named_and_not_there_is_no_empty_list(oci: Oci) -> None:
    assert b"No such file" in oci("list", code=1).stderr


def test_a_terminal_in_a_read_only_dev(oci: Oci) -> None:
    def edit(config: dict[str, Any]) -> None:
        next(m for m in config["mounts"] if m["destination"] == "/dev")["options"].append("ro")
        config["process"].update(terminal=True, args=["sh", "-c", "echo seen > /dev/console; : > /dev/new"])

    oci.change(edit)
    master, slave = pty.openpty()
    done = subprocess.run(
        [PROGRAM, "--root", oci.root, "run", "c"], cwd=oci.bundle, stdin=slave, stdout=subprocess.PIPE, timeout=60
    )
    os.close(master)
    os.close(slave)
    assert done.returncode != 0 and b"seen" in done.stdout and b"Read-only" in done.stdout, done


def test_a_created_container_can_be_asked_to_end(oci: Oci) -> None:
    oci.silently("create", "c")
    oci("kill", "c", "TERM")
    oci.until("c", "stopped")


def test_processors_of_further_processes(oci: Oci) -> None:
    oci.change(lambda c: c["process"].update(execCPUAffinity={"initial": "0", "final": "0"}))
    oci.detached("c")
    shown = oci("exec", "c", "cat", "/proc/self/status").stdout.decode()
    assert "Cpus_allowed_list:\t0\n" in shown
    # The first process has all that its cgroup has.
    mine = Path("/proc/self/status").read_text().split("Cpus_allowed_list:")[1].split()[0]
    first = Path(f"/proc/{oci.state('c')['pid']}/status").read_text()
    assert os.cpu_count() == 1 or f"Cpus_allowed_list:\t{mine}\n" in first
    oci.change(lambda c: c["process"].update(execCPUAffinity={"initial": "x"}))
    assert b"process.execCPUAffinity" in oci("run", "d", code=1).stderr


def test_an_image_before_is_there_and_named_from_the_image(oci: Oci, tmp_path: Path) -> None:
    oci.detached("c")
    for parent in (str(tmp_path), "./not-there"):
        image = str(tmp_path / "image")
        said = oci("checkpoint", "--image-path", image, "--parent-path", parent, "c", code=1).stderr
        assert b"field=--parent-path" in said
        assert not (tmp_path / "image").exists()
