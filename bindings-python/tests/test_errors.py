"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

import containers
from containers import _containers, errors


@pytest.mark.parametrize(("code", "parent"), _containers.error_kinds())
def test_each_kind_has_its_class_below_the_right_one(code: str, parent: str) -> None:
    cls = errors.BY_CODE[code]
    assert cls.code == code
    name = "".join(word.capitalize() for word in code.split("_"))
    assert cls.__name__ == name
    assert getattr(containers, name) is cls
    assert cls.__doc__
    base = containers.ContainersError if parent == code else errors.BY_CODE[parent]
    assert cls.__mro__[1] is base


def test_no_class_is_without_a_kind() -> None:
    assert set(errors.BY_CODE) == {code for code, _ in _containers.error_kinds()}


def test_python_s_own_classes_catch_what_they_mean() -> None:
    assert issubclass(containers.ExecTimeout, TimeoutError)
    assert issubclass(containers.InvalidArgument, ValueError)
    assert issubclass(containers.PathNotFound, FileNotFoundError)
    assert issubclass(containers.Permission, PermissionError)


def test_an_error_says_what_it_was_about(rt: containers.Runtime) -> None:
    with pytest.raises(containers.PathNotFound) as caught:
        rt.containers.run("host", ["true"], volumes=["/no/such/folder:/m"])
    error = caught.value
    assert error.code == "path_not_found"
    assert error.operation == "container.run"
    assert "/no/such/folder" in error.context["path"]
    assert error.message in str(error)
    assert "/no/such/folder" in str(error)
    assert error.output is None


def test_an_error_travels_between_processes(rt: containers.Runtime) -> None:
    with pytest.raises(containers.ExitError) as caught:
        rt.containers.run("host", ["sh", "-c", "echo out; echo err >&2; exit 3"], check=True)
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is containers.ExitError
    assert str(error) == str(caught.value)
    assert (error.context, error.operation) == (caught.value.context, caught.value.operation)
    assert (error.exit_code, error.stdout, error.stderr) == (3, b"out\n", b"err\n")


def test_errors_can_be_made_by_hand() -> None:
    error = containers.ImageNotFound("no such image", context={"ref": "x"})
    assert str(error) == error.message == "no such image"
    assert error.context == {"ref": "x"}
    assert str(containers.ExecTimeout("too slow")) == "too slow"


def test_what_is_not_built_yet_is_unsupported_and_absent(rt: containers.Runtime) -> None:
    with pytest.raises(containers.Unsupported, match="host folder"):
        rt.volumes  # type: ignore[attr-defined]  # noqa: B018
    assert getattr(rt, "probe", None) is None
    with pytest.raises(containers.Unsupported) as raised:
        rt.probe()  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(raised.value))
    for error in (raised.value, again):
        assert (type(error).__name__, error.code, error.operation) == ("Unsupported", "unsupported", "runtime.probe")
    assert str(again) == str(raised.value)
    with pytest.raises(containers.Unsupported, match="build"):
        rt.images.build(".")  # type: ignore[attr-defined]
    assert not hasattr(rt, "networks")
    with pytest.raises(AttributeError, match="colour"):
        rt.colour  # type: ignore[attr-defined]  # noqa: B018
