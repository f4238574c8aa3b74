"""The tests that run in the machines, both at once."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from machine import TREE, die_with_parent

GUEST_PART = "tests/vm/guest/suite"
# As `make test` builds them: a package alone would have other features of its dependencies, and be built once more.
BUILD = "cargo test --release --workspace --no-run --message-format=json".split()
MADE = ["target/release/containers", "target/release/containers-oci", ".venv/bin/python"]
LIMIT = 1200
KINDS = ["plain", "systemd"]


def programs() -> dict[str, str]:
    """Test programs by name, e.g. `core/lifetime`, built if need be."""
    if missing := [path for path in MADE if not (TREE / path).exists()]:
        raise SystemExit(f"{', '.join(missing)}: run `make build` first")
    built = subprocess.run(BUILD, cwd=TREE, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for line in built.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            package = Path(message["manifest_path"]).parent.name
            target = message["target"]
            kind = "unit" if set(target["kind"]) & {"lib", "bin"} else target["name"]
            found[f"{package}/{kind}"] = os.path.relpath(message["executable"], TREE)
    return found


def run() -> int:
    """Runs the suite; 0: all passed."""
    names = {re.sub("[^a-z0-9]", "_", name): path for name, path in programs().items()}
    settings = "".join(f"PROGRAM_{name}={shlex.quote(path)}\n" for name, path in names.items())
    failed = []
    machines = []
    for kind in KINDS:
        command = [
            *(str(Path(__file__).parent / "run"), f"--{kind}", "--limit", str(LIMIT)),
            *("--", f"{settings}. {GUEST_PART}"),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=end_with_parent
        )
        reader = threading.Thread(target=show, args=(kind, process), daemon=True)
        reader.start()
        machines.append((kind, process, reader))
    start = time.monotonic()
    for kind, process, reader in machines:
        code = process.wait()
        reader.join()
        print(f"{kind}: {'passed' if code == 0 else f'failed ({code})'} after {time.monotonic() - start:.0f} s")
        if code != 0:
            failed.append(kind)
    return 1 if failed else 0


def show(kind: str, process: subprocess.Popen[str]) -> None:
    """What a machine says, as it comes."""
    assert process.stdout
    for line in process.stdout:
        sys.stdout.write(f"{kind}: {line}")
        sys.stdout.flush()


def end_with_parent() -> None:
    """In the child: it cleans up when we are gone."""
    die_with_parent(signal.SIGTERM)
