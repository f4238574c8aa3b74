"""What README tells a newcomer works when it is pasted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY, TIMEOUT


def test_python(root: Path, registry: dict[str, str]) -> None:
    text = (REPOSITORY / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        code = block.replace("localhost:5000/app:1", registry["oci"])
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CONTAINERS_ROOT": str(root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert done.stdout.splitlines()[-1] == "3"
