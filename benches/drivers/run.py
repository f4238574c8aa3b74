"""Measures `run` through the Python interface: one JSON line with a sample, in microseconds, for each run."""

import json
import os
import sys
import time

import containers

WARM = 20


def own_state() -> tuple[int, int]:
    """Resident memory in KiB, and how many descriptors are open."""
    with open("/proc/self/status") as status:
        rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return rss, len(os.listdir("/proc/self/fd"))


def main(root: str, image: str, command: str, runs: str, resident: str) -> None:
    ballast = bytearray(b"\x01" * (int(resident) << 20))
    samples = []
    with containers.Runtime(root=root) as rt:
        before = own_state()
        for i in range(WARM + int(runs)):
            if i == WARM:
                before = own_state()
            start = time.perf_counter()
            rt.containers.run(image, [command], mem_limit="256m", check=True)
            if i >= WARM:
                samples.append(round((time.perf_counter() - start) * 1e6, 1))
        after = own_state()
    rss, fds = zip(before, after, strict=True)
    print(json.dumps({"name": "python", "unit": "us", "rss_kb": rss, "fds": fds, "samples": samples}))
    del ballast


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: run.py ROOT IMAGE COMMAND RUNS RESIDENT_MB")
    main(*sys.argv[1:])
