"""One container from its creation to its removal: start, look, run something in it, stop."""

import containers

SCRIPT = 'trap "echo bye; exit 0" TERM; echo hello; while :; do sleep 0.1; done'

OPTIONS: containers.CreateOptions = {"environment": {"GREETING": "hi"}, "labels": {"example": "lifecycle"}}

# An attached container goes with the block, with its handle, or with this process, however that ends.
with containers.Runtime() as rt, rt.containers.create("host", ["sh", "-c", SCRIPT], **OPTIONS) as c:
    print("created ", c.short_id, c.status)

    c.start()
    print("started ", c.status, "as process", c.pid)

    inside = c.exec_run(["sh", "-c", "echo $GREETING from $(hostname)"], check=True)
    print("exec    ", inside.stdout.decode().strip())

    for found in rt.containers.list(filters={"label": "example=lifecycle"}):
        print("listed  ", found.short_id, found.status)

    c.stop(timeout=5)
    print("stopped ", c.status, "with code", c.wait())
    print("logs    ", c.logs())
