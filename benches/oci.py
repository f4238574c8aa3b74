#!/usr/bin/env python3
"""Compares containers-oci with the other OCI runtimes: a run, a create with start and delete, and the peak memory.

All of them get the same bundle: a busybox that runs `true`, with the configuration of `runc spec` where there is a
runc. The floor is there twice: with its own program, which has no C library to begin, and with this busybox. Where
cgroups are hybrid, those who refuse that are compared in a view of v2 alone. The state lies on a tmpfs, as it does
below /run. See README.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import contenders
from compare import Row, machine, percentile, report
from contenders import V2_VIEW, Bench, Contender, Missing, tool
from plot import svg

# Slow ones get fewer runs.
SHARES = {"containers-oci": 1.0, "crun": 0.5, "runc": 0.2, "youki": 0.2}
KERNEL = "kernel alone"
BUSYBOX = "floor, busybox"
COMMANDS = {"run": 1, "lifecycle": 3}
OPERATIONS = {"run": "run, from start to exit code", "lifecycle": "create, start and delete, one after the other"}


CAP_SYS_RESOURCE = 24


def may_raise_limits() -> bool:
    """Whether crun can load a program for device rules on v2, for which it raises a limit."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return bool(int(status["CapEff"], 16) >> CAP_SYS_RESOURCE & 1)


class OciBench:
    """The bundles, and a folder of state for each program."""

    def __init__(self, bench: Bench, target: Path, state: Path) -> None:
        self.bench, self.target, self.state = bench, target, state
        self.bundle = bench.work / "busybox"
        binaries = self.bundle / "rootfs/bin"
        binaries.mkdir(parents=True)
        shutil.copy(tool("busybox"), binaries / "busybox")
        (binaries / "true").symlink_to("busybox")
        maker = shutil.which("runc", path="/usr/bin:/usr/sbin:/sbin:/usr/local/sbin") or self.program("containers-oci")
        contenders.run([maker, "spec"], cwd=self.bundle)
        config = json.loads((self.bundle / "config.json").read_text())
        config["process"].update(terminal=False, args=["true"])
        config["root"]["path"] = str(self.bundle / "rootfs")
        (self.bundle / "config.json").write_text(json.dumps(config))
        # The same without device rules.
        self.plain = bench.work / "plain"
        self.plain.mkdir()
        config["linux"]["resources"] = {}
        (self.plain / "config.json").write_text(json.dumps(config))

    def program(self, name: str) -> str:
        if name != "containers-oci":
            return tool(name)
        ours = self.target / name
        if not ours.exists():
            raise Missing("not built: scripts/build-oci.sh")
        return str(ours)

    def contender(self, name: str, operation: str, wrap: Sequence[str]) -> Contender:
        program = [self.program(name), "--root", str(self.state / name)]
        identity = f"bench-{operation}-{name}-{{}}"
        what, folder = OPERATIONS[operation], self.bundle
        if wrap and not may_raise_limits():
            what, folder = what + "; no device rules, for which crun needs CAP_SYS_RESOURCE", self.plain
        bundle = ["--bundle", str(folder)]
        if operation == "run":
            command = [*program, "run", *bundle, identity]
        else:
            create, start = [*program, "create", *bundle, identity], [*program, "start", identity]
            command = [*create, ";", *start, ";", *program, "delete", "--force", identity]
        view = ", v2" if wrap else ""
        return self.bench.each(f"{name}{view}", what, command, SHARES[name], wrap)


def floor(bench: Bench) -> Contender:
    """The floor, with the priority that the others can have."""
    contender = contenders.floor(bench)
    contender.realtime = False
    return contender


def floor_with(bench: OciBench) -> Contender:
    """The same with the program that all others run."""
    program = bench.bundle / "rootfs/bin/busybox"
    command: contenders.Command = [bench.bench.out / "floor", "--runs", "{runs}", "--json", "--true", program]
    return Contender(BUSYBOX, "the floor, with the program of the bundle", command, realtime=False)


def kernel(bench: OciBench, operation: str, wrap: Sequence[str]) -> Contender:
    """What the configuration asks of the kernel, and a program that does nothing for each command."""
    program, view = [str(bench.bench.out / "bundle"), "--runs", "{runs}", "--json"], ", v2" if wrap else ""
    folders = ["--rootfs", str(bench.bundle / "rootfs"), "--state", str(bench.state)]
    command: contenders.Command = [*wrap, *program, *folders, "--commands", str(COMMANDS[operation])]
    what = "what the configuration asks of it, by a program that does nothing else; no device rules"
    return Contender(KERNEL + view, what, command, realtime=False)


def kernel_cgroups(bench: Bench) -> Contender:
    """What the cgroups of v1 cost by themselves."""
    command: contenders.Command = [bench.out / "cgroups", "--runs", "{runs}", "--json"]
    return Contender("cgroups alone", "mkdir, entering and rmdir in each hierarchy", command, realtime=False)


def gather(bench: OciBench, operation: str, args: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """One operation of all programs, in all views that the machine has."""
    hybrid = Path("/sys/fs/cgroup/unified").exists()
    views: list[tuple[str, ...]] = [(), tuple(V2_VIEW)] if hybrid else [()]
    wanted = [(name, wrap) for wrap in views for name in args.only.split(",")]
    present = {
        "floor": floor(bench.bench),
        BUSYBOX: floor_with(bench),
        "cgroups alone": kernel_cgroups(bench.bench),
    }
    for wrap in views:
        one = kernel(bench, operation, wrap)
        present[one.name] = one
    missing: dict[str, str] = {}
    for name, wrap in wanted:
        view = ", v2" if wrap else ""
        try:
            if hybrid and not wrap and name == "crun":
                raise Missing("it refuses hybrid cgroups")
            present[name + view] = bench.contender(name, operation, wrap)
        except Missing as why:
            missing[name + view] = str(why)
    said: dict[str, list[dict[str, Any]]] = {}
    for number in range(args.rounds):
        for name, contender in list(present.items()):
            print(f"\r{operation}, round {number + 1}/{args.rounds}: {name:<30}", end="", file=sys.stderr)
            try:
                said.setdefault(name, []).append(report(contender, args.runs, args.realtime))
            except Missing as why:
                missing[name] = str(why)
                del present[name]
                said.pop(name, None)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return rows(present, said), missing


def rows(present: dict[str, Contender], said: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """Lines of the table."""
    samples = {name: [s for one in rounds for s in one["samples"]] for name, rounds in said.items()}
    base = percentile(samples["floor"], 50)
    cpu = {name: sum(one["cpu_us"] for one in rounds) / len(rounds) for name, rounds in said.items()}
    result: list[Row] = []
    for name, contender in present.items():
        p50 = percentile(samples[name], 50)
        view = ", v2" if name.endswith(", v2") else ""
        ours, alone = "containers-oci" + view, samples.get(KERNEL + view)
        result.append(
            {
                "name": contender.name,
                "what": contender.what,
                "runs": len(samples[name]),
                "least_us": round(min(samples[name])),
                "p50_us": round(p50),
                "p99_us": round(percentile(samples[name], 99)),
                "to_floor": round(p50 / base, 2),
                "to_floor_with": round(p50 / percentile(samples[BUSYBOX], 50), 2),
                "to_kernel": round(p50 / percentile(alone, 50), 2) if alone else None,
                "least_to_floor": round(min(samples[name]) / min(samples["floor"]), 2),
                "cpu_us": round(cpu[name]),
                "cpu_to_floor": round(cpu[name] / cpu["floor"], 2),
                "to_ours": round(p50 / percentile(samples[ours], 50), 2) if ours in samples else None,
                "peak_kib": max((one.get("peak_kib", 0) for one in said[name]), default=0) or None,
            }
        )
    return result


def table(lines: Sequence[Row], missing: dict[str, str]) -> str:
    text = [
        "| | runs | least | to the floor | p50 | p99 | to the floor | to that with busybox | to the kernel alone "
        "| to ours | processor | to the floor | peak memory | what it does |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in lines:
        ms = " | ".join(f"{r[key] / 1000:.2f} ms" for key in ("p50_us", "p99_us"))
        ours = "" if r["to_ours"] is None or not r["peak_kib"] else r["to_ours"]
        cpu = f"{r['cpu_us'] / 1000:.2f} ms | {r['cpu_to_floor']}"
        peak = f"{r['peak_kib'] / 1024:.1f} MB" if r["peak_kib"] else ""
        least = f"{r['least_us'] / 1000:.2f} ms | {r['least_to_floor']}"
        ratios = f"{r['to_floor']} | {r['to_floor_with']} | {r['to_kernel']} | {ours}"
        text.append(f"| {r['name']} | {r['runs']} | {least} | {ms} | {ratios} | {cpu} | {peak} | {r['what']} |")
    text += [f"\nNot measured: {name}: {why}" for name, why in missing.items()]
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=50, help="in each round; slow contenders get fewer")
    parser.add_argument("--only", default=",".join(SHARES), help="names, comma-separated: %(default)s")
    parser.add_argument("--target", type=Path, default=contenders.REPO / "target/release", help="folder of the build")
    parser.add_argument("--save", nargs="?", const=contenders.HERE / "results", help="write JSON and SVG there")
    parser.add_argument("--realtime", action="store_true", help="above other work of the machine (nice)")
    args = parser.parse_args()
    record: dict[str, Any] = {"time": time.strftime("%Y-%m-%d"), "machine": machine()}
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="containers-bench-") as work,
        tempfile.TemporaryDirectory(prefix="containers-bench-", dir=memory) as state,
    ):
        bench = OciBench(Bench(work, args.target), args.target, Path(state))
        for operation, what in OPERATIONS.items():
            lines, missing = gather(bench, operation, args)
            print(f"{what}:\n\n{table(lines, missing)}\n")
            record[operation] = {"rows": lines, "missing": missing}
    if args.save:
        folder = Path(args.save)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "oci.json").write_text(json.dumps(record, indent=1) + "\n")
        for operation, what in OPERATIONS.items():
            (folder / f"oci-{operation}.svg").write_text(svg(record[operation]["rows"], what))


if __name__ == "__main__":
    main()
