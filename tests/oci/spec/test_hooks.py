"""`hooks`: order, state on standard input, places, timeouts, failures."""

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from bundle import Bundle

ORDER = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def hook(bundle: Bundle, kind: str, script: str, **more: Any) -> None:
    """Adds a hook that is a shell script, of the container for `startContainer`, of the machine otherwise."""
    shell = "/bin/sh"
    entry = {"path": shell, "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin", f"KIND={kind}"], **more}
    bundle.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)


@pytest.fixture
def log(bundle: Bundle) -> Path:
    """A file that is at the same path on the machine and in the container."""
    at = bundle.path / "log"
    at.write_text("")
    at.chmod(0o666)
    bundle.mount(str(at), "bind", at, options=["bind"])
    return at


def test_order_and_state(bundle: Bundle, log: Path) -> None:
    for kind in ORDER:
        # One write for a line: the command writes while the poststart hooks do.
        hook(bundle, kind, f'echo "$KIND-1 $(cat)" >> {log}')
        hook(bundle, kind, f"cat > /dev/null; echo $KIND-2 >> {log}")
    bundle.config["annotations"] = {"a.b": "c"}
    bundle.write()
    identity = f"hooks-{uuid.uuid4().hex[:8]}"
    bundle.process["args"] = ["sh", "-c", f"echo command >> {log}; sleep 1"]
    done = bundle.run(identity=identity)
    assert done.code == 0, done
    lines = log.read_text().splitlines()
    heads = [line.split()[0] for line in lines]
    wanted = [f"{kind}-{i}" for kind in ORDER for i in (1, 2)]
    assert [h for h in heads if h != "command"] == wanted
    assert heads.index("command") > heads.index("startContainer-2")
    states = {line.split()[0][:-2]: json.loads(line.split(" ", 1)[1]) for line in lines if "-1 " in line}
    for kind, state in states.items():
        assert state["id"] == identity and state["bundle"] == str(bundle.path), kind
        assert state["ociVersion"] and state["annotations"] == {"a.b": "c"}, kind
        status = {"startContainer": ("created",), "poststart": ("running",), "poststop": ("stopped",)}
        assert state["status"] in status.get(kind, ("creating", "created")), (kind, state)
        if kind != "poststop":
            assert state["pid"] > 0, kind
    assert states["createRuntime"]["pid"] > 1


def test_places(bundle: Bundle, log: Path) -> None:
    for kind in ("createRuntime", "createContainer", "startContainer"):
        script = f"echo $KIND $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) >> {log}"
        hook(bundle, kind, script)
    bundle.sh(f"echo command $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) >> {log}")
    places = {line.split()[0]: line.split()[1:] for line in log.read_text().splitlines()}
    own = [os.readlink("/proc/self/ns/mnt"), os.readlink("/proc/self/ns/net")]
    assert places["createRuntime"][1] == own[1]
    assert places["startContainer"] == places["command"] == places["createContainer"]
    assert places["command"] != own


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_failing_hook_ends_the_start(bundle: Bundle, log: Path, kind: str) -> None:
    hook(bundle, kind, "echo loud >&2; exit 3")
    hook(bundle, kind, f"echo second >> {log}")
    hook(bundle, "poststop", f"echo poststop >> {log}")
    bundle.fails()
    assert "second" not in log.read_text()


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_slow_hook_is_killed_with_its_children(bundle: Bundle, kind: str) -> None:
    hook(bundle, kind, f"sleep 30.{os.getpid()} & wait", timeout=1)
    bundle.fails()
    assert not running(f"30.{os.getpid()}")


def running(argument: str) -> list[str]:
    """Processes that have an argument."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if argument.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
    return found


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
def test_a_hook_that_says_much_goes_on(bundle: Bundle, log: Path, kind: str) -> None:
    hook(bundle, kind, f"head -c 300000 /dev/zero >&2; echo after >> {log}")
    bundle.sh("true")
    assert log.read_text() == "after\n"


def test_a_failing_poststop_hook_stops_nothing(bundle: Bundle, log: Path) -> None:
    hook(bundle, "poststop", "exit 1")
    hook(bundle, "poststop", f"echo second >> {log}")
    bundle.sh("true")
    assert log.read_text() == "second\n"


def test_hooks_get_their_environment_alone(bundle: Bundle, log: Path) -> None:
    hook(bundle, "createRuntime", f"env | cut -d= -f1 | sort | tr '\\n' ' ' >> {log}")
    os.environ["SECRET_OF_THE_CALLER"] = "x"
    try:
        bundle.sh("true")
    finally:
        del os.environ["SECRET_OF_THE_CALLER"]
    assert "SECRET_OF_THE_CALLER" not in log.read_text() and "KIND" in log.read_text()


def test_a_hook_that_is_not_there_is_named(bundle: Bundle) -> None:
    bundle.config["hooks"] = {"createRuntime": [{"path": "/no/such/hook"}]}
    bundle.fails("/no/such/hook")


def test_a_failing_poststart_hook_ends_the_container(bundle: Bundle, log: Path) -> None:
    hook(bundle, "poststart", "true")
    hook(bundle, "poststart", "echo loud >&2; exit 3")
    hook(bundle, "poststop", f"echo poststop >> {log}")
    bundle.process["args"] = ["sleep", "1000"]
    done = bundle.run()
    assert done.code == 1 and "error running poststart hook #1: exit status: 3, stderr: loud" in done.err, done
    assert log.read_text() == "poststop\n"


@pytest.mark.parametrize("kind", ORDER[:4])
def test_a_failing_hook_is_named_by_its_kind_and_place(bundle: Bundle, kind: str) -> None:
    bundle.config["hooks"] = {kind: [{"path": "/bin/true"}, {"path": "/bin/false"}]}
    bundle.fails(f"error running {kind} hook #1: ")


def test_start_container_hooks_have_the_environment_of_the_command(bundle: Bundle, log: Path) -> None:
    script = bundle.rootfs / "bin/hook"
    script.write_text(f"#!/bin/sh\necho $ONE $HOME >> {log}\n")
    script.chmod(0o755)
    bundle.process["env"] = ["PATH=/bin", "ONE=two"]
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/hook"}, {"path": "/bin/hook", "env": ["ONE=own"]}]}
    bundle.sh("true")
    assert log.read_text().splitlines() == ["two /root", "own"]


def test_a_hook_before_the_command_has_the_filter_of_the_command(bundle: Bundle) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    bundle.process["noNewPrivileges"] = True
    hook(bundle, "startContainer", "mkdir /tmp/made")
    bundle.fails("startContainer hook #0", "not supported")
