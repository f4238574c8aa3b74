"""What README tells a newcomer works when it is pasted."""

from __future__ import annotations

import re
import shlex

from conftest import REPOSITORY, Cli


def test_command_line(cli: Cli, registry: dict[str, str]) -> None:
    text = (REPOSITORY / "README.md").read_text()
    section = text.split("## Five minutes on the command line")[1]
    block = re.search(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert block
    lines = block[1].replace("localhost:5000/app:1", registry["oci"]).splitlines()
    assert len(lines) > 6
    for line in lines:
        # There is no terminal here, and a shell without input ends at once.
        program, *words = shlex.split(line.replace("-it", "-i"), comments=True)
        assert program == "containers"
        cli(*words, stdin=b"")
