"""run: to the end, with everything collected."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

import containers


def test_like_subprocess_run() -> None:
    r = containers.run("host", ["sh", "-c", "id -u; echo err >&2; exit 3"], timeout=30)
    assert r.exit_code == 3
    assert r.stdout == b"0\n"
    assert r.stderr == b"err\n"
    assert r.args == ["sh", "-c", "id -u; echo err >&2; exit 3"]
    assert (r.signal, r.oom_killed) == (None, False)


def test_input_and_text(rt: containers.Runtime) -> None:
    raw = bytes(range(256)) * 5000
    assert rt.containers.run("host", ["cat"], input=raw).stdout == raw
    assert rt.containers.run("host", ["cat"], input=bytearray(b"ab")).stdout == b"ab"
    assert rt.containers.run("host", ["cat"], input=memoryview(b"ab")[1:]).stdout == b"b"
    text = rt.containers.run("host", ["cat"], input="grün\n", text=True)
    assert text.stdout == "grün\n"
    broken = rt.containers.run("host", ["printf", "\\377"], text=True)
    assert broken.stdout == "\ufffd"
    assert rt.containers.run("host", ["cat"]).stdout == b""


def test_check_raises_with_the_output(rt: containers.Runtime) -> None:
    with pytest.raises(containers.ExitError) as caught:
        rt.containers.run("host", ["sh", "-c", "echo out; exit 7"], check=True, text=True)
    assert (caught.value.exit_code, caught.value.stdout) == (7, "out\n")
    later = rt.containers.run("host", ["false"])
    with pytest.raises(containers.ExitError) as by_hand:
        later.check()
    assert by_hand.value.output is later


def test_death_by_a_signal(rt: containers.Runtime) -> None:
    # Nothing signals process 1 from inside, so a limit does.
    r = rt.containers.run("host", ["sh", "-c", "ulimit -t 1; while :; do :; done"])
    assert r.signal in (signal.SIGXCPU, signal.SIGKILL)
    assert r.exit_code == 128 + r.signal
    # Below an init, as below docker's, only the exit code tells.
    r = rt.containers.run("host", ["sh", "-c", "kill -TERM $$"], init=True)
    assert (r.exit_code, r.signal) == (128 + signal.SIGTERM, None)


def test_a_timeout_keeps_the_partial_output(rt: containers.Runtime) -> None:
    started = time.monotonic()
    with pytest.raises(containers.ExecTimeout) as caught:
        rt.containers.run("host", ["sh", "-c", "echo so far; sleep 60"], timeout=0.7, text=True)
    assert time.monotonic() - started < 20
    assert caught.value.stdout == "so far\n"
    assert isinstance(caught.value, TimeoutError)


def test_bounds_on_output(rt: containers.Runtime) -> None:
    with pytest.raises(containers.LimitExceeded):
        rt.containers.run("host", ["sh", "-c", "yes"], max_output=10_000)


def test_the_host_image_with_a_further_folder(rt: containers.Runtime, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "f").write_text("shown\n")
    image = containers.Image.host(paths=[tmp_path])
    assert rt.containers.run(image, ["cat", str(tmp_path / "f")]).stdout == b"shown\n"
    assert rt.containers.run("host", ["cat", str(tmp_path / "f")]).exit_code == 1
    assert isinstance(image.config, containers.ImageConfig)


def test_unknown_images_and_commands(rt: containers.Runtime) -> None:
    with pytest.raises(containers.ImageNotFound) as image:
        rt.containers.run("no-such-image:1", ["true"])
    assert "no-such-image" in image.value.context["ref"]
    with pytest.raises(containers.CommandNotFound, match="no-such-command"):
        rt.containers.run("host", ["no-such-command"])


def test_many_threads_at_once(rt: containers.Runtime) -> None:
    results: dict[int, bytes] = {}

    def work(n: int) -> None:
        for _ in range(3):
            results[n] = rt.containers.run("host", ["echo", str(n)]).stdout

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: f"{n}\n".encode() for n in range(8)}


def test_the_gil_is_released_while_waiting(rt: containers.Runtime) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    rt.containers.run("host", ["sleep", "0.5"])
    done.set()
    thread.join()
    assert ticks > 20


def test_module_run_leaves_the_default_root_closed() -> None:
    before = set(threading.enumerate())
    containers.run("host", ["true"])
    assert set(threading.enumerate()) == before
