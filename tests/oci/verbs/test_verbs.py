"""containers-oci's commands, on a busybox bundle."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from program import PROGRAM, Oci


def test_run_has_streams_and_exit_codes(oci: Oci) -> None:
    oci.command("sh", "-c", "cat; echo err >&2; exit 3")
    done = oci("run", "c", code=3, input=b"hello")
    assert (done.stdout, done.stderr) == (b"hello", b"err\n")
    oci.command("sh", "-c", "kill -9 $$")
    oci.change(lambda c: c["linux"].update(namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "pid"]))
    oci("run", "c", code=137)
    assert not list(oci.root.iterdir())


def test_commands_that_can_not_be_executed(oci: Oci) -> None:
    oci.command("nope")
    assert b"executable file not found in $PATH" in oci("run", "c", code=127).stderr
    oci.command("/nope")
    assert b"no such file or directory" in oci("run", "c", code=127).stderr
    oci.command("/notes")
    assert b"permission denied" in oci("run", "c", code=126).stderr
    assert not list(oci.root.iterdir())


def test_lifecycle(oci: Oci, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    subprocess.run(
        [PROGRAM, "--root", str(oci.root), "create", "--pid-file", str(pid_file), "c"],
        cwd=oci.bundle, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=60, check=True,
    )  # fmt: skip
    state = oci.state("c")
    assert state["status"] == "created" and state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == str(oci.bundle) and state["id"] == "c"
    assert b"already exists" in oci("create", "c", code=1).stderr
    oci("start", "c")
    assert oci.state("c")["status"] == "running"
    assert b"already running" in oci("start", "c", code=1).stderr
    assert b"is not stopped" in oci("delete", "c", code=1).stderr
    listed = json.loads(oci("list", "-f", "json").stdout)
    assert [c["id"] for c in listed] == ["c"] and oci("list", "-q").stdout == b"c\n"
    oci("pause", "c")
    assert oci.state("c")["status"] == "paused"
    assert b"paused" in oci("exec", "c", "true", code=255).stderr
    oci("resume", "c")
    assert json.loads(oci("ps", "-f", "json", "c").stdout) == [state["pid"]]
    assert b"sleep 1000" in oci("ps", "c").stdout
    assert json.loads(oci("events", "--stats", "c").stdout)["type"] == "stats"
    oci("kill", "c", "KILL")
    oci.until("c", "stopped")
    assert b"not running" in oci("kill", "c", code=1).stderr
    oci("delete", "c")
    assert b"does not exist" in oci("state", "c", code=1).stderr
    oci("delete", "-f", "c")


def check_interpreted(oci: Oci, tmp_path: Path) -> None:
    """One line, as runc has it; the log, if there is one, knows more."""
    oci.command("/script")
    short = b"exec /script: no such file or directory\n"
    assert oci("run", "script", code=127).stderr == short
    log = tmp_path / "script.log"
    assert oci("run", "script", code=127, globals_=("--log", str(log))).stderr == short
    assert "exec /script: no such file or directory: its interpreter is missing" in log.read_text()


def test_exec(oci: Oci, tmp_path: Path) -> None:
    oci.detached("c")
    assert oci("exec", "c", "sh", "-c", "cat; exit 7", code=7, input=b"in").stdout == b"in"
    script = "id -u; id -g; echo $A; pwd"
    done = oci("exec", "--user", "5:6", "--env", "A=b", "--cwd", "/bin", "c", "sh", "-c", script)
    assert done.stdout == b"5\n6\nb\n/bin\n"
    assert b"executable file not found" in oci("exec", "c", "nope", code=127).stderr
    assert b"stat /not/there: no such file" in oci("exec", "c", "/not/there", code=127).stderr
    interpreted = oci.bundle / "rootfs/script"
    interpreted.write_text("#!/not/there\n")
    interpreted.chmod(0o755)
    assert b"exec /script: no such file or directory: its interpreter" in oci("exec", "c", "/script", code=127).stderr
    check_interpreted(oci, tmp_path)
    assert b"No such file or directory" in oci("exec", "--cwd", "/not/there", "c", "true", code=255).stderr
    assert not (oci.bundle / "rootfs/not").exists()
    oci("exec", "nobody-there", "true", code=255)
    process = {"args": ["echo", "from", "file"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
    (tmp_path / "process.json").write_text(json.dumps(process))
    assert oci("exec", "--process", str(tmp_path / "process.json"), "c").stdout == b"from file\n"
    read, write = os.pipe()
    os.write(write, b"preserved")
    os.close(write)
    with open(read, "rb") as kept:
        # The shell puts it where the program looks, in place of its standard input.
        script = f'exec "$0" --root {oci.root} exec --preserve-fds 1 c sh -c "cat <&3" 3<&0 </dev/null'
        shown = subprocess.run(["sh", "-c", script, PROGRAM], stdin=kept, capture_output=True, check=True, timeout=60)
    assert shown.stdout == b"preserved"


def receive_terminal(path: Path, arguments: list[str], cwd: Path) -> int:
    """The terminal that the program sends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(30)
    subprocess.run(arguments, cwd=cwd, stdin=subprocess.DEVNULL, timeout=60, check=True)
    connection, _ = listener.accept()
    fds = array.array("i")
    _, control, _, _ = connection.recvmsg(100, socket.CMSG_LEN(fds.itemsize))
    fds.frombytes(control[0][2][: fds.itemsize])
    listener.close()
    connection.close()
    return fds[0]


def test_console_socket(oci: Oci, tmp_path: Path) -> None:
    oci.change(lambda c: c["process"].update(terminal=True, args=["sh", "-c", "tty; read line; echo got $line"]))
    assert b"console socket" in oci("create", "c", code=1).stderr
    path = Path("/tmp") / f"oci-{os.getpid()}.sock"
    try:
        arguments = [PROGRAM, "--root", str(oci.root), "run", "-d", "--console-socket", str(path), "c"]
        terminal = receive_terminal(path, arguments, oci.bundle)
        os.write(terminal, b"word\n")
        said = b""
        while b"got word" not in said:
            said += os.read(terminal, 1000)
        assert b"/dev/pts/0" in said or b"/dev/console" in said
        os.close(terminal)
    finally:
        path.unlink(missing_ok=True)


def test_messages(oci: Oci, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = oci("state", "none", code=1, globals_=("--log", str(log), "--log-format", "json"))
    entry = json.loads(log.read_text())
    assert entry["level"] == "error" and "does not exist" in entry["msg"] and entry["time"]
    assert b"does not exist" in done.stderr
    assert b'level=error msg="' in oci("state", "none", code=1).stderr


def test_a_killed_run_leaves_nothing_after_delete(oci: Oci) -> None:
    run = subprocess.Popen(
        [PROGRAM, "--root", str(oci.root), "run", "c"], cwd=oci.bundle, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(500):
        if (oci.root / "c/state.json").exists() and oci.state("c")["status"] == "running":
            break
        time.sleep(0.01)
    pid = oci.state("c")["pid"]
    run.send_signal(signal.SIGKILL)
    run.wait()
    oci("delete", "-f", "c")
    assert not (oci.root / "c").exists()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z"


def test_hooks_see_the_container(oci: Oci, tmp_path: Path) -> None:
    def hook(name: str) -> list[dict[str, Any]]:
        return [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {tmp_path}/{name}"]}]

    names = ("createRuntime", "poststart", "poststop")
    oci.change(lambda c: c.update(hooks={name: hook(name) for name in names}))
    oci.command("true")
    oci("run", "c")
    states = {name: json.loads((tmp_path / name).read_text()) for name in names}
    assert states["createRuntime"]["pid"] > 0 and states["createRuntime"]["id"] == "c"
    assert states["poststop"]["status"] == "stopped"


def test_debug_tells_of_every_step(oci: Oci, tmp_path: Path) -> None:
    log = tmp_path / "log"
    oci.detached("other")
    said = oci("exec", "other", "true", globals_=("--debug",)).stderr.decode()
    # runc's words, which others look for.
    for words in ("level=debug", "nsexec container setup", "child process in init()", "setns_init: about to exec"):
        assert words in said
    assert "affinity" not in said
    oci.change(lambda c: c.update(hooks={"createRuntime": [{"path": "/bin/true"}]}))
    oci.command("true")
    oci("run", "c", globals_=("--debug", "--log", str(log), "--log-format", "json"))
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert {step["level"] for step in steps} == {"debug"}
    assert any("running createRuntime hook #0" in step["msg"] for step in steps)
    for words in ("nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"):
        assert [words in step["msg"] for step in steps].count(True) == 1


def test_debug_tells_what_a_process_is_given(oci: Oci) -> None:
    cpu = min(os.sched_getaffinity(0))
    filtering = {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    oci.change(lambda c: c["process"].update(execCPUAffinity={"initial": str(cpu)}))
    oci.change(lambda c: c["linux"].update(seccomp=filtering))
    oci.detached("c")
    said = oci("exec", "c", "true", globals_=("--debug",)).stderr.decode()
    assert f": affinity: {1 << cpu:#x}" in said and '"seccomp filter flags: 2"' in said


def test_messages_name_the_program_as_it_was_called(oci: Oci, tmp_path: Path) -> None:
    name = tmp_path / "runc"
    name.symlink_to(PROGRAM)
    done = subprocess.run([name, "--root", tmp_path / "r", "run", "x"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "runc run failed: " in done.stderr
    version = subprocess.run([name, "--version"], capture_output=True, text=True).stdout.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in version] == ["runc version", "commit:", "spec:"]


def test_help_has_runcs_form(tmp_path: Path) -> None:
    name = tmp_path / "runc"
    name.symlink_to(PROGRAM)
    for args, line in (
        ([], "runc - Open Container Initiative runtime"),
        (["create"], "runc create - Create a container"),
    ):
        for flag in ("-h", "--help"):
            done = subprocess.run([name, *args, flag], capture_output=True, text=True)
            assert done.returncode == 0 and done.stdout.startswith(f"NAME:\n   {line}")
    done = subprocess.run([name, "foo", "-h"], capture_output=True, text=True)
    assert done.returncode == 1 and "No help topic for 'foo'" in done.stderr
