"""`linux.seccomp`: what becomes of calls. Who decides about them elsewhere is in `test_notify.py`."""

from __future__ import annotations

from typing import Any

import pytest
from bundle import Bundle

MKDIR = ["mkdir", "mkdirat"]


def filtered(bundle: Bundle, *rules: dict[str, Any], **more: object) -> None:
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **more}


@pytest.mark.parametrize(("errno", "words"), [(None, "Operation not permitted"), (95, "not supported")])
def test_a_call_fails_with_the_number_that_is_wanted(bundle: Bundle, errno: int | None, words: str) -> None:
    number = {} if errno is None else {"errnoRet": errno}
    filtered(bundle, {"names": MKDIR, "action": "SCMP_ACT_ERRNO", **number})
    assert words in bundle.sh("mkdir /new 2>&1 || echo refused")


def test_all_that_is_not_named_fails(bundle: Bundle) -> None:
    filtered(bundle, {"names": MKDIR, "action": "SCMP_ACT_ERRNO", "errnoRet": 95})
    bundle.linux["seccomp"]["defaultErrnoRet"] = 38
    bundle.linux["seccomp"]["defaultAction"] = "SCMP_ACT_ERRNO"
    bundle.process["args"] = ["true"]
    # Not even the exec is among them.
    assert bundle.run().code != 0


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"])
def test_a_call_is_the_end(bundle: Bundle, action: str) -> None:
    filtered(bundle, {"names": MKDIR, "action": action})
    bundle.process["args"] = ["mkdir", "/new"]
    sigsys = 31
    assert bundle.run().code == 128 + sigsys and not (bundle.rootfs / "new").exists()


def test_arguments_decide(bundle: Bundle) -> None:
    args = [{"index": 0, "value": 0o22, "op": "SCMP_CMP_EQ"}]
    filtered(bundle, {"names": ["umask"], "action": "SCMP_ACT_ERRNO", "args": args})
    # What can't be set stays what it was.
    assert bundle.sh("umask 077; umask 022; umask; umask 027; umask") == "0077\n0027\n"


def test_names_that_nobody_knows_are_warned_of(bundle: Bundle) -> None:
    filtered(bundle, {"names": ["make_coffee", *MKDIR], "action": "SCMP_ACT_ERRNO"})
    bundle.process["args"] = ["mkdir", "/new"]
    done = bundle.run()
    assert done.code == 1 and "make_coffee" in done.err


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"flags": ["SECCOMP_FILTER_FLAG_NONE"]}, "linux.seccomp.flags"),
        ({"architectures": ["SCMP_ARCH_ABACUS"]}, "linux.seccomp.architectures"),
        ({"listenerMetadata": "x"}, "linux.seccomp.listenerMetadata"),
    ],
)
def test_what_is_wrong_is_named(bundle: Bundle, more: dict[str, object], field: str) -> None:
    filtered(bundle, **more)
    bundle.fails(field)
