#!/usr/bin/env python3
"""Replays the conformance table through the C interface.

    run_c.py PROGRAM [TEXT]

PROGRAM is bindings-c/tests/conformance.c, compiled. TEXT: only cases whose name contains it.
The registry is that of REGISTRY, or of TEST_REGISTRY, which `tests/registry/start.py -- run_c.py …` sets.
"""

from __future__ import annotations

import base64
import io
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

REGISTRY = os.environ.get("REGISTRY") or os.environ.get("TEST_REGISTRY")
HERE = Path(__file__).resolve().parent
ANSWER_SECONDS = 120

# What stands in the table, and what is sent for it.
Table = dict[str, Any]
Fields = list[tuple[str, Any]]


class Wrong(Exception):
    """An expectation did not hold."""


# ---- data and matchers ----


def data(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    if isinstance(value, dict) and "repeat" in value:
        return str(value["repeat"]).encode() * int(value["times"])
    return None


def shown(got: bytes) -> str:
    return repr(got[:300]) + (f"… ({len(got)} bytes)" if len(got) > 300 else "")


# Whether a text satisfies what a matcher asks for.
CONDITIONS: dict[str, Callable[[bytes, list[bytes]], bool]] = {
    "contains": lambda got, texts: all(t in got for t in texts),
    "not_contains": lambda got, texts: not any(t in got for t in texts),
    "starts_with": lambda got, texts: all(got.startswith(t) for t in texts),
    "ends_with": lambda got, texts: all(got.endswith(t) for t in texts),
    "length": lambda got, texts: len(got) == int(texts[0]),
    "sorted_lines": lambda got, texts: sorted(got.splitlines()) == texts,
    "any": lambda got, texts: True,
}


def check(what: str, matcher: Any, got: bytes) -> None:
    exact = data(matcher)
    if exact is not None:
        if exact != got:
            raise Wrong(f"{what} is {shown(got)}, not {shown(exact)}")
        return
    for condition, value in matcher.items():
        texts = [t.encode() for t in value] if isinstance(value, list) else [str(value).encode()]
        if not CONDITIONS[condition](got, texts):
            raise Wrong(f"{what} does not satisfy {condition} {value!r}: it is {shown(got)}")


# ---- frames ----


class Program:
    """The C program; one request, one answer."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin and isinstance(self.process.stdout, io.BufferedReader)
        self.requests = self.process.stdin
        self.answers = self.process.stdout

    def ask(self, verb: str, fields: Iterable[tuple[str, Any]] = ()) -> Answer:
        frame = bytearray()
        for name, value in [("verb", verb), *fields, ("end", "")]:
            value = value if isinstance(value, bytes) else str(value).encode()
            frame += f"{name} {len(value)}\n".encode() + value + b"\n"
        self.requests.write(frame)
        self.requests.flush()
        ready, _, _ = select.select([self.answers], [], [], ANSWER_SECONDS)
        if not ready and not self.answers.peek(1):
            self.process.kill()
            raise SystemExit(f"no answer to {verb} within {ANSWER_SECONDS} s")
        answer: list[tuple[str, bytes]] = []
        while True:
            line = self.answers.readline()
            if not line:
                raise SystemExit(f"the program ended with {self.process.wait()} at {verb} {fields!r:.300}")
            key, size = line.split()
            content = self.answers.read(int(size))
            self.answers.read(1)
            if key == b"end":
                return Answer(answer)
            answer.append((key.decode(), content))

    def close(self) -> int:
        self.requests.close()
        return self.process.wait(timeout=ANSWER_SECONDS)


class Answer:
    """The fields of an answer."""

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self.fields = fields

    def get(self, name: str) -> bytes | None:
        return next((value for key, value in self.fields if key == name), None)

    def need(self, name: str) -> bytes:
        value = self.get(name)
        if value is None:
            raise Wrong(f"the answer lacks {name}: {self.fields!r:.300}")
        return value

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def number(self, name: str) -> int | None:
        value = self.get(name)
        return None if value is None else int(value)


# ---- options: from the table's names to C's ----


def listed(name: str, values: Iterable[Any]) -> Fields:
    return [(name, v) for v in values] or [(name + ".empty", "")]


def size(name: str, value: Any) -> tuple[str, Any]:
    return (name if isinstance(value, int) else name + "_text", value)


def option_fields(options: Table) -> Fields:
    fields: Fields = []
    for name, value in options.items():
        if value is None and name != "ports":
            continue
        if name in ("environment", "labels", "annotations", "sysctls"):
            fields += listed(name, [f"{k}={v}" for k, v in value.items()])
        elif name == "extra_hosts":
            fields += listed(name, [f"{k}:{v}" for k, v in value.items()])
        elif name == "tmpfs":
            fields += listed(name, [f"{k}:{v}" if v else k for k, v in value.items()])
        elif name == "ports":
            fields += listed(name, [k if v is None else f"{v}:{k}" for k, v in value.items()])
        elif name == "ulimits":
            text = {k: f"{v[0]}:{v[1]}" if isinstance(v, list) else v for k, v in value.items()}
            fields += listed(name, [f"{k}={v}" for k, v in text.items()])
        elif name == "filters":
            fields += listed(name, [f"{k}={v}" for k, values in value.items() for v in values])
        elif name == "mounts":
            for mount in value:
                fields.append(("mount", ""))
                for key, v in mount.items():
                    key, v = size(key, v) if key == "tmpfs_size" else (key, v)
                    fields.append(("mount." + key, int(v) if isinstance(v, bool) else v))
        elif name == "healthcheck":
            assert set(value) == {"test"}, "the program takes only a health check's test"
            fields += listed("healthcheck.test", value["test"])
        elif name == "tty_size":
            fields += [("tty_rows", value[0]), ("tty_cols", value[1])]
        elif name in ("mem_limit", "shm_size"):
            fields.append(size(name, value))
        elif name == "no_new_privs":
            fields.append(("allow_new_privs", int(not value)))
        elif name == "stdin":
            fields.append(("stdin_open", int(value)))
        elif name in ("timeout", "stop_timeout"):
            fields.append((name + "_ms", round(value * 1000)))
        elif name == "input":
            fields.append((name, data(value)))
        elif isinstance(value, bool):
            fields.append((name, int(value)))
        elif isinstance(value, list):
            fields += listed(name, value)
        else:
            fields.append((name, value))
    return fields


# ---- one case ----


class Case:
    """Replays the steps of a case."""

    def __init__(self, program: Program, tmp: str, root: str) -> None:
        self.program = program
        self.tmp = tmp
        self.root = root
        self.seen: dict[tuple[str, str], bytes] = {}

    def step(self, step: Table) -> Answer:
        verb = step["do"]
        if verb == "shell":
            return self.shell(step["script"])
        if verb == "read_until":
            return self.read_until(step)
        if verb == "await_log":
            return self.await_log(step)
        if verb == "reopen":
            return self.program.ask("open", [("root", self.root)])
        fields = option_fields(step.get("options", {}))
        kind = "p" if verb in ("write", "close_stdin", "communicate") or verb.startswith("process_") else "c"
        fields.append(("on", step.get("on", kind)))
        if verb in ("create", "get", "exec", "attach"):
            name = step.get("as", "p" if verb in ("exec", "attach") else "c")
            fields.append(("as", name))
            self.seen = {k: v for k, v in self.seen.items() if k[0] != name}
        if verb in ("run", "create"):
            fields.append(("image", step.get("image", "host")))
        for key in ("signal", "stop_signal", "name", "ref", "of", "by", "path", "tag", "rows", "cols"):
            if key in step:
                fields.append((key, step[key]))
        for key in ("force", "check"):
            if key in step:
                fields.append((key, int(step[key])))
        if "timeout" in step:
            fields.append(("timeout_ms", round(step["timeout"] * 1000)))
        for key in ("data", "input"):
            if key in step:
                fields.append(("data", data(step[key])))
        return self.program.ask(verb, fields)

    def shell(self, script: str) -> Answer:
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.tmp,
            env={**os.environ, "TMP": self.tmp},
            capture_output=True,
            check=False,
        )
        return Answer(
            [
                ("exit_code", str(done.returncode).encode()),
                ("signal", b"0"),
                ("oom_killed", b"0"),
                ("stdout", done.stdout),
                ("stderr", done.stderr),
            ]
        )

    def read_until(self, step: Table) -> Answer:
        name, stream = step.get("on", "p"), step["stream"]
        seen = self.seen.setdefault((name, stream), b"")
        while step["contains"].encode() not in seen:
            answer = self.program.ask("read", [("on", name), ("stream", stream)])
            if answer.get("error"):
                return answer
            text = answer.need("text")
            if not text:
                raise Wrong(f"{stream} ended with {shown(seen)}")
            seen += text
            self.seen[(name, stream)] = seen
        return Answer([])

    def await_log(self, step: Table) -> Answer:
        # The pause between the looks is the host's.
        for _ in range(400):
            answer = self.program.ask("logs", [("on", step.get("on", "c"))])
            if answer.get("error") or step["contains"].encode() in answer.need("text"):
                return answer
            select.select([], [], [], 0.05)
        raise Wrong(f"the log stays {shown(answer.need('text'))}")


def compare(verb: str, answer: Answer, expect: Table) -> None:
    wanted = expect.get("error")
    if answer.get("error"):
        message = answer.need("message").decode()
        if not wanted:
            raise Wrong(f"failed with {answer.need('error').decode()}: {message}")
        if answer.need("error").decode() != wanted["code"]:
            raise Wrong(f"failed with {answer.need('error').decode()}, not {wanted['code']}: {message}")
        compare_error(answer, wanted)
        return
    if wanted:
        raise Wrong(f"succeeded instead of failing with {wanted['code']}: {answer.fields!r:.300}")
    if answer.get("exit_code") is not None:
        compare_output(answer, expect)
    elif verb == "logs_stream" and "lines" in expect:
        lines = [[name, value.decode()] for name, value in answer.fields]
        if lines != expect["lines"]:
            raise Wrong(f"the lines are {lines}, not {expect['lines']}")
    elif "names" in expect:
        names = [n.decode() for n in answer.all("name")]
        for name in expect["names"].get("includes", []):
            if name not in names:
                raise Wrong(f"{name} is not in {names}")
        for name in expect["names"].get("excludes", []):
            if name in names:
                raise Wrong(f"{name} is in {names}")
    elif "json" in expect:
        compare_json(json.loads(answer.need("json")), expect["json"])
    elif "value" in expect:
        if answer.get("text") is not None:
            check("the value", expect["value"], answer.need("text"))
        elif answer.number("number") != expect["value"]:
            raise Wrong(f"the value is {answer.number('number')}, not {expect['value']}")


def compare_error(answer: Answer, wanted: Table) -> None:
    pairs = answer.all("context")
    for key, matcher in wanted.get("context", {}).items():
        values = [v for k, v in zip(pairs[::2], pairs[1::2], strict=True) if k.decode() == key]
        if not values:
            raise Wrong(f"the context lacks {key}: {pairs}")
        check(f"context {key}", matcher, values[0])
    if "message" in wanted:
        check("the message", wanted["message"], answer.need("message"))
    for key in ("stdout", "stderr"):
        if key in wanted:
            if answer.get("error." + key) is None:
                raise Wrong("the error carries no output")
            check(key, wanted[key], answer.need("error." + key))


def compare_output(answer: Answer, expect: Table) -> None:
    out = f"stdout {shown(answer.need('stdout'))}, stderr {shown(answer.need('stderr'))}"
    if answer.number("exit_code") != expect.get("exit_code", 0):
        raise Wrong(f"the exit code is {answer.number('exit_code')}: {out}")
    if answer.number("signal") != (expect.get("signal") or 0):
        raise Wrong(f"the signal is {answer.number('signal')}: {out}")
    if "oom_killed" in expect and answer.number("oom_killed") != int(expect["oom_killed"]):
        raise Wrong(f"oom_killed is {answer.number('oom_killed')}: {out}")
    for key in ("stdout", "stderr"):
        if key in expect:
            check(key, expect[key], answer.need(key))


def compare_json(document: Any, expected: Table) -> None:
    for pointer, wanted in expected.items():
        value = document
        try:
            for part in pointer.strip("/").split("/"):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError):
            raise Wrong(f"{pointer} is missing") from None
        if isinstance(value, str):
            check(pointer, wanted, value.encode())
        elif value != wanted:
            raise Wrong(f"{pointer} is {value!r}, not {wanted!r}")


# ---- the whole table ----


def with_variables(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, replacement in variables.items():
            value = value.replace("$" + name, replacement)
        return value
    if isinstance(value, list):
        return [with_variables(v, variables) for v in value]
    if isinstance(value, dict):
        return {with_variables(k, variables): with_variables(v, variables) for k, v in value.items()}
    return value


def has(need: str, info: Table) -> bool:
    if need.startswith("cgroup-"):
        controller = need[len("cgroup-") :]
        return controller in info["cgroup_controllers"] or (controller, info["cgroup_version"]) == ("freezer", "v2")
    known: dict[str, bool] = {
        "root": not info["rootless"],
        "overlay-images": info["driver"] == "overlay",
        "registry": REGISTRY is not None,
        "busybox": os.path.exists("/bin/busybox"),
        "perl": os.path.exists("/usr/bin/perl"),
        # The warning about a single id says what is missing.
        "ids": not any("only one user id" in w for w in info["warnings"]),
    }
    return known[need]


def replay(program: Program, case: Table, root: str, scratch: str) -> None:
    tmp = tempfile.mkdtemp(dir=scratch)
    os.chmod(tmp, 0o755)
    variables = {"TMP": tmp}
    if REGISTRY:
        variables["REGISTRY"] = REGISTRY
    for ns in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        variables["NS_" + ns.upper()] = os.readlink(f"/proc/self/ns/{ns}")
    case = with_variables(case, variables)
    steps = case.get("steps")
    if steps is None:
        steps = [{"do": "run", "options": case["run"], "expect": case["expect"]}]
        if "image" in case:
            steps[0]["image"] = case["image"]
    replayer = Case(program, tmp, root)
    if case.get("own_runtime"):
        replayer.root = tempfile.mkdtemp(dir=scratch)
        program.ask("open", [("root", replayer.root)])
    try:
        for index, step in enumerate(steps):
            try:
                compare(step["do"], replayer.step(step), step.get("expect", {}))
            except Wrong as why:
                raise Wrong(f"step {index} ({step['do']}): {why}") from None
    finally:
        program.ask("drop_all")
        for container in program.ask("list", [("all", "1")]).all("detached"):
            program.ask("get", [("ref", container), ("as", "c")])
            program.ask("remove", [("on", "c"), ("force", "1")])
            program.ask("drop_all")
        if case.get("own_runtime"):
            program.ask("open", [("root", root)])


def main() -> None:
    path = sys.argv[1]
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    failures, passed = [], 0
    with tempfile.TemporaryDirectory(prefix="conformance-c-") as scratch:
        os.chmod(scratch, 0o755)
        root = os.path.join(scratch, "root")
        program = Program(path)
        opened = program.ask("open", [("root", root)])
        if opened.get("error"):
            sys.exit(f"a fresh root does not open: {opened.need('message').decode()}")
        info = json.loads(program.ask("info").need("json"))
        for file in sorted(HERE.glob("*.json")):
            for case in json.loads(file.read_text())["cases"]:
                name = case["name"]
                if wanted not in name:
                    continue
                missing = [need for need in case.get("requires", []) if not has(need, info)]
                why = case.get("not", {}).get("c") or (missing and f"this machine lacks {missing[0]}")
                if why:
                    print(f"skip {name}: {why}")
                    continue
                try:
                    replay(program, case, root, scratch)
                    passed += 1
                except Wrong as error:
                    failures.append(f"{name}: {error}")
                    print("FAIL", failures[-1], flush=True)
        code = program.close()
        if code != 0:
            failures.append(f"the program ended with {code}")
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
