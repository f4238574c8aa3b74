"""What the host process keeps: its signals, children, descriptors, threads; and what it leaves when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import TIMEOUT, Script
from support import descriptors, long_sleep, sleepers, wait_until

import containers

RUN_SLEEP = """
import signal, sys, time, containers
# A shell starts what runs in its background with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with containers.Runtime() as rt:
    try:
        rt.containers.run("host", ["sleep", sys.argv[1]])
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
"""


def start(root: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "CONTAINERS_ROOT": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_interrupt_ends_a_run_and_its_container(root: Path) -> None:
    seconds = long_sleep()
    process = start(root, RUN_SLEEP, seconds)
    wait_until(lambda: sleepers(seconds))
    time.sleep(0.2)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    # 100 ms is the aim; the machine may be busy.
    assert float(out) - sent < 2
    assert not sleepers(seconds)


def test_interrupt_of_a_container_that_writes_all_the_time(root: Path) -> None:
    code = RUN_SLEEP.replace('["sleep", sys.argv[1]]', '["sh", "-c", "yes & exec sleep " + sys.argv[1]]')
    code = code.replace("argv[1]]", "argv[1]], max_output=1 << 60")
    seconds = long_sleep()
    process = start(root, code, seconds)
    wait_until(lambda: sleepers(seconds))
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert float(out) - sent < 5


def test_kill_9_of_the_host_leaves_nothing(root: Path) -> None:
    seconds = long_sleep()
    process = start(root, RUN_SLEEP, seconds)
    wait_until(lambda: sleepers(seconds))
    process.kill()
    process.communicate(timeout=TIMEOUT)
    wait_until(lambda: not sleepers(seconds), 10)


def test_kill_9_of_the_host_leaves_nothing_of_a_created_container(root: Path) -> None:
    code = """
import sys, time, containers
rt = containers.Runtime()
c = rt.containers.create("host", ["sleep", sys.argv[1]])
c.start()
p = c.exec(["sleep", sys.argv[1]])
time.sleep(600)
"""
    seconds = long_sleep()
    process = start(root, code, seconds)
    wait_until(lambda: len(sleepers(seconds)) == 2)
    process.kill()
    process.communicate(timeout=TIMEOUT)
    wait_until(lambda: not sleepers(seconds), 10)


@pytest.mark.parametrize(
    "end",
    [
        "pass",
        "sys.exit(0)",
        "import gc; gc.collect()",
        "threading.Thread(target=c.wait, daemon=True).start(); time.sleep(0.1)",
    ],
)
def test_the_interpreter_ends_with_an_open_runtime(script: Script, end: str) -> None:
    seconds = long_sleep()
    code = f"""
import sys, threading, time, containers
rt = containers.Runtime()
c = rt.containers.create("host", ["sleep", "{seconds}"])
c.start()
{end}
"""
    done = script(code)
    assert (done.stdout, done.stderr) == ("", "")
    wait_until(lambda: not sleepers(seconds), 10)


def test_the_interpreter_ends_with_something_awaited(script: Script) -> None:
    seconds = long_sleep()
    code = f"""
import asyncio
from containers import aio
async def main():
    rt = await aio.Runtime()
    await rt.containers.run("host", ["true"])
    task = asyncio.create_task(rt.containers.run("host", ["sleep", "{seconds}"]))
    await asyncio.sleep(0.3)
    globals().update(kept=(rt, task))
asyncio.run(main())
"""
    script(code)
    wait_until(lambda: not sleepers(seconds), 10)


def test_old_handles_fail_after_a_fork_and_a_new_runtime_works(script: Script) -> None:
    code = """
import gc, os, sys, containers
rt = containers.Runtime()
c = rt.containers.create("host", ["sleep", "60"])
c.start()
pid = os.fork()
if pid == 0:
    calls = [
        lambda: rt.containers.run("host", ["true"]),
        lambda: rt.containers.create("host", ["true"]),
        lambda: rt.containers.list(),
        lambda: rt.images.list(),
        lambda: rt.info(),
        lambda: c.status,
        lambda: c.exec_run(["true"]),
        lambda: c.stop(),
        lambda: c.remove(force=True),
    ]
    for n, call in enumerate(calls):
        try:
            call()
        except containers.HandleClosed:
            continue
        print("call", n, "did not fail", flush=True)
        os._exit(1)
    del c, rt, calls, call
    gc.collect()
    with containers.Runtime() as new:
        r = new.containers.run("host", ["echo", "new"], text=True)
        assert r.stdout == "new\\n", r
    sys.exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
assert c.status == "running"
assert rt.containers.run("host", ["true"]).exit_code == 0
rt.close()
"""
    script(code)


def test_work_in_hand_is_left_to_the_process_before_the_fork(script: Script) -> None:
    code = """
import os, sys, threading, time, containers
rt = containers.Runtime()
made = []
thread = threading.Thread(target=lambda: made.append(rt.containers.run("host", ["sh", "-c", "sleep 1; echo x"])))
thread.start()
time.sleep(0.3)
pid = os.fork()
if pid == 0:
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
thread.join()
assert made[0].stdout == b"x\\n", made
rt.close()
"""
    script(code)


def test_the_host_process_is_as_before(script: Script) -> None:
    code = """
import os, resource, signal, sys, threading, containers
sys.path.insert(0, sys.argv[1])
from support import descriptors
KEYS = ("Umask", "State", "Threads", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd",
        "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups", "NSpid")
def look():
    with open("/proc/self/status") as f:
        status = dict(line.split(":", 1) for line in f)
    limits = [resource.getrlimit(n) for n in range(16)]
    handlers = [signal.getsignal(n) for n in range(1, 32)]
    with open("/proc/self/oom_score_adj") as f:
        oom = f.read()
    namespaces = {n: os.readlink(f"/proc/self/ns/{n}") for n in os.listdir("/proc/self/ns")}
    with open(f"/proc/self/task/{os.getpid()}/children") as f:
        children = f.read()
    return {k: status[k] for k in KEYS}, limits, handlers, oom, namespaces, children, os.getcwd(), dict(os.environ), \\
        descriptors(), sorted(t.name for t in threading.enumerate())
before = look()
rt = containers.Runtime()
rt.containers.run("host", ["true"])
threads = int(look()[0]["Threads"]) - int(before[0]["Threads"])
assert threads <= 2, threads
try:
    raise SystemExit(f"a child: {os.wait()}")
except ChildProcessError:
    pass
for options in ({}, {"timeout": 0.1}, {"user": "no-such-user"}):
    try:
        rt.containers.run("host", ["sleep", "1"], **options)
    except containers.ContainersError:
        pass
rt.close()
after = look()
for was, now in zip(before, after):
    assert was == now, (was, now)
"""
    script(code, str(Path(__file__).parent))


def test_a_host_that_ignores_sigchld(script: Script) -> None:
    code = """
import signal, subprocess, containers
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
r = containers.run("host", ["sh", "-c", "exit 5"])
assert r.exit_code == 5, r
"""
    script(code)


def test_a_host_without_free_descriptors(script: Script) -> None:
    """Some of these calls panic inside, which must come out as an error, and all of it works again afterwards."""
    code = """
import os, resource, containers
rt = containers.Runtime()
c = rt.containers.create("host", ["sleep", "60"])
c.start()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
calls = [
    lambda: rt.containers.run("host", ["true"]),
    lambda: rt.containers.create("host", ["true"]),
    lambda: c.exec_run(["true"]),
    lambda: c.stop(timeout=0),
    lambda: rt.images.pull("localhost:1/x"),
    lambda: containers.Runtime(os.environ["CONTAINERS_ROOT"] + "-other"),
]
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
codes = []
for call in calls:
    try:
        call()
        codes.append("worked")
    except containers.ContainersError as error:
        codes.append(error.code)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert not set(codes) - {"internal", "io", "limit_exceeded"}, codes
assert rt.containers.run("host", ["true"]).exit_code == 0
c.stop(timeout=0)
rt.close()
"""
    script(code)


def test_nothing_stays_open_after_close() -> None:
    before, threads = descriptors(), threading.active_count()
    for _ in range(3):
        with containers.Runtime() as rt:
            rt.containers.run("host", ["true"])
    assert descriptors() == before
    assert threading.active_count() == threads


def test_handles_after_close(root: Path) -> None:
    rt = containers.Runtime(root)
    c = rt.containers.create("host", ["true"])
    rt.close()
    rt.close()
    for call in (rt.info, c.start, rt.images.list, lambda: rt.containers.run("host", ["true"])):
        with pytest.raises(containers.HandleClosed):
            call()
