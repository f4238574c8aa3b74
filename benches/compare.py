#!/usr/bin/env python3
"""Compares what one run of `true` in a container costs: the kernel's floor, a reference, us, and the others.

Everything is measured on the same machine in the same minutes: each round asks every contender in turn. See README.md.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import contenders
from contenders import ALL, Bench, Contender, Missing
from plot import svg

Samples = dict[str, list[float]]
Row = dict[str, Any]

# Seconds for one contender's part of a round.
TOO_LONG = 120


def percentile(values: list[float], p: int) -> float:
    values = sorted(values)
    return values[min(int(len(values) * p / 100), len(values) - 1)]


def report(contender: Contender, runs: int, realtime: bool) -> dict[str, Any]:
    """What one round says: `samples` in microseconds, and perhaps `peak_kib`."""
    runs = max(3, round(runs * contender.share))
    prefix: list[str] = []
    if realtime:
        prefix = ["chrt", "-f", "10"] if contender.realtime else ["nice", "-n", "-20"]
    command = [str(part).replace("{runs}", str(runs)) for part in contender.command]
    # A session of its own, so that one that hangs is ended with all that it started.
    # What they say goes to a file: somebody who reads along would be measured too.
    with (
        tempfile.TemporaryFile("w+") as said_of_it,
        subprocess.Popen(
            prefix + command, stdout=subprocess.PIPE, stderr=said_of_it, text=True, start_new_session=True
        ) as started,
    ):
        try:
            out, _ = started.communicate(timeout=TOO_LONG)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            raise Missing(f"not done after {TOO_LONG} s") from None
        said_of_it.seek(0)
        err = said_of_it.read()
    if started.returncode:
        raise Missing(err.strip()[-300:] or f"ended with {started.returncode}")
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def measure(contender: Contender, runs: int, realtime: bool) -> list[float]:
    """Samples of one round, in microseconds."""
    samples: list[float] = report(contender, runs, realtime)["samples"]
    return samples


def progress(text: str) -> None:
    """One line that is written over again, for somebody who watches."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def gather(
    bench: Bench, names: list[str], rounds: int, runs: int, realtime: bool
) -> tuple[dict[str, Contender], dict[str, str], Samples]:
    """Samples of every contender over all rounds, and why the missing ones are."""
    present: dict[str, Contender] = {}
    missing: dict[str, str] = {}
    samples: Samples = {}
    for name in names:
        try:
            present[name] = ALL[name](bench)
        except Missing as why:
            missing[name] = str(why)
    for number in range(rounds):
        for name, contender in list(present.items()):
            progress(f"round {number + 1}/{rounds}: {contender.name}")
            try:
                samples.setdefault(name, []).extend(measure(contender, runs, realtime))
            except Missing as why:
                missing[name] = str(why)
                del present[name]
                samples.pop(name, None)
    progress("")
    return present, missing, samples


def rows(present: dict[str, Contender], samples: Samples) -> list[Row]:
    """Lines of the table: name, runs, p50, p99, ratios, what."""
    p50 = {name: percentile(values, 50) for name, values in samples.items()}
    result = []
    for name, contender in present.items():
        if name not in samples:
            continue
        ratio = {to: round(p50[name] / p50[to], 2) if to in p50 else None for to in ("floor", "reference")}
        result.append(
            {
                "name": contender.name,
                "what": contender.what,
                "runs": len(samples[name]),
                "p50_us": round(p50[name]),
                "p99_us": round(percentile(samples[name], 99)),
                "to_floor": ratio["floor"],
                "to_reference": ratio["reference"],
            }
        )
    return result


def table(lines: list[Row], missing: dict[str, str]) -> str:
    text = ["| | runs | p50 | p99 | to the floor | to the reference | what it does |", "|---|---|---|---|---|---|---|"]
    for r in lines:
        ms = [f"{r[key] / 1000:.2f} ms" for key in ("p50_us", "p99_us")]
        ratio = [str(r[key]) if r[key] is not None else "" for key in ("to_floor", "to_reference")]
        text.append(f"| {r['name']} | {r['runs']} | {' | '.join(ms)} | {' | '.join(ratio)} | {r['what']} |")
    text += [f"\nNot measured: {name}: {why}" for name, why in missing.items()]
    return "\n".join(text)


def machine() -> dict[str, Any]:
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "kernel": platform.release(),
        "cpu": model[0] if model else platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "cgroup": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
    }


def compare(bench: Bench, args: argparse.Namespace) -> None:
    names = args.only.split(",") if args.only else list(ALL)
    present, missing, samples = gather(bench, names, args.rounds, args.runs, args.realtime)
    lines = rows(present, samples)
    print(table(lines, missing))
    if args.save:
        folder = Path(args.save)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"time": time.strftime("%Y-%m-%d"), "machine": machine(), "rows": lines, "missing": missing}
        (folder / "starts.json").write_text(json.dumps(record, indent=1) + "\n")
        (folder / "starts.svg").write_text(svg(lines))


def resident(bench: Bench, args: argparse.Namespace) -> None:
    """The same run from a host with nothing and from one with 2 GB in memory."""
    for name in ("rust", "c", "python", "node"):
        try:
            small = ALL[name](bench)
        except Missing as why:
            print(f"{name}: not measured: {why}")
            continue
        big = Contender(small.name, small.what, [*small.command[:-1], 2048])
        samples: dict[int, list[float]] = {0: [], 2048: []}
        for _ in range(args.rounds):
            samples[0] += measure(small, args.runs, args.realtime)
            samples[2048] += measure(big, args.runs, args.realtime)
        p50 = [percentile(values, 50) for values in samples.values()]
        print(f"{small.name}: p50 {p50[0]:.0f} us, with 2 GB resident {p50[1]:.0f} us: {p50[1] / p50[0]:.2f}")


def launcher_of(host: int) -> int | None:
    """The process that holds a pidfd of `host`: its launcher."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if not os.readlink(f"/proc/{entry}/exe").startswith("/memfd:containers"):
                continue
            for fd in os.listdir(f"/proc/{entry}/fdinfo"):
                if f"Pid:\t{host}\n" in Path(f"/proc/{entry}/fdinfo/{fd}").read_text():
                    return int(entry)
        except OSError:
            continue
    return None


def state(pid: int) -> tuple[int, int]:
    """Resident KiB and open descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return rss, len(os.listdir(f"/proc/{pid}/fd"))


def flat(bench: Bench, args: argparse.Namespace) -> None:
    """Many runs: neither host nor launcher may grow."""
    for name in ("rust", "c", "python", "node"):
        try:
            contender = ALL[name](bench)
        except Missing as why:
            print(f"{name}: not measured: {why}")
            continue
        command = [str(part).replace("{runs}", str(args.flat)) for part in contender.command]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(2)
        launcher, seen = launcher_of(process.pid), []
        while process.poll() is None:
            try:
                seen.append((*state(process.pid), *(state(launcher) if launcher else (0, 0))))
            except (OSError, StopIteration):
                break
            time.sleep(0.5)
        if process.wait() or len(seen) < 3:
            print(f"{contender.name}: failed, or too few runs to see anything")
            continue
        first, last = seen[0], seen[-2]
        print(
            f"{contender.name}: {args.flat} runs: host {first[0]} -> {last[0]} KiB, {first[1]} -> {last[1]} fds; "
            f"launcher {first[2]} -> {last[2]} KiB, {first[3]} -> {last[3]} fds"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=100, help="in each round; slow contenders get fewer")
    parser.add_argument("--only", help="names, comma-separated: " + ",".join(ALL))
    parser.add_argument("--target", default=contenders.REPO / "target/release", help="folder of the release build")
    parser.add_argument("--save", nargs="?", const=contenders.HERE / "results", help="write JSON and SVG there")
    parser.add_argument("--realtime", action="store_true", help="above other work of the machine (chrt -f 10, or nice)")
    parser.add_argument("--resident", action="store_true", help="our runs with 2 GB in the host's memory")
    parser.add_argument("--flat", type=int, metavar="RUNS", help="many runs: do memory and descriptors grow?")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="containers-bench-") as work:
        bench = Bench(work, args.target)
        with bench.stack:
            if args.resident:
                resident(bench, args)
            elif args.flat:
                flat(bench, args)
            else:
                compare(bench, args)


if __name__ == "__main__":
    main()
