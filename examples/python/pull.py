"""Fetches an image from a registry, with progress, and runs its command.

python pull.py IMAGE [COMMAND [ARGUMENT…]]
"""

import sys

import containers

if len(sys.argv) < 2:
    sys.exit("usage: python pull.py IMAGE [COMMAND [ARGUMENT…]]")
reference, *command = sys.argv[1:]

with containers.Runtime() as rt:
    # Bars on standard error; a callable instead of True gets each event.
    image = rt.images.pull(reference, progress=True)
    print(" ".join(image.tags), image.id)
    r = rt.containers.run(image, command or None)
    sys.stdout.buffer.write(r.stdout)
    sys.stderr.buffer.write(r.stderr)
    sys.exit(r.exit_code)
