"""Processes with open streams."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator

import pytest
from support import long_sleep, sleepers, wait_until

import containers


@pytest.fixture(scope="module")
def c(rt: containers.Runtime) -> Iterator[containers.Container]:
    with rt.containers.create("host", ["sleep", "600"], init=True) as container:
        container.start()
        yield container


def test_both_streams_in_order(c: containers.Container) -> None:
    script = "echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c; exit 6"
    with c.exec(["sh", "-c", script]) as p:
        assert p.stdin is None
        assert list(p) == [("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n")]
        assert p.wait(timeout=30) == 6
    assert (p.poll(), p.returncode) == (6, 6)


def test_a_conversation(c: containers.Container) -> None:
    with c.exec(["sh"], stdin=True) as p:
        assert p.stdin is not None
        assert p.stdout is not None
        assert p.stderr is not None
        p.stdin.write(b"echo one\n")
        assert p.stdout.readline() == b"one\n"
        p.stdin.write(b"echo two >&2; echo three\n")
        assert p.stderr.readline() == b"two\n"
        assert p.stdout.readline() == b"three\n"
        assert p.poll() is None
        p.stdin.write(b"exit 3\n")
        assert p.stdout.read() == b""
    assert p.wait() == 3
    with pytest.raises(ValueError, match="closed"):
        p.stdin.write(b"x")


def test_stdin_takes_buffers_and_no_text(c: containers.Container) -> None:
    with c.exec(["cat"], stdin=True) as p:
        assert p.stdin is not None
        assert p.stdout is not None
        p.stdin.write(bytearray(b"ab"))
        p.stdin.write(memoryview(b"cd\n"))
        with pytest.raises(TypeError):
            p.stdin.write("text")
        assert p.stdout.readline() == b"abcd\n"


def test_communicate_with_much_data(c: containers.Container) -> None:
    data = bytes(range(256)) * 8000
    p = c.exec(["sh", "-c", "cat; echo done >&2; exit 2"], stdin=True)
    result = p.communicate(data)
    out, err = result
    assert out == data
    assert err == b"done\n"
    assert (result.exit_code, result.signal, p.wait()) == (2, None, 2)


def test_signals(c: containers.Container) -> None:
    seconds = long_sleep()
    p = c.exec(["sleep", seconds])
    p.kill(signal.SIGTERM)
    assert p.wait(30) == 128 + signal.SIGTERM
    for word in ("TERM", "sigterm", "15"):
        p = c.exec(["sleep", seconds])
        p.kill(word)
        assert p.wait(30) == 143
    p = c.exec(["sleep", seconds])
    with pytest.raises(containers.InvalidArgument):
        p.kill("SIGWHAT")
    with pytest.raises(TypeError):
        p.kill(None)  # type: ignore[arg-type]
    p.kill()
    assert p.wait(30) == 137


def test_waiting_with_a_timeout_kills_nothing(c: containers.Container) -> None:
    p = c.exec(["sleep", "600"])
    started = time.monotonic()
    with pytest.raises(containers.ExecTimeout):
        p.wait(timeout=0.2)
    assert time.monotonic() - started < 10
    assert p.poll() is None
    p.kill()
    assert p.wait(30) == 137


def test_exec_s_own_timeout_kills(c: containers.Container) -> None:
    seconds = long_sleep()
    p = c.exec(["sh", "-c", f"sleep {seconds} & sleep {seconds}"], timeout=0.5)
    with pytest.raises(containers.ExecTimeout):
        p.wait()
    wait_until(lambda: not sleepers(seconds))


def test_a_process_that_is_given_up_is_killed(c: containers.Container) -> None:
    seconds = long_sleep()
    p = c.exec(["sleep", seconds])
    wait_until(lambda: sleepers(seconds))
    del p
    gc.collect()
    wait_until(lambda: not sleepers(seconds))


def test_an_error_in_the_block_kills(c: containers.Container) -> None:
    seconds = long_sleep()
    with pytest.raises(ZeroDivisionError), c.exec(["sleep", seconds]):
        raise ZeroDivisionError
    assert not sleepers(seconds)


def test_a_terminal(c: containers.Container) -> None:
    with c.exec(["sh"], stdin=True, tty=True, tty_size=(30, 100)) as p:
        assert p.stdin is not None
        assert p.stdout is not None
        assert p.stderr is None
        p.stdin.write(b"stty -echo; stty size\n")
        while not (line := p.stdout.readline()).endswith(b"30 100\r\n"):
            assert line
        p.resize(40, 120)
        p.stdin.write(b"stty size; exit 0\n")
        while not (line := p.stdout.readline()).endswith(b"40 120\r\n"):
            assert line


def test_back_pressure_loses_nothing(c: containers.Container) -> None:
    p = c.exec(["sh", "-c", "head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2"])
    time.sleep(0.2)
    sizes = {"stdout": 0, "stderr": 0}
    for stream, data in p:
        sizes[stream] += len(data)
    assert sizes == {"stdout": 5_000_000, "stderr": 3_000_000}
    assert p.wait() == 0
