"""Containers that are created, and what is done with them."""

from __future__ import annotations

import gc
import select
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support import long_sleep, sleepers, wait_until

import containers

SLEEP = ["sleep", "600"]


@pytest.fixture
def c(rt: containers.Runtime) -> Iterator[containers.Container]:
    with rt.containers.create("host", SLEEP, init=True) as container:
        container.start()
        yield container


def test_from_creation_to_removal(rt: containers.Runtime) -> None:
    c = rt.containers.create("host", ["sh", "-c", "echo hi; exit 4"], name="whole-life", labels={"a": "b"})
    assert len(c.id) == 64
    assert c.id.startswith(c.short_id)
    assert (c.name, c.status, c.pid, c.ports) == ("whole-life", "created", None, {})
    assert c.labels["a"] == "b"
    assert "whole-life" in repr(c)
    c.start()
    assert c.wait(timeout=30) == 4
    assert c.status == "exited"
    assert c.logs() == b"hi\n"
    document = c.inspect()
    assert document["State"]["ExitCode"] == 4
    assert document["Id"] == c.id
    c.remove()
    with pytest.raises(containers.ContainerNotFound):
        rt.containers.get("whole-life")
    with pytest.raises(containers.ContainerNotFound):
        c.start()


def test_state_while_it_runs(rt: containers.Runtime, c: containers.Container) -> None:
    assert c.status == "running"
    assert c.pid is not None
    assert Path(f"/proc/{c.pid}").exists()
    assert c in rt.containers.list()
    assert rt.containers.get(c.id[:12]) == c
    with pytest.raises(containers.ExecTimeout):
        c.wait(timeout=0.1)
    assert c.status == "running"
    with pytest.raises(containers.Conflict):
        c.remove()


def test_list_and_filters(rt: containers.Runtime) -> None:
    with (
        rt.containers.create("host", SLEEP, name="list-a", labels={"group": "x"}) as a,
        rt.containers.create("host", SLEEP, name="list-b", labels={"group": "x"}) as b,
    ):
        b.start()
        assert a not in rt.containers.list()
        assert rt.containers.list(all=True, filters={"label": "group=x"}) == [b, a]
        assert rt.containers.list(all=True, filters={"name": ["list-a"]}) == [a]
        assert rt.containers.list(filters={"label": ["group=x"], "status": "running"}) == [b]
        with pytest.raises(containers.InvalidArgument, match="colour"):
            rt.containers.list(filters={"colour": "red"})
        with pytest.raises(TypeError, match="filters"):
            rt.containers.list(filters={"name": 1.5})  # type: ignore[dict-item]


def test_stop_and_kill(rt: containers.Runtime) -> None:
    trap = ["sh", "-c", "trap 'echo got it; exit 9' TERM HUP; echo ready; while :; do sleep 0.1; done"]
    with rt.containers.create("host", trap) as c:
        c.start()
        wait_until(lambda: b"ready" in c.logs())
        c.stop(timeout=20)
        assert (c.wait(), c.logs()) == (9, b"ready\ngot it\n")
        c.stop()
        with pytest.raises(containers.NotRunning):
            c.kill()
    with rt.containers.create("host", trap) as c:
        c.start()
        wait_until(lambda: b"ready" in c.logs())
        c.kill("HUP")
        assert c.wait(30) == 9
    with rt.containers.create("host", SLEEP) as c:
        c.start()
        with pytest.raises(containers.InvalidArgument):
            c.kill("SIGWHAT")
        with pytest.raises(TypeError):
            c.kill(1.5)  # type: ignore[arg-type]
        c.kill()
        assert c.wait(30) == 137


def test_restart_and_rename(rt: containers.Runtime) -> None:
    with rt.containers.create("host", ["sh", "-c", "echo started; exec sleep 600"], name="before", init=True) as c:
        c.start()
        first = c.pid
        wait_until(lambda: c.logs() == b"started\n")
        c.restart(timeout=5)
        assert c.pid not in (None, first)
        wait_until(lambda: c.logs() == b"started\nstarted\n")
        c.rename("after")
        assert c.name == "after"
        assert rt.containers.get("after") == c
        with pytest.raises(containers.InvalidArgument):
            c.rename("a/b")


def test_names_are_unique(rt: containers.Runtime) -> None:
    with rt.containers.create("host", SLEEP, name="taken"), pytest.raises(containers.AlreadyExists) as caught:
        rt.containers.create("host", SLEEP, name="taken")
    assert caught.value.context["name"] == "taken"


def test_the_handle_owns_an_attached_container(rt: containers.Runtime) -> None:
    seconds = long_sleep()
    c = rt.containers.create("host", ["sleep", seconds])
    c.start()
    id = c.id
    other = rt.containers.get(id)
    del other
    gc.collect()
    assert sleepers(seconds)
    del c
    gc.collect()
    wait_until(lambda: not sleepers(seconds))
    with pytest.raises(containers.ContainerNotFound):
        rt.containers.get(id)


def test_a_detached_container_outlives_its_runtime(root: Path) -> None:
    seconds = long_sleep()
    with containers.Runtime(root) as rt:
        c = rt.containers.run("host", ["sh", "-c", f"echo here; exec sleep {seconds}"], name="kept", detach=True)
        assert isinstance(c, containers.Container)
    del c
    gc.collect()
    with containers.Runtime(root) as rt:
        with rt.containers.get("kept") as found:
            wait_until(lambda: found.logs() == b"here\n")
        assert sleepers(seconds)
        found.kill()
        assert found.wait(30) == 137
        found.remove()
        assert rt.containers.list(all=True) == []


def test_a_detached_run_that_can_t_start_leaves_nothing(rt: containers.Runtime) -> None:
    with pytest.raises(containers.CommandNotFound):
        rt.containers.run("host", ["no-such-command"], name="never", detach=True)
    with pytest.raises(containers.ContainerNotFound):
        rt.containers.get("never")
    call = rt.containers.run
    with pytest.raises(containers.InvalidArgument, match="timeout"):
        call("host", ["true"], detach=True, timeout=5)  # type: ignore[call-overload]


def test_logs(rt: containers.Runtime) -> None:
    before = datetime.now(timezone.utc)
    with rt.containers.create("host", ["sh", "-c", "for i in 1 2 3; do echo $i; done; sleep 0.1; echo e >&2"]) as c:
        c.start()
        c.wait(30)
        assert c.logs() == b"1\n2\n3\ne\n"
        assert c.logs(tail=2) == b"3\ne\n"
        assert c.logs(tail="all", stderr=False) == b"1\n2\n3\n"
        assert c.logs(stdout=False) == b"e\n"
        assert c.logs(since=before) == c.logs()
        assert c.logs(until=before) == b""
        assert c.logs(since=time.time() + 60) == b""
        with c.logs_stream() as stream:
            lines = list(stream)
        assert [(line.stream, line.data) for line in lines] == [
            ("stdout", b"1\n"),
            ("stdout", b"2\n"),
            ("stdout", b"3\n"),
            ("stderr", b"e\n"),
        ]
        assert all(before.timestamp() - 1 < line.time < time.time() + 1 for line in lines)
        with pytest.raises(TypeError, match="tail"):
            c.logs(tail=1.5)  # type: ignore[arg-type]


def test_logs_are_followed_to_the_end(rt: containers.Runtime) -> None:
    with rt.containers.create("host", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"]) as c:
        c.start()
        assert [line.data for line in c.logs_stream(follow=True)] == [b"1\n", b"2\n", b"3\n"]
        assert c.wait(30) == 0


def test_pause(rt: containers.Runtime, c: containers.Container) -> None:
    if "freezer" not in rt.info()["cgroup_controllers"]:
        pytest.skip("no freezer here")
    c.pause()
    assert c.status == "paused"
    c.unpause()
    assert c.status == "running"
    with pytest.raises(containers.Conflict):
        c.unpause()


def test_exec_run(c: containers.Container) -> None:
    code, out, err = c.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (code, out, err) == (3, b"out\n", b"err\n")
    assert c.exec_run("echo 'a b'").stdout == b"a b\n"
    assert c.exec_run(["pwd"], working_dir="/tmp").stdout == b"/tmp\n"
    assert c.exec_run(["sh", "-c", "echo $A"], environment={"A": "x"}).stdout == b"x\n"
    assert c.exec_run(["id", "-u"], user=1).stdout == b"1\n"
    with pytest.raises(containers.ExitError) as failed:
        c.exec_run(["sh", "-c", "echo out; exit 3"], check=True)
    assert (failed.value.exit_code, failed.value.stdout) == (3, b"out\n")
    with pytest.raises(containers.ExecTimeout) as slow:
        c.exec_run(["sh", "-c", "echo so far; sleep 600"], timeout=0.7)
    assert slow.value.stdout == b"so far\n"
    with pytest.raises(containers.CommandNotFound):
        c.exec_run(["no-such-command"])
    with pytest.raises(containers.InvalidArgument):
        c.exec_run(["true"], user="no-such-user")
    with pytest.raises(TypeError, match="environment"):
        c.exec_run(["true"], environment=5)  # type: ignore[arg-type]
    assert c.status == "running"


def test_exec_needs_a_running_container(rt: containers.Runtime) -> None:
    with rt.containers.create("host", SLEEP) as c, pytest.raises(containers.NotRunning):
        c.exec_run(["true"])


def test_attach_before_the_start(rt: containers.Runtime) -> None:
    with rt.containers.create("host", ["cat"], stdin=True) as c:
        p = c.attach()
        c.start()
        out, err = p.communicate(b"through\n")
        assert (out, err) == (b"through\n", b"")
        assert c.wait(30) == 0
        assert c.logs() == b"through\n"


def test_the_exit_descriptor(rt: containers.Runtime) -> None:
    with rt.containers.create("host", ["sleep", "0.5"]) as c:
        c.start()
        assert select.select([c], [], [], 0)[0] == []
        assert select.select([c], [], [], 30)[0] == [c]
        assert c.fileno() == c.fileno()
        assert c.status == "exited"


def test_waiting_from_many_threads(c: containers.Container) -> None:
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(c.wait(60))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert c.exec_run(["true"]).exit_code == 0
    c.kill()
    for thread in threads:
        thread.join()
    assert codes == [137] * 4
