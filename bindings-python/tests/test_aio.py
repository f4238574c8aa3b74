"""The same for asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support import descriptors, long_sleep, sleepers, wait_until

import containers
from containers import aio

Test = Callable[[aio.Runtime], Awaitable[None]]


def with_runtime(test: Test) -> Callable[[], None]:
    """Runs a coroutine function with an open runtime."""

    def run() -> None:
        async def main() -> None:
            async with aio.Runtime() as rt:
                await test(rt)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def test_run() -> None:
    r = asyncio.run(aio.run("host", ["sh", "-c", "cat; exit 3"], input="hi\n", text=True, timeout=30))
    assert (r.exit_code, r.stdout) == (3, "hi\n")


@with_runtime
async def test_many_at_once(rt: aio.Runtime) -> None:
    outputs = await asyncio.gather(*(rt.containers.run("host", ["echo", str(n)]) for n in range(10)))
    assert [o.stdout for o in outputs] == [f"{n}\n".encode() for n in range(10)]


@with_runtime
async def test_errors_are_the_same(rt: aio.Runtime) -> None:
    with pytest.raises(containers.ImageNotFound):
        await rt.containers.run("no-such-image:1", ["true"])
    with pytest.raises(TypeError, match="colour"):
        await rt.containers.run("host", ["true"], colour="red")  # type: ignore[call-overload]
    with pytest.raises(containers.ExecTimeout) as slow:
        await rt.containers.run("host", ["sh", "-c", "echo a; sleep 60"], timeout=0.7, text=True)
    assert slow.value.stdout == "a\n"
    with pytest.raises(containers.ExitError):
        await rt.containers.run("host", ["false"], check=True)
    with pytest.raises(containers.Unsupported):
        rt.volumes  # type: ignore[attr-defined]  # noqa: B018


@with_runtime
async def test_the_loop_runs_meanwhile(rt: aio.Runtime) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(tick())
    await rt.containers.run("host", ["sleep", "0.5"])
    ticker.cancel()
    assert ticks > 20


@with_runtime
async def test_cancelling_a_run_kills_its_container(rt: aio.Runtime) -> None:
    seconds = long_sleep()
    task = asyncio.create_task(rt.containers.run("host", ["sleep", seconds]))
    while not sleepers(seconds):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while sleepers(seconds):
        await asyncio.sleep(0.01)
    assert (await rt.containers.run("host", ["true"])).exit_code == 0


@with_runtime
async def test_wait_for_kills_too(rt: aio.Runtime) -> None:
    seconds = long_sleep()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(rt.containers.run("host", ["sleep", seconds]), 0.7)
    while sleepers(seconds):
        await asyncio.sleep(0.01)


@with_runtime
async def test_a_container_s_life(rt: aio.Runtime) -> None:
    async with await rt.containers.create("host", ["sleep", "600"], name="aio-life", init=True) as c:
        assert c.status == "created"
        await c.start()
        assert c.status == "running"
        assert c in await rt.containers.list()
        assert (await rt.containers.get("aio-life")) == c
        assert (await c.exec_run(["echo", "x"])).stdout == b"x\n"
        assert (await c.inspect())["Id"] == c.id
        with pytest.raises(containers.ExecTimeout):
            await c.wait(timeout=0.1)
        await c.stop(timeout=20)
        assert c.status == "exited"
    with pytest.raises(containers.ContainerNotFound):
        await rt.containers.get("aio-life")


@with_runtime
async def test_streams(rt: aio.Runtime) -> None:
    async with await rt.containers.create("host", ["sleep", "600"]) as c:
        await c.start()
        script = "echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c; exit 6"
        async with await c.exec(["sh", "-c", script]) as p:
            seen = [pair async for pair in p]
            assert seen == [("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n")]
            assert await p.wait() == 6
        async with await c.exec(["cat"], stdin=True) as p:
            assert p.stdin is not None
            assert p.stdout is not None
            await p.stdin.write(b"one\ntwo\nthree")
            assert await p.stdout.readline() == b"one\n"
            assert await p.stdout.read(2) == b"tw"
            with pytest.raises(TypeError):
                await p.stdin.write("x")  # type: ignore[arg-type]
            await p.stdin.close()
            assert [line async for line in p.stdout] == [b"o\n", b"three"]
            assert await p.stdout.read() == b""
        out, err = await (await c.exec(["cat"], stdin=True)).communicate(b"x" * 300_000)
        assert (len(out), err) == (300_000, b"")


@with_runtime
async def test_a_cancelled_read_loses_nothing(rt: aio.Runtime) -> None:
    async with await rt.containers.create("host", ["sleep", "600"]) as c:
        await c.start()
        async with await c.exec(["sh", "-c", "for i in 1 2 3 4 5; do sleep 0.1; echo $i; done"]) as p:
            assert p.stdout is not None
            seen = b""
            deadline = time.monotonic() + 30
            while len(seen) < 10 and time.monotonic() < deadline:
                try:
                    seen += await asyncio.wait_for(p.stdout.read(100), 0.03)
                except asyncio.TimeoutError:
                    continue
            assert seen == b"1\n2\n3\n4\n5\n"


@with_runtime
async def test_logs(rt: aio.Runtime) -> None:
    script = "for i in 1 2 3; do echo $i; sleep 0.1; done"
    async with await rt.containers.create("host", ["sh", "-c", script]) as c:
        await c.start()
        lines = [line.data async for line in await c.logs_stream()]
        assert lines == [b"1\n", b"2\n", b"3\n"]
        assert await c.logs(tail=1) == b"3\n"
        async with await c.logs_stream(follow=False) as stream:
            assert (await stream.__anext__()).stream == "stdout"


def test_a_runtime_that_is_not_open() -> None:
    async def main() -> None:
        rt = aio.Runtime()
        with pytest.raises(containers.HandleClosed):
            await rt.info()
        opened = await rt
        assert opened is rt
        assert (await rt.info())["os"] == "linux"
        await rt.close()
        await rt.close()
        with pytest.raises(containers.HandleClosed):
            await rt.containers.run("host", ["true"])

    asyncio.run(main())


def test_no_threads_of_ours_and_nothing_stays_open() -> None:
    before, threads = descriptors(), threading.active_count()
    most = 0

    async def main() -> None:
        nonlocal most
        async with aio.Runtime() as rt:
            await asyncio.gather(*(rt.containers.run("host", ["true"]) for _ in range(4)))
            await rt.info()
            most = len(list(Path("/proc/self/task").iterdir()))

    native = len(list(Path("/proc/self/task").iterdir()))
    asyncio.run(main())
    assert most <= native + 2
    assert threading.active_count() == threads
    wait_until(lambda: len(list(Path("/proc/self/task").iterdir())) == native)
    wait_until(lambda: descriptors() == before)


def test_several_loops_share_a_runtime() -> None:
    async def use(rt: aio.Runtime) -> bytes:
        return (await rt.containers.run("host", ["echo", "x"])).stdout

    rt: Any = asyncio.run(_open())
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(use(rt)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(rt.close())
    assert results == [b"x\n"] * 3


async def _open() -> aio.Runtime:
    return await aio.Runtime()
