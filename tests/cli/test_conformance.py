"""The conformance table through the command line (tests/conformance, see the README there)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import PROGRAM, REPOSITORY, Cli

sys.path.insert(0, str(REPOSITORY / "bindings-python/tests"))
from conformance import NAMESPACES, cases, check, compare, data, with_variables  # noqa: E402

Json = Any

TABLE = [
    pytest.param(case, id=f"{file.stem}-{case['name']}")
    for file in sorted((REPOSITORY / "tests" / "conformance").glob("*.json"))
    for case in cases(file)
]
TEXTS = {
    "name": "--name",
    "working_dir": "--workdir",
    "user": "--user",
    "hostname": "--hostname",
    "domainname": "--domainname",
    "mem_limit": "--memory",
    "cpus": "--cpus",
    "cpu_shares": "--cpu-shares",
    "cpuset_cpus": "--cpuset-cpus",
    "pids_limit": "--pids-limit",
    "shm_size": "--shm-size",
    "network": "--network",
    "userns": "--userns",
    "restart_policy": "--restart",
    "stop_signal": "--stop-signal",
    "stop_timeout": "--stop-timeout",
    "platform": "--platform",
}
LISTS = {
    "group_add": "--group-add",
    "cap_add": "--cap-add",
    "cap_drop": "--cap-drop",
    "volumes": "--volume",
    "devices": "--device",
    "dns": "--dns",
}
PAIRS = {
    "environment": ("--env", "="),
    "labels": ("--label", "="),
    "annotations": ("--annotation", "="),
    "sysctls": ("--sysctl", "="),
    "extra_hosts": ("--add-host", ":"),
    "tmpfs": ("--tmpfs", ":"),
}
SWITCHES = {
    "stdin": "--interactive",
    "read_only": "--read-only",
    "init": "--init",
    "privileged": "--privileged",
    "auto_remove": "--rm",
}
EXEC = {"environment", "working_dir", "user", "privileged"}


class Output(NamedTuple):
    """What a command left; the shape that the table's output has."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Failed(Exception):
    """The program ended with an error of its own."""

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self.output = output


def leave_out(why: str) -> Any:
    """Passes the case over."""
    pytest.skip(why)


def mount(given: Json) -> str:
    """A mount in docker's form."""
    # Without a type, the flag means a volume.
    fields = [f"type={given.get('type') or ('bind' if '/' in given.get('source', '') else 'volume')}"]
    for key, value in given.items():
        if key == "read_only":
            fields += ["readonly"] if value else []
        elif key == "tmpfs_mode":
            fields.append(f"tmpfs-mode={value:o}")
        elif key in ("source", "target", "tmpfs_size"):
            fields.append(f"{key.replace('_', '-')}={value}")
        elif key == "propagation":
            fields.append(f"bind-propagation={value}")
        elif key != "type":
            leave_out(f"--mount has no {key}")
    return ",".join(fields)


def flags(options: Json, known: set[str] | None = None) -> list[str]:
    """Options as flags; without a flag for one of them, the case is passed over."""
    given: list[str] = []
    for name, value in options.items():
        if value is None or name in ("command", "input", "entrypoint"):
            continue
        if known is not None and name not in known:
            leave_out(f"the command has no flag for {name}")
        if name in TEXTS:
            given.append(f"{TEXTS[name]}={value}")
        elif name in LISTS:
            given += [f"{LISTS[name]}={item}" for item in value]
        elif name in PAIRS:
            flag, between = PAIRS[name]
            given += [f"{flag}={k}{between}{v}" if v or name != "tmpfs" else f"{flag}={k}" for k, v in value.items()]
        elif name in SWITCHES:
            given += [SWITCHES[name]] if value else []
        elif name == "mounts":
            given += [f"--mount={mount(item)}" for item in value]
        elif name == "ulimits":
            text = {k: f"{v[0]}:{v[1]}" if isinstance(v, list) else v for k, v in value.items()}
            given += [f"--ulimit={k}={v}" for k, v in text.items()]
        elif name == "no_new_privs":
            given.append(f"--security-opt=no-new-privileges={str(value).lower()}")
        elif name == "seccomp_profile":
            given.append(f"--security-opt=seccomp={value}")
        elif name == "healthcheck" and value == {"test": ["NONE"]}:
            given.append("--no-healthcheck")
        elif name == "pull":
            given.append(f"--pull={value}")
        # All containers of the command line live on without it.
        elif name != "detach":
            leave_out(f"the command line has no flag for {name}")
    return given


class Replay:
    """One case on its way."""

    def __init__(self, cli: Cli, tmp: Path) -> None:
        self.cli = cli
        self.tmp = tmp
        self.containers: dict[str, str] = {}

    def call(self, *args: str, stdin: bytes | None = None) -> Output:
        """The program's output; Failed for an error of its own."""
        command = [str(PROGRAM), *args]
        source: Any = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(command, env=self.cli.env, capture_output=True, timeout=120, check=False, **source)
        output = Output(done.returncode, done.stdout, done.stderr)
        if done.returncode and b"\ncontainers: " in b"\n" + done.stderr:
            raise Failed(output)
        return output

    def text(self, *args: str) -> str:
        """What a command prints that must work."""
        output = self.call(*args)
        assert output.exit_code == 0, (args, output)
        return output.stdout.decode().rstrip("\n")

    def step(self, step: Json) -> None:
        """Does a step and compares."""
        expect = step.get("expect", {})
        act: Callable[[Json], Any] | None = getattr(self, "do_" + step["do"], None)
        if act is None:
            leave_out(f"the command line has no {step['do']}")
        assert act
        if "error" in expect and "stdout" in expect["error"]:
            leave_out("an error carries no output")
        try:
            got = act(step)
        except Failed as failed:
            assert "error" in expect, failed.output
            self.compare_error(failed.output, expect["error"], step["do"])
            return
        assert "error" not in expect, f"{got!r} instead of {expect['error']['code']}"
        # A command's output does not say whether memory ran out.
        compare(got, {key: value for key, value in expect.items() if key != "oom_killed"})

    def compare_error(self, output: Output, wanted: Json, verb: str) -> None:
        """docker's exit codes, and a message that names what it was about."""
        codes: dict[str, tuple[int, ...]] = {"command_not_found": (126, 127)}
        if verb == "exec_run":
            codes |= {"invalid_argument": (126,), "path_not_found": (126, 127)}
        known: tuple[int, ...] = (1,)
        if verb in ("run", "create", "exec_run"):
            known = codes.get(wanted["code"], (1,) if verb == "exec_run" else (125,))
        assert output.exit_code in known, output
        check("the message", wanted.get("message", {"any": True}), output.stderr)
        for key, matcher in wanted.get("context", {}).items():
            named = f"{key}={matcher}" if isinstance(matcher, str) else f"{key}="
            assert named.encode() in output.stderr, (named, output)

    def on(self, step: Json) -> str:
        return self.containers[step.get("on", "c")]

    def creation(self, verb: str, step: Json, *more: str) -> list[str]:
        """The command line of `run` and `create`."""
        options = step.get("options") or {}
        command = list(options.get("command", []))
        entrypoint = options.get("entrypoint")
        given = [verb, *more, *flags(options)]
        if entrypoint is not None:
            given.append(f"--entrypoint={entrypoint[0] if entrypoint else ''}")
            command = [*entrypoint[1:], *command]
        if "\0" in "".join([*given, *command]):
            leave_out("arguments end at NUL")
        return [*given, "--", step.get("image", "host"), *command]

    def do_run(self, step: Json) -> Output:
        given = (step.get("options") or {}).get("input")
        more = ["--rm"] if given is None else ["--rm", "--interactive"]
        if (step.get("options") or {}).get("tty"):
            leave_out("it needs a terminal")
        return self.call(*self.creation("run", step, *more), stdin=data(given) if given is not None else None)

    def do_create(self, step: Json) -> None:
        options = step.get("options") or {}
        tty = ["--tty"] if options.get("tty") else []
        step = {**step, "options": {k: v for k, v in options.items() if k != "tty"}}
        output = self.call(*self.creation("create", step, *tty))
        self.containers[step.get("as", "c")] = output.stdout.decode().strip()

    def do_start(self, step: Json) -> None:
        self.call("start", self.on(step))

    def stop(self, verb: str, step: Json) -> None:
        given = [f"--timeout={step['timeout']}"] if "timeout" in step else []
        given += [f"--signal={step['stop_signal']}"] if "stop_signal" in step else []
        self.call(verb, *given, self.on(step))

    def do_stop(self, step: Json) -> None:
        self.stop("stop", step)

    def do_restart(self, step: Json) -> None:
        self.stop("restart", step)

    def do_pause(self, step: Json) -> None:
        self.call("pause", self.on(step))

    def do_unpause(self, step: Json) -> None:
        self.call("unpause", self.on(step))

    def do_kill(self, step: Json) -> None:
        self.call("kill", f"--signal={step['signal']}", self.on(step))

    def do_wait(self, step: Json) -> Json:
        if "timeout" in step:
            leave_out("wait has no timeout")
        return {"value": int(self.text("wait", self.on(step)))}

    def state(self, step: Json) -> Json:
        return json.loads(self.text("container", "inspect", self.on(step)))[0]

    def do_status(self, step: Json) -> Json:
        return {"value": self.state(step)["State"]["Status"]}

    def do_pid(self, step: Json) -> Json:
        return {"value": self.state(step)["State"]["Pid"] or None}

    def do_inspect(self, step: Json) -> Json:
        return {"json": self.state(step)}

    def do_name(self, step: Json) -> Json:
        return {"value": self.state(step)["Name"].removeprefix("/")}

    def do_rename(self, step: Json) -> None:
        self.call("rename", self.on(step), step["name"])

    def do_remove(self, step: Json) -> None:
        force = ["--force"] if (step.get("options") or {}).get("force") else []
        self.call("rm", *force, self.on(step))

    def do_exec_run(self, step: Json) -> Output:
        options = step.get("options") or {}
        if step.get("check") or not options.get("command"):
            leave_out("exec always has a command, and no check")
        return self.call("exec", *flags(options, EXEC), self.on(step), *options.get("command", []))

    def do_logs(self, step: Json) -> Json:
        options = step.get("options") or {}
        if set(options) - {"tail"}:
            leave_out("logs has not all of these options")
        output = self.call("logs", *[f"--tail={n}" for n in [options.get("tail")] if n is not None], self.on(step))
        if output.stderr:
            leave_out("the order of both streams is lost in two pipes")
        return {"value": output.stdout}

    def do_await_log(self, step: Json) -> None:
        deadline = time.monotonic() + 20
        while step["contains"].encode() not in self.call("logs", self.on(step)).stdout:
            assert time.monotonic() < deadline, f"the log never has {step['contains']!r}"
            time.sleep(0.05)

    def do_get(self, step: Json) -> None:
        reference = step.get("ref")
        if reference is None:
            identity = self.containers[step["of"]]
            name = json.loads(self.text("container", "inspect", identity))[0]["Name"].removeprefix("/")
            reference = {"id": identity, "prefix": identity[:12], "name": name}[step["by"]]
        found = json.loads(self.text("container", "inspect", reference))
        self.containers[step.get("as", "c")] = found[0]["Id"]

    def do_list(self, step: Json) -> Json:
        options = step.get("options") or {}
        given = ["--all"] if options.get("all") else []
        for key, values in (options.get("filters") or {}).items():
            values = values if isinstance(values, list) else [values]
            given += [f"--filter={key}={value}" for value in values]
        return {"names": self.text("ps", *given, "--format", "{{.Names}}").splitlines()}

    def do_shell(self, step: Json) -> Output:
        command = ["sh", "-e", "-c", step["script"]]
        environment = {**os.environ, "TMP": str(self.tmp)}
        done = subprocess.run(command, cwd=self.tmp, env=environment, capture_output=True, check=False)
        return Output(done.returncode, done.stdout, done.stderr)

    def do_image_pull(self, step: Json) -> None:
        options = step.get("options") or {}
        if options.get("policy", "always") != "always":
            leave_out("pull always asks the registry")
        given = [f"--platform={options['platform']}"] if "platform" in options else []
        self.call("pull", *given, *(["--insecure"] if options.get("insecure") else []), step["ref"])

    def do_image_import(self, step: Json) -> None:
        options = step.get("options") or {}
        given = [f"--change={change}" for change in options.get("changes", [])]
        given += [f"--message={options['message']}"] if "message" in options else []
        self.call("import", *given, step["path"], *[t for t in [options.get("tag")] if t])

    def do_image_load(self, step: Json) -> None:
        self.call("load", "--input", step["path"])

    def do_image_get(self, step: Json) -> None:
        self.call("image", "inspect", step["ref"])

    def do_image_tag(self, step: Json) -> None:
        self.call("tag", step["ref"], step["tag"])

    def do_image_remove(self, step: Json) -> None:
        self.call("rmi", *(["--force"] if step.get("force") else []), step["ref"])

    def do_image_inspect(self, step: Json) -> Json:
        return {"json": json.loads(self.text("image", "inspect", step["ref"]))[0]}

    def do_image_list(self, _step: Json) -> Json:
        return {"names": self.text("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()}


@pytest.fixture(scope="module")
def table_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """One root for the whole table."""
    cli = Cli(tmp_path_factory.mktemp("table") / "root")
    yield cli
    names = cli.out("ps", "-aq").split()
    if names:
        cli("rm", "-f", *names)


def lacks(cli: Cli, case: Json, registry: dict[str, str]) -> str | None:
    """Why a case is passed over."""
    if "cli" in case.get("not", {}):
        return str(case["not"]["cli"])
    info = json.loads(cli.out("info", "--format", "json"))
    controllers = set(info["CgroupControllers"])
    there = {
        "root": not info["Rootless"],
        "overlay-images": info["Driver"] == "overlay",
        "registry": "registry" in registry,
        "busybox": Path("/bin/busybox").exists(),
        "perl": Path("/usr/bin/perl").exists(),
        "ids": not any("only one user id" in warning for warning in info["Warnings"]),
        **{f"cgroup-{name}": name in controllers for name in ("memory", "pids", "cpu", "cpuset", "freezer")},
    }
    missing = [need for need in case.get("requires", []) if not there[need]]
    return f"this machine lacks {missing[0]}" if missing else None


@pytest.mark.parametrize("case", TABLE)
def test_case(table_cli: Cli, registry: dict[str, str], case: Json) -> None:
    why = lacks(table_cli, case, registry)
    if why is not None:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="conformance-cli-") as scratch:
        os.chmod(scratch, 0o755)
        variables = {"TMP": scratch, "REGISTRY": registry["registry"]}
        variables |= {f"NS_{n.upper()}": os.readlink(f"/proc/self/ns/{n}") for n in NAMESPACES}
        case = with_variables(case, variables)
        short = {"do": "run", "options": case.get("run"), "expect": case.get("expect", {})}
        short |= {"image": case["image"]} if "image" in case else {}
        replay = Replay(table_cli, Path(scratch))
        try:
            for step in case.get("steps", [short]):
                replay.step(step)
        finally:
            names = table_cli.out("ps", "-aq").split()
            if names:
                table_cli("rm", "-f", *names)
