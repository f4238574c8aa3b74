"""Replays one case of the conformance table (tests/conformance, see the README there) through this package."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import os
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import containers
from containers import aio

Json = Any
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")


class Mismatch(Exception):
    """What a case says does not hold."""


def data(value: Json) -> bytes | None:
    """Bytes written as text, base64 or repeat/times; None: not data."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    if isinstance(value, dict) and "repeat" in value:
        text: str = value["repeat"] * value["times"]
        return text.encode()
    return None


def check(what: str, matcher: Json, got: bytes) -> None:
    """Fails unless `got` is what the matcher wants."""
    wanted = data(matcher)
    if wanted is not None:
        if wanted != got:
            raise Mismatch(f"{what} is {got[:300]!r}, not {wanted[:300]!r}")
        return
    for condition, value in matcher.items():
        texts = [text.encode() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        holds: dict[str, Callable[[], bool]] = {
            "contains": lambda: all(text in got for text in texts),  # noqa: B023
            "not_contains": lambda: not any(text in got for text in texts),  # noqa: B023
            "starts_with": lambda: got.startswith(texts[0]),  # noqa: B023
            "ends_with": lambda: got.endswith(texts[0]),  # noqa: B023
            "length": lambda: len(got) == value,  # noqa: B023
            "sorted_lines": lambda: sorted(got.splitlines()) == texts,  # noqa: B023
            "any": lambda: True,
        }
        if not holds[condition]():
            raise Mismatch(f"{what} is {got[:300]!r}: not {condition} {value!r}")


def with_variables(value: Json, variables: dict[str, str]) -> Json:
    """The value with its variables replaced, also in keys."""
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace(f"${name}", text)
        return value
    if isinstance(value, list):
        return [with_variables(item, variables) for item in value]
    if isinstance(value, dict):
        return {with_variables(k, variables): with_variables(v, variables) for k, v in value.items()}
    return value


class Surface:
    """One of the two ways in: plain calls, or those of asyncio on a loop."""

    def __init__(self, use_aio: bool) -> None:
        self.loop = asyncio.new_event_loop() if use_aio else None

    def open(self, root: Path) -> Any:
        """An open runtime."""
        if self.loop is None:
            return containers.Runtime(root)

        async def opened() -> aio.Runtime:
            return await aio.Runtime(root)

        return self.loop.run_until_complete(opened())

    def do(self, result: Any) -> Any:
        """What a call gives, awaited where that is due."""
        if self.loop is not None and inspect.isawaitable(result):
            assert isinstance(result, Coroutine)
            return self.loop.run_until_complete(result)
        return result

    def collect(self, stream: Any) -> list[Any]:
        """All items of an iterator."""
        if self.loop is None:
            return list(stream)

        async def all_items() -> list[Any]:
            return [item async for item in stream]

        return self.loop.run_until_complete(all_items())

    def close(self) -> None:
        """Ends the loop."""
        if self.loop is not None:
            self.loop.close()


class Session:
    """One runtime for many cases."""

    def __init__(self, surface: Surface, root: Path, registry: str | None) -> None:
        self.surface = surface
        self.root = root
        self.registry = registry
        self.runtime = surface.open(root)

    def close(self) -> None:
        """Closes the runtime."""
        self.surface.do(self.runtime.close())
        self.surface.close()

    def lacks(self, case: Json) -> str | None:
        """Why the case can't be replayed here."""
        if "python" in case.get("not", {}):
            return str(case["not"]["python"])
        info = self.surface.do(self.runtime.info())
        for need in case.get("requires", []):
            if not self.has(need, info):
                return f"this machine lacks {need}"
        return None

    def has(self, need: str, info: containers.Info) -> bool:
        """Whether the machine has what a case requires."""
        if need.startswith("cgroup-"):
            controller = need.removeprefix("cgroup-")
            return controller in info["cgroup_controllers"] or (controller, info["cgroup_version"]) == ("freezer", "v2")
        answers = {
            "root": not info["rootless"],
            "overlay-images": info["driver"] == "overlay",
            "registry": self.registry is not None,
            "busybox": os.path.exists("/bin/busybox"),
            "perl": os.path.exists("/usr/bin/perl"),
            "ids": not info["rootless"] or os.path.exists("/usr/bin/newuidmap"),
        }
        return answers[need]

    def replay(self, case: Json, tmp: Path, own_root: Path) -> None:
        """Replays a case; a Mismatch says at which step what differed."""
        variables = {"TMP": str(tmp), "REGISTRY": self.registry or ""}
        variables |= {f"NS_{n.upper()}": os.readlink(f"/proc/self/ns/{n}") for n in NAMESPACES}
        case = with_variables(case, variables)
        own = case.get("own_runtime", False)
        root = own_root if own else self.root
        runtime = self.surface.open(root) if own else self.runtime
        replay = Replay(self.surface, runtime, root, tmp)
        short = {"do": "run", "options": case.get("run"), "expect": case.get("expect", {})}
        if "image" in case:
            short["image"] = case["image"]
        try:
            for number, step in enumerate(case.get("steps", [short])):
                try:
                    replay.step(step)
                except Mismatch as why:
                    raise Mismatch(f"step {number} ({step['do']}): {why}") from why.__cause__
        finally:
            replay.clean_up()
            if own:
                self.surface.do(replay.runtime.close())
            else:
                self.runtime = replay.runtime


class Replay:
    """One case on its way."""

    def __init__(self, surface: Surface, runtime: Any, root: Path, tmp: Path) -> None:
        self.surface = surface
        self.do = surface.do
        self.runtime = runtime
        self.root = root
        self.tmp = tmp
        self.containers: dict[str, Any] = {}
        self.processes: dict[str, Any] = {}
        self.seen: dict[tuple[str, str], bytes] = {}

    def step(self, step: Json) -> None:
        """Does a step and compares."""
        expect = step.get("expect", {})
        try:
            got = getattr(self, "do_" + step["do"])(step)
        except TypeError as error:
            if not expect.get("type_error"):
                raise Mismatch(f"a TypeError: {error}") from error
            return
        except containers.ContainersError as error:
            if "error" not in expect:
                raise Mismatch(f"failed with {error.code}: {error}") from error
            compare_error(error, expect["error"])
            return
        if expect.get("type_error"):
            raise Mismatch("a wrong type was accepted")
        if "error" in expect:
            raise Mismatch(f"succeeded with {got!r} instead of failing with {expect['error']['code']}")
        compare(got, expect)

    def clean_up(self) -> None:
        """Drops handles, and removes detached containers by force."""
        self.processes.clear()
        self.containers.clear()
        try:
            for container in self.do(self.runtime.containers.list(all=True)):
                if not container._owned and container.inspect is not None:
                    try:
                        self.do(container.remove(force=True))
                    except containers.ContainerNotFound:
                        continue
        except containers.HandleClosed:
            pass

    def container(self, step: Json) -> Any:
        return self.containers[step.get("on", "c")]

    def process(self, step: Json) -> Any:
        return self.processes[step.get("on", "p")]

    # Containers

    def do_run(self, step: Json) -> Any:
        options = dict(step["options"])
        if "input" in options:
            options["input"] = data(options["input"])
        return self.do(self.runtime.containers.run(step.get("image", "host"), **options))

    def do_create(self, step: Json) -> None:
        made = self.do(self.runtime.containers.create(step.get("image", "host"), **step.get("options", {})))
        self.containers[step.get("as", "c")] = made

    def do_get(self, step: Json) -> None:
        if "of" in step:
            of = self.containers[step["of"]]
            reference = {"id": of.id, "prefix": of.id[:12], "name": of.name}[step["by"]]
        else:
            reference = step["ref"]
        self.containers[step.get("as", "c")] = self.do(self.runtime.containers.get(reference))

    def do_list(self, step: Json) -> Any:
        found = self.do(self.runtime.containers.list(**step.get("options", {})))
        return {"names": [c.name for c in found]}

    def do_drop(self, step: Json) -> None:
        del self.containers[step.get("on", "c")]

    def do_close_runtime(self, step: Json) -> None:
        self.do(self.runtime.close())

    def do_reopen(self, step: Json) -> None:
        self.processes.clear()
        self.containers.clear()
        self.do(self.runtime.close())
        self.runtime = self.surface.open(self.root)

    def do_shell(self, step: Json) -> Any:
        done = subprocess.run(
            ["sh", "-e", "-c", step["script"]],
            cwd=self.tmp,
            env={**os.environ, "TMP": str(self.tmp)},
            capture_output=True,
        )
        return containers.Output(done.returncode, done.stdout, done.stderr)

    def do_start(self, step: Json) -> None:
        self.do(self.container(step).start())

    def do_stop(self, step: Json) -> None:
        self.do(self.container(step).stop(step.get("timeout"), stop_signal=step.get("stop_signal")))

    def do_restart(self, step: Json) -> None:
        self.do(self.container(step).restart(step.get("timeout"), stop_signal=step.get("stop_signal")))

    def do_pause(self, step: Json) -> None:
        self.do(self.container(step).pause())

    def do_unpause(self, step: Json) -> None:
        self.do(self.container(step).unpause())

    def do_kill(self, step: Json) -> None:
        self.do(self.container(step).kill(step["signal"]))

    def do_remove(self, step: Json) -> None:
        self.do(self.container(step).remove(**step.get("options", {})))

    def do_rename(self, step: Json) -> None:
        self.do(self.container(step).rename(step["name"]))

    def do_wait(self, step: Json) -> Any:
        return {"value": self.do(self.container(step).wait(step.get("timeout")))}

    def do_status(self, step: Json) -> Any:
        return {"value": self.container(step).status}

    def do_pid(self, step: Json) -> Any:
        return {"value": self.container(step).pid}

    def do_name(self, step: Json) -> Any:
        return {"value": self.container(step).name}

    def do_inspect(self, step: Json) -> Any:
        return {"json": self.do(self.container(step).inspect())}

    def do_logs(self, step: Json) -> Any:
        return {"value": self.do(self.container(step).logs(**log_options(step)))}

    def do_logs_stream(self, step: Json) -> Any:
        options = {"follow": False, **log_options(step)}
        lines = self.surface.collect(self.do(self.container(step).logs_stream(**options)))
        return {"lines": [[line.stream, line.data.decode()] for line in lines]}

    def do_await_log(self, step: Json) -> None:
        deadline = time.monotonic() + 20
        while step["contains"].encode() not in (log := self.do(self.container(step).logs())):
            if time.monotonic() > deadline:
                raise Mismatch(f"the log stays {log!r}")
            time.sleep(0.02)

    # Processes

    def do_exec_run(self, step: Json) -> Any:
        options = step.get("options", {})
        return self.do(self.container(step).exec_run(check=step.get("check", False), **options))

    def do_exec(self, step: Json) -> None:
        self.keep(step, self.do(self.container(step).exec(**step.get("options", {}))))

    def do_attach(self, step: Json) -> None:
        self.keep(step, self.do(self.container(step).attach()))

    def keep(self, step: Json, process: Any) -> None:
        name = step.get("as", "p")
        self.processes[name] = process
        self.seen = {key: seen for key, seen in self.seen.items() if key[0] != name}

    def do_write(self, step: Json) -> None:
        self.do(self.process(step).stdin.write(data(step["data"])))

    def do_close_stdin(self, step: Json) -> None:
        self.do(self.process(step).stdin.close())

    def do_read_until(self, step: Json) -> None:
        stream = getattr(self.process(step), step["stream"])
        key = (step.get("on", "p"), step["stream"])
        seen = self.seen.get(key, b"")
        while step["contains"].encode() not in seen:
            more = self.do(stream.read1(65536) if self.surface.loop is None else stream.read(65536))
            if not more:
                raise Mismatch(f"{step['stream']} ended with {seen!r}")
            seen += more
        self.seen[key] = seen

    def do_communicate(self, step: Json) -> Any:
        return self.do(self.process(step).communicate(data(step.get("input", ""))))

    def do_process_wait(self, step: Json) -> Any:
        return {"value": self.do(self.process(step).wait(step.get("timeout")))}

    def do_process_poll(self, step: Json) -> Any:
        return {"value": self.do(self.process(step).poll())}

    def do_process_kill(self, step: Json) -> None:
        self.do(self.process(step).kill(step["signal"]))

    def do_process_resize(self, step: Json) -> None:
        self.do(self.process(step).resize(step["rows"], step["cols"]))

    # Images

    def do_image_pull(self, step: Json) -> None:
        self.do(self.runtime.images.pull(step["ref"], **step.get("options", {})))

    def do_image_import(self, step: Json) -> None:
        self.do(self.runtime.images.import_(step["path"], **step.get("options", {})))

    def do_image_load(self, step: Json) -> None:
        self.do(self.runtime.images.load(step["path"]))

    def do_image_get(self, step: Json) -> None:
        self.do(self.runtime.images.get(step["ref"]))

    def do_image_tag(self, step: Json) -> None:
        self.do(self.do(self.runtime.images.get(step["ref"])).tag(step["tag"]))

    def do_image_remove(self, step: Json) -> None:
        self.do(self.runtime.images.remove(step["ref"], force=step.get("force", False)))

    def do_image_inspect(self, step: Json) -> Any:
        return {"json": self.do(self.do(self.runtime.images.get(step["ref"])).inspect())}

    def do_image_list(self, step: Json) -> Any:
        return {"names": [tag for image in self.do(self.runtime.images.list()) for tag in image.tags]}


def log_options(step: Json) -> dict[str, Any]:
    """The table's words for a log's options as this package's."""
    options = dict(step.get("options", {}))
    for name in ("stdout", "stderr"):
        if f"no_{name}" in options:
            options[name] = not options.pop(f"no_{name}")
    return options


def compare_error(error: containers.ContainersError, wanted: Json) -> None:
    """Fails unless the error is the wanted one."""
    if error.code != wanted["code"]:
        raise Mismatch(f"failed with {error.code}, not {wanted['code']}: {error}") from error
    for key, matcher in wanted.get("context", {}).items():
        if key not in error.context:
            raise Mismatch(f"the context lacks {key}: {error} {error.context}") from error
        check(f"context {key}", matcher, error.context[key].encode())
    if "message" in wanted:
        check("the message", wanted["message"], str(error).encode())
    for stream in ("stdout", "stderr"):
        if stream in wanted:
            if error.output is None:
                raise Mismatch(f"the error carries no output: {error}") from error
            check(stream, wanted[stream], getattr(error.output, stream))


def compare(got: Any, expect: Json) -> None:
    """Fails unless a result is the expected one."""
    if got is None:
        return
    if not isinstance(got, dict):
        compare_output(got, expect)
    elif "value" in got and "value" in expect:
        value, wanted = got["value"], expect["value"]
        if isinstance(value, (str, bytes)):
            check("the value", wanted, value.encode() if isinstance(value, str) else value)
        elif value != wanted:
            raise Mismatch(f"the value is {value!r}, not {wanted!r}")
    elif "json" in got:
        for pointer, wanted in expect.get("json", {}).items():
            compare_json(pointer, lookup(got["json"], pointer), wanted)
    elif "names" in got:
        names = expect.get("names", {})
        missing = [name for name in names.get("includes", []) if name not in got["names"]]
        extra = [name for name in names.get("excludes", []) if name in got["names"]]
        if missing or extra:
            raise Mismatch(f"the names are {got['names']}: {missing} is missing, {extra} should not be there")
    elif "lines" in got and got["lines"] != expect.get("lines"):
        raise Mismatch(f"the lines are {got['lines']}, not {expect.get('lines')}")


def compare_json(pointer: str, value: Json, wanted: Json) -> None:
    """Fails unless a part of a document is the expected one."""
    if isinstance(value, str):
        check(pointer, wanted, value.encode())
    elif value != wanted:
        raise Mismatch(f"{pointer} is {value!r}, not {wanted!r}")


def lookup(document: Json, pointer: str) -> Json:
    """What a JSON pointer points to; None: nothing."""
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def compare_output(got: Any, expect: Json) -> None:
    """Fails unless an output is the expected one."""
    everything = f"stdout {got.stdout[:300]!r}, stderr {got.stderr[:300]!r}"
    if got.exit_code != expect.get("exit_code", 0):
        raise Mismatch(f"the exit code is {got.exit_code}, not {expect.get('exit_code', 0)}: {everything}")
    # What exec_run returns has no signal: its exit code says it.
    if hasattr(got, "signal") and got.signal != expect.get("signal"):
        raise Mismatch(f"the signal is {got.signal}, not {expect.get('signal')}: {everything}")
    if "oom_killed" in expect and got.oom_killed != expect["oom_killed"]:
        raise Mismatch(f"oom_killed is {got.oom_killed}: {everything}")
    for stream in ("stdout", "stderr"):
        if stream in expect:
            try:
                check(stream, expect[stream], getattr(got, stream))
            except Mismatch as why:
                raise Mismatch(f"{why}; {everything}") from None


def cases(file: Path) -> list[Json]:
    """The cases of a file."""
    loaded: list[Json] = json.loads(file.read_text())["cases"]
    return loaded
