"""docker's verbs and options on containers-oci, through a real dockerd, its containerd and its shim."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_docker import Docker
from scene import Scene, limit, require, until
from shared import emptied, served, streams_and_exit_codes, terminals


@pytest.fixture(scope="module")
def engine(folder: Path, archive: Path) -> Iterator[Docker]:
    require("dockerd", "containerd", "docker", "ip", "unshare")
    with served(Scene(folder / "docker"), Docker, archive) as docker:
        yield docker


@pytest.fixture
def docker(engine: Docker) -> Iterator[Docker]:
    yield from emptied(engine)


def test_the_daemon_knows_the_runtime(docker: Docker) -> None:
    info = json.loads(docker.out("info", "--format", "{{json .}}"))
    assert info["DefaultRuntime"] == "ours" and "ours" in info["Runtimes"]
    assert docker.once("--runtime", "ours", "box", "echo", "by name") == "by name"


def test_streams_and_exit_codes(docker: Docker) -> None:
    streams_and_exit_codes(docker)


def test_create_start_stop_remove(docker: Docker) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    docker("create", "--name", "cc", "box", "sh", "-c", script)
    assert docker.inspect("cc")["State"]["Status"] == "created"
    docker("start", "cc")
    until(lambda: docker.out("logs", "cc") == "up")
    docker("stop", "cc")
    state = docker.inspect("cc")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    docker("restart", "cc")
    until(lambda: docker.out("logs", "cc") == "up\nbye\nup")
    docker("rm", "cc", code=1)
    docker("rm", "-f", "cc")
    assert docker.out("ps", "-aq") == ""


def test_exec(docker: Docker) -> None:
    docker.start("--name", "cc", "-e", "A=a", "box", "sleep", "1000")
    script = "id -u; id -g; id -G; echo $A$B; pwd"
    done = docker.out("exec", "-e", "B=b", "-w", "/tmp", "-u", "user", "cc", "sh", "-c", script)
    assert done.split("\n") == ["5", "6", "6 7", "ab", "/tmp"]
    assert docker("exec", "-i", "cc", "sh", "-c", "cat; exit 9", code=9, stdin="in").out == "in"
    docker("exec", "cc", "nope", code=126)
    docker("exec", "cc", "/notes", code=126)
    docker("exec", "-d", "cc", "sh", "-c", "echo done > /tmp/done; sleep 1000")
    until(lambda: docker("exec", "cc", "cat", "/tmp/done", code=None).out == "done\n")
    assert docker.out("top", "cc", "-o", "pid,args").count("sleep 1000") == 2


def test_terminal(docker: Docker) -> None:
    terminal = docker.terminal("run", "--rm", "-it", "-e", "PS1=in> ", "--name", "cc", "box", "sh")
    # Until the client has said its size, stty has none to tell, which is no failure to it.
    script = "tty; read line; until stty size 2>&1 | grep '24 80'; do sleep 0.1; done; echo got $line"
    said = terminals(terminal, lambda: docker.terminal("exec", "-it", "cc", "sh", "-c", script))
    assert "24 80" in said
    terminal.type("sh -c 'echo ready; exec sleep 1000'\n")
    terminal.expect("\r\nready")
    terminal.type("\x03")
    terminal.expect("in> ")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_signals(docker: Docker) -> None:
    docker.start("--name", "cc", "box", "sh", "-c", "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done")
    until(lambda: docker.out("logs", "cc") == "up")
    docker("kill", "-s", "USR1", "cc")
    until(lambda: docker.out("logs", "cc") == "up\nusr1")
    docker("kill", "cc")
    assert docker.out("wait", "cc") == "137"


def test_pause(docker: Docker) -> None:
    docker.start("--name", "cc", "box", "sh", "-c", "while :; do echo; sleep 0.05; done")
    docker("pause", "cc")
    assert docker.inspect("cc")["State"]["Status"] == "paused"
    before = docker("logs", "cc").out
    assert "paused" in docker("exec", "cc", "true", code=1).err
    time.sleep(0.2)
    assert docker("logs", "cc").out == before
    docker("unpause", "cc")
    until(lambda: docker("logs", "cc").out != before)


def test_limits_update_and_stats(docker: Docker) -> None:
    docker.start(
        "--name", "cc", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--cpu-shares", "512",
        "--pids-limit", "50", "--ulimit", "core=0:0", "--cpuset-cpus", "0", "box", "sleep", "1000",
    )  # fmt: skip
    pid = docker.inspect("cc")["State"]["Pid"]
    assert limit(pid, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert limit(pid, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert limit(pid, "pids.max", "pids.max") == "50"
    assert docker.out("exec", "cc", "sh", "-c", "ulimit -c") == "0"
    docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.25", "--pids-limit", "60", "cc")
    assert limit(pid, "memory.limit_in_bytes", "memory.max") == str(96 << 20)
    assert limit(pid, "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
    assert limit(pid, "pids.max", "pids.max") == "60"
    stats = json.loads(docker.out("stats", "--no-stream", "--format", "{{json .}}", "cc"))
    assert stats["Name"] == "cc" and stats["PIDs"] == "1" and stats["MemUsage"].endswith("/ 96MiB")


def test_out_of_memory(docker: Docker) -> None:
    docker("run", "--name", "cc", "--memory", "16m", "--memory-swap", "16m", "box", "tail", "/dev/zero", code=137)
    until(lambda: docker.inspect("cc")["State"]["OOMKilled"])


def test_volumes_and_read_only(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    write = "cat /v/in; echo there > /v/out; touch /w 2>&1; touch /t/x && mount | grep -c ' /t '"
    args = ("--read-only", "-v", f"{tmp_path}:/v", "--tmpfs", "/t:size=1m", "box", "sh", "-c", write)
    done = docker.once(*args)
    assert "from the host" in done and "Read-only file system" in done and done.endswith("\n1")
    assert (tmp_path / "out").read_text() == "there\n"
    refused = "touch /v/no || mount -o remount,rw /v || echo refused"
    assert docker.once("-v", f"{tmp_path}:/v:ro", "box", "sh", "-c", refused) == "refused"
    docker.once("-v", "named:/n", "box", "sh", "-c", "echo kept > /n/file")
    assert docker.once("-v", "named:/n:ro", "box", "cat", "/n/file") == "kept"
    docker("volume", "rm", "named")


def test_users_capabilities_and_security(docker: Docker) -> None:
    assert docker.once("--user", "user", "box", "sh", "-c", "id -u; id -G; umask").split() == ["5", "6", "7", "0022"]
    assert docker.once("--user", "9:10", "--group-add", "11", "box", "id", "-G") == "10 11"
    status = ("box", "grep", "-E", "Cap|NoNewPrivs|Seccomp:", "/proc/self/status")
    lines = dict(line.split() for line in docker.once(*status).splitlines())
    assert lines["CapEff:"] == "00000000a80425fb" and lines["Seccomp:"] == "2" and lines["NoNewPrivs:"] == "0"
    options = ("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--cap-drop", "ALL")
    lines = dict(line.split() for line in docker.once(*options, "--cap-add", "NET_RAW", *status).splitlines())
    assert lines["CapEff:"] == "0000000000002000" and lines["Seccomp:"] == "0" and lines["NoNewPrivs:"] == "1"


def test_networks(docker: Docker) -> None:
    docker("network", "create", "nn")
    docker.start("--name", "server", "--network", "nn", "box", "sh", "-c", "while :; do echo hi | nc -l -p 80; done")
    client = ("--network", "nn", "box", "sh", "-c", "until nc -w 2 server 80 < /dev/null; do sleep 0.1; done")
    assert docker.once(*client) == "hi"
    docker("network", "connect", "bridge", "server")
    assert docker.out("exec", "server", "ls", "/sys/class/net").split() == ["eth0", "eth1", "lo"]
    spaces = ("box", "readlink", "/proc/self/ns/net")
    own = docker.out("exec", "server", "readlink", "/proc/self/ns/net")
    assert docker.once("--network", "container:server", *spaces) == own
    assert docker.once("--network", "none", "box", "ls", "/sys/class/net") == "lo"
    docker("rm", "-f", "server")
    docker("network", "rm", "nn")


def test_namespaces_and_kernel_settings(docker: Docker) -> None:
    assert docker.once("--hostname", "here", "box", "hostname") == "here"
    assert docker.once("--uts", "host", "box", "hostname") == os.uname().nodename
    assert docker.once("--sysctl", "net.ipv4.ip_forward=1", "box", "cat", "/proc/sys/net/ipv4/ip_forward") == "1"
    docker.start("--name", "cc", "--ipc", "shareable", "box", "sleep", "1000")
    assert "sleep 1000" in docker.once("--pid", "container:cc", "--ipc", "container:cc", "box", "ps")
    assert docker.once("--device", "/dev/null:/dev/other", "box", "sh", "-c", "echo x > /dev/other; ls /dev/other")
    assert docker.once("--pid", "host", "box", "readlink", "/proc/self/ns/pid") == os.readlink("/proc/self/ns/pid")


def test_restart_policies(docker: Docker) -> None:
    docker.start("--name", "rr", "--restart", "on-failure:2", "box", "sh", "-c", "echo again; exit 1")
    until(lambda: docker.inspect("rr")["State"]["Status"] == "exited" and docker.inspect("rr")["RestartCount"] == 2)
    assert docker.out("logs", "rr") == "again\nagain\nagain"
    docker.start("--name", "aa", "--restart", "always", "box", "sleep", "1000")
    pid = docker.inspect("aa")["State"]["Pid"]
    os.kill(pid, 9)
    until(lambda: docker.inspect("aa")["State"]["Pid"] not in (0, pid))
    docker("stop", "-t", "0", "aa")
    assert docker.inspect("aa")["State"]["Status"] == "exited"


def test_health_checks(docker: Docker) -> None:
    args = ("--health-cmd", "test -f /tmp/ok", "--health-interval", "200ms", "--health-retries", "1")
    docker.start("--name", "cc", *args, "box", "sleep", "1000")
    until(lambda: docker.inspect("cc")["State"]["Health"]["Status"] == "unhealthy")
    docker("exec", "cc", "touch", "/tmp/ok")
    until(lambda: docker.inspect("cc")["State"]["Health"]["Status"] == "healthy")


def test_init_copy_diff_and_commit(docker: Docker, tmp_path: Path) -> None:
    docker.start("--name", "cc", "--init", "box", "sleep", "1000")
    assert "init" in docker.out("exec", "cc", "cat", "/proc/1/comm")
    (tmp_path / "file").write_text("copied")
    docker("cp", str(tmp_path / "file"), "cc:/tmp/file")
    assert docker.out("exec", "cc", "cat", "/tmp/file") == "copied"
    docker("cp", "cc:/notes", str(tmp_path / "notes"))
    assert (tmp_path / "notes").read_text() == "no program"
    assert "A /tmp/file" in docker.out("diff", "cc")
    docker("commit", "cc", "second")
    assert docker.once("second", "cat", "/tmp/file") == "copied"
    docker("rmi", "second")


def test_live_events_logs_and_attach(docker: Docker) -> None:
    # From a moment before: it may not listen yet when the first thing happens. No other test has a container of
    # this name, which might end in that moment.
    since = ("--since", str(time.time() - 0.1))
    events = docker.spawn("events", *since, "--filter", "container=live", "--format", "{{.Action}}")
    docker("create", "--name", "live", "-i", "box", "sh", "-c", "while read line; do echo got $line; done; exit 4")
    attached = docker.spawn("start", "-a", "-i", "live")
    assert attached.stdin and attached.stdout and events.stdout
    attached.stdin.write("one\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == "got one\n"
    follower = docker.spawn("logs", "-f", "live")
    assert follower.stdout and follower.stdout.readline() == "got one\n"
    attached.stdin.close()
    assert attached.wait(60) == 4 and follower.wait(60) == 0
    seen: list[str] = []
    while not seen or seen[-1] != "die":
        seen.append(events.stdout.readline().strip())
    events.terminate()
    events.wait(60)
    assert [action for action in seen if action in ("create", "start", "die")] == ["create", "start", "die"]


def test_containers_outlive_the_client_and_die_with_their_process(docker: Docker) -> None:
    docker.start("--name", "cc", "box", "sleep", "1000")
    os.kill(docker.inspect("cc")["State"]["Pid"], 9)
    assert docker.out("wait", "cc") == "137"
