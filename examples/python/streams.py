"""Talks to a process in a container: input as it goes, output as it comes, and a log that is followed."""

import containers

TICKS = "for i in 1 2 3; do echo tick $i; sleep 0.1; done; exec sleep 60"
UPPER = 'while read line; do echo "$line" | tr a-z A-Z; done'

with containers.Runtime() as rt, rt.containers.create("host", ["sh", "-c", TICKS]) as c:
    c.start()

    # Binary files, with back-pressure.
    with c.exec(["sh", "-c", UPPER], stdin=True) as upper:
        assert upper.stdin is not None
        assert upper.stdout is not None
        for word in (b"one", b"two"):
            upper.stdin.write(word + b"\n")
            print(word.decode(), "->", upper.stdout.readline().decode().strip())
    print("code", upper.wait())

    # Both streams in order of arrival.
    with c.exec(["sh", "-c", "echo out; sleep 0.1; echo err >&2"]) as mixed:
        for stream, data in mixed:
            print(stream, data.decode().strip())

    for number, line in enumerate(c.logs_stream(follow=True), start=1):
        print(line.stream, line.data.decode().strip())
        if number == 3:
            break
