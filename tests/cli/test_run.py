"""`containers run`, `create`, `start`, `exec`, `attach`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import PROGRAM, Cli


def wait_until(check: object, seconds: float = 20) -> None:
    """Waits until a callable is true."""
    assert callable(check)
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def test_output_streams_and_exit_code(cli: Cli) -> None:
    done = cli("run", "--rm", "host", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert cli.out("ps", "-aq") == ""


def test_standard_input_is_passed_with_i_only(cli: Cli) -> None:
    data = os.urandom(300_000)
    assert cli("run", "--rm", "-i", "host", "cat", stdin=data).stdout == data
    assert cli("run", "--rm", "host", "cat", stdin=b"ignored").stdout == b""


def test_docker_exit_codes(cli: Cli) -> None:
    assert "no-such-program" in cli.error("run", "--rm", "host", "no-such-program", code=127)
    cli.error("run", "--rm", "host", "/etc/passwd", code=126)
    cli.error("run", "--rm", "nosuchimage.invalid/x:1", "true", code=125)
    cli.error("run", "--rm", "--pull", "never", "nosuch", "true", code=125)
    cli.error("run", "--rm", "--network", "nosuch", "host", "true", code=125)
    cli.error("run", "--rm", "-m", "12q", "host", "true", code=125)
    assert cli.out("ps", "-aq") == ""
    cli("run", "--rm", "host", "sh", "-c", "sh -c 'kill -9 $$'; exit $?", code=137)


def test_flags_reach_the_container(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("from the host")
    (tmp_path / "env").write_text("# comment\nFROM_FILE=1\nBOTH=file\n")
    script = "echo $FROM_FILE $BOTH $A; pwd; id -u; hostname; cat /data/file; touch /data/x || echo ro; echo $0"
    out = cli.out(
        *("run", "--rm", "--env-file", str(tmp_path / "env"), "-e", "BOTH=flag", "-e", "A=b c"),
        *("-w", "/tmp", "-u", "1000", "-h", "box", "-v", f"{tmp_path}/shared:/data:ro"),
        *("--memory", "64m", "--cpus", "0.5", "--read-only", "--entrypoint", "sh", "host", "-c", script, "zero"),
    )
    assert out.splitlines() == ["1 flag b c", "/tmp", "1000", "box", "from the hostro", "zero"]


def test_detached_containers_live_on(cli: Cli) -> None:
    identity = cli.out("run", "-d", "--name", "web", "-l", "tier=front", "host", "sh", "-c", "echo hi; exec sleep 300")
    assert len(identity) == 64
    assert cli.out("ps", "-q") == identity[:12]
    assert cli.out("ps", "-q", "--no-trunc", "--filter", "label=tier=front") == identity
    assert cli.out("ps", "-q", "--filter", "label=tier=back") == ""
    assert cli.out("ps", "--format", "{{.Names}} {{.Image}} {{.State}}") == "web host running"
    assert cli.out("ps").splitlines()[0].split()[:2] == ["CONTAINER", "ID"]
    wait_until(lambda: cli.out("logs", "web") == "hi")
    assert cli.out("exec", "web", "sh", "-c", "echo $0 in $(hostname)") == f"sh in {identity[:12]}"
    cli("exec", "web", "false", code=1)
    cli("exec", "web", "no-such-program", code=127)
    assert "nobody-here" in cli.error("exec", "-u", "nobody-here", "web", "true", code=126)
    assert "/nowhere" in cli.error("exec", "-w", "/nowhere", "web", "true", code=127)
    assert "/etc/hosts" in cli.error("exec", "-w", "/etc/hosts", "web", "true", code=126)
    cli("pause", "web")
    assert "paused" in cli.error("exec", "web", "true", code=1)
    cli("unpause", "web")
    assert cli("exec", "-i", "web", "cat", stdin=b"typed").stdout == b"typed"
    assert cli.out("inspect", "-f", "{{.State.Status}} {{.Name}} {{json .Config.Labels}}", "web") == (
        'running /web {"tier":"front"}'
    )
    assert json.loads(cli.out("inspect", "web"))[0]["Id"] == identity
    assert "web" in cli.error("run", "--name", "web", "host", "true", code=125)
    assert "web" in cli.error("rm", "web", code=1)
    assert cli.out("stop", "-t", "0", "web") == "web"
    assert cli.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web") == "exited 137"
    assert cli.out("wait", "web") == "137"
    assert cli.out("rm", "web") == "web"
    assert cli.out("ps", "-aq") == ""
    cli("rm", "-f", "web")
    cli("rm", "web", code=1)


def test_ps_has_dockers_fields(cli: Cli, tmp_path: Path) -> None:
    shared = tmp_path / "a-rather-long-name"
    shared.mkdir()
    cli("create", "--name", "one", "--network", "host", "-v", f"{shared}:/data", "--tmpfs", "/t", "host", "true")
    cli("create", "--name", "two", "host", "true")
    row = json.loads(cli.out("ps", "-a", "--filter", "name=one", "--format", "{{json .}}"))
    assert row == json.loads(cli.out("ps", "-a", "--filter", "name=one", "--format", "json"))
    known = "Command CreatedAt ID Image Labels LocalVolumes Mounts Names Networks Ports RunningFor Size State Status"
    assert sorted(row) == known.split()
    assert (row["Networks"], row["Ports"], row["LocalVolumes"]) == ("host", "", "0")
    assert row["Mounts"] == str(shared)[:14] + "…"
    assert re.fullmatch(r"[0-9-]{10} [0-9:]{8} [+-][0-9]{4} \S+", row["CreatedAt"])
    assert cli.out("ps", "-a", "--no-trunc", "--format", "{{.Mounts}} {{.Networks}}") == f" none\n{shared} host"
    shared.rmdir()
    assert cli.out("ps", "-a", "--no-trunc", "--filter", "name=one", "--format", "{{.Mounts}}") == str(shared)


def test_a_finished_container_keeps_its_logs(cli: Cli) -> None:
    cli("run", "--name", "once", "host", "sh", "-c", "echo 1; sleep 0.2; echo 2 >&2; sleep 0.2; echo 3; exit 3", code=3)
    done = cli("logs", "once")
    assert (done.stdout, done.stderr) == (b"1\n3\n", b"2\n")
    assert cli.out("logs", "-n", "1", "once") == "3"
    stamped = cli.out("logs", "-t", "once").splitlines()
    assert stamped[0].endswith("Z 1") and stamped[0].startswith("20")
    assert "Exited (3)" in cli.out("ps", "-a")
    assert cli.out("start", "once") == "once"
    assert cli.out("wait", "once") == "3"
    assert cli.out("logs", "-f", "once") == "1\n3\n1\n3"


def test_create_start_attach(cli: Cli) -> None:
    identity = cli.out("create", "-i", "host", "sh", "-c", "read x; echo got $x; exit 4")
    assert cli.out("ps", "-a", "--format", "{{.State}}") == "created"
    done = cli("start", "-a", "-i", identity[:12], code=4, stdin=b"word\n")
    assert done.stdout == b"got word\n"


def test_signals_are_passed_on(cli: Cli) -> None:
    script = "trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [str(PROGRAM), "run", "--rm", "host", "sh", "-c", script], env=cli.env, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == b"term\n"
    assert process.wait(timeout=20) == 9


def test_a_killed_client_leaves_the_container_as_docker_does(cli: Cli) -> None:
    process = subprocess.Popen(
        [str(PROGRAM), "run", "--name", "alone", "host", "sh", "-c", "echo up; sleep 300"],
        env=cli.env,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait()
    assert cli.out("ps", "--format", "{{.Names}}") == "alone"
    assert cli.out("kill", "alone") == "alone"
    assert cli.out("wait", "alone") == "137"


def test_pause_restart_rename(cli: Cli) -> None:
    cli("run", "-d", "--name", "a", "host", "sleep", "300")
    cli("pause", "a")
    assert "(Paused)" in cli.out("ps")
    cli("unpause", "a")
    cli("rename", "a", "b")
    before = cli.out("inspect", "-f", "{{.State.Pid}}", "b")
    cli("restart", "-t", "0", "b")
    after = cli.out("inspect", "-f", "{{.State.Pid}}", "b")
    assert before != after and int(after) > 1


def test_it_needs_a_terminal(cli: Cli) -> None:
    assert "not a TTY" in cli.error("run", "--rm", "-it", "host", "true", code=1)


def test_stop_with_another_signal(cli: Cli) -> None:
    script = "trap 'exit 41' HUP; trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done"
    cli("run", "-d", "--name", "s", "--stop-signal", "USR1", "host", "sh", "-c", script)
    wait_until(lambda: cli.out("logs", "s") == "ready")
    assert "SIGWHAT" in cli.error("stop", "--signal", "SIGWHAT", "s", code=1)
    assert cli.out("stop", "-s", "HUP", "-t", "20", "s") == "s"
    assert cli.out("wait", "s") == "41"
    cli("start", "s")
    wait_until(lambda: cli.out("logs", "s") == "ready\nready")
    cli("restart", "--signal", "SIGHUP", "-t", "20", "s")
    cli("stop", "-t", "0", "s")


def test_files_of_labels_and_variables(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("# comment\na=1\n  b=2\nbare\n")
    (tmp_path / "env").write_text("FROM=file\n")
    flags = ("--name", "l", "-l", "a=3", "--label-file", str(tmp_path / "labels"))
    cli("run", "-d", *flags, "host", "sleep", "300")
    assert json.loads(cli.out("inspect", "-f", "{{json .Config.Labels}}", "l")) == {"a": "3", "b": "2", "bare": ""}
    assert cli.out("exec", "--env-file", str(tmp_path / "env"), "l", "sh", "-c", "echo $FROM") == "file"
    assert "nosuch" in cli.error("create", "--label-file", str(tmp_path / "nosuch"), "host", code=125)


def test_health_of_the_image_and_of_flags(cli: Cli, tmp_path: Path) -> None:
    tar = tmp_path / "r.tar"
    subprocess.run(["tar", "-C", "/", "-cf", str(tar), "bin/busybox"], check=True)
    change = 'HEALTHCHECK --interval=100ms --retries=1 CMD ["/bin/busybox", "test", "-e", "/well"]'
    cli("import", "-c", change, str(tar), "checked:1")
    sleep = ("checked:1", "/bin/busybox", "sleep", "300")
    cli("run", "-d", "--name", "a", *sleep)
    wait_until(lambda: "(unhealthy)" in cli.out("ps"))
    cli("exec", "a", "/bin/busybox", "touch", "/well")
    wait_until(lambda: "(healthy)" in cli.out("ps"))
    shown = json.loads(cli.out("inspect", "-f", "{{json .Config.Healthcheck}}", "a"))
    assert shown["Interval"] == 100_000_000 and shown["Test"][0] == "CMD"
    cli("run", "-d", "--name", "b", "--health-interval", "7s", *sleep)
    shown = json.loads(cli.out("inspect", "-f", "{{json .Config.Healthcheck}}", "b"))
    assert (shown["Interval"], shown["Retries"], shown["Test"][0]) == (7_000_000_000, 1, "CMD")
    cli("run", "-d", "--name", "c", "--no-healthcheck", *sleep)
    assert json.loads(cli.out("inspect", "-f", "{{json .State}}", "c")).get("Health") is None
    assert cli.error("run", "--no-healthcheck", "--health-cmd", "true", "host", code=125)
    assert "no test" in cli.error("run", "-d", "--health-interval", "7s", "host", "true", code=125)
    assert cli("run", "--rm", *sleep[:2], "true").stdout == b""


def test_info_and_doctor(cli: Cli) -> None:
    assert "Storage Driver: overlay" in cli.out("info")
    assert cli.out("info", "-f", "{{.Driver}} {{.OSType}}") == "overlay linux"
    driver, version = cli.out("info", "-f", "{{.CgroupDriver}} {{.CgroupVersion}}").split()
    assert f"Cgroup Driver: {driver}\n" in cli.out("info")
    assert driver == {"1": "cgroupfs", "none": "none"}.get(version, driver)
    assert driver in ("systemd", "cgroupfs", "none")
    assert cli.out("version", "-f", "{{.Client.Version}}") == cli.out("info", "-f", "{{.ServerVersion}}")
    platform = cli.out("info", "-f", "{{.OSType}}/{{.Architecture}}")
    assert cli.out("version", "-f", "{{.Client.Os}}/{{.Client.Arch}}") == platform
    assert platform in cli.out("version")
    assert cli.out("help") == cli.out("--help")
    for command in ("run", "rm", "exec", "stop"):
        assert "required" in cli.error(command, code=1)
        assert "--no-such-flag" in cli.error(command, "--no-such-flag", "x", "y", code=125)
    assert cli.out("help", "stop") == cli.out("stop", "--help")
    report = json.loads(cli.out("doctor", "-f", "json"))
    assert {"open a runtime", "run a container"} <= {check["name"] for check in report if check["ok"]}


def test_binds_may_begin_at_the_working_directory(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "here").write_text("found")
    monkeypatch.chdir(tmp_path)
    assert cli.out("run", "--rm", "-v", ".:/data", "host", "cat", "/data/here") == "found"
    assert cli.out("run", "--rm", "-v", "./here:/file:ro", "host", "cat", "/file") == "found"
    monkeypatch.chdir(tmp_path / "inner")
    assert cli.out("run", "--rm", "--mount", "type=bind,src=..,dst=/up", "host", "cat", "/up/here") == "found"
    cli("run", "--rm", "-v", "./made:/data", "host", "touch", "/data/new")
    assert (tmp_path / "inner/made/new").exists()


def test_wrong_command_lines_end_as_with_docker(cli: Cli) -> None:
    assert "--colour" in cli.error("run", "--colour", "host", code=125)
    assert "--device" in cli.error("run", "--gpus", "all", "host", code=125)
    assert "not built yet" in cli.error("push", "x", code=1)
    assert "not built yet" in cli.error("container", "top", "x", code=1)
    assert "unknown command: containers image nosuch" in cli.error("image", "nosuch", code=1)
    assert "Usage" in cli.out("--help")
    assert "Usage" in cli.out("run", "--help")
    cli("ps", "extra", code=125)
    assert "not built yet" in cli.error("run", "--rm", "-v", "named:/data", "host", "true", code=125)
    assert "not built yet" in cli.error("run", "--rm", "--mount", "target=/data", "host", "true", code=125)
    assert "can't be published" in cli.error("run", "--rm", "-p", "80", "host", "true", code=125)
    assert cli.out("ps", "-aq") == ""
