"""podman's verbs and options on containers-oci."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_podman import Podman
from scene import RUNTIME, Scene, limit, require, until
from shared import emptied, streams_and_exit_codes, terminals


@pytest.fixture(scope="module")
def engine(folder: Path, archive: Path) -> Iterator[Podman]:
    require("podman", "conmon")
    # podman's own clean-up passes no --root on: it is the usual one.
    scene = Scene(folder / "podman", Path("/run") / Path(RUNTIME).name, "libpod-*")
    try:
        yield Podman(scene, archive)
    finally:
        scene.close()


@pytest.fixture
def podman(engine: Podman) -> Iterator[Podman]:
    yield from emptied(engine)


def test_streams_and_exit_codes(podman: Podman) -> None:
    streams_and_exit_codes(podman)


def test_create_start_stop_remove(podman: Podman) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    podman("create", "--name", "c", "--cgroup-parent", podman.scene.cgroup, "box", "sh", "-c", script)
    assert podman.inspect("c")["State"]["Status"] == "created"
    podman("start", "c")
    until(lambda: podman.out("logs", "c") == "up")
    assert "sh -c" in podman.out("ps", "--format", "{{.Command}}")
    podman("stop", "c")
    state = podman.inspect("c")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    assert podman.out("logs", "c") == "up\nbye"
    podman("start", "c")
    until(lambda: podman.out("logs", "c") == "up\nbye\nup")
    podman("rm", "c", code=2)
    podman("rm", "-f", "-t", "0", "c")
    assert podman.out("ps", "-aq") == ""


def test_init_is_created_and_not_started(podman: Podman) -> None:
    podman("create", "--name", "c", "--cgroup-parent", podman.scene.cgroup, "box", "echo", "started")
    podman("init", "c")
    state = podman.inspect("c")["State"]
    assert state["Status"] == "initialized" and state["Pid"] > 0
    assert podman.out("logs", "c") == ""
    assert podman.out("start", "-a", "c") == "started"


def test_exec(podman: Podman) -> None:
    podman.start("--name", "c", "-e", "A=a", "box", "sleep", "1000")
    script = "id -u; id -g; id -G; echo $A$B; pwd"
    done = podman.out("exec", "-e", "B=b", "-w", "/tmp", "-u", "user", "c", "sh", "-c", script)
    assert done.split("\n") == ["5", "6", "6 7", "ab", "/tmp"]
    assert podman("exec", "-i", "c", "sh", "-c", "cat; exit 9", code=9, stdin="in").out == "in"
    podman("exec", "c", "nope", code=127)
    podman("exec", "c", "/notes", code=126)
    podman("exec", "-d", "c", "sh", "-c", "echo done > /tmp/done; sleep 1000")
    until(lambda: podman("exec", "c", "cat", "/tmp/done", code=None).out == "done\n")
    assert "CapEff:\t000001ffffffffff" not in podman.out("exec", "c", "cat", "/proc/self/status")


def test_terminal(podman: Podman) -> None:
    terminal = podman.terminal("run", "--rm", "-it", "-e", "PS1=in> ", "--name", "c", "box", "sh")
    script = "tty; read line; until stty size; do sleep 0.1; done; echo got $line"
    terminals(terminal, lambda: podman.terminal("exec", "-it", "c", "sh", "-c", script))
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_signals(podman: Podman) -> None:
    script = "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done"
    podman.start("--name", "c", "box", "sh", "-c", script)
    until(lambda: podman.out("logs", "c") == "up")
    podman("kill", "-s", "USR1", "c")
    until(lambda: podman.out("logs", "c") == "up\nusr1")
    podman("kill", "c")
    assert podman.out("wait", "c") == "137"


def test_pause(podman: Podman) -> None:
    podman.start("--name", "c", "box", "sh", "-c", "while :; do echo; sleep 0.05; done")
    podman("pause", "c")
    assert podman.inspect("c")["State"]["Status"] == "paused"
    before = podman("logs", "c").out
    podman("exec", "c", "true", code=255)
    assert podman("logs", "c").out == before
    podman("unpause", "c")
    assert podman.inspect("c")["State"]["Status"] == "running"
    until(lambda: podman("logs", "c").out != before)


def test_limits_and_update(podman: Podman) -> None:
    limits = [f"--ulimit={name}" for name in ("core=0:0", "nofile=1024:1024", "nproc=1024:1024")]
    podman.start(
        "--name", "c", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--cpu-shares", "512",
        "--pids-limit", "50", *limits, "box", "sleep", "1000",
    )  # fmt: skip
    pid = podman.pid("c")
    assert limit(pid, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert limit(pid, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert limit(pid, "pids.max", "pids.max") == "50"
    assert podman.out("exec", "c", "sh", "-c", "ulimit -c") == "0"
    podman("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.25", "c")
    assert limit(pid, "memory.limit_in_bytes", "memory.max") == str(96 << 20)
    assert limit(pid, "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
    stats = json.loads(podman.out("stats", "--no-stream", "--format", "json", "c"))[0]
    assert stats["name"] == "c" and stats["pids"] == "1" and stats["mem_usage"].endswith("/ 67.11MB")
    assert "sleep 1000" in podman.out("top", "c", "args")


def test_out_of_memory(podman: Podman) -> None:
    args = ("--name", "c", "--memory", "16m", "--memory-swap", "16m", "--cgroup-parent", podman.scene.cgroup)
    podman("run", *args, "box", "tail", "/dev/zero", code=137)
    assert podman.inspect("c")["State"]["ExitCode"] == 137


def test_volumes_and_read_only(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    write = "cat /v/in; echo there > /v/out; touch /w 2>&1; touch /t/x && mount | grep -c ' /t '"
    done = podman.once(
        "--read-only", "-v", f"{tmp_path}:/v", "--tmpfs", "/t:size=1m", "-v", "named:/n", "box", "sh", "-c", write
    )
    assert "from the host" in done and "Read-only file system" in done and done.endswith("\n1")
    assert (tmp_path / "out").read_text() == "there\n"
    refused = "touch /v/no || mount -o remount,rw /v || echo refused"
    assert podman.once("-v", f"{tmp_path}:/v:ro", "box", "sh", "-c", refused) == "refused"
    podman.once("-v", "named:/n", "box", "sh", "-c", "echo kept > /n/file")
    assert podman.once("-v", "named:/n:ro", "box", "cat", "/n/file") == "kept"
    assert podman.once("--mount", f"type=bind,src={tmp_path},dst=/v,ro=true,bind-propagation=rslave", "box", "ls", "/v")
    podman("volume", "rm", "named")


def test_users_and_capabilities(podman: Podman) -> None:
    assert podman.once("--user", "user", "box", "sh", "-c", "id -u; id -G; umask").split() == ["5", "6", "7", "0022"]
    assert podman.once("--user", "9:10", "--group-add", "11", "box", "id", "-G") == "10 11"
    caps = ("box", "grep", "Cap", "/proc/self/status")
    none = podman.once("--cap-drop", "ALL", *caps)
    assert {line.split()[1] for line in none.splitlines()} == {"0" * 16}
    some = podman.once("--cap-drop", "ALL", "--cap-add", "NET_RAW", "--cap-add", "CHOWN", *caps)
    assert "CapEff:\t0000000000002001" in some and "CapBnd:\t0000000000002001" in some
    assert "CapInh:\t0000000000000000" in some


def test_security_options(podman: Podman) -> None:
    status = ("box", "grep", "-E", "NoNewPrivs|Seccomp:", "/proc/self/status")
    assert podman.once(*status).split() == ["NoNewPrivs:", "0", "Seccomp:", "2"]
    free = podman.once("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", *status)
    assert free.split() == ["NoNewPrivs:", "1", "Seccomp:", "0"]
    look = ("box", "sh", "-c", "wc -c < /proc/timer_list; touch /proc/sys/kernel/domainname 2>&1")
    assert podman("run", "--rm", *look, code=1).out.startswith("0\n")
    unmasked = podman("run", "--rm", "--security-opt", "unmask=/proc/timer_list", *look, code=None).out
    assert not unmasked.startswith("0\n")


def test_namespaces_and_kernel_settings(podman: Podman) -> None:
    assert podman.once("--hostname", "here", "box", "hostname") == "here"
    assert podman.once("--uts", "host", "box", "hostname") == os.uname().nodename
    assert podman.once("--sysctl", "net.ipv4.ip_forward=1", "box", "cat", "/proc/sys/net/ipv4/ip_forward") == "1"
    own = os.readlink("/proc/self/ns/net")
    assert podman.once("--network", "host", "box", "readlink", "/proc/self/ns/net") == own
    podman.start("--name", "c", "box", "sleep", "1000")
    shared = podman.once("--network", "container:c", "--pid", "container:c", "--ipc", "container:c", "box", "ps")
    assert "sleep 1000" in shared
    mapped = podman.once("--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", "box", "cat", "/proc/self/uid_map")
    assert mapped.split() == ["0", "100000", "1000"]
    assert podman.once("--device", "/dev/null:/dev/other", "box", "sh", "-c", "echo x > /dev/other; ls /dev/other")


def test_health_checks(podman: Podman) -> None:
    podman.start("--name", "c", "--health-cmd", "test -f /tmp/ok", "--health-retries", "1", "box", "sleep", "1000")
    podman("healthcheck", "run", "c", code=1)
    assert podman.inspect("c")["State"]["Health"]["Status"] == "unhealthy"
    podman("exec", "c", "touch", "/tmp/ok")
    podman("healthcheck", "run", "c")
    assert podman.inspect("c")["State"]["Health"]["Status"] == "healthy"


def test_a_pod_with_an_infra_container(podman: Podman) -> None:
    podman("pod", "create", "--name", "p", "--share", "net,ipc,uts,pid", "--cgroup-parent", podman.scene.cgroup)
    for name in ("a", "b"):
        podman("run", "-d", "--pod", "p", "--name", name, "box", "sleep", "1000")
    spaces = ("sh", "-c", "cd /proc/self/ns; for ns in net ipc uts pid mnt; do readlink $ns; done")
    a, b = podman.out("exec", "a", *spaces).split(), podman.out("exec", "b", *spaces).split()
    assert a[:4] == b[:4] and a[4] != b[4]
    assert podman.out("exec", "a", "ps").count("sleep 1000") == 2
    assert podman.out("pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}") == "Running 3"
    podman("pod", "pause", "p")
    assert podman.inspect("a")["State"]["Status"] == "paused"
    podman("pod", "unpause", "p")
    podman("pod", "stop", "-t", "0", "p")
    podman("pod", "rm", "p")
    assert podman.out("ps", "-aq") == ""


def test_attach_logs_wait_and_restart(podman: Podman) -> None:
    podman.start("--name", "c", "-i", "box", "sh", "-c", "while read line; do echo got $line; done; exit 4")
    follower = podman.spawn("logs", "-f", "c")
    attached = podman.spawn("attach", "c")
    assert attached.stdin and attached.stdout and follower.stdout
    attached.stdin.write("one\ntwo\n")
    attached.stdin.flush()
    assert [attached.stdout.readline() for _ in range(2)] == ["got one\n", "got two\n"]
    assert [follower.stdout.readline() for _ in range(2)] == ["got one\n", "got two\n"]
    attached.stdin.close()
    assert podman.out("wait", "c") == "4" and attached.wait(60) is not None and follower.wait(60) == 0
    podman.start("--name", "r", "--restart", "on-failure:2", "box", "sh", "-c", "echo again; exit 1")
    until(lambda: podman.inspect("r")["State"]["Status"] == "exited" and podman.inspect("r")["RestartCount"] == 2)
    assert podman.out("logs", "r") == "again\nagain\nagain"


def test_copy_init_and_hooks(podman: Podman, tmp_path: Path) -> None:
    podman.start("--name", "c", "--init", "box", "sleep", "1000")
    (tmp_path / "file").write_text("copied")
    podman("cp", str(tmp_path / "file"), "c:/tmp/file")
    assert podman.out("exec", "c", "cat", "/tmp/file") == "copied"
    podman("cp", "c:/notes", str(tmp_path / "notes"))
    assert (tmp_path / "notes").read_text() == "no program"
    assert "catatonit" in podman.out("exec", "c", "cat", "/proc/1/comm") or podman.out("top", "c", "comm")
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ncat > {tmp_path}/state\n")
    script.chmod(0o755)
    hook = {"version": "1.0.0", "hook": {"path": str(script)}, "when": {"always": True}, "stages": ["createRuntime"]}
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/one.json").write_text(json.dumps(hook))
    podman("--hooks-dir", str(tmp_path / "hooks"), "run", "--rm", "box", "true")
    assert json.loads((tmp_path / "state").read_text())["status"] == "creating"
