"""What arguments are taken, in which shapes, and how wrong ones are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import containers

WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"environment": 5}, "environment"),
    ({"environment": {"A": True}}, 'environment["A"]'),
    ({"environment": {1: "x"}}, "environment"),
    ({"read_only": "certainly"}, "read_only"),
    ({"read_only": 1}, "read_only"),
    ({"mem_limit": []}, "mem_limit"),
    ({"mem_limit": b"1m"}, "mem_limit"),
    ({"cpus": "1.5"}, "cpus"),
    ({"pids_limit": 1.5}, "pids_limit"),
    ({"pids_limit": True}, "pids_limit"),
    ({"ulimits": {"nofile": "3"}}, 'ulimits["nofile"]'),
    ({"ulimits": {"nofile": (1, 2, 3)}}, 'ulimits["nofile"]'),
    ({"cap_add": "NET_ADMIN"}, "cap_add"),
    ({"cap_add": [1]}, "cap_add[0]"),
    ({"volumes": "/a:/b"}, "volumes"),
    ({"volumes": {"/tmp": {"bind": 5}}}, 'volumes["/tmp"]["bind"]'),
    ({"volumes": {"/tmp": {"mode": "ro"}}}, "'bind' is missing"),
    ({"volumes": {"/tmp": {"bind": "/m", "readonly": True}}}, "readonly"),
    ({"mounts": [{"target": "/m", "colour": "red"}]}, "mounts[0]"),
    ({"tmpfs": ["/x"]}, "tmpfs"),
    ({"timeout": "1"}, "timeout"),
    ({"check": "no"}, "check"),
    ({"max_output": "1m"}, "max_output"),
    ({"user": 1.5}, "user"),
    ({"name": 5}, "name"),
    ({"entrypoint": 5}, "entrypoint"),
    ({"labels": {"a": None}}, 'labels["a"]'),
    ({"healthcheck": {"test": 5}}, 'healthcheck["test"]'),
    ({"tty_size": (1,)}, "tty_size"),
    ({"input": "text"}, "input"),
    ({"input": 5}, "input"),
    ({"colour": "red"}, "colour"),
    ({"working_dir": b"/x"}, "working_dir"),
]


@pytest.mark.parametrize(("options", "names"), WRONG_TYPES, ids=lambda v: str(v))
def test_a_wrong_type_is_a_type_error_that_names_it(
    rt: containers.Runtime, options: dict[str, Any], names: str
) -> None:
    with pytest.raises(TypeError) as caught:
        rt.containers.run("host", ["true"], **options)
    assert names in str(caught.value)
    assert not isinstance(caught.value, containers.ContainersError)


@pytest.mark.parametrize("command", [5, [1], [b"true"], {"a": 1}, [None]])
def test_a_command_of_a_wrong_type(rt: containers.Runtime, command: Any) -> None:
    with pytest.raises(TypeError, match="command"):
        rt.containers.run("host", command)


@pytest.mark.parametrize("image", [None, 5, b"host", ["host"]])
def test_an_image_of_a_wrong_type(rt: containers.Runtime, image: Any) -> None:
    with pytest.raises(TypeError, match="image"):
        rt.containers.run(image, ["true"])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cpu_shares": -1}, "cpu_shares"),
        ({"mem_limit": "lots"}, "mem_limit"),
        ({"mem_limit": 2**70}, "mem_limit"),
        ({"cpus": -1}, "cpus"),
        ({"user": "no-such-user"}, "user"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"environment": ["HOME"]}, "environment"),
        ({"volumes": {"/a:b": "/c"}}, "volumes"),
        ({"cap_add": ["FLY"]}, "cap_add"),
        ({"working_dir": "\udc80"}, "working_dir"),
    ],
    ids=str,
)
def test_a_value_that_can_never_work_is_an_invalid_argument(
    rt: containers.Runtime, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(containers.InvalidArgument) as caught:
        rt.containers.run("host", ["true"], **options)
    assert caught.value.context["field"] == field
    assert isinstance(caught.value, ValueError)


def test_text_is_split_as_a_shell_would(rt: containers.Runtime) -> None:
    r = rt.containers.run("host", "echo 'a b' c\\ d", text=True, check=True)
    assert r.args == ["echo", "a b", "c d"]
    assert r.stdout == "a b c d\n"
    with pytest.raises(containers.InvalidArgument) as caught:
        rt.containers.run("host", "echo 'a")
    assert caught.value.context["field"] == "command"


def test_none_is_as_good_as_left_out(rt: containers.Runtime) -> None:
    r = rt.containers.run(
        "host", ["pwd"], name=None, environment=None, mem_limit=None, tty=None, entrypoint=None, timeout=None
    )
    assert (r.exit_code, r.stdout) == (0, b"/\n")


def test_environment_as_mapping_list_and_numbers(rt: containers.Runtime) -> None:
    show = ["sh", "-c", "echo $A-$B"]
    assert rt.containers.run("host", show, environment={"A": "1", "B": 2}).stdout == b"1-2\n"
    assert rt.containers.run("host", show, environment=["A=1", "B=x=y"]).stdout == b"1-x=y\n"
    mapping: Any = os.environ.__class__  # A Mapping that is no dict.
    assert mapping is not dict


def test_volumes_in_both_shapes_and_paths(rt: containers.Runtime, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "f").write_text("inside\n")
    shapes: list[Any] = [
        {str(tmp_path): {"bind": "/m", "mode": "ro"}},
        {tmp_path: {"bind": "/m", "mode": "ro"}},
        {str(tmp_path): "/m:ro"},
        [f"{tmp_path}:/m:ro"],
    ]
    for volumes in shapes:
        r = rt.containers.run("host", ["sh", "-c", "cat /m/f; touch /m/g"], volumes=volumes, text=True)
        assert (r.exit_code, r.stdout) == (1, "inside\n")
        assert "Read-only" in r.stderr
    long = rt.containers.run("host", ["cat", "/m/f"], mounts=[{"source": tmp_path, "target": "/m"}])
    assert long.stdout == b"inside\n"


def test_limits_in_each_shape(rt: containers.Runtime) -> None:
    show = ["sh", "-c", "ulimit -Sn; ulimit -Hn"]
    assert rt.containers.run("host", show, ulimits={"nofile": 64}).stdout == b"64\n64\n"
    assert rt.containers.run("host", show, ulimits={"nofile": (32, 64)}).stdout == b"32\n64\n"
    assert rt.containers.run("host", ["id", "-u"], user=1, environment={}).stdout == b"1\n"


def test_paths_are_taken_where_text_is(rt: containers.Runtime, tmp_path: Path) -> None:
    r = rt.containers.run("host", ["echo", Path("/a/b")], working_dir=Path("/tmp"))
    assert r.stdout == b"/a/b\n"
    image = containers.Image.host(paths=[tmp_path])
    assert "host" in image.id
