"""Configurations that are wrong: the command line says which property."""

from collections.abc import Callable
from typing import Any

import pytest
from bundle import Bundle, Config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("EOF", "offset")),
        ("{", ("EOF",)),
        ("\ufeff{}", ("byte order mark",)),
        ("{}", ("ociVersion",)),
        ("[" * 10000, ("recursion",)),
        ('{"a":1,"a":2}', ("twice", "field=a")),
        (" " * (4 << 20) + "{}", ("4 MiB",)),
    ],
)
def test_documents(bundle: Bundle, text: str, words: tuple[str, ...]) -> None:
    (bundle.path / "config.json").write_text(text)
    done = bundle.runtime("run", "--bundle", str(bundle.path), "bad")
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda c: c.pop("root"), "root"),
        (lambda c: c["process"].update(args=[]), "process.args"),
        (lambda c: c["process"].update(cwd="x"), "process.cwd"),
        (lambda c: c["linux"]["namespaces"].append({"type": "pid"}), "linux.namespaces[6].type"),
        (lambda c: c["linux"].update(sysctl={"vm.swappiness": "1"}), "linux.sysctl.vm.swappiness"),
        (lambda c: c["mounts"].append({"destination": "/proc/1", "type": "tmpfs"}), "mounts[3].destination"),
        (lambda c: c["linux"].update(cgroupsPath="/../x"), "linux.cgroupsPath"),
        (lambda c: c["process"].update(apparmorProfile="none"), "process.apparmorProfile"),
        (lambda c: c["process"].update(selinuxLabel="a:b"), "process.selinuxLabel"),
    ],
)
def test_properties(bundle: Bundle, change: Callable[[Config], Any], field: str) -> None:
    change(bundle.config)
    bundle.write()
    done = bundle.runtime("run", "--bundle", str(bundle.path), "bad")
    assert done.returncode != 0 and f"field={field}" in done.stderr, done.stderr
