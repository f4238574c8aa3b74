"""Runs a command in a throw-away container of this machine's own system. No image, no daemon.

python run.py [COMMAND [ARGUMENT…]]
"""

import sys

import containers

command = sys.argv[1:] or ["sh", "-c", "echo hello from $(uname -n), user $(id -un)"]

try:
    r = containers.run("host", command, hostname="box", mem_limit="256m", pids_limit=64, timeout=10)
except containers.ContainersError as error:
    sys.exit(f"{error.code}: {error}")

sys.stdout.buffer.write(r.stdout)
sys.stderr.buffer.write(r.stderr)
sys.exit(r.exit_code)
